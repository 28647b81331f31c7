"""Imports a module as its arguments say, and prints what that loaded: python modules.py STATEMENT"""

import sys

before = set(sys.modules)
exec(sys.argv[1])
for name in sorted(sys.modules.keys() - before):
    module = sys.modules[name]
    spec = getattr(module, "__spec__", None)
    loader = getattr(spec, "loader", None)
    print(
        name,
        getattr(module, "__file__", None),
        getattr(spec, "name", None),
        getattr(spec, "origin", None),
        type(loader).__name__ if loader is None or not isinstance(loader, type) else loader.__name__,
        module.__name__,
        # Submodules that are attributes though nobody imported them, or are not though somebody did.
        sorted(
            child
            for child, value in vars(module).items()
            if type(value) is type(sys) and value.__name__ == f"{name}.{child}"
        ),
    )
