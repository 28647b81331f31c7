"""Broken certificate and key files, and servers that nobody should trust. Arguments: a folder, the port of a server
with a self-signed certificate, the port of one with a certificate of an unknown authority."""

import asyncio
import os
import ssl
import sys

import aiohttp
import httpx
import requests

folder, *ports = sys.argv[1:]


def outcome(function, *args, **options):
    try:
        function(*args, **options)
    except Exception as error:
        reason = error
        # The packages wrap OpenSSL's error; aiohttp does so in its own subclasses, without the reason.
        while reason is not None and not (isinstance(reason, ssl.SSLError) and hasattr(reason, "reason")):
            reason = reason.__cause__ or reason.__context__
        return " ".join([type(error).__name__, *(str(getattr(reason, name, "")) for name in ["reason", "verify_message"])])
    return "taken"


async def by_aiohttp(url, **options):
    async with aiohttp.ClientSession() as session, session.get(url, **options):
        pass


for name in sorted(os.listdir(folder)):
    path = os.path.join(folder, name)
    with open(path, "rb") as file:
        content = file.read()
    context = ssl.create_default_context()
    print(name, "as authorities:", outcome(context.load_verify_locations, path))
    print(name, "as authorities in memory:", outcome(context.load_verify_locations, cadata=content))
    print(name, "as certificate and key:", outcome(context.load_cert_chain, path))
    print(name, "as key:", outcome(context.load_cert_chain, os.path.join(folder, "client.pem"), path))
    print(name, "for requests:", outcome(requests.get, f"https://localhost:{ports[1]}/", verify=path, timeout=30))

print("nowhere:", outcome(requests.get, f"https://localhost:{ports[1]}/", verify=folder + "/nowhere", timeout=30))
for port in ports:
    url = f"https://localhost:{port}/"
    print("requests:", outcome(requests.get, url, timeout=30))
    print("httpx:", outcome(httpx.get, url, timeout=30))
    print("aiohttp:", outcome(asyncio.run, by_aiohttp(url)))
