"""requests and a web server. Arguments: its port, the port of one whose certificate has expired, a folder with
client.pem and client.key."""

import hashlib
import sys

import requests

port, expired_port, folder = sys.argv[1:]
base = f"https://localhost:{port}"
session = requests.Session()


def get(path, **options):
    return session.get(base + path, timeout=60, **options)


def raised(url, **options):
    try:
        requests.get(url, **{"timeout": 60, **options})
    except requests.RequestException as error:
        return type(error).__name__
    return "nothing"


text = get("/text").text
assert text.startswith("line 0\n")

# All of them use the same connection, by the server's count.
pages = [get(path) for path in ["/text", "/redirect", "/gzip/text", "/chunked/text", "/text"]]
assert len({page.headers["Connection-Number"] for page in pages}) == 1
assert all(page.text == text for page in pages)
assert [page.headers.get("Transfer-Encoding") for page in pages] == [None, None, "chunked", "chunked", None]
assert pages[2].headers["Content-Encoding"] == "gzip"
assert [hop.status_code for hop in pages[1].history] == [301, 302]
print("loop:", raised(base + "/loop"))
print("missing:", get("/missing").status_code)

# A connection that the server closed is not used again.
first, second = get("/close"), get("/close")
assert first.headers["Connection-Number"] != second.headers["Connection-Number"]

with get("/large", stream=True) as response:
    digest = hashlib.sha256()
    for block in response.iter_content(1 << 16):
        digest.update(block)
print("large:", response.headers["Content-Length"], digest.hexdigest())

body = bytes(range(256)) * (32 << 10)
new = f"{base}/upload/{sys.platform}"
print("upload:", session.put(new, data=body, timeout=60).status_code, hashlib.sha256(body).hexdigest())
blocks = (body[start : start + 100_000] for start in range(0, len(body), 100_000))
print("chunked upload:", session.put(f"{new}-chunked", data=blocks, timeout=60).status_code)

print("silent:", raised(base + "/silent", timeout=(60, 0.3)))
print("stalling:", raised(base + "/stalling", timeout=(60, 2)))

pair = (f"{folder}/client.pem", f"{folder}/client.key")
print("client:", get("/client").status_code, requests.get(base + "/client", cert=pair, timeout=60).text)

print("wrong name:", raised(f"https://127.0.0.1:{port}/text"))
print("expired:", raised(f"https://localhost:{expired_port}/text"))
print("unverified:", raised(f"https://localhost:{expired_port}/text", verify=False))
print("not TLS:", raised(f"http://localhost:{port}/text"))
