from collections.abc import Callable
from os import PathLike
from typing import Any

LISTS: list[str]
LIMITS: list[str]

class NativeSandbox:
    def __new__(
        cls,
        distribution: str | PathLike[str],
        policy: str | None,
        grants: list[tuple[str, list[str]]],
        dirs: list[tuple[str, str, bool]],
        env: list[tuple[str, str]],
        ca_bundle: str | None,
        max_output: int | None,
        on_stdout: Any,
        on_stderr: Any,
        other: Any,
    ) -> NativeSandbox: ...
    def run(self, request: tuple[Any, ...]) -> tuple[Any, ...]: ...
    def start(self, request: tuple[Any, ...], done: Callable[..., None]) -> None: ...
    def cancel(self) -> None: ...
    def close(self) -> tuple[Any, ...] | None: ...
    def kill(self) -> None: ...
