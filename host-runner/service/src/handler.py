# Answers one request, which CGI's variables and standard input have (RFC 3875), by the WSGI application of the handler.

import sys
from wsgiref.handlers import CGIHandler

sys.path.insert(0, "/app")
from handler import app  # noqa: E402

CGIHandler().run(app)
