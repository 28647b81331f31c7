"""Sandboxes for Python code that you do not trust, with the network that you allow.

    >>> from wasisocket import Sandbox
    >>> with Sandbox(allow_net=["example.com:443"], timeout="10s") as box:
    ...     box.run("x = 40 + 2").check()
    ...     box.run("x").value
    42

The code runs in CPython compiled to WebAssembly. It reaches no file, no network and no program of this machine but what
the sandbox is given. Inside, `wasisocket` is another module: the guest's own functions for sockets.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from . import _native

# asyncio and json are imported where they are used: that takes longer than a sandbox.
if TYPE_CHECKING:
    import asyncio

_T = TypeVar("_T")

__all__ = [
    "AsyncSandbox",
    "Ended",
    "Files",
    "Frame",
    "Function",
    "GuestError",
    "LimitReached",
    "Other",
    "Result",
    "Sandbox",
    "Usage",
]

_FOLDER = os.path.dirname(os.path.abspath(__file__))


@dataclass(frozen=True)
class Other:
    """A value that stays in the guest: the name of its type, and its repr() there."""

    type: str
    repr: str

    def __repr__(self) -> str:
        return self.repr


@dataclass(frozen=True)
class Frame:
    """A line that was running when an exception was raised."""

    file: str
    line: int
    function: str
    text: str


class GuestError(Exception):
    """An exception of the code in a sandbox.

    type and message are of the exception, traceback is its text as Python prints it, frames has its lines, the outermost
    first.
    """

    def __init__(self, type: str, message: str, traceback: str, frames: Iterable[Frame]):
        super().__init__(f"{type}: {message}" if message else type)
        self.type = type
        self.message = message
        self.traceback = traceback
        self.frames = list(frames)


@dataclass(frozen=True)
class Usage:
    """What a run used: seconds of wall time and of CPU time, and the size of the guest's memory afterwards in bytes."""

    elapsed: float
    cpu_time: float
    memory: int


@dataclass(frozen=True)
class Result:
    """What came of a run.

    value is that of the last statement, if it was an expression: None, bool, int, float, complex, str, bytes, list, tuple,
    dict, set, frozenset and the types of datetime; anything else is an Other. error is the exception that ended the code.
    stdout and stderr are what it wrote, up to max_output bytes each; cut is how many bytes more there were. events tells
    what it did with its sockets, and what was denied.
    """

    value: Any
    error: GuestError | None
    stdout: str
    stderr: str
    cut: int
    usage: Usage
    events: list[str]

    def check(self) -> Result:
        """Raises the error if there is one, and returns the result otherwise."""
        if self.error is not None:
            raise self.error
        return self


class LimitReached(Exception):
    """The guest reached a limit, and was ended. limit is its name, result what the guest had written until then."""

    def __init__(self, limit: str, result: Result):
        super().__init__(f"the guest reached its limit {limit}")
        self.limit = limit
        self.result = result


class Ended(Exception):
    """The guest has ended: it exited, or did so earlier. result is what it had written until then."""

    def __init__(self, message: str, result: Result):
        super().__init__(message)
        self.result = result


