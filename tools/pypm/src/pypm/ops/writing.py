"""Manifests, lock and environment changed together: all of it, or nothing."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from pypm.ops.in_step import write_in_step
from pypm.ops.locking import Locked
from pypm.ops.sync import SyncOptions
from pypm.ops.synced import MembersReport, SyncReport
from pypm.ops.syncing import sync
from pypm.ops.toolbox import open_tools
from pypm.ops.world import LOCK, World
from pypm_model.records import record
from pypm_store.atomic import write_atomically
from pypm_workspace.discover import discover
from pypm_workspace.workspace import Workspace


@record
class Done:
    """What was done besides the manifests and the lock."""

    exports: tuple[str, ...]
    """Files of ``[lock] export`` that were written."""
    sync: SyncReport | MembersReport | None


def write_all(
    world: World,
    workspace: Workspace,
    manifests: Mapping[str, str],
    locked: Locked,
    how: SyncOptions | None,
) -> Done:
    """Writes *manifests* (texts by path), the lock and its exports, and syncs as *how* says, if it does;
    puts every file back if one of these fails.

    The lock goes last: between the two a run would lock again.
    """
    root = Path(workspace.root)
    exports = workspace.settings.lock_export
    with _interrupted_once(), _restored_on_failure([root / file for file in (*manifests, *exports, LOCK)]):
        for file, text in manifests.items():
            write_atomically(root / file, text, fsync=True)
        there = discover(workspace.root) if exports and manifests else workspace
        with open_tools(world, there) as tools:
            written = write_in_step(tools, there, locked)
        return Done(written, None if how is None else sync(world, how))


@contextmanager
def _interrupted_once() -> Iterator[None]:
    """A block that Ctrl-C breaks off once: what is put back then is not broken off by another one."""
    ordinary = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not ordinary or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def _restored_on_failure(files: Sequence[Path]) -> Iterator[None]:
    """Gives *files* their bytes back if what is done inside fails; one that was not there goes again."""
    before = {file: file.read_bytes() if file.exists() else None for file in files}
    try:
        yield
    except BaseException:
        for file, data in before.items():
            if data is None:
                file.unlink(missing_ok=True)
            elif not file.exists() or file.read_bytes() != data:
                write_atomically(file, data)
        raise
