"""``pypm update`` and ``pypm dedupe``: other versions than the lock has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pypm._stamp import key_of
from pypm.ops.locking import Locked, Locking, lock_workspace
from pypm.ops.old_lock import lock_text, old_lock
from pypm.ops.opening import open_workspace
from pypm.ops.raising import raised
from pypm.ops.releases import listings, newest
from pypm.ops.roots import selected_members
from pypm.ops.selection import Selection
from pypm.ops.sync import SyncOptions
from pypm.ops.synced import MembersReport, SyncReport
from pypm.ops.toolbox import open_tools
from pypm.ops.tools import Tools
from pypm.ops.world import World
from pypm.ops.writing import write_all
from pypm_model import specifiers
from pypm_model.errors import PypmError
from pypm_model.lock_changes import LockDiff
from pypm_model.lock_diff import diff
from pypm_model.locks import Lock
from pypm_model.names import NormalizedName, normalize
from pypm_model.records import record
from pypm_model.requirement_text import to_text
from pypm_model.requirements import Requirement
from pypm_model.sources import IndexSource
from pypm_model.specifiers import InvalidSpecifier
from pypm_model.versions import sort_key
from pypm_workspace import edit
from pypm_workspace.catalog_edit import with_range
from pypm_workspace.configuration import Member
from pypm_workspace.discover import discover
from pypm_workspace.edges import asked_by
from pypm_workspace.edit import Target
from pypm_workspace.positions import undotted
from pypm_workspace.workspace import Workspace


class NobodyAsks(PypmError):
    """Requirements were to be rewritten that no selected member has."""

    code: ClassVar[str] = "nobody-asks"
    exit: ClassVar[int] = 2
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"no selected member asks for {', '.join(self.names)}"

    @property
    def hint(self) -> str:
        return "--latest rewrites what members ask for themselves; `pypm why NAME` tells who needs a package"


@record
class UpdateOptions:
    """*names*: only these packages; without them, those that *members* ask for themselves, if given.
    *latest*: requirements of *members* are rewritten where they keep the newest release out."""

    names: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    latest: bool = False
    sync: bool = True
    dry_run: bool = False


@record
class Rewritten:
    """A requirement that was rewritten in *file*; *catalog*: as the catalog's range, for all who ask for
    the bare name."""

    file: str
    requirement: str
    catalog: bool = False


@record
class UpdateReport:
    """What became of the manifests, the lock and the environment."""

    written: tuple[Rewritten, ...]
    diff: LockDiff
    sync: SyncReport | MembersReport | None
    is_new: bool
    """Whether the lock's text is another one, be it with the same versions."""
    dry_run: bool = False
    exports: tuple[str, ...] = ()
    """Files of ``[lock] export`` that were written."""


def update(world: World, options: UpdateOptions) -> UpdateReport:
    """Raises pins as far as the manifests allow: all of them, or those of some packages, and then as
    little else as possible."""
    workspace = open_workspace(world)
    with open_tools(world, workspace) as tools:
        names = options.names or _asked_by(tools, workspace, options.members)
        manifests, written = _latest(tools, workspace, options) if options.latest else ({}, ())
        there = discover(workspace.root, edited=manifests) if manifests else workspace
        how = Locking(upgrade=not (names or options.members), upgrade_packages=names)
        locked = lock_workspace(tools, there, how)
    return _done(world, workspace, manifests, written, locked, options)


def _asked_by(tools: Tools, workspace: Workspace, members: tuple[str, ...]) -> tuple[str, ...]:
    """What *members* ask for themselves, of what is locked."""
    if not members:
        return ()
    chosen = selected_members(tools.world, workspace, Selection(members=members))
    locked = old_lock(tools.world, workspace, lock_text(workspace)).names - workspace.by_name.keys()
    asked = {each.requirement.name for member in chosen for _, _, each in asked_by(member)}
    return tuple(sorted(asked & locked))


def _done(
    world: World,
    workspace: Workspace,
    manifests: Mapping[str, str],
    written: tuple[Rewritten, ...],
    locked: Locked,
    options: UpdateOptions,
) -> UpdateReport:
    changes = diff(locked.old, locked.lock) if locked.is_new else LockDiff()
    if options.dry_run:
        return UpdateReport(written, changes, None, locked.is_new, True)
    how = SyncOptions(stamp_key=key_of([])) if options.sync else None
    done = write_all(world, workspace, manifests, locked, how)
    return UpdateReport(written, changes, done.sync, locked.is_new, exports=done.exports)


