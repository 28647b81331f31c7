"""Fetches a page over TLS with each module of the standard library. Usage: fetch.py HOST PORT [CAFILE]"""

import asyncio
import http.client
import ssl
import sys
import urllib.request

host, port = sys.argv[1], int(sys.argv[2])
cafile = sys.argv[3] if len(sys.argv) > 3 else None


def context():
    return ssl.create_default_context(cafile=cafile)


def by_http_client():
    connection = http.client.HTTPSConnection(host, port, context=context())
    connection.request("GET", "/")
    return connection.getresponse().read().decode()


def by_urllib():
    address = f"[{host}]" if ":" in host else host
    with urllib.request.urlopen(f"https://{address}:{port}/", context=context()) as response:
        return response.read().decode()


async def by_asyncio():
    reader, writer = await asyncio.open_connection(host, port, ssl=context())
    writer.write(f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
    response = await reader.read()
    cipher = writer.get_extra_info("cipher")[0]
    writer.close()
    await writer.wait_closed()
    return response.partition(b"\r\n\r\n")[2].decode(), cipher


print(by_http_client())
print(by_urllib())
print(*asyncio.run(by_asyncio()))
