"""Prints why a server's certificate is refused. Usage: refused.py HOST PORT"""

import asyncio
import http.client
import ssl
import sys

host, port = sys.argv[1], int(sys.argv[2])

try:
    http.client.HTTPSConnection(host, port).request("GET", "/")
except ssl.SSLCertVerificationError as error:
    print(error.verify_code, error.verify_message)
else:
    sys.exit("http.client sent a request")

try:
    asyncio.run(asyncio.open_connection(host, port, ssl=True))
except ssl.SSLCertVerificationError as error:
    print(error.verify_code)
else:
    sys.exit("asyncio connected")
