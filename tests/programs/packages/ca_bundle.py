"""Whether clients that ask certifi or OpenSSL whom to trust accept a server: port, certificates of somebody else"""

import asyncio
import ssl
import sys
import urllib.request

import aiohttp
import certifi
import httpx
import requests
import urllib3

port, others = sys.argv[1:]
url = f"https://localhost:{port}/"


async def with_aiohttp():
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        await response.read()


def with_context(**trusted):
    urllib.request.urlopen(url, context=ssl.create_default_context(**trusted)).read()


CLIENTS = {
    "requests": lambda: requests.get(url),
    "httpx": lambda: httpx.get(url),
    "certifi.where()": lambda: with_context(cafile=certifi.where()),
    "certifi.contents()": lambda: with_context(cadata=certifi.contents()),
    "urllib3": lambda: urllib3.PoolManager(retries=False).request("GET", url),
    "urllib.request": lambda: with_context(),
    "aiohttp": lambda: asyncio.run(with_aiohttp()),
    "requests, others": lambda: requests.get(url, verify=others),
    "httpx, others": lambda: httpx.get(url, verify=ssl.create_default_context(cafile=others)),
    "urllib3, others": lambda: urllib3.PoolManager(retries=False, ca_certs=others).request("GET", url),
}

for name, fetch in CLIENTS.items():
    try:
        fetch()
    except Exception as error:
        assert "CERTIFICATE_VERIFY_FAILED" in str(error), error
        print(f"{name}: refused")
    else:
        print(f"{name}: accepted")
