"""Has asyncio changed when it is imported, and costs nothing before. wasisocket.pth loads it at start."""

import sys

_MODULE = "asyncio.base_events"


class _Finder:
    """Finds asyncio.base_events where everybody does, and changes it once it is executed."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != _MODULE:
            return None
        sys.meta_path.remove(_Finder)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                break
        else:
            return None
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            import _wasisocket_asyncio
            _wasisocket_asyncio.install(module)

        spec.loader.exec_module = exec_module
        return spec


if _MODULE not in sys.modules:
    sys.meta_path.insert(0, _Finder)
