"""A gRPC service without generated code: messages are bytes."""

import os
import threading
from concurrent import futures

import grpc


def echo(request, context):
    left = context.time_remaining()
    seen = dict(context.invocation_metadata())
    context.set_trailing_metadata(
        (("x-deadline", "none" if left is None or left > 1e6 else "some"), ("x-client", seen.get("x-forwarded-for", "")))
    )
    return request


def count(request, context):
    for number in range(int(request)):
        yield b"%d" % number


def total(requests, context):
    return b"%d" % sum(len(request) for request in requests)


def talk(requests, context):
    for request in requests:
        yield request


def fail(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "no such pizza: 100% \ud53c\uc790")


def hang(request, context):
    over = threading.Event()
    context.add_callback(over.set)
    yield b"first"
    over.wait(60)


def die(request, context):
    yield b"first"
    os._exit(0)


METHODS = {
    "Echo": grpc.unary_unary_rpc_method_handler(echo),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Total": grpc.stream_unary_rpc_method_handler(total),
    "Talk": grpc.stream_stream_rpc_method_handler(talk),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Hang": grpc.unary_stream_rpc_method_handler(hang),
    "Die": grpc.unary_stream_rpc_method_handler(die),
}


def main():
    server = grpc.server(futures.ThreadPoolExecutor(32))
    for service in ["pizza.Shop", "pizza.Private", "pizza.Limited"]:
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, METHODS),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


main()
