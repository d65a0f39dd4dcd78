"""The rows of a stamp (`pypm._stamp`): files and folders as they are, and what is not there.

`pypm.ops.stamping` collects them after a sync, `pypm._again` after one that only linked: only what
`pypm._stamp` imports may be imported here.
"""

from __future__ import annotations

import os

from pypm._recipe import PROJECT, WORKSPACE

TYPE_CHECKING = False  # as in `typing`, which is not loaded
if TYPE_CHECKING:
    from collections.abc import Iterable


class Rows:
    """What the next sync compares. Paths are absolute or relative to *root*."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.files: dict[str, tuple[int, int, int]] = {}
        """(modification time in ns, size, inode) by path"""
        self.folders: dict[str, int] = {}
        self.missing: dict[str, None] = {}

    def file(self, path: str, mtime: int, size: int, inode: int) -> None:
        """A file as it was when it was read; a time below 0: it was not there."""
        if mtime < 0:
            self.missing[path] = None
        else:
            self.files[path] = (mtime, size, inode)

    def folder(self, path: str, mtime: int) -> None:
        """A folder as it was when it was listed; a time below 0: it was not there."""
        if mtime < 0:
            self.missing[path] = None
        else:
            self.folders[path] = mtime

    def look(self, paths: Iterable[str]) -> None:
        """Files as they are now."""
        for path in dict.fromkeys(paths):
            try:
                status = os.stat(os.path.join(self.root, path))
            except (FileNotFoundError, NotADirectoryError):
                self.missing[path] = None
                continue
            self.files[path] = (status.st_mtime_ns, status.st_size, status.st_ino)

    def look_above(self) -> None:
        """If the root was found by its project: a file above may make it a part of a larger workspace, or
        does not although it is there."""
        if WORKSPACE in self.files:
            return
        above = self.root
        while above != os.path.dirname(above):
            above = os.path.dirname(above)
            self.look(os.path.join(above, name) for name in (WORKSPACE, PROJECT))

    def of_files(self) -> list[tuple[str, int, int, int]]:
        """As `pypm._stamp.write` takes them."""
        return [(path, *seen_as) for path, seen_as in self.files.items()]
