"""``pypm outdated``: what is locked, what the manifests would allow, and what there is."""

from __future__ import annotations

from pypm.ops.lock_faults import LockMissing
from pypm.ops.locking import Locking, lock_workspace
from pypm.ops.old_lock import lock_text
from pypm.ops.opening import open_workspace
from pypm.ops.releases import listings, newest
from pypm.ops.roots import selected_members
from pypm.ops.selection import Selection
from pypm.ops.toolbox import open_tools
from pypm.ops.world import LOCK, World
from pypm_model.lock_text import read
from pypm_model.locks import Lock
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_model.sources import IndexSource
from pypm_model.versions import sort_key
from pypm_workspace.edges import asked_by


@record
class OutdatedOptions:
    """*everything*: also what no member asks for itself."""

    members: tuple[str, ...] = ()
    everything: bool = False


@record
class Outdated:
    """One package that could be newer."""

    name: NormalizedName
    locked: tuple[str, ...]
    """Ascending; several where the lock is split."""
    wanted: tuple[str, ...]
    """What ``pypm update`` would lock."""
    latest: str
    """The newest release, whatever the manifests say."""
    members: tuple[NormalizedName, ...]
    """Those that ask for it themselves, sorted."""


def outdated(world: World, options: OutdatedOptions) -> tuple[Outdated, ...]:
    """The packages of the lock that have a newer release, by name. Nothing is written."""
    workspace = open_workspace(world)
    chosen = selected_members(world, workspace, Selection(members=options.members))
    askers: dict[NormalizedName, set[NormalizedName]] = {}
    for member in chosen:
        for _, _, asked in asked_by(member):
            askers.setdefault(asked.requirement.name, set()).add(member.name)
    text = lock_text(workspace)
    if text is None:
        raise LockMissing(LOCK)
    with open_tools(world, workspace) as tools:
        now = _versions(read(text, LOCK))
        wanted = _versions(lock_workspace(tools, workspace, Locking(upgrade=True)).lock)
        names = [name for name in sorted(now) if options.everything or name in askers]
        found = listings(tools, [(name, now[name][1]) for name in names])
    rows = []
    for name in names:
        versions, _ = now[name]
        latest = newest(found[name]) if name in found else ""
        after = wanted.get(name, ((), ""))[0]
        if (latest and sort_key(latest) > sort_key(versions[-1])) or after != versions:
            rows.append(Outdated(name, versions, after, latest, tuple(sorted(askers.get(name, ())))))
    return tuple(rows)


def _versions(lock: Lock) -> dict[NormalizedName, tuple[tuple[str, ...], str]]:
    """Versions, ascending, and the index of each package that is from one."""
    found: dict[NormalizedName, tuple[tuple[str, ...], str]] = {}
    for package in lock.packages:
        if isinstance(package.source, IndexSource):
            known = found.get(package.name, ((), ""))[0]
            versions = tuple(sorted({*known, package.version}, key=sort_key))
            found[package.name] = versions, package.source.index
    return found
