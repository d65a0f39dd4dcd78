"""One progress line on a terminal; silence elsewhere."""

from __future__ import annotations

import sys
import time
from _thread import allocate_lock
from types import TracebackType

from pypm.cli.render.errors import warn
from pypm_model.events import Advanced, Event, Finished, Started, Warned

_VERBS = {
    "resolve": "Resolving",
    "metadata": "Reading metadata",
    "download": "Downloading",
    "unpack": "Unpacking",
    "build": "Building",
    "link": "Linking",
}
_EVERY = 0.08
"""Seconds between two drawings: a terminal is slower than the work."""


class Tally:
    """What is going on, as events tell it. For one thread at a time."""

    def __init__(self) -> None:
        self._work: dict[str, list[int]] = {}
        self._subjects: dict[str, str] = {}

    def hear(self, event: Event) -> None:
        """Takes *event* into account; a warning is nothing that goes on."""
        match event:
            case Started(work, subject, total):
                state = self._work.setdefault(work, [0, 0])
                state[1] += total
                self._subjects[work] = subject
            case Advanced(work, subject, amount):
                state = self._work.setdefault(work, [0, 0])
                state[0] += amount
                if subject:
                    self._subjects[work] = subject
            case Finished(work, _):
                state = self._work.get(work, [0, 0])
                if state[0] >= state[1]:
                    self._work.pop(work, None)

    @property
    def line(self) -> str:
        """All of it in one line; empty if nothing goes on."""
        parts = []
        for work, (done, total) in self._work.items():
            parts.append(
                f"{_VERBS.get(work, work)} {_amount(work, done, total)}{_short(self._subjects[work])}"
            )
        return " · ".join(parts)[:110]


class Progress:
    """A listener that draws what is going on in one line of stderr and wipes it at the end.

    Use as a context manager. Warnings are printed at once, above the line, each only once.
    """

    def __init__(self, *, shown: bool | None = None, quiet: bool = False) -> None:
        self._shown = (sys.stderr.isatty() if shown is None else shown) and not quiet
        self._quiet = quiet
        self._lock = allocate_lock()
        self._tally = Tally()
        self._drawn = ""
        self._last = 0.0
        self._warned: set[str] = set()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()

    def __call__(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, Warned):
                self._warn(event.code, event.message)
                return
            self._tally.hear(event)
            if self._shown and time.monotonic() - self._last > _EVERY:
                self._draw()

    def wipe(self) -> None:
        """Takes the line away."""
        with self._lock:
            if self._drawn:
                sys.stderr.write("\r\x1b[2K")
                sys.stderr.flush()
                self._drawn = ""

    def ask(self, question: str) -> bool:
        """Puts *question* to the user. Whatever is no yes is a no, the end of input, too."""
        self.wipe()
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def _warn(self, code: str, message: str) -> None:
        if self._quiet or message in self._warned:
            return
        self._warned.add(message)
        if self._drawn:
            sys.stderr.write("\r\x1b[2K")
            self._drawn = ""
        warn(code, message)

    def _draw(self) -> None:
        line = self._tally.line
        if line != self._drawn:
            sys.stderr.write(f"\r\x1b[2K{line}")
            sys.stderr.flush()
            self._drawn = line
        self._last = time.monotonic()


def _amount(work: str, done: int, total: int) -> str:
    if work == "download":
        mib = 1 << 20
        return f"{done / mib:.1f}/{total / mib:.1f} MiB" if total else f"{done / mib:.1f} MiB"
    return f"{done}/{total}" if total else (str(done) if done else "")


def _short(subject: str) -> str:
    return f" {subject[:40]}" if subject else ""
