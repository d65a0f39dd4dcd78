"""Which environment is meant, and where it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pypm.ops.opening import folder_in, open_workspace
from pypm.ops.roots import selected_members
from pypm.ops.selection import Selection
from pypm.ops.world import VENV, World
from pypm_model.errors import PypmError
from pypm_model.later import later
from pypm_model.names import ROOT
from pypm_model.records import record
from pypm_workspace.configuration import Member
from pypm_workspace.select import member_at
from pypm_workspace.workspace import Workspace

if TYPE_CHECKING:
    from pypm.ops import partial
else:
    partial = later("pypm.ops.partial")


class NoOneEnvironment(PypmError):
    """A command runs in one environment, and several are meant, or none."""

    code: ClassVar[str] = "no-one-environment"
    exit: ClassVar[int] = 2
    members: tuple[str, ...]
    """Those that were chosen; none: nothing says which."""
    sandbox: bool = False
    """It is a sandbox that is to be made for one."""

    def __str__(self) -> str:
        if not self.members:
            return "the members share no environment, and the current folder is none of theirs"
        shown = ", ".join(self.members[:4]) + (", ..." if len(self.members) > 4 else "")
        what = "a sandbox is made" if self.sandbox else "a command runs in the environment"
        word = "for" if self.sandbox else "of"
        return f"{what} {word} one member, not {word} {len(self.members)}: {shown}"

    @property
    def hint(self) -> str:
        if self.sandbox:
            return f"choose one with -p; `--with {self.members[-1]}` puts another one in, too"
        return "choose one member with -p"


class NoEnvironment(PypmError):
    """An environment is asked for as it is, and was not made yet."""

    code: ClassVar[str] = "no-environment"
    member: str
    """Whose it is; empty: the one that the members share."""
    folder: str

    def __str__(self) -> str:
        return f"{self.member or 'the workspace'} has no environment in {self.folder}"

    @property
    def hint(self) -> str:
        return f"`{'pypm sync -p ' + self.member if self.member else 'pypm sync'}` makes it"


@record
class EnvironmentPlace:
    """One environment."""

    venv: Path
    member: str = ""
    """Whose it is; empty: the shared one."""


def environment_for(world: World, selection: Selection, *, partly: bool = False) -> EnvironmentPlace:
    """The environment in which a command runs: of the one member that *selection* names, the shared one,
    or, where nothing is shared, of the member in the current folder. Raises `NoOneEnvironment`,
    `UnknownMember`."""
    workspace = partial.open_partly(world) if partly and selection.members else open_workspace(world)
    if selection.members:
        members = selected_members(world, workspace, selection)
        if len(members) != 1:
            raise NoOneEnvironment(tuple(str(member.name) for member in members))
        return place_of(workspace, members[0])
    if workspace.settings.shared_environment:
        return EnvironmentPlace(Path(workspace.root) / VENV)
    member = member_at(workspace, folder_in(workspace, world))
    groups = selection.groups or selection.only_groups or selection.all_groups
    if member is None or (member.is_virtual and not (groups or workspace.default_groups(member))):
        raise NoOneEnvironment(())
    return place_of(workspace, member)


def place_of(workspace: Workspace, member: Member) -> EnvironmentPlace:
    """The member's own environment; that of a project alone is the workspace's."""
    if workspace.kind == "project":
        return EnvironmentPlace(Path(workspace.root) / VENV)
    name = "(root)" if member.name == ROOT else str(member.name)
    return EnvironmentPlace(Path(workspace.root) / member.path / VENV, name)
