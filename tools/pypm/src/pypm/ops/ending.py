"""A process that stays is asked to end: by Ctrl-C, by its terminal going away, by somebody who manages it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

INTERRUPTED = 130


class Ending:
    """In a ``with`` block the signals that ask for the end are heard: what is being done is broken off by a
    KeyboardInterrupt, and `code` says that it was no accident."""

    def __init__(self) -> None:
        self.code: int | None = None
        """The exit code, once the end was asked for: to be interrupted is one thing, to be told that it is
        enough another."""
        self._shielded = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Ending:
        numbers = [signal.SIGINT, signal.SIGTERM]
        if os.name == "posix":
            numbers.append(signal.SIGHUP)
        self._before = {number: signal.signal(number, self._end) for number in numbers}
        return self

    def __exit__(self, *raised: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """What is done in here is not broken off, but at its end: for what would leave something behind."""
        self._shielded = True
        try:
            yield
        finally:
            self._shielded = False
        if self.code is not None:
            raise KeyboardInterrupt

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.code = INTERRUPTED if number == signal.SIGINT else 0
        if not self._shielded:
            raise KeyboardInterrupt
