"""``pypm exec`` and ``pypm run``: a command in the environment, or a task over members."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from pypm.ops.activation import process_environment
from pypm.ops.opening import open_workspace
from pypm.ops.places import place_of
from pypm.ops.roots import selected_members
from pypm.ops.schedule import Finished, Job, Run, Runner, check_order
from pypm.ops.selection import Selection
from pypm.ops.world import VENV, World
from pypm_model.errors import Place, PypmError
from pypm_model.names import ROOT, NormalizedName
from pypm_model.records import record, replace
from pypm_workspace.configuration import Member, Task
from pypm_workspace.select import reach
from pypm_workspace.workspace import Workspace


class CommandNotFound(PypmError):
    """No such program in the environment or on PATH."""

    code: ClassVar[str] = "command-not-found"
    exit: ClassVar[int] = 127
    command: str
    tasks: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"no task and no command {self.command!r}" if self.tasks else f"no command {self.command!r}"

    @property
    def hint(self) -> str | None:
        return f"tasks here: {', '.join(self.tasks)}" if self.tasks else None


class UnknownNeed(PypmError):
    """A task needs one that nobody defines."""

    code: ClassVar[str] = "unknown-need"
    exit: ClassVar[int] = 2
    task: str
    need: str
    place: Place

    def __str__(self) -> str:
        return f"{self.place}: task {self.task!r} needs {self.need!r}, which no member has"

    @property
    def places(self) -> tuple[Place, ...]:
        return (self.place,)


@record
class Command:
    """A process to become."""

    argv: tuple[str, ...]
    environment: dict[str, str]

    def become(self) -> int:
        """Replaces this process where the system can; else runs it and gives its exit code."""
        sys.stdout.flush()
        sys.stderr.flush()
        if os.name == "posix":
            os.execve(self.argv[0], list(self.argv), self.environment)
        return subprocess.run(list(self.argv), env=self.environment).returncode


def command_in(venv: Path, world: World, argv: tuple[str, ...], tasks: tuple[str, ...] = ()) -> Command:
    """*argv* with the environment *venv* activated. Raises `CommandNotFound`."""
    environment = process_environment(venv, world.environ)
    program = shutil.which(argv[0], path=environment["PATH"])
    if program is None:
        raise CommandNotFound(argv[0], tasks)
    return Command((program, *argv[1:]), environment)


def task_jobs(
    world: World, workspace: Workspace, name: str, arguments: tuple[str, ...], selection: Selection
) -> dict[Run, Job]:
    """What running task *name* in every selected member that has it takes, what it needs included; nothing
    if nobody has such a task. *arguments* are added to the named task's command. Raises `UnknownNeed`,
    `TaskCycle`."""
    members = selected_members(world, workspace, selection)
    jobs = plan_runs(workspace, members, name, arguments)
    check_order(jobs, lambda run: _written(workspace, run))
    return jobs


def run_jobs(
    world: World,
    workspace: Workspace,
    jobs: Mapping[Run, Job],
    venv: Path | None,
    *,
    parallel: int,
    emit: Callable[[Run, str], None],
    announce: Callable[[Job], None],
) -> tuple[Finished, ...]:
    """Runs *jobs* in the environment *venv*, or each in that of its member (None); how each ended."""

    def activated(folder: Path) -> dict[str, str]:
        return {**process_environment(folder, world.environ), "PYP_WORKSPACE_ROOT": workspace.root}

    if venv is None:
        own = {run.member: place_of(workspace, workspace.by_name[NormalizedName(run.member)]).venv
               for run in jobs if run.member in workspace.by_name}  # fmt: skip
        jobs = {
            run: replace(job, environment={**activated(own[run.member]), **job.environment})
            if run.member in own
            else job
            for run, job in jobs.items()
        }
    alone = len(jobs) == 1
    environment = activated(venv or Path(workspace.root) / VENV)
    return Runner(environment, jobs, parallel, None if alone else emit, announce).run()


def plan_runs(
    workspace: Workspace, members: tuple[Member, ...], name: str, arguments: tuple[str, ...]
) -> dict[Run, Job]:
    """Every run that task *name* in *members* takes, needs included. Raises `UnknownNeed`."""
    everyone = {member.name: member for member in workspace.members}
    pairs = [(edge.parent, edge.child) for edge in workspace.edges]
    jobs: dict[Run, Job] = {}
    waiting = [run for member in members if (run := _run(workspace, member, name)) is not None]
    wanted = set(waiting)
    while waiting:
        run = waiting.pop()
        if run in jobs:
            continue
        member = everyone.get(NormalizedName(run.member))
        task = _task(workspace, member, run.task)
        assert task is not None
        after: set[Run] = set()
        for need in task.needs:
            found = _needed(workspace, member, need, everyone, pairs)
            if found is None:
                raise UnknownNeed(task.name, need, workspace.place(task.written))
            # Run once for all members, a task is not before itself in those it depends on.
            after |= found - {run} if need.startswith("^") else found
        given = " ".join(map(shlex.quote, arguments)) if run in wanted and arguments else ""
        folder = "." if member is None else member.path
        cwd = str(Path(workspace.root) / folder)
        command = f"{task.command} {given}".strip()
        jobs[run] = Job(run, command, cwd, frozenset(after), dict(task.env))
        waiting += sorted(after)
    return jobs


def _needed(
    workspace: Workspace,
    member: Member | None,
    need: str,
    everyone: dict[NormalizedName, Member],
    pairs: list[tuple[NormalizedName, NormalizedName]],
) -> set[Run] | None:
    """The runs that *need* stands for; None if nobody in the whole workspace has such a task."""
    name = need.removeprefix("^")
    if not any(_task(workspace, each, name) is not None for each in everyone.values()):
        return None
    if need.startswith("^"):
        below = [] if member is None else reach([member.name], pairs) - {member.name}
        others = [everyone[other] for other in sorted(below)]
        return {run for other in others if (run := _run(workspace, other, name)) is not None}
    own = _run(workspace, member, name)
    return {own} if own is not None else set()


def _run(workspace: Workspace, member: Member | None, name: str) -> Run | None:
    task = _task(workspace, member, name)
    if task is None:
        return None
    if task.scope == "workspace" or member is None:
        return Run(ROOT, name)
    return Run(member.name, name)


def _written(workspace: Workspace, run: Run) -> Place:
    """Where the task of *run* is written."""
    task = _task(workspace, workspace.by_name.get(NormalizedName(run.member)), run.task)
    assert task is not None
    return workspace.place(task.written)


def _task(workspace: Workspace, member: Member | None, name: str) -> Task | None:
    tasks = workspace.settings.tasks if member is None else workspace.tasks(member)
    return next((task for task in tasks if task.name == name and (task.command or task.needs)), None)


def all_tasks(world: World) -> tuple[tuple[str, str], ...]:
    """(name, description or command) of every task of the workspace, by name."""
    workspace = open_workspace(world)
    found: dict[str, str] = {}
    for member in workspace.members:
        for task in workspace.tasks(member):
            found.setdefault(task.name, task.description or task.command)
    return tuple(sorted(found.items()))
