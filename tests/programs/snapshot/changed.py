"""Changes the import system before it imports modules; prints which finder found them."""

import sys


class Finder:
    asked = []

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        cls.asked.append(name)
        if name == "csv":
            raise ImportError("no csv")


def blocked():
    sys.modules["_json"] = None
    import json.decoder

    print(json.decoder.c_scanstring)


def finder():
    sys.meta_path.insert(0, Finder)
    import json

    print(json.__name__, Finder.asked)
    try:
        import csv  # noqa: F401
    except ImportError as error:
        print(error)


def overridden():
    import builtins

    stock, seen = builtins.__import__, []

    def spy(name, *arguments):
        seen.append(name)
        return stock(name, *arguments)

    builtins.__import__ = spy
    import json  # noqa: F401

    print(seen)


def replaced():
    import types

    fake = types.ModuleType("json")
    fake.loads = "fake"
    sys.modules["json"] = fake
    import json
    import json as again

    print(json.loads, again is fake)
    del sys.modules["json"]
    import json

    print(json.loads("1"))


def removed():
    import json

    first = json
    for name in [name for name in sys.modules if name.partition(".")[0] == "json"]:
        del sys.modules[name]
    import json

    print(json is first, json.JSONDecoder is first.JSONDecoder)


def dependency_removed():
    import json.decoder

    first = json.decoder
    del sys.modules["json.decoder"], sys.modules["json"]
    import json

    print(json.decoder is first)


def reloaded():
    import importlib
    import json

    json.extra = 1
    print(importlib.reload(json) is json, json.extra)


def found():
    import importlib.util

    spec = importlib.util.find_spec("json")
    print(spec, "json" in sys.modules)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    print(module.loads("2"), "json" in sys.modules)


def own_file():
    with open("/data/json.py", "w") as file:
        file.write("own = True\n")
    sys.path.insert(0, "/data")
    import json

    print(json.own, json.__file__)
    from email.mime import text  # noqa: F401

    print("email" in sys.modules)


def own_file_later():
    import os

    sys.path.insert(0, "/data")
    import base64  # noqa: F401

    os.mkdir("/data/json")
    with open("/data/json/__init__.py", "w") as file:
        file.write("own = True\n")
    import json

    print(json.own, json.__file__)


def path_without_library():
    sys.path[:] = ["/nowhere"]
    try:
        import json  # noqa: F401
    except ImportError as error:
        print(error)


def own_submodule():
    import xml.etree

    print(hasattr(xml.etree, "ElementTree"), hasattr(xml, "parsers"))
    from xml.etree import ElementTree

    print(xml.etree.ElementTree is ElementTree, "xml.etree.ElementPath" in sys.modules)


def traceback():
    import traceback

    try:
        import wsgiref.nothing  # noqa: F401
    except ImportError:
        print(traceback.format_exc())
    with open("/data/broken.py", "w") as file:
        file.write("import json\n1 / 0\n")
    sys.path.insert(0, "/data")
    try:
        import broken  # noqa: F401
    except ZeroDivisionError:
        print(traceback.format_exc())


def codecs():
    print("encodings.idna" in sys.modules)
    print("ä.test".encode("idna"), "encodings.idna" in sys.modules)
    print(b"\xe4".decode("latin-1"), "encodings.latin_1" in sys.modules)


globals()[sys.argv[1]]()
