"""``pypm watch``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pypm._stamp import key_of
from pypm.cli.arguments import UsageError, option, verb
from pypm.cli.options import COMMON, SELECTION, Common, world
from pypm.cli.render.watching import show_event
from pypm.cli.syncing import sync_first
from pypm.ops.command import CommandNotFound, command_in, is_script
from pypm.ops.ending import Ending
from pypm.ops.execute import all_tasks
from pypm.ops.opening import open_workspace
from pypm.ops.places import environment_for
from pypm.ops.selection import Selection, spelled
from pypm.ops.sync import SyncOptions
from pypm.ops.watch import WatchOptions, watch
from pypm.ops.watch_events import Trouble, WatchEvent
from pypm.ops.watch_task import WatchTask
from pypm.ops.world import World
from pypm_model.errors import PypmError
from pypm_model.records import replace


@verb(
    option("--sync", help="Bring the environment in step with each lock."),
    option("--each", help="With --sync: for each member an environment of its own, in its folder."),
    option("--run", name="task", metavar="TASK", help="After each lock (and sync): `pypm run TASK`."),
    option("--poll", help="Look at the files again and again, where a file system tells nothing."),
    SELECTION,
    COMMON,
)
def command(
    common: Common, selection: Selection, sync: bool, each: bool, task: str | None, poll: bool
) -> int:
    """Stay, and lock again whenever a manifest, the workspace's file or the lock changes.

    The lock is written only if it is another one, and is the one `pypm lock` would write. Conflicts are
    told as they appear and when they are mended. With --json each event is one line on stdout.

    Members, extras and groups are those of --sync and --run. Ctrl-C ends it.
    """
    if not sync and task is None and selection != Selection():
        raise UsageError("members, extras and groups go with --sync or --run")
    if each and not sync:
        raise UsageError("--each goes with --sync")
    ending = Ending()

    def tell(event: WatchEvent) -> None:
        if common.json:
            sys.stdout.write(json.dumps(event.to_json(), sort_keys=True) + "\n")
            sys.stdout.flush()
        elif not common.quiet or isinstance(event, Trouble):
            show_event(event)

    with ending, world(common) as here:
        arguments = spelled(selection, False)
        # What `pypm run` syncs first is then in step already.
        key = key_of([*arguments, *(["--each"] if each else [])])
        syncing = SyncOptions(selection=selection, each=each, stamp_key=key) if sync else None
        running = None
        if task is not None:
            _check_word(here, selection, task)
            argv = (sys.executable, "-m", "pypm", "run", *arguments, "--", task)
            running = WatchTask(argv, Path.cwd(), here.environ, quiet=common.json)
        options = WatchOptions(syncing, running, task or "", poll)
        # Whoever watches need not be there to answer.
        watch(replace(here, asker=None), options, tell, ending)
    return ending.code or 0


def _check_word(here: World, selection: Selection, task: str) -> None:
    """Raises `UsageError` if `pypm run` would find neither a task nor a command *task*. What stands in the
    way of knowing is for the watcher to tell."""
    try:
        names = tuple(name for name, _ in all_tasks(open_workspace(here)))
        if task in names or is_script(here, task):
            return
        try:
            command_in(environment_for(here, selection).venv, here, (task,), names)
        except CommandNotFound:
            # It may come with what is installed before the first run.
            command_in(sync_first(here, selection), here, (task,), names)
    except CommandNotFound as error:
        told = f"; {error.hint}" if error.hint else ""
        raise UsageError(f"--run {task}: {error}{told}") from None
    except PypmError:
        return
