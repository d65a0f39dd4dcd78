"""``pypm run``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pypm.cli.arguments import argument, option, verb
from pypm.cli.options import COMMON, SELECTION, Common, world
from pypm.cli.render.report import say
from pypm.cli.render.style import style
from pypm.cli.syncing import bring_in_step, sync_first
from pypm.ops.command import Command, command_in, is_script, names_script
from pypm.ops.selection import Selection
from pypm.ops.world import World
from pypm_model.later import later
from pypm_model.records import replace
from pypm_workspace.errors import NoWorkspace

if TYPE_CHECKING:
    from pypm.ops import execute, opening, script_run
    from pypm.ops.schedule import Job, Run
    from pypm_workspace.workspace import Workspace
else:
    execute = later("pypm.ops.execute")
    opening = later("pypm.ops.opening")
    script_run = later("pypm.ops.script_run")

_COLOURS = ("cyan", "green", "yellow", "blue")


@verb(
    option("--no-sync", help="Run in the environment as it is."),
    option("--frozen", help="Sync from the lock as it is."),
    option("-j", "--jobs", name="jobs_at_once", least=1, help="Runs at a time (default: the processors)."),
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
    jobs_at_once: int | None,
    task: str | None,
    arguments: tuple[str, ...],
) -> int:
    """Run TASK in every selected member that has it, in graph order; if there is no such task, a command.

    If TASK is a file of Python, it is run: with what it asks for itself (PEP 723), else in the environment.
    ARGUMENTS are added to the task's command. Without TASK the tasks are listed.
    """
    with world(common) as here:
        if task is None:
            for name, text in execute.all_tasks(opening.open_workspace(here)):
                sys.stdout.write(f"{name}\t{text}\n")
            return 0
        how: dict[str, bool] = {"synced": not no_sync, "frozen": frozen}
        jobs: dict[Run, Job] = {}
        process: Command | None
        if is_script(here, task):
            process = script_run.script_command(here, task, arguments) or _plain(
                here, task, arguments, selection, how
            )
        else:
            workspace = _workspace(here, task)
            venv = _shared(here, workspace, selection, how)
            jobs = execute.task_jobs(here, workspace, task, arguments, selection)
            if venv is not None:
                execute.keep_tasks(here, workspace)
            if jobs:
                if venv is None and not no_sync:
                    members = tuple(sorted({run.member for run in jobs}))
                    bring_in_step(here, replace(selection, members=members), frozen=frozen)
                process = execute.lone_command(here, workspace, jobs, venv)
            else:
                names = tuple(name for name, _ in execute.all_tasks(workspace))
                own = venv or sync_first(here, selection, **how)
                process = command_in(own, here, (task, *arguments), names)
        if process is None:
            ended = execute.run_jobs(
                here,
                workspace,
                jobs,
                venv,
                parallel=jobs_at_once or os.cpu_count() or 1,
                emit=_emit,
                announce=lambda job: None if common.quiet else _announce(job),
            )
    if process is not None:
        if not common.quiet:
            for job in jobs.values():
                _announce(job)
        return process.become()
    failed = [run for run in ended if run.code]
    if len(ended) > 1 and not common.quiet:
        skipped = sum(1 for run in ended if run.code is None)
        passed = len(ended) - len(failed) - skipped
        say(f"{passed} done, {len(failed)} failed, {skipped} not started")
    return max((run.code or 0 for run in failed), default=0)


def _workspace(world: World, task: str) -> Workspace:
    try:
        return opening.open_workspace(world)
    except NoWorkspace:
        # A script needs none.
        if names_script(task):
            raise script_run.NoScript(task) from None
        raise


def _shared(world: World, workspace: Workspace, selection: Selection, how: dict[str, bool]) -> Path | None:
    """The environment that the members share, in step; None if they have their own. It is everybody's:
    naming members says whose tasks, not what is installed."""
    if not (workspace.settings.shared_environment or workspace.kind == "project"):
        return None
    return sync_first(world, replace(selection, members=()), **how)


def _plain(
    world: World, word: str, arguments: tuple[str, ...], selection: Selection, how: dict[str, bool]
) -> Command:
    """A script that says nothing of itself: in the environment, if there is a workspace."""
    try:
        return script_run.plain_script(sync_first(world, selection, **how), world, word, arguments)
    except NoWorkspace:
        return script_run.bare_script(world, word, arguments)


def _emit(run: Run, line: str) -> None:
    colour = _COLOURS[sum(map(ord, str(run))) % len(_COLOURS)]
    sys.stdout.write(f"{style(str(run), colour, sys.stdout)} | {line}\n")
    sys.stdout.flush()


def _announce(job: Job) -> None:
    say(f"{style('>', 'dim')} {job.run}: {job.command}")
