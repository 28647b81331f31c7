"""The module host of a session's guest: functions of the program that made the sandbox.

A request is one of these values (_wasisocket_values), and an answer one of those:

    ("functions",)                        ("value", [(name, is asynchronous, documentation), ...])
    ("call", name, arguments, keywords)   ("value", value) or ("error", type, message)

What answers on the host: host-runner/python/src/sandbox/functions.rs.
"""

import sys

import _wasisocket
from _wasisocket_values import dump, load, type_name


class HostError(Exception):
    """An exception of a function of the host: type is the name of its type, message is its text."""

    def __init__(self, type, message=""):
        super().__init__(type, message)
        self.type = type
        self.message = message

    def __str__(self):
        return f"{self.type}: {self.message}" if self.message else self.type


HostError.__module__ = "host"


_host = None


def install(main):
    """Makes the module, for `import host`, and names it in main. If there are no functions, there is no module.

    In a copy of a guest the functions may be others: then the module gets them.
    """
    global _host
    try:
        answer = _wasisocket.call(_request("functions"))
    except OSError:
        return
    if _host is None:
        _host = type(sys)("host", "Functions of the program that made this sandbox.")
        _host.HostError = HostError
        sys.modules["host"] = main.host = _host
    for name, is_async, doc in _value(answer):
        setattr(_host, name, _function(name, is_async, doc))


def _function(name, is_async, doc):
    if is_async:
        async def function(*arguments, **keywords):
            return _value(await _answer_later(_request("call", name, arguments, keywords)))
    else:
        def function(*arguments, **keywords):
            return _value(_wasisocket.call(_request("call", name, arguments, keywords)))
    function.__name__ = function.__qualname__ = name
    function.__module__ = "host"
    function.__doc__ = doc
    return function


async def _answer_later(request):
    import asyncio
    import os

    from _wasisocket_asyncio import readable

    call = _wasisocket.call_start(request)
    try:
        await readable(asyncio.get_running_loop(), call)
        return _wasisocket.call_answer(call)
    finally:
        os.close(call)


def _request(*parts):
    return dump(parts, _refuse)


def _refuse(value):
    raise TypeError(f"{type_name(type(value))} cannot be passed to the host, or is too deep in other values")


def _value(answer):
    kind, *parts = load(answer)
    if kind == "error":
        raise HostError(*parts)
    return parts[0]