class Function:
    """A function for a guest, with what holds for its calls.

    A read-only one changes nothing: the sandbox's approve is not asked about it. approve is asked in place of that one. It
    gets the function's name, the arguments and the keywords, and returns whether the call may be made.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        read_only: bool = False,
        approve: Callable[[str, tuple[Any, ...], dict[str, Any]], bool | Awaitable[bool]] | None = None,
    ):
        if not callable(function):
            raise TypeError(f"{function!r} is no function")
        self.function = function
        self.read_only = read_only
        self.approve = approve


_Names = list[str]


class Files:
    """The files in a sandbox's private folder, which is the guest's /.

    Paths are the guest's; relative ones begin at /. They lead to nothing outside of the folder, whatever links the guest makes
    there. Errors are OSError, as for files of this machine.
    """

    def __init__(self, native: Any):
        self._native = native

    def read(self, path: str | os.PathLike[str]) -> bytes:
        """The content of a file."""
        return self._native.read_file(path)

    def write(self, path: str | os.PathLike[str], content: bytes | str) -> None:
        """Writes a file, in the place of one that is there, and makes the folders that lead to it. Text is UTF-8."""
        self._native.write_file(path, _bytes(content))

    def list(self, path: str | os.PathLike[str] = "/") -> _Names:
        """The names in a folder, sorted. Those of folders end in /."""
        return self._native.list_files(path)

    def remove(self, path: str | os.PathLike[str]) -> None:
        """Removes a file, or a folder with all that is in it."""
        self._native.remove_file(path)


def _bytes(content: bytes | str) -> bytes:
    return content.encode() if isinstance(content, str) else bytes(memoryview(content))


class Sandbox:
    """A guest that runs one piece of code after another, and keeps what they define.

    Grants and limits have the names and the texts that they have on the command line of `wasisocket run`:
    allow_net=["example.com:443"], timeout="10s", max_memory="256M". A list may be one text. timeout and max_cpu hold for
    each run. policy is the path of a policy file, or its content as a mapping; grants and limits add to it.

    The guest has a private folder as its /, which is removed with it. files has what is there at first, by path, such as
    {"data.csv": b"..."}; the attribute of the same name is a Files, for what is there later. dirs has folders of this
    machine for paths of the guest, for reading, or for writing too if the path ends in ":rw":
    {"/srv/data": "/data", "out": "/out:rw"}. env has the guest's environment variables. ca_bundle is a file with the
    certificates that it trusts. tzdata is the folder with the time zones that it knows, instead of this machine's, or
    False for none; its local time is UTC unless env has TZ.

    packages has folders with packages, as `wasisocket pip install --target` fills them, or lock files, as
    `wasisocket pip lock` writes them (pylock.toml). The guest can import the packages and not change them. Those of a lock
    are installed when they are first needed, and are in the cache from then on. pip runs in a guest of its own for
    that. It reaches the indexes of this user's pip configuration and nothing else, and installs no file whose hash is not
    in the lock. An OSError has the last lines of pip's output if it fails; a ValueError names the package of a lock that
    cannot be installed in a guest. preload names modules that the guest has at once when it imports them: the first
    sandbox with the same ones takes longer.

    on_stdout and on_stderr are called with the bytes that the guest writes, while it runs, in the thread that runs it.

    functions has functions that the guest may call, by name: {"search": search} is host.search(...) there. They get and
    return values of the types that Result has; anything else is a TypeError. Their exceptions are host.HostError in the guest,
    with the name of the type and the message; the logger "wasisocket" has their tracebacks at the level DEBUG. A coroutine function is one that the guest awaits, and many may run at a time;
    another one runs in the thread that runs the guest, which waits. approve is asked before each call that is not of a
    read-only Function: see there. With a coroutine function it may be one too.

    Several threads may use a sandbox, one at a time; threads with sandboxes of their own run side by side.

    Ctrl-C while something runs in it raises KeyboardInterrupt there, and here when that has ended. A second Ctrl-C ends the
    guest. interrupt() does the same from another thread.
    """

    def __init__(
        self,
        *,
        policy: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        allow_net: str | Iterable[str] = (),
        deny_net: str | Iterable[str] = (),
        allow_listen: str | Iterable[str] = (),
        deny_listen: str | Iterable[str] = (),
        allow_lookup: str | Iterable[str] = (),
        deny_lookup: str | Iterable[str] = (),
        resolve: str | Iterable[str] = (),
        dns: str | Iterable[str] = (),
        max_sockets: int | str | None = None,
        max_files: int | str | None = None,
        max_threads: int | str | None = None,
        max_connections: int | str | None = None,
        connect_rate: str | None = None,
        max_bytes_in: int | str | None = None,
        max_bytes_out: int | str | None = None,
        rate_in: str | None = None,
        rate_out: str | None = None,
        max_lookups: int | str | None = None,
        timeout: str | None = None,
        max_cpu: str | None = None,
        max_memory: int | str | None = None,
        max_disk: int | str | None = None,
        files: Mapping[str | os.PathLike[str], bytes | str] | None = None,
        dirs: Mapping[str | os.PathLike[str], str] | None = None,
        packages: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
        preload: str | Iterable[str] = (),
        env: Mapping[str, str] | None = None,
        ca_bundle: str | os.PathLike[str] | None = None,
        tzdata: str | os.PathLike[str] | Literal[False] | None = None,
        max_output: int | None = None,
        on_stdout: Callable[[bytes], object] | None = None,
        on_stderr: Callable[[bytes], object] | None = None,
        functions: Mapping[str, Callable[..., Any] | Function] | None = None,
        approve: Callable[[str, tuple[Any, ...], dict[str, Any]], bool | Awaitable[bool]] | None = None,
        _loop: Any = None,
        _saved: str | None = None,
    ):
        given = locals()
        grants = []
        for name in _native.LISTS:
            texts = given[name.replace("-", "_")]
            grants.append((name, [texts] if isinstance(texts, str) else list(texts)))
        for name in _native.LIMITS:
            value = given[name.replace("-", "_")]
            if value is not None:
                grants.append((name, [str(value)]))
        packages = [packages] if isinstance(packages, (str, os.PathLike)) else packages
        folders = []
        for host, guest in (dirs or {}).items():
            path, colon, mode = guest.partition(":")
            if mode not in ("", "ro", "rw") or not path.startswith("/"):
                raise ValueError(f"{guest!r} is no path of the guest: it begins with / and may end in :ro or :rw")
            if files and not path.strip("/."):
                raise ValueError("files= is for the private folder, and dirs has another one for /")
            folders.append((os.fspath(host), path, mode == "rw"))
        self._native = _native.NativeSandbox(
            os.path.join(_FOLDER, "guest"),
            _policy(policy),
            grants,
            folders,
            list((env or {}).items()),
            None if ca_bundle is None else os.fspath(ca_bundle),
            None if tzdata is None else os.fspath(tzdata or ""),
            max_output,
            on_stdout,
            on_stderr,
            _prepared(functions, approve, _loop) if functions else [],
            [(os.fspath(path), _bytes(content)) for path, content in (files or {}).items()],
            [os.path.abspath(folder) for folder in packages],
            [preload] if isinstance(preload, str) else list(preload),
            _saved,
            Other,
        )
        self.files = Files(self._native)

    def run(self, code: str, *, filename: str = "<sandbox>") -> Result:
        """Runs code, like a cell of a notebook: it may have `await` outside of functions, and its last expression is the
        value. filename is what tracebacks show."""
        return _result(self._native.run(("run", code, filename)))

    def run_file(self, path: str | os.PathLike[str]) -> Result:
        """Runs the code in a file of this machine."""
        return self.run(_read(path), filename=os.fspath(path))

    def run_module(self, name: str) -> Result:
        """Runs a module of the guest, as `python -m` does."""
        return _result(self._native.run(("module", name)))

    def call(self, name: str, /, *arguments: Any, **keywords: Any) -> Result:
        """Calls a function that the guest's code defined, or another name of its `__main__`. If what it returns can be
        awaited, the value is what that gives."""
        return _result(self._native.run(("call", name, arguments, keywords)))

    def fork(self) -> Sandbox:
        """A copy of this sandbox: all that Python holds in it, its files, and its grants, limits and functions.

        What is open does not come along: sockets and files are closed in the copy. Random numbers are new, but for those of
        generators of the program's own. A sandbox that has threads cannot be copied.
        """
        box = object.__new__(Sandbox)
        box._native = self._native.fork()
        box.files = Files(box._native)
        return box

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes all that Python holds to a file, in place of an earlier one, for load(). What is open, and the private folder,
        are not in it. It has whatever the guest knows: only this user may read it."""
        self._native.save(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], **keywords: Any) -> Sandbox:
        """Goes on with what save() wrote, with the keywords of a Sandbox: grants, limits and functions are not in the file.

        It has to be of the same version of this package. It may be from anybody: what it holds can do what the keywords allow,
        and no more.
        """
        return cls(**keywords, _saved=os.fspath(path))

    def close(self) -> Result | None:
        """Ends the guest as a program ends: functions of atexit run. Returns what it wrote then, or None if it had ended
        before."""
        ended = self._native.close()
        return None if ended is None else _result(ended)

    def interrupt(self) -> bool:
        """Raises KeyboardInterrupt in what runs in it; it may be called in any thread. False if the guest did not ask for
        that: it has not started, or uses the default action. Nothing happens if nothing runs."""
        return self._native.interrupt()

    def kill(self) -> None:
        """Ends the guest at once."""
        self._native.kill()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if kind is None:
            self.close()
        else:
            self.kill()


