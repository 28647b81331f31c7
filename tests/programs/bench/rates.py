"""How the benchmark programs measure, and what those of TLS do. Prints lines of a name, a tab and a rate."""

import time

TOTAL = 256 << 20
REQUESTS = 200


def measure(name, count, function):
    start = time.perf_counter()
    function(count)
    print(name, count / (time.perf_counter() - start), sep="\t")


def main(download, upload, fetch):
    """Runs the benchmark of TLS. Each function gets a count: of bytes, or of requests for one byte, each of which uses
    its own connection."""
    measure("HTTPS download, bytes", TOTAL, download)
    measure("HTTPS upload, bytes", TOTAL, upload)
    measure("connect, full handshake, GET of one byte", REQUESTS, fetch)
