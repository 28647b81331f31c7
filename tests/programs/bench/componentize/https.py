"""tls.py as a component, over wasi:http, where the host implements TLS. Usage: https PORT. The host has the
certificate to trust."""

import sys

import rates
from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports.outgoing_handler import handle
from wit_world.imports.streams import StreamError_Closed
from wit_world.imports.types import (
    Fields,
    Method_Get,
    Method_Put,
    OutgoingBody,
    OutgoingRequest,
    Scheme_Https,
)

CHUNK = 1 << 20


def new_request(method, path, headers=()):
    request = OutgoingRequest(Fields.from_list(list(headers)))
    request.set_method(method)
    request.set_scheme(Scheme_Https())
    request.set_authority(f"localhost:{sys.argv[1]}")
    request.set_path_with_query(path)
    return request


def body_of(future):
    """Yields the body of a future response, in pieces as they arrive."""
    with future:
        with future.subscribe() as ready:
            ready.block()
        match future.get():
            case Ok(Ok(response)):
                pass
            case error:
                raise OSError(f"no response: {error}")
    # Resources are dropped before their parents: a stream before its body.
    with response:
        assert response.status() == 200
        with response.consume() as body, body.stream() as stream:
            while True:
                try:
                    yield stream.blocking_read(CHUNK)
                except Err as error:
                    if isinstance(error.value, StreamError_Closed):
                        return
                    raise


def download(total):
    request = new_request(Method_Get(), f"/{total}")
    assert sum(map(len, body_of(handle(request, None)))) == total


def upload(total):
    request = new_request(Method_Put(), "/", [("content-length", str(total).encode())])
    body = request.body()
    future = handle(request, None)
    buffer = bytes(CHUNK)
    left = total
    with body.write() as stream, stream.subscribe() as writable:
        while left:
            writable.block()
            piece = buffer[: min(left, stream.check_write())]
            stream.write(piece)
            left -= len(piece)
    OutgoingBody.finish(body, None)
    assert b"".join(body_of(future)) == str(total).encode()


def fetch(count):
    for _ in range(count):
        assert sum(map(len, body_of(handle(new_request(Method_Get(), "/1"), None)))) == 1


class Run(exports.Run):
    def run(self):
        rates.main(download, upload, fetch)
