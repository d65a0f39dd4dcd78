"""Whether the bytecode in a tree belongs to its sources, as far as its header tells.

Folders for bytecode are the only ones in a tree that are written after it was unpacked: by pypm, which lists
what it made, and in a farm by each Python that imports. Contents are not compared with what compiling gives:
that takes as long as compiling. Two things are found that Python does not find itself: a file that is to be
used unchecked (PEP 552), and one that environments have by hard link, changed after it was listed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pypm_store.manifest import LIST
from pypm_store.tree import Tree

_HEADER = 16
_UNCHECKED = 0b01
_CHECKED = 0b11
_ONES = 0xFFFFFFFF


def foreign_bytecode(tree: Tree) -> list[str]:
    """Files (below ``site/``) in the tree's ``__pycache__`` folders that are not their sources' bytecode, or
    not what pypm listed. Some 10 µs each."""
    listed = _listed(tree)
    sources = {path for path in tree.files if path.endswith(".py")}
    shipped = set(tree.files)
    found = []
    for cache in tree.caches:
        try:
            names = sorted(os.listdir(tree.site / cache))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for name in names:
            path = f"{cache}/{name}"
            if name.endswith(".pyc") and path not in shipped and not _belongs(tree, path, sources, listed):
                found.append(path)
    return found


def drop_bytecode(tree: Tree, paths: list[str]) -> None:
    """Takes *paths* away, and what was listed for their interpreters: it is made again. Raises OSError."""
    for path in paths:
        os.unlink(tree.site / path)
    for name in _lists(tree):
        tag = name.removeprefix(LIST)
        if any(path.endswith(f".{tag}.pyc") for path in paths):
            (tree.root / name).unlink(missing_ok=True)


def _belongs(tree: Tree, path: str, sources: set[str], listed: dict[str, int]) -> bool:
    cache, _, name = path.rpartition("/")
    above = cache.rpartition("/")[0]
    source = next((one for one in _sources_of(f"{above}/" if above else "", name) if one in sources), None)
    if source is None:
        return False
    try:
        status = os.lstat(tree.site / path)
        is_younger = status.st_mtime_ns > listed.get(path, status.st_mtime_ns)
        # Python replaces a file, which makes a new one that nobody has by hard link yet.
        if not stat.S_ISREG(status.st_mode) or (is_younger and status.st_nlink > 1):
            return False
        with open(tree.site / path, "rb", 0) as file:
            header = file.read(_HEADER)
        origin = os.stat(tree.site / source)
    except OSError:
        return False
    if len(header) < _HEADER:
        return False
    flags, time, size = (int.from_bytes(header[at : at + 4], "little") for at in (4, 8, 12))
    if flags == _CHECKED:
        return True  # Python compares a hash of the source with it
    return flags == 0 and (time, size) == (int(origin.st_mtime) & _ONES, origin.st_size & _ONES)


def _sources_of(folder: str, name: str) -> Iterator[str]:
    """What may be the source of bytecode: ``m.cpython-312.opt-1.pyc`` is that of ``m.py``."""
    stem = name
    while "." in stem:
        stem = stem.rpartition(".")[0]
        yield f"{folder}{stem}.py"


def _lists(tree: Tree) -> list[str]:
    return [name for name in os.listdir(tree.root) if name.startswith(LIST)]


def _listed(tree: Tree) -> dict[str, int]:
    """When the list was written that a file is in, in nanoseconds: everything in it is older."""
    found: dict[str, int] = {}
    for name in _lists(tree):
        file = Path(tree.root, name)
        time = file.stat().st_mtime_ns
        found.update(dict.fromkeys(file.read_text(encoding="utf-8").splitlines(), time))
    return found
