"""An upstream that speaks WebSocket: it echoes, and says what it was told when it is asked."""

import asyncio
import contextlib

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


async def talk(connection):
    with contextlib.suppress(ConnectionClosed):
        await converse(connection)


async def converse(connection):
    async for message in connection:
        if message == "who":
            headers = connection.request.headers
            await connection.send(f"{connection.request.path} {headers.get('X-Forwarded-For')}")
        elif message == "close":
            await connection.close(4001, "as you wish")
        elif message == "flood":
            for _ in range(200):
                await connection.send(b"x" * 10_000)
        else:
            await connection.send(message)


def choose(connection, offered):
    return "chat" if "chat" in offered else None


async def main():
    options = {"subprotocols": ["chat"], "select_subprotocol": choose, "max_size": None}
    async with serve(talk, "127.0.0.1", 0, **options) as server:
        host, port = server.sockets[0].getsockname()
        print(f"listening on {host}:{port}", flush=True)
        await server.serve_forever()


asyncio.run(main())
