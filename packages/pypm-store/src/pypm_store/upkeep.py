"""The store's housekeeping: what it takes, what nobody needs, and away with all of it.

The callers hold the store for themselves (`Store.prune`, `Store.clean`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from pypm_model.records import field, record
from pypm_store.atomic import beside_name, remove_tree, rename_over
from pypm_store.lease_file import REMADE
from pypm_store.leases import Named, drop_dead_leases, leased, read_leases
from pypm_store.locks import StoreBusy, holding
from pypm_store.remade import forget_remade, note_remade
from pypm_store.tree import read_tree
from pypm_store.tree_check import looks_whole

RECIPES = "recipes"
"""What syncs put in, to be done again: texts that name trees."""
BLUEPRINTS = "blueprints"
"""How that is done without looking closer, each by the name of its recipe."""
_KINDS = ("files", "trees", "built", "envs", "git", "metadata", "other")


@record
class Usage:
    """Bytes by kind: ``files``, ``trees``, ``built``, ``envs``, ``git``, ``metadata``, ``other``."""

    kinds: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.kinds.values())


@record(frozen=False, eq=False)
class Pruned:
    """What was removed."""

    counts: dict[str, int] = field(default_factory=dict)
    """Number of ``environments``, ``trees``, ``files``, ``built`` wheels, ``leases`` and ``leftovers``."""
    bytes: int = 0
    """Freed; what an environment still links is not counted."""

    def add(self, kind: str, freed: int = 0) -> None:
        """Counts one more of a kind."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.bytes += freed


def measure_store(path: Path) -> Usage:
    """Bytes in the files of the store, hard links counted once."""
    kinds = dict.fromkeys(_KINDS, 0)
    for entry in _entries(path):
        kind = "metadata" if entry.startswith("meta-") else entry if entry in kinds else "other"
        kinds[kind] += _size(path / entry)
    return Usage(kinds)


def prune_store(path: Path, named: Named) -> Pruned:
    """Removes what no lease of a living owner names, nor its own record, and what killed processes left."""
    pruned = Pruned()
    # Environments first: what they used may go with them.
    referred = leased(read_leases(path / "references"))
    drop_dead_leases(path / "references")
    for name in _entries(path / "envs"):
        if name.startswith("."):
            pruned.add("leftovers", remove_tree(path / "envs" / name))
        elif name not in referred and not _is_in_use(path, name):
            pruned.add("environments", _remove(path / "envs" / name))
    wanted = leased(read_leases(path / "leases"), named)
    for _ in range(drop_dead_leases(path / "leases", named)):
        pruned.add("leases")
    forget_remade(path, wanted)
    trees = path / "trees"
    for name in _entries(trees):
        if name.startswith("."):
            pruned.add("leftovers", remove_tree(trees / name))
        elif name not in wanted:
            pruned.add("trees", _remove(trees / name))
    files = path / "files"
    for prefix in _entries(files):
        for name in _entries(files / prefix):
            if name.startswith(".") or name.endswith(".part") or prefix == "incoming":
                pruned.add("leftovers", remove_tree(files / prefix / name))
            elif name not in wanted:
                pruned.add("files", remove_tree(files / prefix / name))
    built = path / "built"
    for key in _entries(built):
        if key.startswith("."):
            pruned.add("leftovers", remove_tree(built / key))
        elif _digest(built / key) not in wanted:
            pruned.add("built", _remove(built / key))
    for name in _entries(path / RECIPES):
        # Not counted: only a memory of what is counted.
        if not _can_be_followed(path, path / RECIPES / name):
            pruned.bytes += remove_tree(path / RECIPES / name)
    for name in set(_entries(path / BLUEPRINTS)) - set(_entries(path / RECIPES)):
        pruned.bytes += remove_tree(path / BLUEPRINTS / name)
    for name in _entries(path):
        if name.endswith(".damaged"):
            # The mark stays: the file that took the damaged one's place is known by it.
            for ending in (".sqlite", ".sqlite-wal", ".sqlite-shm"):
                old = path / f"{name.removesuffix('.damaged')}{ending}"
                if old.exists():
                    pruned.add("leftovers", remove_tree(old))
    _drop_dead_locks(path / "locks")
    return pruned


def clean_store(path: Path, named: Named) -> int:
    """Removes everything but locks, and trees that living environments cannot do without; bytes freed."""
    freed = 0
    for name in _entries(path / "envs"):
        if not _is_in_use(path, name):
            freed += _remove(path / "envs" / name)
    drop_dead_leases(path / "leases")
    leases = read_leases(path / "leases")
    needed = leased((lease for lease in leases if lease.needs), named)
    _tell_of_damage(path, leased(leases) - needed)
    for name in _entries(path):
        if name == "trees" and needed:
            for digest in _entries(path / name):
                if digest not in needed:
                    freed += _remove(path / name / digest)
        elif name not in ("locks", "sandboxes", REMADE) and not (name in ("leases", "envs") and needed):
            freed += _remove(path / name)
    _drop_dead_locks(path / "locks")
    return freed


def _tell_of_damage(path: Path, digests: Iterable[str]) -> None:
    """While it can be seen which trees are damaged, of those whose files some environment holds."""
    for digest in digests:
        tree = read_tree(path / "trees" / digest)
        if tree is not None and not looks_whole(tree):
            note_remade(path, digest)


def in_use(name: str) -> str:
    """The lock that those hold who run something in the store's environment *name*."""
    return f"using-{name}"


def _is_in_use(path: Path, name: str) -> bool:
    try:
        with holding(path / "locks" / in_use(name), timeout=0):
            return False
    except StoreBusy:
        return True


def _drop_dead_locks(folder: Path) -> None:
    for name in _entries(folder):
        if name == "in-use":
            continue
        try:
            # Taking a lock and letting go removes its file, if nobody else has it.
            with holding(folder / name, timeout=0):
                pass
        except StoreBusy:
            continue


def _can_be_followed(path: Path, recipe: Path) -> bool:
    """Whether all the trees that the recipe names are there."""
    digests = set(re.findall(r"[0-9a-f]{64}", recipe.read_text(encoding="utf-8", errors="replace")))
    return all((path / "trees" / digest).is_dir() for digest in digests)


def _digest(place: Path) -> str:
    try:
        return (place / "sha256").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _remove(place: Path) -> int:
    """Removes a file or folder so that no one sees half of it."""
    aside = beside_name(place)
    rename_over(place, aside)
    return remove_tree(aside)


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _size(path: Path) -> int:
    total = 0
    seen: set[tuple[int, int]] = set()
    waiting = [os.fspath(path)]
    while waiting:
        place = waiting.pop()
        try:
            if not os.path.isdir(place) or os.path.islink(place):
                total += os.lstat(place).st_size
                continue
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                        continue
                    status = entry.stat(follow_symlinks=False)
                    if status.st_nlink > 1:
                        if (status.st_dev, status.st_ino) in seen:
                            continue
                        seen.add((status.st_dev, status.st_ino))
                    total += status.st_size
        except FileNotFoundError:
            continue
    return total
