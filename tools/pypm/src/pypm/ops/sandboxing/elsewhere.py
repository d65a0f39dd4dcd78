"""A sandbox whose files are somewhere else: in a clean checkout, or in a copy, with an environment for them.

The environment leads to the files of that place, so it is made in the sandbox's own folder and goes with it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pypm.ops.opening import open_workspace
from pypm.ops.sandboxing.environment import member_environment, one_member, plain_environment
from pypm.ops.sandboxing.errors import NoProject
from pypm.ops.sandboxing.records import Ready, SandboxOptions
from pypm.ops.sandboxing.view import check_out, copy, forget_manifests, world_in
from pypm.ops.toolbox import open_tools
from pypm.ops.world import World
from pypm_model.names import ROOT
from pypm_model.records import record, replace
from pypm_workspace.discover import find_root
from pypm_workspace.errors import NoWorkspace


@record
class Elsewhere:
    """What was made."""

    ready: Ready
    forget: Callable[[], None]
    """To be called when it is gone."""


def in_checkout(world: World, options: SandboxOptions, target: Path, venv: Path) -> Elsewhere:
    """A checkout at the new path *target* (an empty folder may be there) with the environment *venv*. Raises
    `NoProject`, and what `check_out` and making the environment raise."""
    try:
        root = Path(find_root(world.cwd, world.environ).root)
    except NoWorkspace:
        raise NoProject("--checkout") from None
    member = _member(world, options)
    folder = check_out(root, target, venv.with_name("index"), world.environ, staged=options.staged)
    return _made_in(world, options, folder, member, venv)


def in_copy(
    world: World, options: SandboxOptions, project: Path, target: Path, venv: Path, ready: Ready
) -> Elsewhere:
    """A copy of *project* at the new path *target* with the environment *venv*; where there is no workspace,
    with the one that is *ready*."""
    folder = copy(project, target)
    if not ready.root:
        return Elsewhere(replace(ready, folder=str(folder)), lambda: None)
    return _made_in(world, options, folder, _member(world, options), venv)


def _member(world: World, options: SandboxOptions) -> str:
    """The chosen member's name, ``.`` for the root without one; empty if none is chosen."""
    if not options.selection.members:
        return ""
    workspace = open_workspace(world)
    with open_tools(world, workspace) as tools:
        member = one_member(tools, workspace, options.selection)
    assert member is not None
    return "." if member.name == ROOT else str(member.name)


def _made_in(world: World, options: SandboxOptions, root: Path, member: str, venv: Path) -> Elsewhere:
    """The environment for the workspace at *root*."""
    there = world_in(world, root)
    workspace = open_workspace(there)
    selection = replace(options.selection, members=(member,) if member else ())
    with open_tools(there, workspace) as tools:
        store = tools.store

        def forget() -> None:
            store.release(venv)
            forget_manifests(there, workspace.root)

        try:
            chosen = one_member(tools, workspace, selection)
            if chosen is None:
                ready = plain_environment(tools, options.extra)
            else:
                ready = member_environment(
                    tools, workspace, chosen, selection, options.extra, frozen=options.frozen, apart=venv
                )
        except BaseException:
            forget()
            raise
    return Elsewhere(ready, forget)
