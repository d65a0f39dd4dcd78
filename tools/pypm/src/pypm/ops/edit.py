"""``pypm add`` and ``pypm remove``: edit manifests in place, lock, sync; all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import ClassVar

from pypm._stamp import key_of
from pypm.ops.bounds import bounded
from pypm.ops.locking import Locked, Locking, lock_workspace
from pypm.ops.opening import folder_in, open_workspace
from pypm.ops.roots import selected_members
from pypm.ops.selection import Selection
from pypm.ops.sync import SyncOptions
from pypm.ops.synced import MembersReport, SyncReport
from pypm.ops.toolbox import open_tools
from pypm.ops.tools import Tools
from pypm.ops.wanted import Origin, Wanted, parsed, wanted
from pypm.ops.world import World
from pypm.ops.writing import write_all
from pypm_model.errors import PypmError
from pypm_model.lock_changes import LockDiff
from pypm_model.lock_diff import diff
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_workspace import edit
from pypm_workspace.configuration import Asked, Member
from pypm_workspace.discover import discover
from pypm_workspace.edit import Target
from pypm_workspace.select import member_at
from pypm_workspace.source_edit import inline, with_source, without_source
from pypm_workspace.workspace import Workspace


class WhichMember(PypmError):
    """The current folder belongs to no member, and none was named."""

    code: ClassVar[str] = "which-member"
    exit: ClassVar[int] = 2
    members: tuple[str, ...]

    def __str__(self) -> str:
        return "which member? The current folder is none's"

    @property
    def hint(self) -> str:
        shown = ", ".join(self.members[:8]) + (", ..." if len(self.members) > 8 else "")
        return f"name one with -p ({shown}), or add to a group of the workspace with --group"


@record
class EditOptions:
    """What to add or remove, and where."""

    requirements: tuple[str, ...]
    members: tuple[str, ...] = ()
    target: Target = Target()
    bounds: str = "lower"
    """What a bare name gets from the locked version: ``lower`` (>=), ``exact`` (==) or ``none``."""
    origin: Origin = Origin()
    raw: bool = False
    """Write requirements as they are: no bound, addresses in place."""
    sync: bool = True
    dry_run: bool = False


@record
class Written:
    """One requirement written to, or taken from, one file."""

    file: str
    requirement: str
    source: str = ""
    """The entry of the table of sources that was written with it."""
    dropped: bool = False
    """Whether its entry of that table was taken away with it."""


@record
class EditReport:
    """What was written, the lock's change, and the sync's."""

    written: tuple[Written, ...]
    diff: LockDiff
    sync: SyncReport | MembersReport | None
    exports: tuple[str, ...] = ()
    """Files of ``[lock] export`` that were written."""


def add(world: World, options: EditOptions) -> EditReport:
    """Adds requirements to manifests. Nothing is changed unless the whole can be locked and synced."""
    workspace = open_workspace(world)
    members = _targets(world, workspace, options)
    names = [member.name for member in members]
    asked = [
        wanted(world, workspace, text, options.origin, raw=options.raw, targets=names)
        for text in options.requirements
    ]
    sources = {
        (member.file, each.name): source
        for member in members
        for each in asked
        if (source := each.source_in(Path(workspace.root) / member.path)) is not None
    }

    def with_texts(texts: Sequence[str]) -> Callable[[str, Member], str]:
        def change(manifest: str, member: Member) -> str:
            for text, each in zip(texts, asked, strict=True):
                manifest = edit.add(manifest, text, options.target, file=member.file)
                source = sources.get((member.file, each.name))
                if source is not None:
                    uv = workspace.kind == "uv"
                    manifest = with_source(manifest, each.name, source, uv=uv, file=member.file)
            return manifest

        return change

    texts = [each.text for each in asked]
    with open_tools(world, workspace) as tools:
        manifests = edited(workspace, members, with_texts(texts))
        locked = locked_with(tools, workspace, manifests)
        bounded = [_bounded(each, options, workspace, locked) for each in asked]
        if bounded != texts:
            texts = bounded
            manifests = edited(workspace, members, with_texts(texts))
            locked = locked_with(tools, workspace, manifests)
    written = tuple(
        Written(member.file, text, inline(source) if source else "")
        for member in members
        for text, each in zip(texts, asked, strict=True)
        for source in [sources.get((member.file, each.name))]
    )
    return _finish(world, workspace, manifests, locked, written, options)


def remove(world: World, options: EditOptions) -> EditReport:
    """Removes requirements from manifests, and sources that then serve nothing. Raises `NotAsked` for a
    requirement that is not there."""
    workspace = open_workspace(world)
    members = _targets(world, workspace, options)
    names = [parsed(text).name for text in options.requirements]
    written: list[Written] = []

    def change(manifest: str, member: Member) -> str:
        for name in names:
            manifest = edit.remove(manifest, name, options.target, file=member.file)
            kept = manifest
            if not edit.where(manifest, name) and not serves_others(workspace, member, name):
                kept = without_source(manifest, name, file=member.file)
            written.append(Written(member.file, name, dropped=kept != manifest))
            manifest = kept
        return manifest

    manifests = edited(workspace, members, change)
    with open_tools(world, workspace) as tools:
        locked = locked_with(tools, workspace, manifests)
    return _finish(world, workspace, manifests, locked, tuple(written), options)


def serves_others(workspace: Workspace, member: Member, name: NormalizedName) -> bool:
    """Whether the source of *name* in the manifest of *member* is another's too: in a uv workspace the
    root's sources are everybody's."""
    if member.path != "." or workspace.kind != "uv":
        return False
    settings = workspace.settings
    asked = chain(
        settings.constraints,
        settings.overrides,
        *(
            chain(m.dependencies, *_lists(m.extras), *_lists(m.groups))
            for m in workspace.members
            if m.path != "."
        ),
    )
    return any(each.requirement.name == name for each in asked)


def _lists(table: tuple[tuple[NormalizedName, tuple[Asked, ...]], ...]) -> Iterator[tuple[Asked, ...]]:
    return (asked for _, asked in table)


def _targets(world: World, workspace: Workspace, options: EditOptions) -> tuple[Member, ...]:
    """The members to edit: those named, else the one the current folder is in."""
    if options.members:
        return selected_members(world, workspace, Selection(members=options.members))
    here = member_at(workspace, folder_in(workspace, world))
    if here is None or (here.is_virtual and options.target.kind != "group"):
        names = tuple(member.name for member in workspace.members if not member.is_virtual)
        if (
            here is None
            and options.target.kind == "group"
            and (Path(workspace.root) / "pyproject.toml").exists()
        ):
            # A root that has no group yet is no member, but it is where the first one goes.
            return (Member(NormalizedName("(root)"), "", "."),)
        raise WhichMember(names)
    return (here,)


def edited(
    workspace: Workspace, members: tuple[Member, ...], change: Callable[[str, Member], str]
) -> Mapping[str, str]:
    """The manifests as they would be, by path."""
    root = Path(workspace.root)
    return {member.file: change(edit.read_manifest(root / member.file), member) for member in members}


def locked_with(tools: Tools, workspace: Workspace, manifests: Mapping[str, str]) -> Locked:
    """The lock that the edited manifests would have."""
    return lock_workspace(tools, discover(workspace.root, edited=manifests), Locking())


def _bounded(each: Wanted, options: EditOptions, workspace: Workspace, locked: Locked) -> str:
    if options.raw or options.bounds == "none":
        return each.text
    packages, exact = locked.lock.packages, options.bounds == "exact"
    return bounded(each.requirement, each.text, workspace, packages, exact=exact)


def _finish(
    world: World,
    workspace: Workspace,
    manifests: Mapping[str, str],
    locked: Locked,
    written: tuple[Written, ...],
    options: EditOptions,
) -> EditReport:
    changes = diff(locked.old, locked.lock)
    if options.dry_run:
        return EditReport(written, changes, None)
    done = write_all(
        world, workspace, manifests, locked, SyncOptions(stamp_key=key_of([])) if options.sync else None
    )
    return EditReport(written, changes, done.sync, done.exports)