def _prepared(functions: Mapping[str, Callable[..., Any] | Function], approve: Any, loop: Any) -> list[Any]:
    from ._functions import prepared

    return [prepared(name, function, approve, loop) for name, function in functions.items()]


def _policy(policy: str | os.PathLike[str] | Mapping[str, Any] | None) -> str | None:
    """The text of a policy file, which is TOML."""
    if policy is None:
        return None
    if isinstance(policy, Mapping):
        import json

        # Its values are texts, numbers and lists of them, which JSON writes as TOML does.
        pairs = ([json.dumps(part, ensure_ascii=False) for part in pair] for pair in policy.items())
        return "".join(f"{key} = {value}\n" for key, value in pairs)
    return _read(policy)


def _read(path: str | os.PathLike[str]) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


class AsyncSandbox:
    """A Sandbox for asyncio: with the same keywords, and methods that are awaited.

        async with AsyncSandbox(timeout="10s") as box:
            result = await box.run("40 + 2")

    Cancelling what is awaited ends the guest, and the cancellation goes on when the guest is gone. on_stdout, on_stderr and
    functions are called in other threads; coroutine functions run in the event loop in which the sandbox was opened.
    """

    def __init__(self, **keywords: Any):
        self._keywords = keywords
        self._box: Sandbox | None = None

    async def open(self) -> AsyncSandbox:
        """Starts the guest, if `async with` has not done that."""
        import asyncio

        if self._box is None:
            loop = asyncio.get_running_loop()
            self._box = await _in_thread(Sandbox, **self._keywords, _loop=loop)
        return self

    async def run(self, code: str, *, filename: str = "<sandbox>") -> Result:
        """Sandbox.run()"""
        return await self._start("run", code, filename)

    async def run_file(self, path: str | os.PathLike[str]) -> Result:
        """Sandbox.run_file()"""
        return await self.run(_read(path), filename=os.fspath(path))

    async def run_module(self, name: str) -> Result:
        """Sandbox.run_module()"""
        return await self._start("module", name)

    async def call(self, name: str, /, *arguments: Any, **keywords: Any) -> Result:
        """Sandbox.call()"""
        return await self._start("call", name, arguments, keywords)

    async def fork(self) -> AsyncSandbox:
        """Sandbox.fork()"""
        box = AsyncSandbox(**self._keywords)
        box._box = await _in_thread(self._opened().fork)
        return box

    async def save(self, path: str | os.PathLike[str]) -> None:
        """Sandbox.save()"""
        await _in_thread(self._opened().save, path)

    @classmethod
    async def load(cls, path: str | os.PathLike[str], **keywords: Any) -> AsyncSandbox:
        """Sandbox.load()"""
        return await cls(**keywords, _saved=os.fspath(path)).open()

    async def close(self) -> Result | None:
        """Sandbox.close()"""
        return await self._ask(self._opened()._native.start_close)

    def interrupt(self) -> bool:
        """Sandbox.interrupt()"""
        return self._opened().interrupt()

    def kill(self) -> None:
        """Sandbox.kill()"""
        self._opened().kill()

    @property
    def files(self) -> Files:
        """Sandbox.files, whose methods are not awaited."""
        return self._opened().files

    def _opened(self) -> Sandbox:
        if self._box is None:
            raise RuntimeError("this sandbox is not open: use `async with`, or await open()")
        return self._box

    async def _start(self, *request: Any) -> Result:
        native = self._opened()._native
        answer = await self._ask(lambda done: native.start(request, done))
        assert answer is not None
        return answer

    async def _ask(self, start: Callable[[Callable[..., None]], bool | None]) -> Result | None:
        """The result of what start begins, which is given what to call in the end. None if start returns False: nothing has
        begun."""
        import asyncio

        loop = asyncio.get_running_loop()
        ended = loop.create_future()

        def done(answer: tuple[Any, ...] | None, error: BaseException | None) -> None:
            try:
                loop.call_soon_threadsafe(ended.set_result, (answer, error))
            except RuntimeError:
                pass  # The loop is closed: nobody waits.

        if start(done) is False:
            return None
        await _settled(ended, self._opened()._native.cancel)
        answer, error = ended.result()
        if error is not None:
            raise error
        return None if answer is None else _result(answer)

    async def __aenter__(self) -> AsyncSandbox:
        return await self.open()

    async def __aexit__(self, kind: object, error: object, traceback: object) -> None:
        if kind is None:
            await self.close()
        else:
            self.kill()


