"""boto3's transfers, which upload and download parts in threads, with a small S3 in this program."""

import base64
import hashlib
import io
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.client import Config
from botocore.exceptions import ClientError

MIB = 1 << 20
# Not a multiple of the size of the parts.
SIZE, PART = 20 * MIB + 12345, 5 * MIB


class Storage(BaseHTTPRequestHandler):
    """Objects by path."""

    protocol_version = "HTTP/1.1"
    objects, uploads, lock = {}, {}, threading.Lock()
    both, waited = threading.Barrier(2), set()
    checked = 0

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", len(body))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def wait_for_another(self, part):
        """The first two parts wait for each other: only threads get on. Returns whether this one has waited before."""
        with self.lock:
            before = (self.command, part) in self.waited
            self.waited.add((self.command, part))
        if not before and part < 2:
            self.both.wait(30)
        return before

    def query(self):
        return parse_qs(urlsplit(self.path).query, keep_blank_values=True)

    def name(self):
        return urlsplit(self.path).path

    def body(self):
        """The body, whose checksum must be right."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        checksum = base64.b64encode(zlib.crc32(body).to_bytes(4)).decode()
        assert self.headers["x-amz-checksum-crc32"] == checksum, self.headers
        assert self.headers["x-amz-content-sha256"] == hashlib.sha256(body).hexdigest(), self.headers
        with self.lock:
            Storage.checked += 1
        return body, {"ETag": f'"{hashlib.md5(body).hexdigest()}"', "x_amz_checksum_crc32": checksum}

    def do_POST(self):
        query = self.query()
        if "uploads" in query:
            self.uploads["number 1"] = {}
            text = "<Bucket>bucket</Bucket><Key>key</Key><UploadId>number 1</UploadId>"
            return self.answer(200, f"<InitiateMultipartUploadResult>{text}</InitiateMultipartUploadResult>".encode())
        self.rfile.read(int(self.headers["Content-Length"]))
        parts = self.uploads.pop(query["uploadId"][0])
        self.objects[self.name()] = b"".join(parts[number] for number in sorted(parts))
        text = '<Bucket>bucket</Bucket><Key>key</Key><ETag>"whole"</ETag>'
        self.answer(200, f"<CompleteMultipartUploadResult>{text}</CompleteMultipartUploadResult>".encode())

    def do_PUT(self):
        body, headers = self.body()
        if "partNumber" not in self.query():
            self.objects[self.name()] = body
            return self.answer(200, **headers)
        number = int(self.query()["partNumber"][0])
        if not self.wait_for_another(number - 1) and number == 1:
            # The client tries again.
            return self.answer(500)
        self.uploads[self.query()["uploadId"][0]][number] = body
        self.answer(200, **headers)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        if (body := self.objects.get(self.name())) is None:
            return self.answer(404, b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>")
        headers = {"ETag": '"whole"', "Last_Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
        if asked := self.headers["Range"]:
            first, last = asked.removeprefix("bytes=").split("-")
            self.wait_for_another(int(first) // PART)
            last = min(int(last or len(body) - 1), len(body) - 1)
            headers["Content_Range"] = f"bytes {first}-{last}/{len(body)}"
            body = body[int(first):last + 1]
        self.answer(206 if asked else 200, body, **headers)


class Counter:
    """Counts the bytes, which threads report."""

    def __init__(self):
        self.lock, self.total, self.threads = threading.Lock(), 0, set()

    def __call__(self, size):
        with self.lock:
            self.total += size
            self.threads.add(threading.current_thread().name)


def uploads(client, config, content):
    counter = Counter()
    client.upload_fileobj(io.BytesIO(content), "bucket", "key", Config=config, Callback=counter)
    return Storage.checked, Storage.objects["/bucket/key"] == content, len(counter.threads) > 1


def downloads(client, config, content):
    counter, file = Counter(), io.BytesIO()
    client.download_fileobj("bucket", "key", file, Config=config, Callback=counter)
    return file.getvalue() == content, counter.total, len(counter.threads) > 1


def small(client, config, _):
    client.upload_fileobj(io.BytesIO(b"small"), "bucket", "small", Config=config)
    return client.get_object(Bucket="bucket", Key="small")["Body"].read()


def missing(client, config, _):
    try:
        client.download_fileobj("bucket", "missing", io.BytesIO(), Config=config)
    except ClientError as error:
        return error.response["Error"]["Code"]


server = ThreadingHTTPServer(("127.0.0.1", 0), Storage)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = boto3.client(
    "s3", endpoint_url=f"http://127.0.0.1:{server.server_port}", region_name="us-east-1", aws_access_key_id="id",
    aws_secret_access_key="secret", config=Config(s3={"addressing_style": "path", "payload_signing_enabled": True}))
config = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=PART, max_concurrency=4)
content = b"".join(hashlib.sha256(number.to_bytes(4)).digest() for number in range(SIZE // 32 + 1))[:SIZE]
for action in (uploads, downloads, small, missing):
    print(action.__name__, action(client, config, content), flush=True)
server.shutdown()
