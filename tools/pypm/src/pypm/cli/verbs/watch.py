"""``pypm watch``."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from pypm._stamp import key_of
from pypm.cli.arguments import UsageError, option, verb
from pypm.cli.options import COMMON, SELECTION, Common, world
from pypm.cli.render.watching import show_event
from pypm.cli.syncing import arguments_of
from pypm.ops.selection import Selection
from pypm.ops.sync import SyncOptions
from pypm.ops.watch import WatchOptions, watch
from pypm.ops.watch_events import Trouble, WatchEvent
from pypm.ops.watch_task import WatchTask

INTERRUPTED = 130


@verb(
    option("--sync", help="Bring the environment in step with each lock."),
    option("--run", name="task", metavar="TASK", help="After each lock (and sync): `pypm run TASK`."),
    option("--poll", help="Look at the files again and again, where a file system tells nothing."),
    SELECTION,
    COMMON,
)
def command(common: Common, selection: Selection, sync: bool, task: str | None, poll: bool) -> int:
    """Stay, and lock again whenever a manifest, the workspace's file or the lock changes.

    The lock is written only if it is another one, and is the one `pypm lock` would write. Conflicts are
    told as they appear and when they are mended. With --json each event is one line on stdout.

    Members, extras and groups are those of --sync and --run. Ctrl-C ends it.
    """
    if not sync and task is None and selection != Selection():
        raise UsageError("members, extras and groups go with --sync or --run")
    ending = _Ending()

    def tell(event: WatchEvent) -> None:
        if common.json:
            sys.stdout.write(json.dumps(event.to_json(), sort_keys=True) + "\n")
            sys.stdout.flush()
        elif not common.quiet or isinstance(event, Trouble):
            show_event(event)

    with ending, world(common) as here:
        arguments = arguments_of(selection, frozen=False)
        # What `pypm run` syncs first is then in step already.
        syncing = SyncOptions(selection=selection, stamp_key=key_of(arguments)) if sync else None
        running = None
        if task is not None:
            argv = (sys.executable, "-m", "pypm", "run", *arguments, "--", task)
            running = WatchTask(argv, Path.cwd(), here.environ, quiet=common.json)
        options = WatchOptions(syncing, running, task or "", poll)
        watch(here, options, tell, stopping=lambda: ending.code is not None)
    return ending.code or 0


class _Ending:
    """Ctrl-C and being told to end: whatever is being done is broken off, and the end is an orderly one."""

    def __init__(self) -> None:
        self.code: int | None = None
        """The exit code, once the end was asked for."""

    def __enter__(self) -> None:
        signal.signal(signal.SIGINT, self._end)
        signal.signal(signal.SIGTERM, self._end)
        if os.name == "posix":
            signal.signal(signal.SIGHUP, self._end)

    def __exit__(self, *raised: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.code = INTERRUPTED if number == signal.SIGINT else 0
        raise KeyboardInterrupt
