"""sockets.py as a component. Everything it imports later is imported here, because a component has no files."""

import encodings.idna  # noqa: F401 - for socket.getaddrinfo
import sys

import sockets
from wit_world import exports


class Run(exports.Run):
    def run(self):
        sockets.main(*map(int, sys.argv[1:]))
