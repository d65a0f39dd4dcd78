"""The store and the disks: room, ownership, links, what is damaged."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from pypm.ops.counting import count
from pypm.ops.doctor.finding import Said, issue, note, ok, unknown
from pypm.ops.doctor.mending import mend_environments, mend_tree, stale_in
from pypm.ops.doctor.patient import Patient
from pypm.ops.opening import open_store
from pypm_env.installed import trees_named
from pypm_env.stale import look
from pypm_store.bytecode_check import foreign_bytecode
from pypm_store.leases import Lease
from pypm_store.linking import able
from pypm_store.store import Store
from pypm_store.tree import Tree, read_tree
from pypm_store.tree_check import looks_whole

_LITTLE, _FULL = 1 << 30, 200 << 20
"""Bytes left from which a disk is nearly full, and full."""
_FEW_INODES, _NO_INODES = 50_000, 2_000
_SHOWN = 3
_SECONDS = 2.0
"""For looking at trees: what was not looked at until then is left out."""
_LARGEST_CACHE = 128 << 20
"""Bytes of a metadata cache that is read through."""
_REMOTE = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.sshfs", "glusterfs", "lustre")
)


def store_folder(patient: Patient) -> Iterator[Said]:
    """Whether the store can be written, by this user."""
    root = patient.store.root
    there = _existing(root)
    if there != root:
        if os.access(there, os.W_OK | os.X_OK):
            yield ok(f"{root} will be made when it is needed")
        else:
            yield issue(f"the store {root} cannot be made: {there} cannot be written", _elsewhere())
        return
    if not root.is_dir():
        yield issue(f"the store {root} is no folder", f"remove {root}, or set PYPM_CACHE_DIR")
        return
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        yield issue(f"the store {root} cannot be written", f"{_own(root)}, or {_elsewhere()}")
        return
    foreign = _foreign(patient.store)
    if foreign:
        yield issue(
            f"{len(foreign)} folders of the store belong to another user, the first is {foreign[0]}",
            _own(root),
        )
        return
    kind = filesystem_of(root)
    if kind in _REMOTE:
        yield note(
            f"the store {root} is on a network file system ({kind}): slow, and locks may not hold",
            _elsewhere(),
        )
    else:
        yield ok(str(root))


def links(patient: Patient) -> Iterator[Said]:
    """How files come from the store into environments."""
    store = _existing(patient.store.path)
    target = next((place for name in (".venv", ".pypm") if (place := patient.root / name).is_dir()), None)
    root = patient.root
    where = f"{patient.store.root} and {root}"
    fix = f"put the store on the disk of the workspace: export PYPM_CACHE_DIR={root.parent / '.pypm-cache'}"
    if os.stat(store).st_dev != os.stat(root).st_dev:
        yield note(f"{where} are on two devices: files are copied, which takes time and room", fix)
        return
    if store != patient.store.path:
        yield ok(f"{where} are on one device")
        return
    # On one device: where the workspace has no folder of ours to try it in, the store speaks for it.
    can = able(store, target if target is not None else store)
    ways = [way for way, works in (("hard links", can.hardlink), ("reflinks", can.reflink)) if works]
    if can.hardlink:
        yield ok(f"{' and '.join(ways)} from the store to the workspace")
    elif ways:
        yield ok(f"{ways[0]} from the store to the workspace, no hard links")
    else:
        yield note(f"{where} cannot be linked: files are copied, which takes time and room", fix)


def disk(patient: Patient) -> Iterator[Said]:
    """Room on the disks of the store, the workspace and the temporary folder."""
    yield from _by_device(patient, _space)


def inodes(patient: Patient) -> Iterator[Said]:
    """Files that can still be made on these disks."""
    if not hasattr(os, "statvfs"):
        yield ok("this system has no such limit")
        return
    yield from _by_device(patient, _inodes)


def _by_device(patient: Patient, judge: Callable[[Path], Said]) -> Iterator[Said]:
    """One answer for each device, all that is well in one line."""
    places = {
        "the store": patient.store.root,
        "the workspace": patient.root,
        "temporary files": _temporary(patient),
    }
    devices: dict[int, tuple[list[str], Path]] = {}
    for name, place in places.items():
        there = _existing(place)
        devices.setdefault(os.stat(there).st_dev, ([], there))[0].append(name)
    fine = []
    for names, place in devices.values():
        said = judge(place)
        if said.verdict == "ok":
            fine.append(f"{said.message} for {', '.join(names)}")
        else:
            yield Said(said.verdict, f"{said.message} for {', '.join(names)} ({place})", said.fix)
    if fine:
        yield ok("; ".join(fine))


def _space(place: Path) -> Said:
    free = shutil.disk_usage(place).free
    if free < _FULL:
        return issue(f"only {free >> 20} MiB are left", "pypm cache prune, or make room")
    if free < _LITTLE:
        return note(f"only {free >> 20} MiB are left", "pypm cache prune, or make room")
    return ok(f"{free >> 30} GiB are left")


def _inodes(place: Path) -> Said:
    status = os.statvfs(place)
    if not status.f_files:
        return ok("there is no limit")  # btrfs and others make them as they are needed
    free = status.f_favail
    if free < _NO_INODES:
        return issue(
            f"only {free} more files can be made", "remove folders with many small files; pypm cache prune"
        )
    if free < _FEW_INODES:
        return note(
            f"only {free} more files can be made", "remove folders with many small files; pypm cache prune"
        )
    return ok(f"{free} more files can be made")


def cache_health(patient: Patient) -> Iterator[Said]:
    """Whether what the store holds is whole, and what killed runs left in it."""
    store = patient.store
    if not store.path.is_dir():
        yield ok("there is no store yet")
        return
    quiet = True
    for file in sorted(store.path.glob("meta-*.sqlite")):
        if (said := _metadata(file)) is not None:
            quiet = False
            yield said
    damaged, looked, left = _damaged_trees(store)
    leases = store.leases()
    for tree, what in damaged:
        quiet = False
        users = sum(1 for lease in leases if lease.is_alive and tree.root.name in lease.digests)
        used = f"; {count(users, 'environment')} {'has' if users == 1 else 'have'} it" if users else ""
        yield issue(
            f"{tree.name} {tree.version} in the store is not what was unpacked ({tree.root}): {what}{used}",
            "pypm doctor --fix",
            partial(mend_tree, patient.world, tree.root.name),
        )
    holding = _holding_damage(patient, leases)
    if holding:
        quiet = False
        told = [f"{folder} ({', '.join(names)})" for folder, names in holding.items()]
        more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        yield issue(
            f"files that were damaged, and made anew in the store, are in {count(len(told), 'environment')}"
            f" of other workspaces: {', '.join(told[:_SHOWN])}{more}",
            "pypm doctor --fix, or pypm sync in each",
            partial(mend_environments, patient.world, tuple(holding)),
        )
    leftovers = _leftovers(store)
    dead = sum(1 for lease in leases if not lease.is_alive)
    if leftovers or dead:
        quiet = False
        told = [f"{count(len(leftovers), 'leftover')} of killed runs"] if leftovers else []
        told += [f"{count(dead, 'reference')} of environments that are gone"] if dead else []
        yield note(f"{store.path} has {' and '.join(told)}", "pypm cache prune", lambda: _prune(patient))
    if quiet:
        more = f", {left} not looked at" if left else ""
        yield ok(f"{count(looked, 'unpacked wheel')} {'is' if looked == 1 else 'are'} whole{more}")


def _prune(patient: Patient) -> None:
    open_store(patient.world).prune(trees_named)


def _holding_damage(patient: Patient, leases: Sequence[Lease]) -> dict[Path, list[str]]:
    """What is stale in environments that are not this workspace's, whose own check tells it."""
    store = patient.store
    remade = store.remade()
    own = {each.folder for each in patient.environments()} if remade and patient.workspace else set()
    found = {}
    for lease in leases:
        owner = lease.owner
        if lease.digests & remade.keys() and owner not in own and store.path not in owner.parents:
            names = stale_in(look(owner, store))
            if names:
                found[owner] = names
    return found


