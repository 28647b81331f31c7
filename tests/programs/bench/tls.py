"""One round of the benchmark of TLS. Usage: tls.py PORT CAFILE. Prints lines of name, tab and rate."""

import http.client
import socket
import ssl
import sys
import time

TOTAL = 256 << 20
HANDSHAKES = 200

port, cafile = int(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context(cafile=cafile)


def measure(name, count, function):
    start = time.perf_counter()
    function(count)
    print(name, count / (time.perf_counter() - start), sep="\t")


def connected():
    return http.client.HTTPSConnection("localhost", port, context=context)


def download(total):
    connection = connected()
    connection.request("GET", f"/{total}")
    response = connection.getresponse()
    buffer = bytearray(1 << 20)
    received = 0
    while count := response.readinto(buffer):
        received += count
    assert received == total
    connection.close()


def upload(total):
    buffer = bytes(1 << 20)
    connection = connected()
    body = (buffer for _ in range(total // len(buffer)))
    connection.request("PUT", "/", body, {"Content-Length": str(total)})
    assert connection.getresponse().read() == str(total).encode()
    connection.close()


def handshakes(count):
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", port)) as sock:
            with context.wrap_socket(sock, server_hostname="localhost") as tls:
                assert not tls.session_reused


measure("HTTPS download, bytes", TOTAL, download)
measure("HTTPS upload, bytes", TOTAL, upload)
measure("full handshake", HANDSHAKES, handshakes)
