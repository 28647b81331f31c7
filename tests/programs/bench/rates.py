"""How the benchmark programs measure, and what those of TLS do. Prints lines of a name, a unit and a rate, with tabs
between them."""

import time

TOTAL = 256 << 20
REQUESTS = 200


def measure(name, unit, count, function):
    """Prints how many of `count` things `function(count)` does in a second."""
    start = time.perf_counter()
    function(count)
    print(name, unit, count / (time.perf_counter() - start), sep="\t", flush=True)


def measure_bytes(name, count, function):
    """The same for bytes."""
    measure(name, "MiB/s", count >> 20, lambda _: function(count))


def main(download, upload, fetch):
    """Runs the benchmark of TLS. Each function gets a count: of bytes, or of requests for one byte, each of which uses
    its own connection."""
    measure_bytes("HTTPS download", TOTAL, download)
    measure_bytes("HTTPS upload", TOTAL, upload)
    measure("connect, full handshake, GET of one byte", "requests/s", REQUESTS, fetch)
