"""The look at a tree before it is linked, without its contents: see `pypm_store.tree_check`."""

from __future__ import annotations

import os
import stat

from pypm_store.boot import boot_id
from pypm_store.manifest import CACHE, MANIFEST, SETTLED
from pypm_store.open_folder import opened

TYPE_CHECKING = False  # as in `typing`, which a sync that only links does not load
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FILE_BITS, _READABLE_FILE = 0o170400, stat.S_IFREG | 0o400
_FOLDER_BITS, _USABLE_FOLDER = 0o170500, stat.S_IFDIR | 0o500
# Windows knows neither the executable bit of files nor changes of a folder's time that mean anything.
_POSIX = os.name != "nt"


def look_whole(
    root: str,
    rooms: Sequence[tuple[str, Sequence[str]]],
    sizes: Sequence[int],
    folders: Iterable[str],
    executables: Iterable[str],
) -> bool:
    """Whether the tree in *root* has all its files and folders, with their kinds, modes, sizes and times. One
    call for each, with a short name: finding the way to a long one takes longer than the look."""
    try:
        latest = os.lstat(f"{root}{os.sep}{MANIFEST}").st_mtime_ns
        at = 0
        for room, names in rooms:
            end = at + len(names)
            if names and not _are_whole(f"{root}{os.sep}{room}", names, sizes[at:end], latest):
                return False
            at = end
        return not _POSIX or _has_its_modes(root, folders, executables, latest)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return False


def _are_whole(room: str, names: Sequence[str], sizes: Sequence[int], latest: int) -> bool:
    stat = os.stat
    with opened(room) as folder:
        if folder is None:
            names = [f"{room}{os.sep}{name}" for name in names]
        for name, size in zip(names, sizes, strict=True):
            status = stat(name, dir_fd=folder, follow_symlinks=False)
            if (
                status.st_size != size
                or status.st_mtime_ns > latest
                or status.st_mode & _FILE_BITS != _READABLE_FILE
            ):
                return False
    return True


def _has_its_modes(root: str, folders: Iterable[str], executables: Iterable[str], latest: int) -> bool:
    """Whether folders are as they were, and files that are to be executable are."""
    stat = os.stat
    base = f"{root}{os.sep}"
    for path in executables:
        if not stat(base + path, follow_symlinks=False).st_mode & 0o100:
            return False
    with opened(f"{base}site") as site:
        below = "" if site is not None else f"{base}site{os.sep}"
        for folder in (".", *folders):
            status = stat(below + folder, dir_fd=site, follow_symlinks=False)
            if status.st_mode & _FOLDER_BITS != _USABLE_FOLDER:
                return False
            # What is in a __pycache__ may change: bytecode is made there.
            if status.st_mtime_ns > latest and not folder.endswith(CACHE):
                return False
    return True


def is_settled(root: str, boot: str) -> bool:
    """Whether nothing of the tree in *root* can have been lost: it was made since the machine started (*boot*
    is that of the tree), or is known to be on the disk."""
    return bool(boot and boot == boot_id()) or os.path.exists(f"{root}{os.sep}{SETTLED}")