def _metadata(file: Path) -> Said | None:
    """What is wrong with a metadata cache; None if nothing. It is opened for reading alone."""
    fix = f"remove {file}: what it holds is fetched again"
    if file.stat().st_size > _LARGEST_CACHE:
        return None
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=2)) as database:
            told = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        return unknown(f"{file}: {error}")
    except sqlite3.DatabaseError as error:
        return issue(f"{file} is damaged: {error}", fix)
    return None if told and told[0] == "ok" else issue(f"{file} is damaged", fix)


def _damaged_trees(store: Store) -> tuple[list[tuple[Tree, str]], int, int]:
    """Trees that are not what was unpacked and what is wrong, how many were looked at, and how many not."""
    folder = store.path / "trees"
    names = (
        [name for name in sorted(os.listdir(folder)) if not name.startswith(".")] if folder.is_dir() else []
    )
    end = time.monotonic() + _SECONDS
    damaged: list[tuple[Tree, str]] = []
    for number, name in enumerate(names):
        if time.monotonic() > end:
            return damaged, number, len(names) - number
        tree = read_tree(folder / name)
        if tree is None:
            continue
        if not looks_whole(tree):
            damaged.append((tree, "a file was changed through a link of an environment"))
        elif foreign := foreign_bytecode(tree):
            first = f"{foreign[0]}{' and others' if len(foreign) > 1 else ''}"
            damaged.append((tree, f"{first} is not its source's bytecode, or was changed since it was made"))
    return damaged, len(names), 0


def _leftovers(store: Store) -> list[Path]:
    """What killed runs left and is a day old: younger ones may belong to a run that is at work."""
    before = time.time() - 86400
    found: list[Path] = []
    for pattern in ("trees/.*", "built/.*", "files/*/.*", "files/*/*.part", "files/incoming/*", "*.damaged"):
        found += [path for path in store.path.glob(pattern) if path.lstat().st_mtime < before]
    return found


def _foreign(store: Store) -> list[str]:
    """Folders of the store that belong to somebody else; nobody's, where there are no owners, or for root."""
    if os.name != "posix" or os.geteuid() == 0:
        return []
    mine = os.geteuid()
    places = [store.root, store.path, *(store.path.iterdir() if store.path.is_dir() else ())]
    return [str(place) for place in places if place.exists() and place.lstat().st_uid != mine]


def filesystem_of(place: Path) -> str:
    """The kind of file system *place* is on; empty where that cannot be told."""
    if sys.platform != "linux":
        return ""
    try:
        text = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    real = os.path.realpath(place)
    best, kind = "", ""
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        at = fields[1].replace("\\040", " ")
        inside = real == at or real.startswith(at.rstrip("/") + "/")
        if inside and len(at) >= len(best):
            best, kind = at, fields[2]
    return kind


def _existing(place: Path) -> Path:
    """*place*, or the nearest folder above that is there."""
    return next((each for each in (place, *place.parents) if each.exists()), place)


def _temporary(patient: Patient) -> Path:
    return Path(tempfile.gettempdir())


def _own(root: Path) -> str:
    return f"sudo chown -R $(id -un) {root}" if os.name == "posix" else f"give yourself the rights to {root}"


def _elsewhere() -> str:
    return "put it elsewhere with PYPM_CACHE_DIR"
