"""Locks between processes (and threads): one small file per thing, released when a process dies.

Own code rather than `filelock`: pruning needs a lock that many may share, and importing that library
takes longer than most commands run.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

from pypm_model.errors import PypmError

_fcntl: Any = None
_msvcrt: Any = None
try:
    import fcntl

    _fcntl = fcntl
except ImportError:
    import msvcrt

    _msvcrt = msvcrt

_POLL = 0.02
_UNSUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}


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
            while not _acquire(handle, shared):
                if end is not None and time.monotonic() >= end:
                    raise StoreBusy(str(path))
                time.sleep(_POLL)
            # Whoever held it before may have removed the file: then this lock is on nothing.
            if _is_same(handle, path):
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
        while not _acquire(handle, True):
            time.sleep(_POLL)
        if _is_same(handle, path):
            os.set_inheritable(handle, True)
            return
        os.close(handle)


def _opened(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
    try:
        try:
            return os.open(path, flags, 0o666)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(path, flags, 0o666)
    except OSError as error:
        raise CannotLock(str(path), error.strerror or str(error)) from error


def _is_same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _unlink(path: Path) -> None:
    # Windows does not remove an open file: it stays, empty, and serves the next one.
    with suppress(OSError):
        os.unlink(path)


def _acquire(handle: int, shared: bool) -> bool:
    """Whether the lock could be had without waiting."""
    if _fcntl is not None:
        return _acquire_posix(handle, shared)
    return _acquire_windows(handle, shared)


def _acquire_posix(handle: int, shared: bool) -> bool:
    try:
        _fcntl.flock(handle, (_fcntl.LOCK_SH if shared else _fcntl.LOCK_EX) | _fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        # A file system without locks: every step is atomic anyway, only work may be done twice.
        if error.errno not in _UNSUPPORTED:
            raise
    return True


_SHARES = 1 << 16


def _acquire_windows(handle: int, shared: bool) -> bool:
    """Windows' C library locks ranges of bytes exclusively: a sharer takes one byte of many, picked
    by chance, and who wants it alone takes all of them."""
    place = int.from_bytes(os.urandom(2), "little") if shared else 0
    os.lseek(handle, place, os.SEEK_SET)
    try:
        _msvcrt.locking(handle, _msvcrt.LK_NBLCK, 1 if shared else _SHARES)
    except OSError:
        return False
    return True