def _latest(
    tools: Tools, workspace: Workspace, options: UpdateOptions
) -> tuple[dict[str, str], tuple[Rewritten, ...]]:
    """The manifests with requirements rewritten, by path, and what was rewritten in them."""
    members = selected_members(tools.world, workspace, Selection(members=options.members))
    names = {normalize(name) for name in options.names}
    asks = dict.fromkeys(entry for member in members for entry in _asks(workspace, member))
    missing = names - {requirement.name for _, _, requirement in asks}
    if missing:
        raise NobodyAsks(tuple(sorted(missing)))
    wanted = [ask for ask in asks if not names or ask[2].name in names]
    found = listings(tools, dict.fromkeys((requirement.name, "") for _, _, requirement in wanted))
    root = Path(workspace.root)
    manifests: dict[str, str] = {}
    written = []
    for file, target, requirement in wanted:
        latest = newest(found[requirement.name]) if requirement.name in found else ""
        if not latest or _allows(requirement, latest):
            continue
        raised_to = raised(requirement, latest)
        new = to_text(requirement._replace(specifier=raised_to))
        manifest = manifests.get(file) or edit.read_manifest(root / file)
        if target is None:
            manifests[file] = with_range(manifest, requirement.name, raised_to, file=file)
        else:
            manifests[file] = edit.add(manifest, new, target, file=file)
        written.append(Rewritten(file, new, target is None))
    return manifests, tuple(written)


_Ask = tuple[str, Target | None, Requirement]
"""The file, the list in it (None: it is the catalog), and what is asked."""


def _asks(workspace: Workspace, member: Member) -> list[_Ask]:
    """What *member* asks indexes for with a range, and where the range is written."""
    catalog = {entry.name: entry for entry in workspace.settings.catalog}
    found: dict[_Ask, None] = {}
    for kind, _, asked in asked_by(member):
        requirement = asked.requirement
        if requirement.name in workspace.by_name or requirement.url:
            continue
        if not requirement.specifier:
            entry = catalog.get(requirement.name)
            if entry is not None and entry.specifier and kind != "build":
                found[entry.written.file, None, Requirement(entry.name, (), entry.specifier, "", "")] = None
            continue
        # By where it is written: what a group includes is another's.
        match undotted(asked.table):
            case ("project", "dependencies"):
                target = Target()
            case ("project", "optional-dependencies", str(name)):
                target = Target("extra", name)
            case ("dependency-groups", str(name)):
                target = Target("group", name)
            case _:
                continue  # what builds the member, and a list that only uv knows
        found[member.file, target, requirement] = None
    return list(found)


def _allows(requirement: Requirement, version: str) -> bool:
    try:
        return specifiers.contains(requirement.specifier, version)
    except InvalidSpecifier:
        return True


@record
class DedupeOptions:
    """As in `UpdateOptions`."""

    sync: bool = True
    dry_run: bool = False


def dedupe(world: World, options: DedupeOptions) -> UpdateReport:
    """Locks one version of a package where the lock has several and one of these can serve everywhere;
    all else stays as it is."""
    workspace = open_workspace(world)
    with open_tools(world, workspace) as tools:
        best = lock_workspace(tools, workspace, Locking())
        chosen: dict[NormalizedName, str] = {}
        for name, versions in _repeated(best.lock):
            for version in versions:
                trial = tuple({**chosen, name: version}.items())
                found = lock_workspace(tools, workspace, Locking(prefer=trial))
                if _size(found.lock) < _size(best.lock):
                    best, chosen[name] = found, version
                    break
    return _done(world, workspace, {}, (), best, UpdateOptions(sync=options.sync, dry_run=options.dry_run))


def _repeated(lock: Lock) -> list[tuple[NormalizedName, tuple[str, ...]]]:
    """Packages with several versions, those newest first."""
    found: dict[NormalizedName, list[str]] = {}
    for package in lock.packages:
        if isinstance(package.source, IndexSource):
            found.setdefault(package.name, []).append(package.version)
    return [
        (name, tuple(sorted(versions, key=sort_key, reverse=True)))
        for name, versions in sorted(found.items())
        if len(versions) > 1
    ]


def _size(lock: Lock) -> int:
    return len(lock.packages)
