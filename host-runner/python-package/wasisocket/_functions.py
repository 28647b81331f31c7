"""Functions of this program that guests call. Imported when a sandbox has some.

asyncio and logging are imported where they are used: that takes longer than a sandbox.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import Function

if TYPE_CHECKING:
    import asyncio


def _raised(name: str) -> None:
    import logging

    logging.getLogger("wasisocket").debug("host.%s raised an exception for a guest", name, exc_info=True)



class NotApproved(PermissionError):
    """A call of a guest was not approved."""


def prepared(name: str, given: Any, approve: Any, loop: asyncio.AbstractEventLoop | None) -> tuple[Any, ...]:
    """(name, whether it is asynchronous, documentation, callable), as NativeSandbox takes it.

    The callable gets arguments and keywords and returns the value. An asynchronous one gets another callable too, calls that
    later with the value and None or with None and the exception, and returns a third, which gives it up.
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"{name!r} is no name of a function")
    given = given if isinstance(given, Function) else Function(given)
    function = given.function
    asks = given.approve or (None if given.read_only else approve)
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__"))
    if is_async:
        return name, True, _documentation(name, function), _asynchronous(name, function, asks, loop)
    return name, False, _documentation(name, function), _synchronous(name, function, asks)


def _documentation(name: str, function: Callable[..., Any]) -> str:
    try:
        signature = str(inspect.signature(function))
    except (TypeError, ValueError):
        signature = "(...)"
    return f"{name}{signature}\n\n{inspect.getdoc(function) or ''}".strip()


def _synchronous(name: str, function: Callable[..., Any], asks: Any) -> Callable[..., Any]:
    def call(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if asks is not None:
            answer = asks(name, arguments, keywords)
            if inspect.isawaitable(answer):
                raise TypeError(f"{name} is not asynchronous, and so approve cannot be")
            _check(answer, name)
        try:
            return function(*arguments, **keywords)
        except Exception:
            _raised(name)
            raise

    return call


def _asynchronous(name: str, function: Callable[..., Any], asks: Any, loop: Any) -> Callable[..., Any]:
    import asyncio

    async def call(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if asks is not None:
            answer = asks(name, arguments, keywords)
            _check(await answer if inspect.isawaitable(answer) else answer, name)
        try:
            return await function(*arguments, **keywords)
        except Exception:
            _raised(name)
            raise

    def start(arguments: tuple[Any, ...], keywords: dict[str, Any], done: Callable[..., Any]) -> Callable[[], Any]:
        def ended(task: Any) -> None:
            if task.cancelled():
                done(None, asyncio.CancelledError())
            elif task.exception() is not None:
                done(None, task.exception())
            else:
                done(task.result(), None)

        coroutine = call(arguments, keywords)
        try:
            task = asyncio.run_coroutine_threadsafe(coroutine, loop or _background_loop())
        except RuntimeError:
            coroutine.close()
            raise
        task.add_done_callback(ended)
        return task.cancel

    return start


def _check(answer: object, name: str) -> None:
    if not answer:
        raise NotApproved(f"this call of {name} was not approved")


_loop: asyncio.AbstractEventLoop | None = None
_loop_lock = threading.Lock()


def _background_loop() -> asyncio.AbstractEventLoop:
    """The event loop of coroutine functions of sandboxes that were not made in one, in a thread of its own."""
    import asyncio

    global _loop
    with _loop_lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="functions of sandboxes", daemon=True).start()
        return _loop
