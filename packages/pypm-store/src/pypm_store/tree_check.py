"""Whether a tree is still what was unpacked.

Environments share a tree's files, and a user (as root, also against the read-only modes) can change
them through any environment. So before a tree is used it is looked at: every file there, regular,
readable, as long as it was and not touched since the manifest was written, every folder without
anything added or taken away since then. That finds all changes but those that were made to be hidden.

A tree written before the machine last stopped may have lost what was not on the disk yet: unless it
is known to be settled, its contents are compared with RECORD once.
"""

from __future__ import annotations

import os
import stat
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pypm_model.later import later
from pypm_store import looking
from pypm_store.boot import boot_id
from pypm_store.looking import look_whole
from pypm_store.manifest import MANIFEST, SETTLED
from pypm_store.shared_work import share_out
from pypm_store.tree import Tree, read_tree

if TYPE_CHECKING:
    import csv
    import hashlib
else:
    csv = later("csv")
    hashlib = later("hashlib")

_SHARED = 5000
"""Files from which a second process, which takes some milliseconds to start, pays."""


def is_sound(tree: Tree) -> bool:
    """Whether the tree may be used as it is. One stat per file and folder: 2 µs each."""
    if not looks_whole(tree):
        return False
    if is_settled(tree):
        return True
    if not has_right_content(tree):
        return False
    mark_settled(tree)
    return True


def sound_tree(root: Path) -> Tree | None:
    """The tree in the folder *root* if it is there and may be used as it is; None otherwise, also if `mend`
    could put it right. Changes nothing and waits for nobody."""
    tree = read_tree(root)
    return tree if tree is not None and is_sound(tree) else None


def looks_whole(tree: Tree) -> bool:
    """The quick look: names, kinds, modes, sizes and times, no contents (`pypm_store.looking`)."""
    return look_whole(str(tree.root), tree.rooms, tree.sizes, tree.folders, tree.executables)


def are_sound(trees: Sequence[Tree]) -> list[bool]:
    """`is_sound` of each of *trees*; many are looked at by two processes."""
    answers = [False] * len(trees)

    def look(number: int) -> bool:
        return is_sound(trees[number])

    files = sum(len(tree.files) for tree in trees)
    share_out(len(trees), look, answers.__setitem__, workers=2 if files >= _SHARED else 1)
    return answers


def has_right_content(tree: Tree) -> bool:
    """Whether every file has the hash that RECORD says. Reads everything: 1 s per GB."""
    own = f"site/{tree.info}/RECORD"
    try:
        with open(tree.root / own, encoding="utf-8", newline="") as file:
            rows = [(f"site/{row[0]}", row[1]) for row in csv.reader(file) if row]
        rows += [(row[0], row[1]) for row in csv.reader(tree.records.splitlines()) if row]
        unhashed = {own, f"{own}.jws", f"{own}.p7s"}
        if {path for path, _ in rows} != set(tree.paths()):
            return False
        for path, digest in rows:
            if not digest:
                if path not in unhashed:
                    return False
                continue
            algorithm, _, encoded = digest.partition("=")
            with open(tree.root / path, "rb") as content:
                actual = hashlib.new(algorithm, content.read()).digest()
            if urlsafe_b64encode(actual).rstrip(b"=") != encoded.rstrip("=").encode():
                return False
    except (OSError, ValueError, IndexError, csv.Error):
        return False
    return True


def mend(tree: Tree) -> bool:
    """Puts modes and times right if nothing else is wrong: every file has its right content, and
    there is no other. True if the tree is sound now. Call it under the tree's lock."""
    base = f"{tree.root}{os.sep}"
    folders = ["site", *(f"site/{folder}" for folder in tree.folders)]
    caches = [f"site/{cache}" for cache in tree.caches]
    try:
        for folder in folders:
            _change_mode(base + folder, stat.S_IFDIR, 0o555)
        for cache in caches:
            os.makedirs(base + cache, exist_ok=True)
            _change_mode(base + cache, stat.S_IFDIR, 0o755)
        files = set(tree.paths())
        for path in files:
            _change_mode(base + path, stat.S_IFREG, 0o555 if path in tree.executables else 0o444)
        if _found(base, files) != {*files, *folders, *caches} or not has_right_content(tree):
            return False
        # Everything is older than the manifest again.
        os.utime(base + MANIFEST)
    except OSError:
        return False
    return looks_whole(tree)


def _change_mode(path: str, kind: int, mode: int) -> None:
    status = os.lstat(path)
    if stat.S_IFMT(status.st_mode) != kind:
        # Above all never through a link that somebody put there.
        raise NotADirectoryError(path)
    if stat.S_IMODE(status.st_mode) != mode:
        os.chmod(path, mode)


def _found(base: str, files: set[str]) -> set[str]:
    """All that is in ``site/``, and the files of the other rooms; bytecode that is none of *files*
    left out."""
    found: set[str] = set()
    for room in ("site", "scripts", "data", "headers"):
        for folder, folders, names in os.walk(base + room):
            inner = os.path.relpath(folder, base).replace(os.sep, "/")
            paths = [f"{inner}/{name}" for name in names]
            if inner.endswith("__pycache__"):
                paths = [path for path in paths if path in files or not path.endswith(".pyc")]
            found.update(paths)
            if room == "site":
                found.add(inner)
                found.update(f"{inner}/{one}" for one in folders if os.path.islink(f"{folder}/{one}"))
    return found


def is_settled(tree: Tree) -> bool:
    """Whether nothing of the tree can have been lost (`pypm_store.looking`)."""
    return looking.is_settled(str(tree.root), tree.boot)


def mark_settled(tree: Tree) -> None:
    """Remembers that the tree is whole and on the disk; in a store that cannot be written it is
    found out again the next time."""
    with suppress(OSError):
        (tree.root / SETTLED).touch()


def settle(trees: Iterable[Tree]) -> int:
    """Has the system write everything to the disk once and marks those of *trees* as settled that were made
    since the machine started; how many were not before. For quiet moments: it may take as long as the disk
    needs."""
    boot = boot_id()
    waiting = [tree for tree in trees if tree.boot == boot and not os.path.exists(tree.root / SETTLED)]
    if not boot or not waiting or sys.platform == "win32":
        return 0
    os.sync()
    for tree in waiting:
        mark_settled(tree)
    return len(waiting)
