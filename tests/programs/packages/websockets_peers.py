"""The two ends of a WebSocket. Usage: websockets_peers.py serve, or websockets_peers.py talk PORT. The server prints
its port, and ends with its first client."""

import asyncio
import hashlib
import socket
import sys

import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve


async def server():
    ended = asyncio.get_running_loop().create_future()

    async def answer(peer):
        try:
            async for message in peer:
                if message == "blocks":
                    for number in range(100):
                        await peer.send(bytes([number]) * 10_000)
                elif message == "close":
                    await peer.close(4000, "as asked")
                else:
                    await peer.send(message)
        except websockets.ConnectionClosedError as error:
            ended.set_result(error.rcvd.code)

    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    async with serve(answer, sock=listener):
        print("closed:", await ended)


async def client(port):
    async with connect(f"ws://localhost:{port}/") as peer:
        for message in ["text", b"bytes", "", "h\u00e9llo", bytes(1_000_000)]:
            await peer.send(message)
            assert await peer.recv() == message
        # A message in fragments.
        await peer.send(["one ", "two ", "three"])
        assert await peer.recv() == "one two three"
        await asyncio.wait_for(await peer.ping(), 60)
        await peer.send("blocks")
        digest = hashlib.sha256()
        for _ in range(100):
            digest.update(await peer.recv())
        print(digest.hexdigest())
        try:
            await asyncio.wait_for(peer.recv(), 0.1)
        except TimeoutError:
            print("nothing more")
        await peer.send("close")
        try:
            await peer.recv()
        except websockets.ConnectionClosed as error:
            print(error.rcvd.code, error.rcvd.reason)


if sys.argv[1] == "serve":
    asyncio.run(server())
else:
    asyncio.run(client(int(sys.argv[2])))
