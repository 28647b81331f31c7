"""Python's part of an image of memory (cpython-patch/snapshot/snapshot.c).

prepare() runs when the image is made. It imports modules and hides them again: a guest sees none of them in
sys.modules before it imports it, and then it sees what the module's import would have loaded. resume() runs first in
each guest that begins with the image, and finish() and end() last.

Nothing of a machine or a guest may be in the image: prepare() runs without variables, arguments and input, and
what has to be another in each guest is made anew.
"""

# Each is there when Python starts, but for gc.
import _codecs
import _frozen_importlib as _bootstrap
import _frozen_importlib_external as _external
import builtins
import encodings
import gc
import io
import os
import posix
import site
import sys
import time
from _weakref import ref as weakref

# What programs that use the network or serve requests import, and what those modules import in functions. None of
# them warns when it is imported, or does anything that depends on variables or arguments.
MODULES = """
    argparse array ast asyncio base64 bdb bisect bz2 calendar cmath collections collections.abc concurrent.futures
    contextlib contextvars copy csv dataclasses datetime decimal dis email email.message email.mime.multipart
    email.mime.text email.parser email.policy email.utils encodings.ascii encodings.idna encodings.latin_1
    encodings.punycode encodings.utf_8_sig enum errno fcntl fnmatch fractions functools gc getpass glob graphlib gzip
    hashlib heapq hmac html html.entities html.parser http http.client http.cookiejar http.cookies http.server
    importlib importlib.abc importlib.machinery importlib.metadata importlib.resources importlib.util inspect
    ipaddress itertools json keyword linecache locale logging logging.handlers lzma math mimetypes numbers opcode
    operator pathlib pickle pkgutil platform pprint pyexpat queue quopri random re reprlib runpy sched secrets select
    selectors shlex shutil signal smtplib socket socketserver sqlite3 ssl statistics stringprep string struct
    subprocess sysconfig tempfile textwrap threading time token tokenize traceback types typing unicodedata unittest
    urllib urllib.error urllib.parse urllib.request urllib.response uuid warnings wasisocket weakref wsgiref
    wsgiref.handlers wsgiref.headers wsgiref.simple_server wsgiref.util xml.etree.ElementTree zipfile zipimport zlib
    zoneinfo _wasisocket_session
""".split()

# A file of one of these names in PYTHONPATH is imported when Python starts.
STARTUP = {"encodings", "sitecustomize", "usercustomize", "_wasisocket_site"}

_stock_find_and_load_unlocked = _bootstrap._find_and_load_unlocked
_stock_import = builtins.__import__
_library = os.path.dirname(os.__file__)

_Module = type(sys)

# What a guest sees before it imports anything.
_VISIBLE = set(sys.modules) - {"gc"}

# The modules that have not been seen yet, in the order in which they were loaded, and for each of them the modules
# that its import loads, in that order.
_hidden = {}
_closures = {}
# For a name: the parent package that has no attribute for it while it is hidden.
_parents = {}
# All modules of the image, and what they have in it.
_known = set()
_names = {}
# The import system as it was; a program that changes it gets each module from its file.
_meta_path = []
_path_hooks = []


# Folders with a program's own packages. They come first in sys.path, as those of PYTHONPATH do.
_sites = []
# The first parts of the names of the modules that were found there.
_site_names = set()


def prepare(arguments):
    """Loads modules, MODULES and those with these names, and hides them. Returns _wasisocket_session.

    Arguments with a slash are folders of packages. What the host needs to know is printed: a zero byte, a word, and
    lines.
    """
    _sites.extend(argument for argument in arguments if "/" in argument)
    sys.path[:0] = _sites
    imported = _load([argument for argument in arguments if "/" not in argument])
    _known.update(sys.modules)
    order = [name for name in sys.modules if name not in _VISIBLE]
    for name in order:
        reached = _reached(name, imported)
        _closures[name] = [other for other in order if other in reached]
        _hidden[name] = sys.modules[name]
    for name in order:
        parent, _, child = name.rpartition(".")
        if parent and name not in _closures.get(parent, ()):
            module = sys.modules[parent]
            if vars(module).get(child) is _hidden[name]:
                delattr(module, child)
                _parents[name] = module
    for name in [*order, __name__]:
        sys.modules.pop(name, None)
    _forget_codecs(set(order))
    for name, module in [*sys.modules.items(), *_hidden.items()]:
        if name != "__main__":
            _names[name] = dict(vars(module))
    for name, module in _hidden.items():
        origin = getattr(module.__spec__, "origin", None) or ""
        if any(origin.startswith(f"{entry}/") for entry in _sites):
            _site_names.add(name.partition(".")[0])
    for name in sorted(_variables):
        _tell(f"variable\n{os.fsdecode(name)}")
    _tell("\n".join(["sources", *_sources()]))
    _meta_path.extend(sys.meta_path)
    _path_hooks.extend(sys.path_hooks)
    wrapper = _find_and_load_unlocked
    # Its frame is left out of tracebacks, as those of the import system are.
    wrapper.__code__ = wrapper.__code__.replace(co_filename=_stock_find_and_load_unlocked.__code__.co_filename)
    _bootstrap._find_and_load_unlocked = wrapper
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    sys.path_importer_cache.clear()
    gc.collect()
    # Later collections need not look at, or write to, what all guests share.
    gc.freeze()
    # What a session needs before the program asks for anything stays hidden from the program.
    return _hidden["_wasisocket_session"]


