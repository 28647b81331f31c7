"""httpx, with and without asyncio, over HTTP/1.1 and HTTP/2, and a web server. Arguments: its port, the port of one
whose certificate has expired, a folder with client.pem and client.key."""

import asyncio
import hashlib
import ssl
import sys

import httpx

port, expired_port, folder = sys.argv[1:]
base = f"https://localhost:{port}"


def identified():
    context = ssl.create_default_context()
    context.load_cert_chain(f"{folder}/client.pem", f"{folder}/client.key")
    return context


def without_asyncio(http2):
    with httpx.Client(http2=http2, base_url=base, timeout=60, follow_redirects=True) as client:
        pages = [client.get(path) for path in ["/text", "/redirect", "/gzip/text", "/chunked/text"]]
        assert len({page.text for page in pages}) == 1
        assert len({page.headers["Connection-Number"] for page in pages}) == 1
        digest = hashlib.sha256()
        with client.stream("GET", "/large") as response:
            for block in response.iter_bytes():
                digest.update(block)
        print(response.http_version, digest.hexdigest())
        print("upload:", client.put(f"/upload/{sys.platform}-{http2}", content=bytes(3 << 20)).status_code)
    with httpx.Client(http2=http2, verify=identified(), timeout=60) as client:
        print("client:", client.get(base + "/client").text)


async def with_asyncio(http2):
    async with httpx.AsyncClient(http2=http2, base_url=base, timeout=60, follow_redirects=True) as client:
        pages = await asyncio.gather(*(client.get("/chunked/text") for _ in range(20)))
        assert len({page.text for page in pages}) == 1
        numbers = {page.headers["Connection-Number"] for page in pages}
        # With HTTP/2, one connection serves all of them at once.
        assert (len(numbers) == 1) == http2, numbers
        digest = hashlib.sha256()
        async with client.stream("GET", "/large") as response:
            async for block in response.aiter_bytes():
                digest.update(block)
        print(response.http_version, digest.hexdigest())
        # A request that gets no answer does not delay the others.
        requests = [client.get("/silent", timeout=httpx.Timeout(60, read=0.3)), client.get("/text")]
        silent, page = await asyncio.gather(*requests, return_exceptions=True)
        print("silent:", type(silent).__name__, page.status_code)


for http2 in [False, True]:
    without_asyncio(http2)
    asyncio.run(with_asyncio(http2))

for url in [f"https://127.0.0.1:{port}/text", f"https://localhost:{expired_port}/text", base + "/loop"]:
    try:
        httpx.get(url, follow_redirects=True, timeout=60)
    except httpx.HTTPError as error:
        print(type(error).__name__)
