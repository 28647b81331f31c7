"""One round of the benchmark of TLS. Usage: tls.py CAFILE IDENTITY PORT RSA_PORT CLIENT_PORT

CAFILE has the authority to trust, IDENTITY a certificate and its key. PORT and RSA_PORT are those of HTTPS servers; on
CLIENT_PORT somebody waits who does TLS as a client, with whoever connects. Prints lines of a name, a unit and a rate.
"""

import asyncio
import contextlib
import hashlib
import http.client
import socket
import ssl
import sys

import aiohttp
import httpx
import rates

HANDSHAKES = 200
# asyncio, and what uses it, encrypts into memory: `ssl.MemoryBIO`.
ASYNC_TOTAL = rates.TOTAL // 4
PIECE = bytes(1 << 20)

cafile, identity = sys.argv[1:3]
port, rsa_port, client_port = map(int, sys.argv[3:])
url = f"https://localhost:{port}"
context = ssl.create_default_context(cafile=cafile)
server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server_context.load_cert_chain(identity)


def pieces(total):
    return (PIECE for _ in range(total // len(PIECE)))


def connected():
    return contextlib.closing(http.client.HTTPSConnection("localhost", port, context=context))


def download(total):
    with connected() as connection:
        connection.request("GET", f"/{total}")
        response = connection.getresponse()
        buffer = bytearray(1 << 20)
        received = 0
        while count := response.readinto(buffer):
            received += count
        assert received == total


def upload(total):
    with connected() as connection:
        connection.request("PUT", "/", pieces(total), {"Content-Length": str(total)})
        assert connection.getresponse().read() == str(total).encode()


def fetch(count):
    for _ in range(count):
        with connected() as connection:
            connection.request("GET", "/1")
            assert len(connection.getresponse().read()) == 1


def handshake(port, session=None):
    with socket.create_connection(("127.0.0.1", port)) as sock:
        with context.wrap_socket(sock, server_hostname="localhost", session=session) as tls:
            assert tls.session_reused == bool(session)


def handshakes(port):
    def shake(count):
        for _ in range(count):
            handshake(port)

    return shake


def resumed_handshakes(count):
    with connected() as connection:
        connection.request("GET", "/1")
        # Tickets come with the first data.
        connection.getresponse().read()
        session = connection.sock.session
    for _ in range(count):
        handshake(port, session)


def accepted():
    """Connects to the client: only in TLS is this side the server."""
    sock = socket.create_connection(("127.0.0.1", client_port))
    return server_context.wrap_socket(sock, server_side=True)


def accept(count):
    for _ in range(count):
        with accepted() as tls:
            assert not tls.session_reused


def serve(total):
    with accepted() as tls:
        for piece in pieces(total):
            tls.sendall(piece)
        # Waits until the client has received everything.
        tls.unwrap()


async def by_streams(head, total, answer):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    writer.write(head + b"\r\n\r\n")
    for piece in pieces(total):
        writer.write(piece)
        await writer.drain()
    await reader.readuntil(b"\r\n\r\n")
    while answer:
        answer -= len(await reader.read(1 << 20))
    writer.transport.abort()


async def streams_download(total):
    await by_streams(b"GET /%d HTTP/1.1" % total, 0, total)


async def streams_upload(total):
    await by_streams(b"PUT / HTTP/1.1\r\nContent-Length: %d" % total, total, len(str(total)))


async def async_pieces(total):
    for piece in pieces(total):
        yield piece


async def aiohttp_download(total):
    async with aiohttp.ClientSession() as session, session.get(f"{url}/{total}", ssl=context) as response:
        received = 0
        async for data in response.content.iter_any():
            received += len(data)
        assert received == total


async def aiohttp_upload(total):
    options = {"data": async_pieces(total), "headers": {"Content-Length": str(total)}, "ssl": context}
    async with aiohttp.ClientSession() as session, session.put(url, **options) as response:
        assert await response.text() == str(total)


async def httpx_download(total):
    async with httpx.AsyncClient(verify=context, timeout=60) as client:
        async with client.stream("GET", f"{url}/{total}") as response:
            received = 0
            async for data in response.aiter_raw():
                received += len(data)
            assert received == total


async def httpx_upload(total):
    async with httpx.AsyncClient(verify=context, timeout=60) as client:
        response = await client.put(url, content=async_pieces(total), headers={"Content-Length": str(total)})
        assert response.text == str(total)


def hash_bytes(total):
    hashed = hashlib.sha256()
    for piece in pieces(total):
        hashed.update(piece)
    hashed.digest()


rates.main(download, upload, fetch)
# What follows has no counterpart in wasi:http, which offers only whole requests to a client.
for name, function in [
    ("asyncio download", streams_download),
    ("asyncio upload", streams_upload),
    ("aiohttp download", aiohttp_download),
    ("aiohttp upload", aiohttp_upload),
    ("httpx download, asyncio", httpx_download),
    ("httpx upload, asyncio", httpx_upload),
]:
    rates.measure_bytes(name, ASYNC_TOTAL, lambda total, function=function: asyncio.run(function(total)))
rates.measure("full handshake, ECDSA P-256", "handshakes/s", HANDSHAKES, handshakes(port))
rates.measure("full handshake, RSA-2048", "handshakes/s", HANDSHAKES, handshakes(rsa_port))
rates.measure("resumed handshake", "handshakes/s", HANDSHAKES, resumed_handshakes)
rates.measure("server: full handshake, ECDSA P-256", "handshakes/s", HANDSHAKES, accept)
rates.measure_bytes("server: sends", rates.TOTAL, serve)
rates.measure_bytes("hashlib.sha256", 64 << 20, hash_bytes)
