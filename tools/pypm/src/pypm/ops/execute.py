"""``pypm run``: a task over members."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from pypm import _tasks
from pypm._tasks import SHELL, Alone
from pypm.ops.activation import process_environment
from pypm.ops.command import Command
from pypm.ops.places import place_of
from pypm.ops.roots import selected_members
from pypm.ops.schedule import Finished, Job, Run, Runner, check_order
from pypm.ops.selection import Selection
from pypm.ops.stamping import leave_inputs
from pypm.ops.world import VENV, World
from pypm_model.errors import Place, PypmError
from pypm_model.names import ROOT, NormalizedName
from pypm_model.records import replace
from pypm_workspace.configuration import Member, Task
from pypm_workspace.select import reach
from pypm_workspace.workspace import Workspace


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


def lone_command(
    world: World, workspace: Workspace, jobs: Mapping[Run, Job], venv: Path | None
) -> Command | None:
    """The process to become if *jobs* are one command; None where they are not, or there is no shell."""
    if len(jobs) != 1 or os.name != "posix" or not os.access(SHELL, os.X_OK):
        return None
    (job,) = _activated(world, workspace, jobs, venv).values()
    return Command((SHELL, "-c", job.command), dict(job.environment), job.cwd) if job.command else None


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
    jobs = _activated(world, workspace, jobs, venv)
    return Runner(jobs, parallel, None if len(jobs) == 1 else emit, announce).run()


def _activated(
    world: World, workspace: Workspace, jobs: Mapping[Run, Job], venv: Path | None
) -> dict[Run, Job]:
    """*jobs* with all variables that their commands are given."""

    def activated(folder: Path) -> dict[str, str]:
        return {**process_environment(folder, world.environ), "PYP_WORKSPACE_ROOT": workspace.root}

    shared = activated(venv or Path(workspace.root) / VENV)
    own = {}
    if venv is None:
        for member in {run.member for run in jobs} & set(workspace.by_name):
            own[member] = activated(place_of(workspace, workspace.by_name[NormalizedName(member)]).venv)
    return {
        run: replace(job, environment={**own.get(run.member, shared), **job.environment})
        for run, job in jobs.items()
    }


def keep_tasks(world: World, workspace: Workspace) -> None:
    """Leaves what `pypm._tasks` reads, so that the next run reads no manifests. Not where there is something
    to warn of: that is said each time."""
    key = _tasks.key()
    if workspace.warnings or key is None or _tasks.remembered() is not None:
        return
    leave_inputs(
        workspace.root, workspace.inputs, key, _tasks.to_text(plain_tasks(world, workspace)), _tasks.NAME
    )


def plain_tasks(world: World, workspace: Workspace) -> dict[str, Alone | None]:
    """Every task that a member has, by name: what it runs, if that is one command with nothing before it."""
    found: dict[str, Alone | None] = {}
    runs: dict[str, Run] = {}
    for member in selected_members(world, workspace, Selection()):
        for task in workspace.tasks(member):
            run = _run(workspace, member, task.name)
            if run is None or run == runs.get(task.name):
                continue
            runs[task.name] = run
            plain = task.name not in found and task.command and not task.needs
            found[task.name] = _alone(workspace, run) if plain else None
    return found


def _alone(workspace: Workspace, run: Run) -> Alone | None:
    member = workspace.by_name.get(NormalizedName(run.member))
    task = _task(workspace, member, run.task)
    if task is None:
        return None
    cwd = str(Path(workspace.root) / ("." if member is None else member.path))
    return Alone(str(run), task.command.strip(), cwd, dict(task.env))


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


def all_tasks(workspace: Workspace) -> tuple[tuple[str, str], ...]:
    """(name, description or command) of every task of *workspace*, by name."""
    found: dict[str, str] = {}
    for member in workspace.members:
        for task in workspace.tasks(member):
            found.setdefault(task.name, task.description or task.command)
    return tuple(sorted(found.items()))
