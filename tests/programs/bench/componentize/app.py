"""sockets.py as a component. Whatever it will import is imported here: there are no files later."""

import encodings.idna  # noqa: F401 - for socket.getaddrinfo
import sys

import sockets
from wit_world import exports


class Run(exports.Run):
    def run(self):
        sockets.main(*map(int, sys.argv[1:]))
