"""Sends a regression suite written for go-ftw to a gateway and holds what its events say against what the suite expects.

    ftw.py GATEWAY_PORT UPSTREAM_PORT EVENTS_DIR SUITE_DIR OVERRIDES

Serves as the suite's back end, too: 200, or what `/reflect` asks for. Prints one line a failure, and how many stages passed.
"""

import base64
import glob
import json
import os
import re
import socket
import sys
import threading
import time

import yaml

GATEWAY, UPSTREAM, EVENTS, SUITE, OVERRIDES = sys.argv[1:]


def reflected(target, body):
    """The back end's answer: status, headers, body."""
    status, headers, answer = 200, {"Content-Type": "text/plain; charset=utf-8"}, b""
    if target.startswith("/reflect"):
        try:
            asked = json.loads(body)
        except ValueError:
            return 400, headers, b""
        status = int(asked.get("status", 200))
        headers.update(asked.get("headers") or {})
        answer = (asked.get("body") or "").encode()
        if "encodedBody" in asked:
            answer = base64.b64decode(asked["encodedBody"])
    return status, headers, answer


def read_message(stream):
    """One message: its first line, and its body."""
    head = stream.readline()
    if not head:
        return None
    length, chunked = 0, False
    while True:
        line = stream.readline()
        if line in (b"\r\n", b"\n", b""):
            break
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        chunked |= name.lower() == b"transfer-encoding" and b"chunked" in value.lower()
    body = b""
    while chunked:
        size = int(stream.readline().split(b";")[0] or b"0", 16)
        body += stream.read(size)
        stream.readline()
        if size == 0:
            break
    return head.decode("latin-1"), body or stream.read(length)


def back_end(connection):
    stream = connection.makefile("rb")
    while message := read_message(stream):
        words = message[0].split(" ")
        status, headers, answer = reflected(words[1], message[1])
        headers["Content-Length"] = str(len(answer))
        bodiless = words[0] == "HEAD" or status in (204, 304)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection.sendall(f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode() + (b"" if bodiless else answer))


def serve():
    listener = socket.create_server(("127.0.0.1", int(UPSTREAM)))
    while True:
        threading.Thread(target=back_end, args=(listener.accept()[0],), daemon=True).start()


def request(stage):
    """The bytes that go-ftw sends for a stage."""
    if stage.get("encoded_request"):
        return base64.b64decode(stage["encoded_request"])
    data = re.sub(r'{{ "(.)" \| repeat (\d+) }}', lambda found: found[1] * int(found[2]), stage.get("data") or "")
    body = base64.b64decode(stage["encoded_data"]) if stage.get("encoded_data") else data.encode()
    headers = [(name, "" if value is None else str(value)) for name, value in (stage.get("headers") or {}).items()]
    headers += [(pair["name"], str(pair["value"])) for pair in stage.get("ordered_headers") or []]
    names = {name.lower() for name, _ in headers}
    method = stage.get("method") or "GET"
    if stage.get("autocomplete_headers", not stage.get("stop_magic", False)):
        if "connection" not in names:
            headers.append(("Connection", "close"))
        if body and "content-type" not in names:
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
        if (body or method == "POST") and not names & {"content-length", "transfer-encoding"}:
            headers.append(("Content-Length", str(len(body))))
    version = stage.get("version", "HTTP/1.1")
    line = f"{method} {stage.get('uri') or '/'} {version}".rstrip() + "\r\n"
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return (line + fields + "\r\n").encode() + body


def send(raw):
    """The status and the request's id; 0 if there is no answer."""
    with socket.create_connection(("127.0.0.1", int(GATEWAY)), timeout=30) as connection:
        try:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        answer = b""
        try:
            while b"\r\n\r\n" not in answer and (piece := connection.recv(65536)):
                answer += piece
        except OSError:
            pass
    found = re.search(rb"(?i)x-request-id: (\S+)", answer)
    status = re.match(rb"HTTP/1.[01] (\d+)", answer)
    return int(status[1]) if status else 0, found[1].decode() if found else ""


def log_of(event):
    rules = [one["rule"] for one in event.get("waf_matches", [])]
    lines = []
    for one in event.get("waf_matches", []):
        value, at = one.get("value", ""), one.get("at", "")
        lines.append(f'[id "{one["rule"]}"] [msg "{one.get("message", "")}"] [data "{value} found within {at}: {value}"]')
    return rules, "\n".join(lines)


def judge(output, status, event):
    """What is not as it should be; nothing if all is."""
    refused = event is None or event.get("decided_by") == "wire"
    if output.get("expect_error"):
        return None if status in (0, 400) or refused else "it was not refused"
    if output.get("status") and output["status"] != status:
        return f"status {output['status']} expected, {status} seen ({(event or {}).get('reason')})"
    expected = output.get("log") or {}
    if not expected:
        return None
    if event is None or (refused and expected.get("expect_ids")):
        return f"answered {status} before any rule was asked ({(event or {}).get('decided_by')}, {(event or {}).get('reason')})"
    rules, log = log_of(event)
    for rule in expected.get("expect_ids") or []:
        if rule not in rules:
            return f"{rule} expected, {rules} matched; {event.get('decided_by')} {event.get('reason')} {status}"
    for rule in expected.get("no_expect_ids") or []:
        if rule in rules:
            return f"{rule} not expected"
    for name, wanted in (("match_regex", True), ("no_match_regex", False)):
        if expected.get(name) and bool(re.search(expected[name], log)) != wanted:
            return f"{name} {expected[name]!r}: {log!r}"
    return None


def events(ids):
    """The events of these requests, once all are written."""
    found, last = {}, time.monotonic()
    while len(found) < len(ids) and time.monotonic() - last < 30:
        before = len(found)
        for path in glob.glob(os.path.join(EVENTS, "*.ndjson")):
            with open(path, encoding="utf-8") as lines:
                for line in lines:
                    if not line.endswith("\n"):
                        continue
                    event = json.loads(line)
                    if event["id"] in ids:
                        found[event["id"]] = event
        if len(found) > before:
            last = time.monotonic()
    return found


def main():
    threading.Thread(target=serve, daemon=True).start()
    with open(OVERRIDES, encoding="utf-8") as file:
        overrides = {
            (one["rule_id"], test): one.get("output") or {}
            for one in (yaml.safe_load(file) or {}).get("test_overrides") or []
            for test in one["test_ids"]
        }
    sent = []
    for path in sorted(glob.glob(os.path.join(SUITE, "**", "*.y*ml"), recursive=True)):
        with open(path, encoding="utf-8") as file:
            suite = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        for test in (suite or {}).get("tests") or []:
            for stage in test["stages"]:
                key = (suite["rule_id"], test["test_id"])
                output = overrides.get(key, stage["output"])
                sent.append((key, output, *send(request(stage["input"]))))
    known = events({one[3] for one in sent if one[3]})
    passed = 0
    for (rule, test), output, status, request_id in sent:
        why = judge(output, status, known.get(request_id))
        passed += why is None
        if why:
            print(f"{rule}-{test}: {why}")
    print(f"{passed} of {len(sent)} stages passed")


main()
