"""The guest's part of the service. It imports the tenant's handler, and respond() answers one request (PEP 3333).

The host runs this once for each tenant, and calls respond() in a copy of the guest for each request.
"""

import io
import sys

sys.path.insert(0, "/app")
from handler import app  # noqa: E402

_BODY_MAX = 16 << 20


def respond(environ, body):
    """The status, the headers and the body of the application's response."""
    environ |= {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": True,
    }
    started, parts, length = [], [], 0

    def write(data):
        nonlocal length
        length += len(data)
        if length > _BODY_MAX:
            raise ValueError(f"the response has more than {_BODY_MAX} bytes")
        parts.append(data)

    def start_response(status, headers, exc_info=None):
        # Nothing is sent before the end: headers can always be replaced.
        if started and exc_info is None:
            raise AssertionError("start_response() was called before")
        started[:] = status, headers
        return write

    result = app(environ, start_response)
    try:
        for data in result:
            write(data)
    finally:
        if hasattr(result, "close"):
            result.close()
    if not started:
        raise AssertionError("start_response() was not called")
    status, headers = started
    # The host takes no subclasses of str.
    headers = [(str.__str__(name), str.__str__(value)) for name, value in headers]
    return str.__str__(status), headers, b"".join(parts)
