"""The guest's part of a session, in which one guest runs one piece of code after another.

The host calls call() with a request and gets an answer (session-call in cpython-patch/snapshot/snapshot.c). Both are in
the format of _wasisocket_values.

Nothing is imported before it is needed: a session begins in a millisecond or two.
"""

import _ast
import sys

import _wasisocket_functions
from _wasisocket_values import dump, load, other, type_name

_ANSWER_MAX = 64 << 20
_TEXT_MAX = 10_000
_FRAMES_MAX = 200

_COROUTINE = 0x80  # inspect.CO_COROUTINE
_FLAGS = _ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

# The text of each piece of code that was run, by file name, for tracebacks.
_sources = {}
_SOURCES_MAX = 256

_runner = None


def begin():
    """Prepares a guest that has just started."""
    # As for code that is typed in, and for programs whose output somebody follows.
    sys.path.insert(0, "")
    sys.stdout.reconfigure(line_buffering=True)
    _wasisocket_functions.install(sys.modules["__main__"])


def copied():
    """Goes on in a copy of a guest at rest: what was open is closed, and its random numbers are its own."""
    modules = sys.modules
    if "random" in modules:
        modules["random"].seed()
    if "_ssl" in modules:
        modules["_ssl"].RAND_add(b"guest", 0.0)
    if _runner is not None and _runner._loop is not None:
        _reopen(_runner._loop)
    _wasisocket_functions.install(modules["__main__"])


def _reopen(loop):
    """Gives an event loop another selector, as the one that it has is closed. What waits for a descriptor learns that it is
    closed too."""
    import selectors

    waiting = [key.data for key in loop._selector.get_map().values()]
    loop._ssock.close()
    loop._csock.close()
    loop._selector = selectors.DefaultSelector()
    loop._internal_fds = 0
    loop._make_self_pipe()
    for handles in waiting:
        for handle in handles:
            if handle is not None and not handle._cancelled:
                loop._add_callback(handle)


def call(request):
    """Does what a request asks for, and returns the answer: ("value", value) or ("error", error)."""
    try:
        kind, *arguments = load(request)
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
    data = dump((kind, value), other)
    if len(data) > _ANSWER_MAX:
        data = dump((kind, other(value)), other)
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
    parts = [compile(tree, name, "exec", _FLAGS, dont_inherit=True)] if tree.body else []
    if last is not None:
        parts.append(compile(last, name, "eval", _FLAGS, dont_inherit=True))
    names = sys.modules["__main__"].__dict__
    value = None
    if any(part.co_flags & _COROUTINE for part in parts):
        # Also what has no `await` runs in the loop: it may make tasks.
        value = _await(_evaluate(parts, names))
    else:
        for part in parts:
            value = eval(part, names)
    return value if last is not None else None


async def _evaluate(parts, names):
    value = None
    for part in parts:
        value = eval(part, names)
        if part.co_flags & _COROUTINE:
            value = await value
    return value


def _call(name, arguments, keywords):
    """Calls what __main__ has under a name."""
    first, *rest = name.split(".")
    names = sys.modules["__main__"].__dict__
    if first not in names:
        raise NameError(f"name {first!r} is not defined", name=first)
    function = names[first]
    for part in rest:
        function = getattr(function, part)
    value = function(*arguments, **keywords)
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

    try:
        return _runner.run(main())
    finally:
        _end_idle_threads(_runner.get_loop())


def _end_idle_threads(loop):
    """Ends the threads that asyncio.to_thread left, as a guest with threads cannot be copied. Those that still run a
    function end after it, and the next call has new ones."""
    executor = loop._default_executor
    # A program's own stays.
    if executor is None or executor._thread_name_prefix != "asyncio":
        return
    loop._default_executor = None
    executor.shutdown(wait=False)
    for thread in executor._threads:
        # One that is idle ends at its next turn.
        thread.join(0.01)
        if thread.is_alive():
            break


def _message(error):
    """str() of a program's exception, which may do anything."""
    try:
        text = str(error)
    except Exception:
        return f"<{type(error).__qualname__} without a str>"
    return text if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]}..."


def _error(error):
    """An exception as data: type, message, traceback as text, and its frames, the outermost first."""
    kind, message = type_name(type(error)), _message(error)
    try:
        # That fails in a guest that has as many files open as it may.
        import linecache
        import traceback

        for name, code in _sources.items():
            linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        report = traceback.TracebackException.from_exception(error, limit=-_FRAMES_MAX)
        _without_own_frames(report)
        frames = [(frame.filename, frame.lineno, frame.name, frame.line) for frame in report.stack]
        text = "".join(report.format())
    except Exception:
        frames, text = [], f"{kind}: {message}\n"
    return (kind, message, text, frames)


def _without_own_frames(report):
    """Takes out the frames of this module, those of the event loop between them, and those of host's functions."""
    import traceback

    parts, seen = [report], set()
    while parts:
        part = parts.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        frames = [frame for frame in part.stack if frame.filename != _wasisocket_functions.__file__]
        own = [at for at, frame in enumerate(frames) if frame.filename == __file__]
        if own and own[0] == 0:
            frames = frames[own[-1] + 1 :]
        part.stack = traceback.StackSummary.from_list(frames)
        parts += [part.__cause__, part.__context__, *(part.exceptions or ())]


_KINDS = {"call": _call, "run": _run, "run-module": _run_module}
