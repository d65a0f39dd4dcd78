"""Folders opened, so that what lies in them is named by a short way.

A call with an absolute path takes the system from the root through every folder on it, each time. An
environment's and a store's paths are a dozen folders deep: of a hard link from one to the other, two thirds
of the time went into finding the two ends.
"""

from __future__ import annotations

import os

_ABLE = {os.link, os.mkdir, os.open, os.stat} <= os.supports_dir_fd


class Opened:
    """A folder that is open for the time of a block, which gets its handle; see `opened`."""

    __slots__ = ("folder", "handle")

    def __init__(self, folder: str | None) -> None:
        self.folder = folder
        self.handle: int | None = None

    def __enter__(self) -> int | None:
        if self.folder is not None and _ABLE:
            flags = os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
            self.handle = os.open(self.folder, flags)
        return self.handle

    def __exit__(self, *_: object) -> None:
        if self.handle is not None:
            os.close(self.handle)


def opened(folder: str | None) -> Opened:
    """The folder open, for names relative to it; None where the system cannot do that, or for None."""
    return Opened(folder)
