"""``pypm export``: the lock for other tools."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pypm.ops.locking import Locking, lock_workspace, write_lock
from pypm.ops.opening import open_workspace
from pypm.ops.partial import open_partly
from pypm.ops.roots import roots_of, selected_members
from pypm.ops.selection import Selection
from pypm.ops.toolbox import open_tools
from pypm.ops.tools import Tools
from pypm.ops.world import World
from pypm_index.addresses import without_userinfo
from pypm_model.activation import extra_flag, group_flag, member_flag
from pypm_model.artifacts import Artifact
from pypm_model.errors import PypmError
from pypm_model.locks import Lock, LockedPackage
from pypm_model.names import NormalizedName
from pypm_model.pylock import Locate, member_names, to_pylock, workspace_names
from pypm_model.records import record
from pypm_model.requirements_file import to_requirements
from pypm_model.sources import IndexSource
from pypm_store.atomic import write_atomically
from pypm_workspace.workspace import Workspace


class OneMemberOnly(PypmError):
    """A pylock file is of the whole workspace or of one member."""

    code: ClassVar[str] = "one-member-only"
    exit: ClassVar[int] = 2
    members: tuple[str, ...]

    def __str__(self) -> str:
        return f"a pylock file is of the whole workspace or of one member, not of {len(self.members)}"


@record
class ExportOptions:
    """*form* is ``pylock.toml`` or ``requirements.txt``; *output* a file, None for the text alone."""

    form: str = "pylock.toml"
    output: str | None = None
    selection: Selection = Selection()
    hashes: bool = True
    editable: bool = True
    frozen: bool = False
    members: bool = True
    """False: only what members need from elsewhere."""


def export(world: World, options: ExportOptions) -> str:
    """The exported text, written to *output* if there is one. Locks first, unless *frozen*."""
    partly = options.frozen and options.selection.members
    workspace = open_partly(world) if partly else open_workspace(world)
    with open_tools(world, workspace) as tools:
        locked = lock_workspace(tools, workspace, Locking(frozen=options.frozen))
        write_lock(workspace, locked)
        lock = locked.lock
        if options.form == "requirements.txt":
            roots = roots_of(world, workspace, lock, options.selection)
            text = to_requirements(
                lock, roots, hashes=options.hashes, editable=options.editable, members=options.members
            )
        else:
            text = _pylock(tools, workspace, lock, options)
    if options.output is not None:
        write_atomically(Path(world.cwd) / options.output, text)
    return text


def _pylock(tools: Tools, workspace: Workspace, lock: Lock, options: ExportOptions) -> str:
    """The PEP 751 text. What the selection chooses are the default groups; all others can be asked for."""
    if options.selection.members:
        members = selected_members(tools.world, workspace, options.selection)
        if len(members) != 1:
            raise OneMemberOnly(tuple(member.name for member in members))
        names = member_names(lock, members[0].name)
    else:
        names = workspace_names(lock)
    chosen: set[str] = set()
    for root in roots_of(tools.world, workspace, lock, options.selection):
        chosen |= {member_flag(root.member)} if root.project else set()
        chosen |= {extra_flag(root.member, extra) for extra in root.extras}
        chosen |= {group_flag(root.member, group) for group in root.groups}
    return to_pylock(
        lock,
        names,
        _locate(tools, lock),
        default_groups=[name for flag, name in names.groups if flag in chosen],
        editable=options.editable,
        members=options.members,
    )


def _locate(tools: Tools, lock: Lock) -> Locate:
    """Addresses of all files, without credentials, as the indexes give them now."""
    wanted = [
        (package.name, package.source.index, file)
        for package in lock.packages
        if isinstance(package.source, IndexSource)
        for file in package.files
    ]
    found = tools.catalog.locate(wanted)
    addresses: Mapping[tuple[NormalizedName, str], str] = {
        (name, file.filename): located.url for (name, _, file), located in zip(wanted, found, strict=True)
    }

    def locate(package: LockedPackage, artifact: Artifact) -> str:
        return without_userinfo(addresses[package.name, artifact.filename])

    return locate
