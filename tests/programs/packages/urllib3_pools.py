"""urllib3's pools and a web server. Arguments: its port, and a port at which nothing listens."""

import sys

import urllib3

port, closed_port = sys.argv[1:]
base = f"https://localhost:{port}"


def number(response):
    return response.headers["Connection-Number"]


with urllib3.PoolManager(num_pools=1, maxsize=2, timeout=60) as pools:
    # Two requests at once need two connections, which stay in the pool.
    first = pools.request("GET", base + "/text", preload_content=False)
    second = pools.request("GET", base + "/text", preload_content=False)
    numbers = {number(first), number(second)}
    assert len(numbers) == 2
    assert first.read() == second.read()
    first.release_conn()
    second.release_conn()
    again = [number(pools.request("GET", base + "/text")) for _ in range(6)]
    assert set(again) <= numbers, (again, numbers)
    pool = pools.connection_from_url(base)
    print("connections:", pool.num_connections, "requests:", pool.num_requests)

    # A connection with unread data cannot serve another request; once drained, it can.
    response = pools.request("GET", base + "/chunked/text", preload_content=False)
    response.read(10)
    response.drain_conn()
    assert number(pools.request("GET", base + "/text")) == number(response)

    # The user does not notice that the server closed a connection in the pool.
    pools.request("GET", base + "/close")
    assert pools.request("GET", base + "/text").status == 200

    options = {"headers": {"Accept-Encoding": "gzip"}, "preload_content": False}
    with pools.request("GET", base + "/gzip/text", decode_content=False, **options) as response:
        assert response.read(2) == b"\x1f\x8b"
    with pools.request("GET", base + "/gzip/text", **options) as response:
        assert response.read(7) == b"line 0\n"

    for name, options in [
        ("no redirects", {"url": base + "/redirect", "redirect": False}),
        ("two redirects", {"url": base + "/redirect"}),
        ("one redirect", {"url": base + "/redirect", "retries": urllib3.Retry(redirect=1)}),
        ("busy", {"url": base + "/busy", "retries": urllib3.Retry(2, status_forcelist=[503])}),
        ("silent", {"url": base + "/silent", "timeout": urllib3.Timeout(connect=60, read=0.3), "retries": False}),
        ("closed", {"url": f"https://localhost:{closed_port}/", "retries": False}),
        ("closed, again", {"url": f"https://localhost:{closed_port}/", "retries": 1}),
    ]:
        try:
            print(f"{name}:", pools.request("GET", **options).status)
        except urllib3.exceptions.HTTPError as error:
            print(f"{name}:", type(error).__name__, type(getattr(error, "reason", None)).__name__)
