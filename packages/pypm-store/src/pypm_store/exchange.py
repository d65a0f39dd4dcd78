"""A whole folder put in the place of another in one step."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pypm_model.later import later
from pypm_store.atomic import beside_name, remove_tree, rename_over

if TYPE_CHECKING:
    import ctypes
else:
    ctypes = later("ctypes")

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_RENAME_SWAP = 2


def replace_tree(new: Path, target: Path) -> None:
    """Makes the folder *new* (on the same file system) the folder *target*; what was there is removed.

    Where the system can exchange two names (Linux, macOS) there is no moment without a folder at
    *target*. Elsewhere the old folder is renamed aside first, and back if the second rename fails.
    """
    if not os.path.lexists(target):
        rename_over(new, target)
        return
    if exchange(new, target):
        remove_tree(new)
        return
    aside = beside_name(target)
    rename_over(target, aside)
    try:
        rename_over(new, target)
    except BaseException:
        rename_over(aside, target)
        raise
    remove_tree(aside)


def exchange(one: Path | str, other: Path | str) -> bool:
    """Swaps two names that exist, atomically; False where the system or file system cannot."""
    swap = _system_swap()
    if swap is None:
        return False
    if swap(os.fsencode(one), os.fsencode(other)) == 0:
        return True
    error = ctypes.get_errno()
    if error in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP):
        return False
    raise OSError(error, os.strerror(error), os.fspath(one), None, os.fspath(other))


@cache
def _system_swap() -> Callable[[bytes, bytes], int] | None:
    """``swap(one, other) -> 0 or -1`` of this system, or None."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "linux":
            renameat2 = library.renameat2
            return lambda one, other: int(renameat2(_AT_FDCWD, one, _AT_FDCWD, other, _RENAME_EXCHANGE))
        if sys.platform == "darwin":
            renamex_np = library.renamex_np
            return lambda one, other: int(renamex_np(one, other, _RENAME_SWAP))
    except (OSError, AttributeError, TypeError):
        # TypeError: Windows has no library without a name.
        return None
    return None