# A program's modules may replace sys.stdout.
_stdout = sys.stdout


def _tell(text):
    """Tells the host something, behind what was printed before."""
    _stdout.write(f"\0{text}\n")
    _stdout.flush()


def _load(names):
    """Imports modules, and returns for each module the names that its code imported or put into sys.modules."""
    imported = {}
    loading = []
    loaded = set()
    own = False
    lazy = {}

    def record(name):
        if loading and name != loading[-1]:
            imported.setdefault(loading[-1], set()).add(name)

    def find_and_load_unlocked(name, import_):
        record(name)
        loading.append(name)
        loaded.add(name)
        if own:
            _tell(f"module\n{name}")
        before = set(sys.modules)
        try:
            return _stock_find_and_load_unlocked(name, import_)
        finally:
            for other in sys.modules.keys() - before - loaded:
                record(other)
            loading.pop()
            if own and loading:
                _tell(f"module\n{loading[-1]}")
            names = vars(sys.modules.get(name, sys))
            if "__getattr__" in names:
                lazy[name] = set(names)

    def import_(name, globals=None, locals=None, fromlist=(), level=0):
        module = _stock_import(name, globals, locals, fromlist, level)
        # Also what was there already.
        if level:
            name = _bootstrap._resolve_name(name, _bootstrap._calc___package__(globals), level)
        record(name)
        for item in fromlist or ():
            if f"{name}.{item}" in sys.modules:
                record(f"{name}.{item}")
        return module

    _bootstrap._find_and_load_unlocked = find_and_load_unlocked
    builtins.__import__ = import_
    try:
        for name in MODULES:
            # A build may lack some; no guest can import them then.
            try:
                __import__(name)
            except ImportError:
                pass
        if names and "ssl" in sys.modules:
            _start_openssl(sys.modules["ssl"])
        own = True
        for name in names:
            _load_own(name)
    finally:
        builtins.__import__ = _stock_import
        _bootstrap._find_and_load_unlocked = _stock_find_and_load_unlocked
    for name, names in lazy.items():
        # concurrent.futures has an executor once somebody asked for it, which loads another module.
        for added in vars(sys.modules[name]).keys() - names:
            if f"{name}.{added}" not in sys.modules:
                delattr(sys.modules[name], added)
    return imported


# The environment variables that a program's modules looked for when they were imported; an empty name stands for all.
_variables = set()


# The module _ssl, if OpenSSL's generators of random bytes were started for an image.
_openssl = None


def _start_openssl(ssl):
    """Starts OpenSSL's generators, so that modules can make an SSL context; they are seeded again in each guest."""
    global _openssl
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _openssl = sys.modules["_ssl"]


class _Environment(dict):
    """The environment variables, while a program's modules are imported."""

    def __getitem__(self, name):
        _variables.add(name)
        return super().__getitem__(name)

    def __iter__(self):
        _variables.add(b"")
        return super().__iter__()


def _load_own(name):
    """Imports one of a program's modules, which must not depend on what differs between guests.

    The host looks at random bytes, files and output: they belong to the module that was named last.
    """
    _tell(f"module\n{name}")
    variables = os.environ._data
    seen = os.environ._data = os.environb._data = _Environment(variables)
    random = sys.modules["random"]._inst
    before = random.getstate()
    drawn = []
    if _openssl is not None:
        ssl = sys.modules["ssl"]
        ssl.RAND_bytes = lambda count: drawn.append(count) or _openssl.RAND_bytes(count)
    try:
        __import__(name)
    except BaseException as error:
        _report(error)
        raise SystemExit(1) from None
    finally:
        os.environ._data = os.environb._data = variables
        if _openssl is not None:
            ssl.RAND_bytes = _openssl.RAND_bytes
        variables.clear()
        variables.update(seen.items())
    if drawn:
        print("it takes random bytes from OpenSSL, and all guests would have the same", file=sys.stderr)
        raise SystemExit(1)
    if random.getstate() != before:
        print("it uses the module random, which is seeded anew in each guest", file=sys.stderr)
        raise SystemExit(1)
    _tell("end")


