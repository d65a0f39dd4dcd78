"""What a discovery depended on: enough to tell later, by `stat` alone, that nothing changed."""

from __future__ import annotations

from pypm_model.records import NamedTuple


class FileSeen(NamedTuple):
    """A file that was read, or looked for in vain."""

    path: str
    """Relative to the root, with ``/``."""
    mtime_ns: int
    """-1: there was no such file."""
    size: int = -1
    inode: int = -1


class FolderSeen(NamedTuple):
    """A folder whose entries were listed."""

    path: str
    mtime_ns: int
    """-1: there was no such folder."""


class Inputs(NamedTuple):
    """Sorted by path. If none of these changed, discovering again gives the same workspace."""

    files: tuple[FileSeen, ...] = ()
    folders: tuple[FolderSeen, ...] = ()
