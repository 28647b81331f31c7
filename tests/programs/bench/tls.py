"""One round of the benchmark of TLS. Usage: tls.py PORT CAFILE. Prints lines of a name, a tab and a rate."""

import contextlib
import http.client
import socket
import ssl
import sys

import rates

HANDSHAKES = 200

port, cafile = int(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context(cafile=cafile)


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
    buffer = bytes(1 << 20)
    with connected() as connection:
        body = (buffer for _ in range(total // len(buffer)))
        connection.request("PUT", "/", body, {"Content-Length": str(total)})
        assert connection.getresponse().read() == str(total).encode()


def fetch(count):
    for _ in range(count):
        with connected() as connection:
            connection.request("GET", "/1")
            assert len(connection.getresponse().read()) == 1


def handshakes(count):
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", port)) as sock:
            with context.wrap_socket(sock, server_hostname="localhost") as tls:
                assert not tls.session_reused


rates.main(download, upload, fetch)
# This has no counterpart in wasi:http, which offers only whole requests.
rates.measure("full handshake", HANDSHAKES, handshakes)
