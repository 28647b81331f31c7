"""Prints what a program can see of how Python was started, a line for each thing."""

import sys

# First, before anything else is imported.
modules = sorted(sys.modules)

import builtins  # noqa: E402
import codecs  # noqa: E402
import gc  # noqa: E402
import locale  # noqa: E402
import os  # noqa: E402
import posix  # noqa: E402
import site  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402

for name, value in sorted(vars(sys).items()):
    # Objects whose repr has an address, and what differs with time.
    if name in ("modules", "path_importer_cache", "stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__"):
        continue
    if callable(value) or "0x" in repr(value):
        value = type(value)
    if isinstance(value, frozenset):
        value = sorted(value)
    print(f"sys.{name}:", value)
print("meta_path:", [getattr(finder, "__name__", finder) for finder in sys.meta_path])
print("path_hooks:", len(sys.path_hooks))
print("modules:", modules)
print("modules now:", sorted(sys.modules))
for name in ("stdin", "stdout", "stderr"):
    stream = getattr(sys, name)
    assert stream is getattr(sys, f"__{name}__")
    # Without a buffer for PYTHONUNBUFFERED.
    raw = getattr(stream.buffer, "raw", stream.buffer)
    print(
        name,
        stream.name,
        stream.mode,
        stream.encoding,
        stream.errors,
        stream.newlines,
        stream.line_buffering,
        stream.write_through,
        stream.fileno(),
        stream.isatty(),
        type(stream.buffer).__name__,
        raw.closefd,
        raw.name,
        raw.mode,
    )
print("builtins:", sorted(vars(builtins)))
print("import:", builtins.__import__)
print("environ:", sorted(os.environ.items()), sorted(posix.environ.items()))
print("getenv:", os.getenv("SOME"), os.environb.get(b"OTHER"))
print("cwd:", os.getcwd(), sorted(os.listdir()), sorted(os.listdir("/")))
print("etc:", os.path.exists("/etc/ssl/cert.pem"), os.path.exists("/etc/resolv.conf"))
print("argv:", sys.argv, sys.orig_argv)
print("main:", sorted(vars(sys.modules["__main__"])), sys.modules["__main__"].__spec__, __name__)
print("file:", __file__)
print("locale:", locale.setlocale(locale.LC_ALL), locale.getencoding(), sys.getfilesystemencoding())
print("codec:", codecs.lookup("utf-8").name, sys.getfilesystemencodeerrors())
print("time zone:", time.timezone, time.altzone, time.daylight, time.tzname)
print("warnings:", warnings.filters)
print("site:", site.ENABLE_USER_SITE, site.PREFIXES, site.USER_SITE, site.getsitepackages())
print("gc:", gc.isenabled(), gc.get_threshold(), gc.get_debug())
print("recursion:", sys.getrecursionlimit(), sys.getswitchinterval())
print("umask:", oct(os.umask(0o22)))
assert 0 <= time.process_time() < 60, time.process_time()
assert abs(time.time() - os.stat("/data/now").st_mtime) < 600
print("input:", sys.stdin.read().splitlines())
