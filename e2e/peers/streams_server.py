"""An upstream for streams: events that come one at a time, trailers, interim responses, uploads that are counted."""

import gzip
import hashlib
import json
import socket
import threading

released = threading.Event()


def read_head(file):
    lines = []
    while (line := file.readline()) not in (b"\r\n", b""):
        lines.append(line.decode().rstrip("\r\n"))
    if not lines:
        return None
    fields = {}
    for line in lines[1:]:
        name, value = line.split(":", 1)
        fields[name.lower()] = value.strip()
    return lines[0].split(" ")[0], lines[0].split(" ")[1], fields


def read_body(file, fields, seen):
    """Counts and hashes the content; returns the trailers."""
    if "content-length" in fields:
        left = int(fields["content-length"])
        buffer = bytearray(1 << 20)
        while left:
            got = file.readinto(memoryview(buffer)[: min(left, len(buffer))])
            if not got:
                raise ConnectionError
            seen(memoryview(buffer)[:got])
            left -= got
    elif fields.get("transfer-encoding") == "chunked":
        while size := int(file.readline().split(b";")[0], 16):
            seen(file.read(size))
            file.readline()
        trailers = {}
        while (line := file.readline()) not in (b"\r\n", b""):
            name, value = line.decode().split(":", 1)
            trailers[name.lower()] = value.strip()
        return trailers
    return {}


def answer(send, kind, body, more=""):
    send(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body)


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def serve(connection):
    file = connection.makefile("rb", buffering=1 << 20)
    send = connection.sendall
    while (head := read_head(file)) is not None:
        method, target, fields = head
        path = target.split("?")[0]
        count, digest = 0, hashlib.sha256()

        def seen(data):
            nonlocal count
            count += len(data)
            if count <= 1 << 26:
                digest.update(data)

        trailers = read_body(file, fields, seen)
        if path == "/events":
            released.clear()
            send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            for number in range(3):
                send(chunk(b"data: %d\n\n" % number))
                # Not before the caller has seen it.
                if not released.wait(30):
                    return
                released.clear()
            send(b"0\r\n\r\n")
        elif path == "/next":
            released.set()
            answer(send, "text/plain", b"next")
        elif path == "/trailers":
            send(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n"
                b"Trailer: Digest-Of-It, Set-Cookie\r\n\r\n"
                + chunk(b"pizza")
                + b"0\r\nDigest-Of-It: abc\r\nSet-Cookie: stolen=1\r\nContent-Length: 3\r\n\r\n"
            )
        elif path == "/early":
            send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
            send(b"HTTP/1.1 102 Processing\r\n\r\n")
            answer(send, "text/plain", b"late")
        elif path == "/text":
            answer(send, "text/plain", b"margherita, " * 4000, 'ETag: "v1"\r\nAccept-Ranges: bytes\r\n')
        elif path == "/slowly":
            released.clear()
            send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
            send(chunk(b"first part of it, " * 100))
            if not released.wait(30):
                return
            send(chunk(b"and the rest") + b"0\r\n\r\n")
        elif path == "/gzipped":
            body = b'{"name":"pizza","price":%s}' % (b"9" if "good" in target else b'"nine"')
            answer(send, "application/json", gzip.compress(body), "Content-Encoding: gzip\r\n")
        else:
            said = {
                "bytes": count,
                "sha256": digest.hexdigest() if count <= 1 << 26 else "",
                "coding": fields.get("content-encoding", ""),
                "trailers": trailers,
            }
            answer(send, "application/json", json.dumps(said).encode())


def main():
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    host, port = listener.getsockname()
    print(f"listening on {host}:{port}", flush=True)
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=guarded, args=(connection,), daemon=True).start()


def guarded(connection):
    try:
        serve(connection)
    except (ConnectionError, ValueError, OSError):
        pass
    finally:
        connection.close()


main()