async def _settled(future: asyncio.Future[Any], cancel: Callable[[], object]) -> None:
    """Waits until a future is done. A cancellation calls cancel, and goes on when the future is done."""
    import asyncio

    cancelled = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
            cancel()
    if cancelled is not None:
        raise cancelled


async def _in_thread(function: Callable[..., _T], *arguments: Any, **keywords: Any) -> _T:
    """What a function returns, which is called in another thread. A cancellation goes on when it is done, and ends the sandbox
    that it returns."""
    import asyncio

    called = asyncio.ensure_future(asyncio.to_thread(function, *arguments, **keywords))
    try:
        await _settled(called, lambda: None)
    except asyncio.CancelledError:
        if called.exception() is None and isinstance(box := called.result(), Sandbox):
            box.kill()
        raise
    return called.result()


def _result(answer: tuple[Any, ...]) -> Result:
    status, what, value, error, stdout, stderr, cut, elapsed, cpu_time, memory, events = answer
    if error is not None:
        kind, message, traceback, frames = error
        error = GuestError(kind, message, traceback, (Frame(*frame) for frame in frames))
    texts = (stream.decode("utf-8", "replace") for stream in (stdout, stderr))
    result = Result(value, error, *texts, cut, Usage(elapsed, cpu_time, memory), events)
    if status == "limit":
        raise LimitReached(what, result)
    if status == "ended":
        raise Ended(what, result)
    return result
