"""From what the user spelled to entry points into the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pypm.ops.opening import folder_in
from pypm.ops.selection import Selection
from pypm.ops.world import World
from pypm_model.errors import PypmError
from pypm_model.later import later
from pypm_model.names import NormalizedName, normalize
from pypm_workspace.configuration import Member
from pypm_workspace.faults import nearest
from pypm_workspace.select import select
from pypm_workspace.workspace import Workspace

if TYPE_CHECKING:
    from pypm_model import lock_select, locks
    from pypm_model.locks import Lock, Root
else:
    lock_select = later("pypm_model.lock_select")
    locks = later("pypm_model.locks")


class UnknownChoice(PypmError):
    """An extra or group that none of the selected members has."""

    code: ClassVar[str] = "unknown-choice"
    exit: ClassVar[int] = 2
    kind: str
    name: str
    near: str | None

    def __str__(self) -> str:
        return f"no selected member has the {self.kind} {self.name!r}"

    @property
    def hint(self) -> str | None:
        return self.near


def selected_members(world: World, workspace: Workspace, selection: Selection) -> tuple[Member, ...]:
    """The members a selection names; all of them if it names none. Raises `UnknownMember`."""
    return select(workspace, selection.members, folder=folder_in(workspace, world))


def roots_of(world: World, workspace: Workspace, lock: Lock, selection: Selection) -> tuple[Root, ...]:
    """Entry points into *lock* for *selection*, sorted by member.

    Extras and groups apply to every selected member that has them; one that none has is an error.
    Without members named, the virtual root's groups belong to the selection too. What a member has
    is what the lock says: its build backend may have had a word in it.
    """
    members = selected_members(world, workspace, selection)
    locked = {package.name: package for package in lock.packages if package.manifest is not None}
    missing = next((member.name for member in members if member.name not in locked), None)
    if missing is not None:
        raise lock_select.NotLocked(locks.Root(missing))
    has_extras = {m.name: tuple(e for e, _ in locked[m.name].extras) for m in members}
    has_groups = {m.name: tuple(g for g, _ in locked[m.name].groups) for m in members}
    extras = {normalize(name) for name in selection.extras}
    groups = {normalize(name) for name in (*selection.groups, *selection.only_groups)}
    _check("extra", extras, {name for names in has_extras.values() for name in names})
    _check("dependency group", groups, {name for names in has_groups.values() for name in names})
    only = bool(selection.only_groups)
    found = []
    for member in members:
        defaults = set() if selection.no_default_groups or only else set(workspace.default_groups(member))
        chosen = tuple(
            g
            for g in has_groups[member.name]
            if (selection.all_groups or g in groups or g in defaults)
            and (g != "dev" or not selection.no_dev or g in groups)
        )
        project = not (member.is_virtual or only)
        if project or chosen:
            taken = tuple(
                e for e in has_extras[member.name] if project and (selection.all_extras or e in extras)
            )
            found.append(locks.Root(member.name, taken, chosen, project))
    return tuple(found)


def _check(kind: str, wanted: set[NormalizedName], known: set[NormalizedName]) -> None:
    for name in sorted(wanted - known):
        raise UnknownChoice(kind, name, nearest(name, known))
