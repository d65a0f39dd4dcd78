"""``pypm add`` and ``pypm remove``: edit manifests in place, lock, sync; all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pypm._stamp import key_of
from pypm.ops.locking import Locked, Locking, lock_workspace, write_lock
from pypm.ops.opening import folder_in, open_workspace
from pypm.ops.roots import selected_members
from pypm.ops.selection import Selection
from pypm.ops.sync import SyncOptions, SyncReport, sync
from pypm.ops.toolbox import open_tools
from pypm.ops.tools import Tools
from pypm.ops.world import World
from pypm_model.errors import PypmError
from pypm_model.lock_diff import LockDiff, diff
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_model.requirement_text import InvalidRequirement, parse
from pypm_model.requirements import Requirement
from pypm_model.sources import IndexSource
from pypm_model.versions import public, sort_key
from pypm_workspace import edit
from pypm_workspace.configuration import Member
from pypm_workspace.discover import discover
from pypm_workspace.edit import Target
from pypm_workspace.select import member_at
from pypm_workspace.workspace import Workspace


class NotARequirement(PypmError):
    """What was to be added is no requirement."""

    code: ClassVar[str] = "not-a-requirement"
    exit: ClassVar[int] = 2
    text: str
    reason: str

    def __str__(self) -> str:
        return f"{self.text!r} is no requirement: {self.reason}"

    @property
    def hint(self) -> str:
        return "write it like httpx, 'httpx>=0.28' or 'name @ git+https://...'; a member is added by its name"


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
    bound: bool = True
    """Give a bare name the locked version as its lower bound."""
    sync: bool = True
    dry_run: bool = False


@record
class EditReport:
    """What was written: (file, requirement) for each, the lock's change, and the sync's."""

    written: tuple[tuple[str, str], ...]
    diff: LockDiff
    sync: SyncReport | None


def add(world: World, options: EditOptions) -> EditReport:
    """Adds requirements to manifests. Nothing is written unless the whole can be locked."""
    asked = [_parsed(text) for text in options.requirements]
    workspace = open_workspace(world)
    members = _targets(world, workspace, options)

    def with_texts(texts: Sequence[str]) -> Callable[[str, Member], str]:
        def change(manifest: str, member: Member) -> str:
            for text in texts:
                manifest = edit.add(manifest, text, options.target, file=member.file)
            return manifest

        return change

    texts = list(options.requirements)
    with open_tools(world, workspace) as tools:
        manifests = _edited(workspace, members, with_texts(texts))
        locked = _locked(tools, workspace, manifests)
        if options.bound:
            bounded = [
                _bounded(text, each, workspace, locked) for text, each in zip(texts, asked, strict=True)
            ]
            if bounded != texts:
                texts = bounded
                manifests = _edited(workspace, members, with_texts(texts))
                locked = _locked(tools, workspace, manifests)
    written = tuple((member.file, text) for member in members for text in texts)
    return _finish(world, workspace, manifests, locked, written, options)


def remove(world: World, options: EditOptions) -> EditReport:
    """Removes requirements from manifests. Raises `NotAsked` for one that is not there."""
    workspace = open_workspace(world)
    members = _targets(world, workspace, options)
    names = [_parsed(text).name for text in options.requirements]

    def change(manifest: str, member: Member) -> str:
        for name in names:
            manifest = edit.remove(manifest, name, options.target, file=member.file)
        return manifest

    manifests = _edited(workspace, members, change)
    with open_tools(world, workspace) as tools:
        locked = _locked(tools, workspace, manifests)
    written = tuple((member.file, name) for member in members for name in names)
    return _finish(world, workspace, manifests, locked, written, options)


def _parsed(text: str) -> Requirement:
    try:
        return parse(text)
    except InvalidRequirement as error:
        raise NotARequirement(text, error.reason) from None


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


def _edited(
    workspace: Workspace, members: tuple[Member, ...], change: Callable[[str, Member], str]
) -> Mapping[str, str]:
    """The manifests as they would be, by path."""
    root = Path(workspace.root)
    return {member.file: change(edit.read_manifest(root / member.file), member) for member in members}


def _locked(tools: Tools, workspace: Workspace, manifests: Mapping[str, str]) -> Locked:
    """The lock that the edited manifests would have."""
    return lock_workspace(tools, discover(workspace.root, edited=manifests), Locking())


def _bounded(text: str, asked: Requirement, workspace: Workspace, locked: Locked) -> str:
    """*text* with the lowest locked version as lower bound, if it leaves the version open."""
    if asked.specifier or asked.url or asked.name in workspace.by_name:
        return text
    if any(entry.name == asked.name for entry in workspace.settings.catalog):
        return text
    versions = [
        package.version
        for package in locked.lock.packages
        if package.name == asked.name and isinstance(package.source, IndexSource)
    ]
    if not versions:
        return text
    lowest = public(min(versions, key=sort_key))
    name, _, rest = text.partition(";")
    return f"{name.strip()}>={lowest}" + (f"; {rest.strip()}" if rest.strip() else "")


def _finish(
    world: World,
    workspace: Workspace,
    manifests: Mapping[str, str],
    locked: Locked,
    written: tuple[tuple[str, str], ...],
    options: EditOptions,
) -> EditReport:
    """Writes manifests and lock, and syncs. The lock goes last: between the two a run would lock again."""
    changes = diff(locked.old, locked.lock)
    if options.dry_run:
        return EditReport(written, changes, None)
    for file, text in manifests.items():
        edit.write_manifest(Path(workspace.root) / file, text)
    write_lock(workspace, locked)
    report = sync(world, SyncOptions(stamp_key=key_of([]))) if options.sync else None
    return EditReport(written, changes, report)
