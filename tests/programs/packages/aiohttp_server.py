"""aiohttp's server. Argument: a folder with server.pem and server.key; without it, there is no TLS. Prints its port."""

import asyncio
import socket
import ssl
import sys

from aiohttp import WSMsgType, web


async def greet(request):
    return web.json_response({"name": request.match_info["name"], "query": dict(request.query)})


async def length(request):
    total = 0
    async for block in request.content.iter_chunked(1 << 16):
        total += len(block)
    return web.Response(text=str(total))


async def stream(request):
    response = web.StreamResponse()
    await response.prepare(request)
    for number in range(3):
        await response.write(f"{number}\n".encode())
        await asyncio.sleep(0.01)
    await response.write_eof()
    return response


async def fail(request):
    raise ValueError("in a handler")


async def talk(request):
    peer = web.WebSocketResponse()
    await peer.prepare(request)
    async for message in peer:
        if message.type == WSMsgType.TEXT:
            await peer.send_str(message.data.upper())
    return peer


waiting = asyncio.Event()


async def wait(request):
    await waiting.wait()
    return web.Response(text="waited")


async def wake(request):
    waiting.set()
    return web.Response(text="woken")


app = web.Application()
app.add_routes(
    [
        web.get("/greet/{name}", greet),
        web.post("/length", length),
        web.get("/stream", stream),
        web.get("/fail", fail),
        web.get("/talk", talk),
        web.get("/wait", wait),
        web.get("/wake", wake),
    ]
)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
context = None
if len(sys.argv) > 1:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(f"{sys.argv[1]}/server.pem", f"{sys.argv[1]}/server.key")
web.run_app(app, sock=listener, ssl_context=context, print=None, access_log=None)
