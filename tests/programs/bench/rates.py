"""What the benchmark of TLS measures, for each program of it. Prints lines of name, tab and rate."""

import time

TOTAL = 256 << 20
REQUESTS = 200


def measure(name, count, function):
    start = time.perf_counter()
    function(count)
    print(name, count / (time.perf_counter() - start), sep="\t")


def main(download, upload, fetch):
    """Each is given a count: of bytes, or of requests for one byte, each over a connection of its own."""
    measure("HTTPS download, bytes", TOTAL, download)
    measure("HTTPS upload, bytes", TOTAL, upload)
    measure("connect, full handshake, GET of one byte", REQUESTS, fetch)
