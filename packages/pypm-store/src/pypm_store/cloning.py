"""A file that shares its blocks with another until one of them is changed (a reflink)."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pypm_model.later import later

if TYPE_CHECKING:
    import ctypes
else:
    ctypes = later("ctypes")

_FICLONE = 0x40049409
"""``_IOW(0x94, 9, int)`` of linux/fs.h."""

_fcntl: Any = None
try:
    import fcntl

    _fcntl = fcntl
except ImportError:
    # Windows: ReFS has clones, but no file system that people have by default.
    pass


def reflink(source: str, target: str) -> None:
    """Makes *target*, which must not exist, a file of its own with the blocks of *source*; its modes
    and times are its own or the source's, as the system likes.

    Raises FileExistsError, or OSError where the file system cannot; then there is no *target*.
    """
    if _clone is None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP), source, None, target)
    _clone(source, target)


def _clone_linux(source: str, target: str) -> None:
    read = os.open(source, os.O_RDONLY)
    try:
        write = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            _fcntl.ioctl(write, _FICLONE, read)
        except BaseException:
            os.unlink(target)
            raise
        finally:
            os.close(write)
    finally:
        os.close(read)


def _clone_darwin(call: Any) -> Callable[[str, str], None]:
    def clone(source: str, target: str) -> None:
        if call(os.fsencode(source), os.fsencode(target), 0) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), source, None, target)

    return clone


def _system_clone(platform: str) -> Callable[[str, str], None] | None:
    if platform == "linux" and _fcntl is not None:
        return _clone_linux
    if platform == "darwin":
        try:
            return _clone_darwin(ctypes.CDLL(None, use_errno=True).clonefile)
        except (OSError, AttributeError):
            return None
    return None


_clone = _system_clone(sys.platform)
