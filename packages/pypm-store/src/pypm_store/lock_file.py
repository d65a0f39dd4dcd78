"""What the system does for `pypm_store.locks`: it locks open files."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False  # as in `typing`, which a sync that only links does not load
if TYPE_CHECKING:
    from typing import Any

_fcntl: Any = None
_msvcrt: Any = None
try:
    import fcntl

    _fcntl = fcntl
except ImportError:
    import msvcrt

    _msvcrt = msvcrt

LOCKS = "locks"
"""The folder of locks in the store."""
IN_USE = "in-use"
"""Held shared while trees are looked up and linked."""
FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
_UNSUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}


def held_now(path: str, *, shared: bool) -> int | None:
    """The handle of the lock at *path*, to be closed when it may go; None if that would mean to wait, or
    there can be none."""
    try:
        handle = os.open(path, FLAGS, 0o666)
    except OSError:
        return None
    try:
        if acquire(handle, shared) and is_same(handle, path):
            return handle
    except OSError:
        pass
    os.close(handle)
    return None


def acquire(handle: int, shared: bool) -> bool:
    """Whether the lock could be had without waiting."""
    if _fcntl is not None:
        return _acquire_posix(handle, shared)
    return _acquire_windows(handle, shared)


def is_same(handle: int, path: str | os.PathLike[str]) -> bool:
    """Whether *handle* is the file at *path*: whoever held the lock before may have removed it."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


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
