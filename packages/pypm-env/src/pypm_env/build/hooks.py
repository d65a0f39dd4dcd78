"""A call of a build backend's hook, and how it can end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pypm_model.records import record


@record
class HookCall:
    """One call of one hook, in the folder it speaks of."""

    hook: str
    folder: Path
    """The project's: the hook's working folder."""
    backend: str
    backend_path: tuple[str, ...]
    arguments: Mapping[str, Any]
    """By the names PEP 517 and PEP 660 give them; JSON values."""
    log: Path
    """Where the hook's output goes; overwritten."""
    timeout: float | None = None
    """Seconds."""

    @property
    def positional(self) -> list[Any]:
        """The arguments in the order of the standards: a backend may call its parameters as it likes."""
        order = _BUILD if self.hook in ("build_wheel", "build_editable") else _OTHERS
        return [self.arguments[name] for name in order if name in self.arguments]


_BUILD = ("wheel_directory", "config_settings", "metadata_directory")
_OTHERS = ("metadata_directory", "config_settings")


@record
class Answered:
    """The hook returned *value*."""

    value: Any


@record
class NoHook:
    """The backend does not have this hook."""


@record
class Unavailable:
    """The backend cannot be imported."""

    message: str


@record
class Raised:
    """The hook raised."""

    message: str


@record
class Ended:
    """The hook's process ended without an answer, or was ended."""

    how: str


Outcome = Answered | NoHook | Unavailable | Raised | Ended


def timed_out(seconds: float | None) -> Ended:
    """The outcome of a call that took longer than it may."""
    return Ended(f"still running after {seconds or 0:g} seconds, ended")
