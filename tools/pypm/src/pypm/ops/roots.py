"""From what the user spelled to entry points into the lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pypm.ops.opening import folder_in
from pypm.ops.selection import Selection
from pypm.ops.world import World
from pypm_model.errors import PypmError
from pypm_model.later import later
from pypm_model.names import ROOT, NormalizedName, normalize
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


_FEW = 8
"""Names that a hint lists."""


class UnknownChoice(PypmError):
    """An extra or group that none of the selected members has."""

    code: ClassVar[str] = "unknown-choice"
    exit: ClassVar[int] = 2
    kind: str
    name: str
    members: tuple[str, ...]
    """Those that are selected."""
    known: tuple[str, ...]
    """What they have of this kind."""
    elsewhere: tuple[str, ...] = ()
    """Other members, which have it."""

    def __str__(self) -> str:
        if len(self.members) == 1:
            return f"`{self.members[0]}` has no {self.kind} {self.name!r}"
        return f"no selected member has the {self.kind} {self.name!r}"

    @property
    def hint(self) -> str | None:
        if self.elsewhere:
            return f"`{self.elsewhere[0]}` has it: -p {self.elsewhere[0]}"
        near = nearest(self.name, self.known)
        if near or not self.known:
            return near
        more = ", ..." if len(self.known) > _FEW else ""
        return f"there is {', '.join(f'`{name}`' for name in self.known[:_FEW])}{more}"


class ExtrasLeftOut(PypmError):
    """Extras are asked for of members that are left out themselves."""

    code: ClassVar[str] = "extras-left-out"
    exit: ClassVar[int] = 2

    def __str__(self) -> str:
        return "--only-group leaves the members themselves out, and with them their extras"

    @property
    def hint(self) -> str:
        return "leave out --extra and --all-extras, or take --group for --only-group"


def selected_members(world: World, workspace: Workspace, selection: Selection) -> tuple[Member, ...]:
    """The members a selection names; all of them if it names none. Raises `UnknownMember`."""
    return select(workspace, selection.members, folder=folder_in(workspace, world))


def roots_of(world: World, workspace: Workspace, lock: Lock, selection: Selection) -> tuple[Root, ...]:
    """Entry points into *lock* for *selection*, sorted by member.

    Extras and groups apply to every selected member that has them; one that none has is an error.
    Without members named, the virtual root's groups belong to the selection too. What a member has
    is what the lock says: its build backend may have had a word in it. Raises `UnknownMember`,
    `UnknownChoice`, `ExtrasLeftOut`, `NotLocked`.
    """
    if selection.only_groups and (selection.extras or selection.all_extras):
        raise ExtrasLeftOut()
    members = selected_members(world, workspace, selection)
    locked = {package.name: package for package in lock.packages if package.manifest is not None}
    missing = next((member.name for member in members if member.name not in locked), None)
    if missing is not None:
        raise lock_select.NotLocked(locks.Root(missing))
    has_extras = {m.name: tuple(e for e, _ in locked[m.name].extras) for m in members}
    has_groups = {m.name: tuple(g for g, _ in locked[m.name].groups) for m in members}
    extras = {normalize(name) for name in selection.extras}
    groups = {normalize(name) for name in (*selection.groups, *selection.only_groups)}
    others = [package for package in locked.values() if package.name not in has_extras]
    _check("extra", extras, has_extras, {p.name: [e for e, _ in p.extras] for p in others})
    _check("dependency group", groups, has_groups, {p.name: [g for g, _ in p.groups] for p in others})
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


def _check(
    kind: str,
    wanted: set[NormalizedName],
    has: Mapping[NormalizedName, Sequence[NormalizedName]],
    others: Mapping[NormalizedName, Sequence[NormalizedName]],
) -> None:
    known = {name for names in has.values() for name in names}
    for name in sorted(wanted - known):
        elsewhere = sorted(member for member, names in others.items() if name in names)
        shown = ["(root)" if member == ROOT else str(member) for member in has]
        raise UnknownChoice(kind, name, tuple(shown), tuple(sorted(known)), tuple(elsewhere))