def _report(error):
    """Prints an exception without the frames of the import system."""
    import traceback

    functions = (_report, _bootstrap._find_and_load, _external._path_join)
    system = {function.__code__.co_filename for function in functions}
    report = traceback.TracebackException.from_exception(error)
    part = report
    while part is not None:
        frames = [frame for frame in part.stack if frame.filename not in system]
        part.stack = traceback.StackSummary.from_list(frames) if frames else None
        part = part.__cause__ or part.__context__
    report.print()


def _sources():
    """The files and folders that decide what is in the image: the host makes another one when they change."""
    for entry in sys.path:
        yield entry
        if os.path.isdir(entry):
            yield from (os.path.join(entry, name) for name in os.listdir(entry) if name.endswith(".pth"))
    specs = [getattr(module, "__spec__", None) for module in [*sys.modules.values(), *_hidden.values()]]
    for spec in [*specs, __spec__]:
        if spec is None or not spec.has_location:
            continue
        flags = 0
        if spec.cached and os.path.isfile(spec.cached):
            yield spec.cached
            with open(spec.cached, "rb") as file:
                flags = int.from_bytes(file.read(8)[4:], "little")
        # PEP 552: with these flags the source is not looked at.
        if flags != 1:
            yield spec.origin


def _reached(name, imported):
    """The names of a module and of all modules that its import loads."""
    reached = {name}
    rest = [name]
    while rest:
        name = rest.pop()
        parent = name.rpartition(".")[0]
        found = {*imported.get(name, ()), *([parent] if parent else [])} - reached
        reached |= found
        rest.extend(found)
    return reached


def _forget_codecs(hidden):
    """Lets the next look-up of a codec import its module."""
    for name, codec in list(encodings._cache.items()):
        if codec is None or getattr(codec.incrementalencoder, "__module__", f"encodings.{name}") in hidden:
            del encodings._cache[name]
            _codecs._forget_codec(name)


def _find_and_load_unlocked(name, import_):
    if name in _hidden and _show(name):
        return sys.modules[name]
    return _stock_find_and_load_unlocked(name, import_)


def _show(name):
    """Shows a module and what its import loads, if loading it now would give the same; otherwise returns False."""
    modules = sys.modules
    if (
        sys.meta_path != _meta_path
        or sys.path_hooks != _path_hooks
        or builtins.__import__ is not _stock_import
        or _bootstrap._find_and_load_unlocked is not _find_and_load_unlocked
    ):
        return False
    closure = _closures[name]
    shown = []
    for other in closure:
        module = _hidden.get(other)
        if module is None:
            # It was shown before. A program may have removed or replaced it.
            if modules.get(other) is not _originals[other]:
                return False
        elif other in modules:
            return False
        else:
            shown.append(other)
    if _is_shadowed(closure):
        return False
    for other in shown:
        modules[other] = _originals[other] = _hidden.pop(other)
    for other in shown:
        module = modules[other]
        if other in _parents:
            setattr(_parents.pop(other), other.rpartition(".")[2], module)
        if other in _RENEWED:
            _RENEWED[other](module)
    return True


# What was shown, by name.
_originals = {}


def _is_shadowed(closure):
    """Whether a folder in front of the one that these modules are from has a file with the name of one of them."""
    tops = None
    known = set(sys.builtin_module_names)
    sites = _sites
    for index, entry in enumerate(sys.path):
        if entry == _library:
            return bool(sites)
        if sites and entry == sites[0]:
            if sys.path[index : index + len(sites)] != sites:
                return True
            sites = []
            known |= _site_names
            tops = None
        if not sites and entry in _sites:
            continue
        finder = _external.PathFinder._path_importer_cache(entry)
        if finder is None:
            continue
        if tops is None:
            tops = {name.partition(".")[0] for name in closure}.difference(known)
        candidates = tops
        if type(finder) is _external.FileFinder:
            # Reads the folder again if it has changed.
            finder.find_spec(__name__)
            candidates = tops.intersection(file.partition(".")[0] for file in finder._path_cache)
        if any(finder.find_spec(name) is not None for name in candidates):
            return True
    # sys.path does not lead to the standard library any more.
    return True


def _renew_random(module):
    module._inst.seed()


def _renew_logging(module):
    module._startTime = time.time_ns()


def _renew_zoneinfo(module):
    if "PYTHONTZPATH" in os.environ:
        module.reset_tzpath()


# What must not be the same in two guests is made anew before a guest can see it.
_RENEWED = {"random": _renew_random, "logging": _renew_logging, "zoneinfo._tzpath": _renew_zoneinfo}


