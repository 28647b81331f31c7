"""A finder in front of all others that uses one loader for every module, as pytest's does. asyncio and socketserver are
adapted all the same, and keep that finder's loader."""

import importlib.machinery
import importlib.util
import sys


class Loader:
    __slots__ = ()

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        with open(module.__spec__.origin, encoding="utf-8") as file:
            exec(compile(file.read(), module.__spec__.origin, "exec"), vars(module))


class Finder:
    loader = Loader()
    found = []

    @classmethod
    def find_spec(cls, name, path, target=None):
        if name in sys.builtin_module_names:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or not (spec.origin or "").endswith(".py"):
            return spec
        cls.found.append(name)
        places = spec.submodule_search_locations
        return importlib.util.spec_from_file_location(
            name, spec.origin, loader=cls.loader, submodule_search_locations=places
        )


assert "asyncio" not in sys.modules and "socketserver" not in sys.modules
sys.meta_path.insert(0, Finder)

import asyncio
import asyncio.base_events
import socketserver

for module in asyncio.base_events, socketserver:
    assert module.__name__ in Finder.found
    assert module.__loader__ is module.__spec__.loader is Finder.loader, module.__loader__

print(asyncio.run(asyncio.to_thread(sum, [1, 2])))


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    pass


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(self.request.recv(100))


def serve_one():
    import socket

    with Server(("127.0.0.1", 0), Handler) as server, socket.create_connection(server.server_address) as client:
        client.sendall(b"hello")
        server.handle_request()
        print(client.recv(100).decode())


serve_one()

# A module that is loaded again is adapted again.
importlib.reload(socketserver)
Server = type("Server", (socketserver.ThreadingMixIn, socketserver.TCPServer), {})  # noqa: F811
Handler = type("Handler", (socketserver.BaseRequestHandler,), {"handle": Handler.handle})
serve_one()
