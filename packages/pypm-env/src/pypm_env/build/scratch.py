"""A folder for everything a build writes, which goes away however pypm ends.

Normally the ``with`` block removes it; SIGTERM ends the block like an exit; a build host removes it
when its parent was killed; and where none of these could, the next block removes what it finds
without a living owner.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from pypm_env.build.host_process import remove

if sys.platform != "win32":
    import fcntl

_PREFIX = "pypm-build-"
_LEASE = "lease"
_ABANDONED_SECONDS = 86_400
"""A folder without a lease is one whose owner died while making it, if it is as old as this."""


@contextlib.contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """A new, empty, private folder in *parent* (default: the system's temporary folder).

    In the main thread SIGTERM is turned into `SystemExit` while the block runs, if nobody else
    handles it, so that the folder is removed then too.
    """
    parent = parent or Path(tempfile.gettempdir())
    reap(parent)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent)).resolve()
    lease = _take_lease(folder)
    try:
        with _exit_on_sigterm():
            yield folder
    finally:
        os.close(lease)
        remove(str(folder))


def reap(parent: Path) -> int:
    """Removes folders in *parent* whose owners are gone; how many. Other users' folders are left."""
    removed = 0
    try:
        entries = [entry for entry in os.scandir(parent) if entry.name.startswith(_PREFIX)]
    except OSError:
        return 0
    for entry in entries:
        try:
            state = entry.stat(follow_symlinks=False)
            mine = sys.platform == "win32" or state.st_uid == os.getuid()
            if entry.is_dir(follow_symlinks=False) and mine and _is_abandoned(entry.path, state.st_mtime):
                remove(entry.path)
                removed += 1
        except OSError:
            continue
    return removed


def _take_lease(folder: Path) -> int:
    """An open file that says "in use" until it is closed or the process ends."""
    fresh = folder / f"{_LEASE}.new"
    lease = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    if sys.platform != "win32":
        fcntl.flock(lease, fcntl.LOCK_EX)
        # Only now does it get the name that others look for: it is never seen unlocked.
        os.rename(fresh, folder / _LEASE)
    return lease


def _is_abandoned(folder: str, modified: float) -> bool:
    if sys.platform == "win32":
        # An open file cannot be deleted there.
        try:
            os.unlink(os.path.join(folder, f"{_LEASE}.new"))
        except FileNotFoundError:
            return modified < time.time() - _ABANDONED_SECONDS
        except OSError:
            return False
        return True
    try:
        lease = os.open(os.path.join(folder, _LEASE), os.O_RDWR)
    except FileNotFoundError:
        return modified < time.time() - _ABANDONED_SECONDS
    try:
        fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lease)
    return True


@contextlib.contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
