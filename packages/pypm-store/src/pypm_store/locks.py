"""Locks between processes (and threads): one small file per thing, released when a process dies.

Own code rather than `filelock`: pruning needs a lock that many may share, and importing that library
takes longer than most commands run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar

from pypm_model.errors import PypmError
from pypm_store.lock_file import FLAGS, acquire, is_same

_POLL = 0.02


class StoreBusy(PypmError):
    """Another pypm holds a lock and did not let go in time."""

    path: str

    code: ClassVar[str] = "store-busy"
    exit: ClassVar[int] = 1

    def __str__(self) -> str:
        return f"another pypm is at work ({self.path} is locked)"

    @property
    def hint(self) -> str | None:
        return "wait for it to finish, or end it, and try again"


class CannotLock(PypmError):
    """A lock file cannot be made: no permission, no space."""

    path: str
    reason: str

    code: ClassVar[str] = "cannot-lock"
    exit: ClassVar[int] = 1

    def __str__(self) -> str:
        return f"cannot make the lock {self.path}: {self.reason}"

    @property
    def hint(self) -> str | None:
        return "check who owns the folder and how much space is left"


@contextmanager
def holding(path: Path, *, shared: bool = False, timeout: float | None = None) -> Iterator[None]:
    """Holds the lock at *path* (its folder is made if missing) for the time of the block.

    Any number may hold it *shared* at once, one alone otherwise; not re-entrant. *timeout* is in
    seconds, None waits for ever; raises `StoreBusy` when it is over, `CannotLock` if there can be no
    lock. The file of an exclusive lock is gone afterwards, unless others wait for it.
    """
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        handle = _opened(path)
        try:
            while not acquire(handle, shared):
                if end is not None and time.monotonic() >= end:
                    raise StoreBusy(str(path))
                time.sleep(_POLL)
            # Whoever held it before may have removed the file: then this lock is on nothing.
            if is_same(handle, path):
                try:
                    yield
                finally:
                    if not shared:
                        _unlink(path)
                return
        finally:
            os.close(handle)


def hold_until_exit(path: Path) -> None:
    """Holds the lock at *path* shared until this process ends, and every program it becomes or starts that
    keeps its files open. Waits for one who holds it alone. Raises `CannotLock`."""
    while True:
        handle = _opened(path)
        while not acquire(handle, True):
            time.sleep(_POLL)
        if is_same(handle, path):
            os.set_inheritable(handle, True)
            return
        os.close(handle)


def _opened(path: Path) -> int:
    try:
        try:
            return os.open(path, FLAGS, 0o666)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(path, FLAGS, 0o666)
    except OSError as error:
        raise CannotLock(str(path), error.strerror or str(error)) from error


def _unlink(path: Path) -> None:
    # Windows does not remove an open file: it stays, empty, and serves the next one.
    with suppress(OSError):
        os.unlink(path)
