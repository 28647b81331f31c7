"""Has modules that want threads changed when they are imported, and costs nothing before.

wasisocket.pth loads it at start. There are no threads: see _wasisocket_asyncio, _wasisocket_socketserver and
_wasisocket_anyio.
"""

import sys

_CHANGES = {
    "anyio._backends._asyncio": "_wasisocket_anyio",
    "asyncio.base_events": "_wasisocket_asyncio",
    "socketserver": "_wasisocket_socketserver",
}


class _Finder:
    """Finds these modules where everybody does, and has them changed once they are executed."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in _CHANGES:
            return None
        change = _CHANGES.pop(name)
        spec = _find(name, path, target)
        if spec is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            __import__(change)
            sys.modules[change].install(module)

        spec.loader.exec_module = exec_module
        return spec


def _find(name, path, target):
    for finder in sys.meta_path:
        if finder is not _Finder:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                return spec


sys.meta_path.insert(0, _Finder)
