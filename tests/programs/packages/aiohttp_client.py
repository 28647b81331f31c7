"""aiohttp's client and a web server. Arguments: its port, the port of one whose certificate has expired, a folder with
client.pem and client.key."""

import asyncio
import hashlib
import ssl
import sys

import aiohttp

port, expired_port, folder = sys.argv[1:]
base = f"https://localhost:{port}"


async def page(session, path):
    async with session.get(path) as response:
        return await response.text(), response.headers["Connection-Number"], len(response.history)


async def raised(url, **options):
    try:
        async with aiohttp.ClientSession() as session, session.get(url, **options) as response:
            await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        return type(error).__name__
    return "nothing"


async def main():
    async with aiohttp.ClientSession(base, connector=aiohttp.TCPConnector(limit=4)) as session:
        paths = ["/text", "/redirect", "/gzip/text", "/chunked/text"]
        pages = [await page(session, path) for path in paths]
        assert len({text for text, _, _ in pages}) == 1
        assert len({number for _, number, _ in pages}) == 1
        assert [hops for _, _, hops in pages] == [0, 2, 0, 0]
        # Twenty requests at once, over as many connections as the limit allows.
        pages = await asyncio.gather(*(page(session, "/chunked/text") for _ in range(20)))
        assert len({text for text, _, _ in pages}) == 1
        print("connections:", len({number for _, number, _ in pages}))

        async with session.get("/large") as response:
            digest = hashlib.sha256()
            async for block in response.content.iter_chunked(1 << 16):
                digest.update(block)
        print("large:", digest.hexdigest())

        async def blocks():
            for _ in range(30):
                yield bytes(100_000)

        async with session.put(f"/upload/{sys.platform}", data=blocks()) as response:
            print("upload:", response.status)

        context = ssl.create_default_context()
        context.load_cert_chain(f"{folder}/client.pem", f"{folder}/client.key")
        async with session.get("/client", ssl=context) as response:
            print("client:", await response.text())

    print("silent:", await raised(base + "/silent", timeout=aiohttp.ClientTimeout(sock_read=0.3)))
    print("stalling:", await raised(base + "/stalling", timeout=aiohttp.ClientTimeout(total=0.5)))
    print("loop:", await raised(base + "/loop"))
    print("wrong name:", await raised(f"https://127.0.0.1:{port}/text"))
    print("expired:", await raised(f"https://localhost:{expired_port}/text"))
    print("unverified:", await raised(f"https://localhost:{expired_port}/text", ssl=False))


asyncio.run(main())
