"""``pypm run``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pypm.cli.arguments import argument, option, verb
from pypm.cli.options import COMMON, SELECTION, Common, world
from pypm.cli.render.report import say
from pypm.cli.render.style import style
from pypm.cli.syncing import sync_first
from pypm.ops.execute import all_tasks, command_in, run_task
from pypm.ops.opening import open_workspace
from pypm.ops.schedule import Job, Run
from pypm.ops.selection import Selection

_COLOURS = ("cyan", "green", "yellow", "blue")


@verb(
    option("--no-sync", help="Run in the environment as it is."),
    option("--frozen", help="Sync from the lock as it is."),
    option("-j", "--jobs", least=1, help="Runs at a time (default: the processors)."),
    argument("task", required=False),
    argument("arguments", required=False, rest=True),
    SELECTION,
    COMMON,
)
def command(
    common: Common,
    selection: Selection,
    no_sync: bool,
    frozen: bool,
    jobs: int | None,
    task: str | None,
    arguments: tuple[str, ...],
) -> int:
    """Run TASK in every selected member that has it, in graph order; if there is no such task, a command.

    ARGUMENTS are added to the task's command. Without TASK the tasks are listed.
    """
    with world(common) as here:
        if task is None:
            for name, text in all_tasks(here):
                sys.stdout.write(f"{name}\t{text}\n")
            return 0
        root = Path(sync_first(here, selection, sync=not no_sync, frozen=frozen))
        workspace = open_workspace(here)

        def emit(run: Run, line: str) -> None:
            colour = _COLOURS[sum(map(ord, str(run))) % len(_COLOURS)]
            sys.stdout.write(f"{style(str(run), colour, sys.stdout)} | {line}\n")
            sys.stdout.flush()

        def announce(job: Job) -> None:
            if not common.quiet:
                say(f"{style('>', 'dim')} {job.run}: {job.command}")

        ended = run_task(
            here,
            workspace,
            task,
            arguments,
            selection,
            parallel=jobs or os.cpu_count() or 1,
            emit=emit,
            announce=announce,
        )
        if ended is None:
            names = tuple(name for name, _ in all_tasks(here))
            process = command_in(root, here, (task, *arguments), names)
    if ended is None:
        return process.become()
    failed = [run for run in ended if run.code]
    if len(ended) > 1 and not common.quiet:
        skipped = sum(1 for run in ended if run.code is None)
        passed = len(ended) - len(failed) - skipped
        say(f"{passed} done, {len(failed)} failed, {skipped} not started")
    return max((run.code or 0 for run in failed), default=0)
