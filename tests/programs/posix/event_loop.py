"""Unmodified asyncio: streams, servers, datagrams, look-ups, executors, and many connections."""

import asyncio
import contextlib
import socket
import time


async def echo(reader, writer):
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


async def streams():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    async with server:
        reader, writer = await asyncio.open_connection(*address)
        writer.writelines([b"a" * 100_000, b"b" * 100_000, b"c"])
        writer.write_eof()
        assert await reader.read() == b"a" * 100_000 + b"b" * 100_000 + b"c"
        writer.close()
        await writer.wait_closed()


async def many(count):
    server = await asyncio.start_server(echo, "localhost", 0, family=socket.AF_INET, backlog=count)
    address = server.sockets[0].getsockname()

    async def client(number):
        reader, writer = await asyncio.open_connection(*address)
        message = b"%d" % number * 100
        writer.write(message)
        assert await reader.readexactly(len(message)) == message
        # All connections are open at the same time.
        gathered.append(number)
        await everybody.wait()
        writer.close()
        await writer.wait_closed()

    gathered, everybody = [], asyncio.Event()
    async with server, asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(client(number))
        while len(gathered) < count:
            await asyncio.sleep(0.01)
        everybody.set()


async def datagrams():
    loop = asyncio.get_running_loop()
    heard = loop.create_future()

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, addr):
            self.transport.sendto(data[::-1], addr)

    class Client(asyncio.DatagramProtocol):
        def datagram_received(self, data, addr):
            heard.set_result(data)

    server, _ = await loop.create_datagram_endpoint(Server, ("127.0.0.1", 0))
    client, _ = await loop.create_datagram_endpoint(Client, remote_addr=server.get_extra_info("sockname"))
    client.sendto(b"abc")
    assert await asyncio.wait_for(heard, 10) == b"cba"
    server.close()
    client.close()


async def sock_calls():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        server.setblocking(False)
        client.setblocking(False)
        accepting = asyncio.ensure_future(loop.sock_accept(server))
        await loop.sock_connect(client, server.getsockname())
        accepted, _ = await accepting
        with accepted:
            await loop.sock_sendall(client, b"through")
            assert await loop.sock_recv(accepted, 100) == b"through"
            buffer = bytearray(10)
            await loop.sock_sendall(accepted, b"back")
            assert await loop.sock_recv_into(client, buffer) == 4


async def names():
    loop = asyncio.get_running_loop()
    turns = 0

    async def turn():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.ensure_future(turn())
    found = await loop.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
    assert (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80)) in found, found
    for name in "nowhere.invalid", "b\u00fccher.invalid", "a." * 200:
        try:
            await loop.getaddrinfo(name, 80)
        except socket.gaierror as exc:
            assert exc.errno in (socket.EAI_NONAME, socket.EAI_AGAIN), exc
        else:
            raise AssertionError(name)
    assert turns > 0
    host, service = await loop.getnameinfo(("127.0.0.1", 80))
    assert host.startswith("localhost") and service == "http", (host, service)
    assert await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST) == ("127.0.0.1", "http")
    turning.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await turning


async def executors():
    loop = asyncio.get_running_loop()
    assert await asyncio.to_thread(sum, [1, 2, 3]) == 6
    assert await loop.run_in_executor(None, pow, 2, 10) == 1024
    try:
        await asyncio.to_thread(int, "no number")
    except ValueError:
        pass
    else:
        raise AssertionError("the exception was lost")


async def time_limits():
    async def silent(reader, writer):
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        start = time.monotonic()
        try:
            await asyncio.wait_for(reader.read(1), 0.05)
        except TimeoutError:
            pass
        else:
            raise AssertionError("read nothing")
        assert 0.049 <= time.monotonic() - start < 5
        writer.close()


for main in streams(), many(300), datagrams(), sock_calls(), names(), executors(), time_limits():
    asyncio.run(main)
print("ok")
