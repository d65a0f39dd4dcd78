"""What a sandbox is walled off from, as values: what is asked for, and the steps that make it so.

The steps are the same whoever carries them out: our own namespaces (`pypm_env.sandbox.namespaces`) or
bubblewrap (`pypm_env.sandbox.bubblewrap`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pypm_model.errors import PypmError
from pypm_model.records import record


@record
class Walls:
    """What is asked for."""

    fs: str = ""
    """Of the project: ``ro`` read-only, ``cow`` copy-on-write; empty: open."""
    no_net: bool = False
    isolate: bool = False
    """All of it: nothing can be written but the sandbox's folders, of home and temporary files nothing is
    seen, no network, no other processes."""
    project: str = ""
    """The folder that *fs* is about; empty: none."""
    upper: str = ""
    """With ``cow``: an empty folder for what changes, and beside it, with nothing else there, one for the
    kernel's own use."""
    scratch: str = ""
    writable: tuple[str, ...] = ()
    """Folders of the sandbox."""
    readable: tuple[str, ...] = ()
    """What must be seen wherever it is: the environment, the interpreter, the store."""
    temporary: str = ""
    """For temporary files where their usual folders cannot be written; one of *writable*."""
    homes: tuple[str, ...] = ()
    """What *isolate* hides, besides temporary files."""

    @property
    def is_open(self) -> bool:
        """Whether there are none."""
        return not (self.fs or self.no_net or self.isolate)


class CannotIsolate(PypmError):
    """A wall was asked for that this machine does not have."""

    code: ClassVar[str] = "cannot-isolate"
    exit: ClassVar[int] = 2
    wall: str
    reasons: tuple[str, ...]
    """Why each way there is did not work."""

    def __str__(self) -> str:
        return f"this machine cannot do {self.wall}: {'; '.join(self.reasons)}"

    @property
    def hint(self) -> str:
        return "leave the option out to run without that wall"


class Refused(Exception):
    """One way to make walls did not work; the text says what was refused, for people."""


# --- steps ---------------------------------------------------------------------------------------


@record
class ReadOnly:
    """Nothing at or below the path can be written from now on."""

    path: str


@record
class Empty:
    """An empty folder, in memory, in the place of what is there."""

    path: str
    mode: int = 0o700


@record
class Seen:
    """What is at the path now, seen there again, whatever covers it."""

    path: str
    writable: bool = False


@record
class Overlay:
    """What is at the path; changes go to *upper*."""

    path: str
    upper: str
    scratch: str


Step = ReadOnly | Empty | Seen | Overlay

_TEMPORARY = (("/tmp", 0o1777), ("/var/tmp", 0o1777), ("/dev/shm", 0o1777), ("/run", 0o755))


def steps_for(walls: Walls) -> tuple[Step, ...]:
    """What to do to the file system, in order."""
    hidden: list[Empty] = []
    before: list[Step] = []
    seen: list[Step] = []
    if walls.isolate:
        hidden = _outermost([*(Empty(*one) for one in _TEMPORARY), *map(Empty, walls.homes)])
        before = [ReadOnly("/"), *hidden]
        # Programs and libraries of the system may be reached by way of /run (NixOS).
        shown = dict.fromkeys((*walls.readable, walls.project, "/run/current-system"))
        seen = [Seen(path) for path in shown if any(is_inside(path, one.path) for one in hidden)]
    if walls.project and walls.fs == "cow":
        seen.append(Overlay(walls.project, walls.upper, walls.scratch))
    elif walls.project and walls.fs == "ro" and not walls.isolate:
        seen.append(Seen(walls.project))
    if seen or before:
        seen += [Seen(path, writable=True) for path in walls.writable]
    # What is inside of another comes after it.
    seen.sort(key=lambda step: step.path.rstrip("/").count("/"))
    return (*before, *seen)


def _outermost(steps: Sequence[Empty]) -> list[Empty]:
    kept: list[Empty] = []
    for step in sorted(steps, key=lambda step: len(step.path)):
        if not any(is_inside(step.path, other.path) for other in kept):
            kept.append(step)
    return kept


def is_inside(path: str, folder: str) -> bool:
    """Whether *path* is *folder* or something in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def open_to(walls: Walls, *, landlock: bool = False) -> str:
    """What is not walled off, as a phrase."""
    if walls.isolate:
        return "the terminal, environment variables and the machine's resources"
    found = []
    if walls.fs == "":
        found.append("files")
    elif not landlock:
        found.append("files outside the project")
    if not walls.no_net:
        found.append("network")
    elif landlock:
        found.append("network other than TCP")
    return ", ".join([*found, "processes"])
