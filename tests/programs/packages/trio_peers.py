"""trio: tasks, threads and sockets, and hypercorn as its server."""

from functools import partial

import h11
import trio
from hypercorn.config import Config
from hypercorn.trio import serve


async def tasks():
    done = []

    async def task(number):
        await trio.sleep(number / 100)
        done.append(number)

    async with trio.open_nursery() as nursery:
        for number in (3, 1, 2):
            nursery.start_soon(task, number)
    with trio.move_on_after(0.02) as scope:
        await trio.sleep_forever()
    return done, scope.cancelled_caught, await trio.to_thread.run_sync(sum, done)


async def echo(stream):
    async for data in stream:
        await stream.send_all(data.upper())


async def sockets():
    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, echo, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream:
            await stream.send_all(b"text")
            answer = await stream.receive_some()
        nursery.cancel_scope.cancel()
    return answer


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    body = f"{scope['method']} {scope['path']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def server():
    config = Config()
    config.bind, config.errorlog, config.accesslog = ["127.0.0.1:0"], None, None
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        [address] = await nursery.start(partial(serve, application, config, shutdown_trigger=stop.wait))
        stream = await trio.open_tcp_stream("127.0.0.1", int(address.rpartition(":")[2]))
        client = h11.Connection(h11.CLIENT)
        request = h11.Request(method="GET", target="/path", headers=[("Host", "localhost"), ("Connection", "close")])
        await stream.send_all(client.send(request) + client.send(h11.EndOfMessage()))
        events = []
        while not events or type(events[-1]) is not h11.EndOfMessage:
            event = client.next_event()
            if event is h11.NEED_DATA:
                client.receive_data(await stream.receive_some())
            else:
                events.append(event)
        await stream.aclose()
        stop.set()
    return events[0].status_code, b"".join(bytes(event.data) for event in events if type(event) is h11.Data)


def report(name, function):
    print(name, trio.run(function))


report("tasks", tasks)
report("sockets", sockets)
report("server", server)
