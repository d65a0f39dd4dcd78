"""Folders opened, so that what lies in them is named by a short way.

A call with an absolute path takes the system from the root through every folder on it, each time. An
environment's and a store's paths are a dozen folders deep: of a hard link from one to the other, two thirds
of the time went into finding the two ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_ABLE = {os.link, os.mkdir, os.open, os.stat} <= os.supports_dir_fd


@contextmanager
def opened(folder: str | None) -> Iterator[int | None]:
    """The folder open, for names relative to it; None where the system cannot do that, or for None."""
    if folder is None or not _ABLE:
        yield None
        return
    handle = os.open(folder, os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY))
    try:
        yield handle
    finally:
        os.close(handle)
