"""The text that says what an unpacked wheel is made of, taken apart: `pypm_store.tree` makes a `Tree` of it.

A module of its own because a sync that only links needs no more than the lists, and loads next to nothing.
"""

from __future__ import annotations

import os
from binascii import crc32

MANIFEST = "tree"
SETTLED = "settled"
FIRST = "pypm-tree 1"
CACHE = "__pycache__"
LIST = "bytecode-"


class Listed:
    """What a manifest says. Texts are as in `Tree`; of *head* `pypm_store.tree` knows the parts."""

    __slots__ = (
        "boot", "caches", "data", "executables", "files", "folders", "head", "headers", "points", "records",
        "scripts", "sizes",
    )  # fmt: skip

    def __init__(self, lines: list[str]) -> None:
        self.head = lines[1:8]
        """Name, version, .dist-info folder, whether purelib, tags, top level, import names."""
        self.boot, caches, sizes, runnable, counts = lines[8:13]
        at = 13
        lists: list[tuple[str, ...]] = []
        for count in map(int, counts.split()):
            lists.append(tuple(lines[at : at + count]))
            at += count
        self.points, self.folders, self.files, self.scripts, self.data, self.headers, self.records = lists
        around = ("", *(f"{folder}/" for folder in self.folders)) if caches else ()
        self.caches = tuple([around[int(number)] + CACHE for number in caches.split()])
        self.sizes = tuple(map(int, sizes.split()))
        self.executables = frozenset([self._path(int(number)) for number in runnable.split()])

    def rooms(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """(room, its files), in the order of *sizes*."""
        return (
            ("site", self.files), ("scripts", self.scripts), ("data", self.data), ("headers", self.headers),
        )  # fmt: skip

    def _path(self, number: int) -> str:
        """Of a file, with its room."""
        for room, names in self.rooms():
            if number < len(names):
                return f"{room}/{names[number]}"
            number -= len(names)
        raise IndexError


def read_manifest(folder: str) -> Listed | None:
    """What the manifest of the tree in *folder* says; None if there is none, or it is not whole."""
    try:
        with open(f"{folder}{os.sep}{MANIFEST}", "rb") as file:
            raw = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    body, _, last = raw.rpartition(b"\nend ")
    if last != b"%08x\n" % crc32(body):
        return None
    lines = body.decode().split("\n")
    return Listed(lines) if lines[0] == FIRST else None


def read_bytecode(folder: str, cache_tag: str) -> tuple[str, ...] | None:
    """What `pypm_store.tree.list_bytecode` wrote down for the tree in *folder*, below ``site/``; None if it
    was not called."""
    try:
        with open(bytecode_list(folder, cache_tag), encoding="utf-8") as file:
            return tuple(file.read().splitlines())
    except FileNotFoundError:
        return None


def bytecode_list(folder: str | os.PathLike[str], cache_tag: str) -> str:
    """The file in the tree in *folder* that says what bytecode there is for one interpreter."""
    return f"{os.fspath(folder)}{os.sep}{LIST}{cache_tag}"