def resume(original, arguments, variables):
    """Gives a guest its arguments, variables and standard streams. Returns False if it needs a cold start."""
    sys.orig_argv, sys.argv = original, arguments
    renew()
    # The collector does not look at the image: the guest's own objects in its first module would never be collected.
    main = _Module("__main__")
    vars(main).update(vars(sys.modules["__main__"]), __annotations__={})
    sys.modules["__main__"] = main
    environ = os.environ._data  # which is posix.environ
    for variable in variables:
        name, _, value = variable.partition(b"=")
        environ.setdefault(name, value)
    if b"TZ" in environ:
        time.tzset()
    path = environ.get(b"PYTHONPATH")
    if path:
        entries = [_absolute(entry) for entry in os.fsdecode(path).split(os.pathsep)]
        if any(_has_startup_file(entry) for entry in entries if entry not in _sites):
            return False
        if entries != _sites:
            sys.path[:0] = entries
            site.removeduppaths()
    errors = {stream: getattr(sys, stream).errors for stream in ("stdin", "stdout", "stderr")}
    sys.stdin = sys.__stdin__ = _stream(0, "r", "<stdin>", errors["stdin"])
    sys.stdout = sys.__stdout__ = _stream(1, "w", "<stdout>", errors["stdout"])
    sys.stderr = sys.__stderr__ = _stream(2, "w", "<stderr>", errors["stderr"])
    return True


def renew():
    """Makes new what must not be the same in two guests, but for modules that a guest has not seen yet."""
    if _openssl is not None:
        # What is added is no secret: this has it take new random bytes from the host too.
        _openssl.RAND_add(b"guest", 0.0)


def _absolute(entry):
    """As _Py_abspath() in CPython's Python/fileutils.c."""
    if entry.startswith("/"):
        return entry
    folder = os.getcwd()
    return folder if entry in ("", ".") else f"{folder}/{entry}"


def _has_startup_file(entry):
    try:
        names = posix.listdir(entry)
    except NotADirectoryError:
        return True  # an archive
    except OSError:
        return False
    return not STARTUP.isdisjoint(name.partition(".")[0] for name in names)


def _stream(fd, mode, name, errors):
    """A standard stream, as create_stdio() in CPython's Python/pylifecycle.c makes it."""
    try:
        buffer = io.open(fd, mode + "b", -1, None, None, None, False)
    except OSError:
        return None
    raw = getattr(buffer, "raw", buffer)
    raw.name = name
    newline = "\n" if mode == "w" else None
    stream = io.TextIOWrapper(buffer, "utf-8", errors, newline, fd == 2 or raw.isatty())
    stream.mode = mode
    return stream


def finish():
    """Ends a guest's own objects, as far as others can see that."""
    # What Py_FinalizeEx() and finalize_modules() in CPython's Python/pylifecycle.c do with all modules, for the guest's
    # own, and for what it added to those of the image.
    if gc.isenabled():
        # This also sorts objects before those that they refer to: a text file is then flushed before its descriptor is
        # closed.
        gc.collect()
    vars(builtins).pop("_", None)
    for name in ("last_exc", "last_value", "last_traceback", "last_type"):
        vars(sys).pop(name, None)
    for name in ("stdin", "stdout", "stderr"):
        setattr(sys, name, getattr(sys, f"__{name}__", None))
    modules = []
    for name in list(sys.modules):
        module = sys.modules[name]
        if not isinstance(module, _Module) or name == "sys":
            continue
        names = vars(module)
        if name not in _known or name == "__main__":
            modules.append(weakref(module))
            names[_MARK] = _Mark()
            _marks.append(weakref(names[_MARK]))
            del sys.modules[name]
        elif len(names) > len(_names[name]):
            added = {name: names.pop(name) for name in names.keys() - _names[name].keys()}
            # A cycle: the collector ends it together with what refers to it.
            added[_MARK] = added
            del added
        del module, names
    gc.collect()
    if any(mark() for mark in _marks):
        # What the guest put into modules of the image may refer to them.
        for name, names in _names.items():
            if name in sys.modules and name != "sys":
                vars(sys.modules[name]).update(names)
        gc.collect()
    for module in reversed(modules):
        module = module()
        if module is not None:
            _clear(vars(module))
        del module
    gc.collect()


def end():
    """Ends what of a guest only sys still refers to, such as files; the standard streams were flushed before."""
    if any(mark() for mark in _marks):
        # As in a cold start, where these are gone by then.
        sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = None
        for name in vars(sys).keys() - _names["sys"].keys():
            del vars(sys)[name]
        for name in ("breakpointhook", "displayhook", "excepthook", "unraisablehook"):
            setattr(sys, name, _names["sys"][name])
        gc.collect()


class _Mark:
    """Is among the names of a module, and lives as long as they do."""


# No name of Python's.
_MARK = "0"

_marks = []


def _clear(names):
    """As _PyModule_ClearDict() in CPython's Objects/moduleobject.c: private names go first."""
    for private in (True, False):
        for name in list(names):
            if name != "__builtins__" and (not private or name.startswith("_")):
                names[name] = None

