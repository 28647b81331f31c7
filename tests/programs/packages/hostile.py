"""How clients react to servers that violate TLS or HTTP. Arguments: the port of the pages; their names, separated by
commas; ports of servers that each break the handshake in another way, separated by commas."""

import asyncio
import sys
import urllib.request

import aiohttp
import httpx
import requests

pages_port, pages, hello_ports = sys.argv[1:]
# A limit, as a user would set it, against pages that decompress without end.
LIMIT = 10 << 20


class TooMuch(Exception):
    pass


def within_limit(blocks):
    length = 0
    for block in blocks:
        length += len(block)
        if length > LIMIT:
            raise TooMuch
    return length


def by_urllib(url):
    with urllib.request.urlopen(url, timeout=30) as response:
        return within_limit(iter(lambda: response.read(1 << 16), b""))


def by_requests(url):
    with requests.get(url, timeout=30, stream=True) as response:
        return within_limit(response.iter_content(1 << 16))


def by_httpx(url):
    with httpx.stream("GET", url, timeout=30) as response:
        return within_limit(response.iter_bytes())


async def with_aiohttp(url):
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
        length = 0
        async for block in response.content.iter_chunked(1 << 16):
            length += len(block)
            if length > LIMIT:
                raise TooMuch
        return length


def by_aiohttp(url):
    return asyncio.run(with_aiohttp(url))


def kind(error):
    """The error's type, and whether its cause is TLS. More would differ between versions of Python and OpenSSL."""
    name = type(error).__name__
    while error is not None:
        if type(error).__module__ == "ssl":
            return f"{name} for TLS"
        error = error.__cause__ or error.__context__
    return name


for name, url in [
    *((name, f"https://localhost:{pages_port}/{name}") for name in pages.split(",")),
    *((f"hello {number}", f"https://localhost:{port}/") for number, port in enumerate(hello_ports.split(","))),
]:
    for fetch in [by_urllib, by_requests, by_httpx, by_aiohttp]:
        try:
            outcome = fetch(url)
        except Exception as error:
            # Python before 3.13 sometimes reported a reset as an end.
            outcome = "failed" if name.endswith("reset") else kind(error)
        print(f"{name} {fetch.__name__}: {outcome}")
