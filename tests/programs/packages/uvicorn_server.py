"""An ASGI application, run by uvicorn as its documentation shows. uvicorn's log contains the port."""

import asyncio
import json

import uvicorn

waiting = asyncio.Event()
started = False


async def app(scope, receive, send):
    global started
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            started = message["type"] == "lifespan.startup"
            await send({"type": message["type"] + ".complete"})
            if not started:
                return

    async def respond(body, status=200):
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    match scope["method"], scope["path"]:
        case "POST", "/length":
            total, more = 0, True
            while more:
                message = await receive()
                total += len(message.get("body", b""))
                more = message.get("more_body", False)
            await respond(str(total).encode())
        case "GET", "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for number in range(3):
                await send({"type": "http.response.body", "body": f"{number}\n".encode(), "more_body": True})
            await send({"type": "http.response.body"})
        case "GET", "/fail":
            raise ValueError("in a handler")
        case "GET", "/wait":
            await waiting.wait()
            await respond(b"waited")
        case "GET", "/wake":
            waiting.set()
            await respond(b"woken")
        case "GET", path if path.startswith("/greet/"):
            query = dict(pair.split("=") for pair in scope["query_string"].decode().split("&") if pair)
            await respond(json.dumps({"name": path.removeprefix("/greet/"), "query": query, "started": started}).encode())
        case _:
            await respond(b"no such page", 404)


uvicorn.run(app, host="127.0.0.1", port=0)
