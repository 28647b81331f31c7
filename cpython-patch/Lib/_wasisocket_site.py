"""Adapts modules of the standard library and of packages when they are imported.

site-packages/wasisocket.pth imports this module when Python starts. Nothing else is loaded before one of the
modules below is imported.

The import system's search for a module is wrapped as a whole. A finder of our own in sys.meta_path would not do:
pytest, typeguard, beartype and others put theirs in front of it.
"""

# importlib._bootstrap, which is there without importlib.
import _frozen_importlib as _bootstrap
import _thread
import sys

# The module that adapts each. --ca-bundle is also for those who ask certifi.
_ADAPTERS = {
    "asyncio.base_events": "_wasisocket_asyncio",
    "certifi.core": "_wasisocket_certifi",
    "multiprocessing.process": "_wasisocket_processes",
    "multiprocessing.resource_tracker": "_wasisocket_processes",
    "pip._vendor.certifi.core": "_wasisocket_certifi",
    "trio._core._run": "_wasisocket_trio",
}


class _Loader:
    """Stands in for a module's loader until it has executed the module, and then adapts the module.

    The loader itself is left as it is: a finder may use one loader for many modules.
    """

    def __init__(self, loader):
        self._loader = loader

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        adapter = _ADAPTERS[module.__spec__.name]
        __import__(adapter)
        sys.modules[adapter].install(module)


def _find_spec(name, path, target=None):
    spec = _stock_find_spec(name, path, target)
    if name in _ADAPTERS and spec is not None:
        spec.loader = _Loader(spec.loader)
    return spec


# CPython has it on the platforms that it knows. The system has no numbers of its own for threads.
if not hasattr(_thread, "get_native_id"):
    _thread.get_native_id = _thread.get_ident

_stock_find_spec = _bootstrap._find_spec
_bootstrap._find_spec = _find_spec
