"""The guest's part of a session, in which one guest runs one piece of code after another.

The host calls call() with a request and gets an answer (session-call in cpython-patch/snapshot/snapshot.c). Both are in
the format of marshal, version 2, without code objects. What marshal has no type for is a tuple that begins with
StopIteration, which is a constant of that format and no value of a session's:

    (StopIteration, "date", text)                   date.isoformat(), and so for time and datetime
    (StopIteration, "timedelta", days, seconds, microseconds)
    (StopIteration, "other", type, repr)            anything else

Nothing is imported before it is needed: a session begins in a millisecond or two.
"""

import _ast
import marshal
import sys

_FORMAT = 2
_ANSWER_MAX = 64 << 20
_REPR_MAX = 10_000
_FRAMES_MAX = 200

_COROUTINE = 0x80  # inspect.CO_COROUTINE
_FLAGS = _ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_LEAVES = {type(None), bool, int, float, complex, str, bytes}

# The text of each piece of code that was run, by file name, for tracebacks.
_sources = {}
_SOURCES_MAX = 256

_runner = None


def begin():
    """Prepares a guest that has just started."""
    # As for code that is typed in, and for programs whose output somebody follows.
    sys.path.insert(0, "")
    sys.stdout.reconfigure(line_buffering=True)


def call(request):
    """Does what a request asks for, and returns the answer: ("value", value) or ("error", error)."""
    kind, *arguments = marshal.loads(request)
    try:
        answer = ("value", _KINDS[kind](*arguments))
    except BaseException as error:
        answer = ("error", _error(error))
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass  # The program has closed or replaced it.
    return _answer(*answer)


def _answer(kind, value):
    try:
        data = marshal.dumps((kind, value), _FORMAT, allow_code=False)
    except Exception:
        data = marshal.dumps((kind, _data(value, set())), _FORMAT)
    if len(data) > _ANSWER_MAX:
        data = marshal.dumps((kind, _other(value)), _FORMAT)
    return data


def _run(code, name):
    """Runs code in __main__, and returns the value of its last statement if that is an expression."""
    _sources.pop(name, None)
    if len(_sources) >= _SOURCES_MAX:
        del _sources[next(iter(_sources))]
    _sources[name] = code
    tree = compile(code, name, "exec", _FLAGS | _ast.PyCF_ONLY_AST, dont_inherit=True)
    last = None
    if tree.body and type(tree.body[-1]) is _ast.Expr:
        last = _ast.Expression(tree.body.pop().value)
    names = sys.modules["__main__"].__dict__
    if tree.body:
        _evaluate(compile(tree, name, "exec", _FLAGS, dont_inherit=True), names)
    if last is not None:
        return _evaluate(compile(last, name, "eval", _FLAGS, dont_inherit=True), names)
    return None


def _evaluate(code, names):
    value = eval(code, names)
    return _await(value) if code.co_flags & _COROUTINE else value


def _call(name, arguments, keywords):
    """Calls what __main__ has under a name."""
    first, *rest = name.split(".")
    names = sys.modules["__main__"].__dict__
    if first not in names:
        raise NameError(f"name {first!r} is not defined", name=first)
    function = names[first]
    for part in rest:
        function = getattr(function, part)
    value = function(*_value(arguments), **_value(keywords))
    return _await(value) if hasattr(type(value), "__await__") else value


def _run_module(name):
    """Runs a module as `python -m` does, and leaves what it defines in __main__."""
    import runpy

    return runpy._run_module_as_main(name, alter_argv=False) and None


def _await(awaitable):
    """Runs an awaitable in an event loop that all runs share."""
    global _runner
    import asyncio

    if _runner is None:
        _runner = asyncio.Runner()

    async def main():
        return await awaitable

    return _runner.run(main())


def _data(value, inside):
    """A value as marshal takes it. `inside` has the identities of the containers that it is in."""
    kind = type(value)
    if kind in _LEAVES:
        return value
    if id(value) in inside or len(inside) > 200:
        return _other(value)
    inside.add(id(value))
    try:
        if kind in (list, tuple, set, frozenset):
            items = [_data(item, inside) for item in value]
            try:
                return kind(items)
            except TypeError:
                return _other(value)
        if kind is dict:
            return {_data(key, inside): _data(item, inside) for key, item in value.items()}
    finally:
        inside.discard(id(value))
    module = sys.modules.get("datetime")
    if module is not None:
        for name in ("datetime", "date", "time"):
            if kind is getattr(module, name):
                return (StopIteration, name, value.isoformat())
        if kind is module.timedelta:
            return (StopIteration, "timedelta", value.days, value.seconds, value.microseconds)
    if kind is bytearray:
        return bytes(value)
    return _other(value)


def _value(data):
    """The inverse of _data()."""
    kind = type(data)
    if kind is tuple and data and data[0] is StopIteration:
        import datetime

        _, name, *arguments = data
        if name == "timedelta":
            return datetime.timedelta(*arguments)
        return getattr(datetime, name).fromisoformat(*arguments)
    if kind in (list, tuple, set, frozenset):
        return kind(map(_value, data))
    if kind is dict:
        return {_value(key): _value(item) for key, item in data.items()}
    return data


def _other(value):
    return (StopIteration, "other", _type_name(type(value)), _text(repr, value))


def _type_name(kind):
    name = kind.__qualname__
    return name if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{name}"


def _text(function, value):
    """repr() or str() of a program's object, which may do anything."""
    try:
        text = function(value)
    except Exception:
        return f"<{type(value).__qualname__} without a {function.__name__}>"
    return text if len(text) <= _REPR_MAX else f"{text[:_REPR_MAX]}..."


def _error(error):
    """An exception as data: type, message, traceback as text, and its frames, the outermost first."""
    import linecache
    import traceback

    for name, code in _sources.items():
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    try:
        report = traceback.TracebackException.from_exception(error, limit=-_FRAMES_MAX)
        _without_own_frames(report)
        frames = [(frame.filename, frame.lineno, frame.name, frame.line) for frame in report.stack]
        text = "".join(report.format())
    except Exception:
        frames, text = [], f"{_type_name(type(error))}\n"
    return (_type_name(type(error)), _text(str, error), text, frames)


def _without_own_frames(report):
    """Takes out the frames of this module, and those of the event loop between them."""
    import traceback

    parts, seen = [report], set()
    while parts:
        part = parts.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        own = [at for at, frame in enumerate(part.stack) if frame.filename == __file__]
        if own and own[0] == 0:
            part.stack = traceback.StackSummary.from_list(list(part.stack)[own[-1] + 1 :])
        parts += [part.__cause__, part.__context__, *(part.exceptions or ())]


_KINDS = {"call": _call, "run": _run, "run-module": _run_module}
