"""Whether a tree's native libraries look for others outside the tree, by paths relative to themselves.

A library that asks for ``$ORIGIN/../../nvidia/cublas/lib`` (ELF, System V ABI chapter 5) or
``@loader_path/../..`` (Mach-O) means its neighbours in site-packages. Behind a symbolic link to its package's
folder it would look beside the store's copy: such a tree has to be linked file by file.
"""

from __future__ import annotations

import mmap
import posixpath
import re
import struct
from collections.abc import Iterable, Iterator

from pypm_store.tree import Tree

_LIBRARY = re.compile(r"\.(?:so|dylib|pyd)(?:\.[0-9.]+)?$")
_ORIGINS = re.compile(rb"^(?:\$ORIGIN|\$\{ORIGIN\}|@loader_path)(?=/|$)")
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 5, 15, 29
_MACH = {
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
}


def leads_outward(tree: Tree) -> bool:
    """Whether some library of *tree* looks for others where the tree has nothing. Reads the heads of
    all libraries."""
    tops = {top.name for top in tree.top_level}
    for path in tree.files:
        if _LIBRARY.search(path) and _is_outward(path, search_paths(str(tree.site / path)), tops):
            return True
    return False


def _is_outward(path: str, searched: Iterable[bytes], tops: set[str]) -> bool:
    folder = posixpath.dirname(path)
    for entry in searched:
        origin = _ORIGINS.match(entry)
        if origin is None:
            continue
        rest = entry[origin.end() :].decode("utf-8", "surrogateescape")
        place = posixpath.normpath(posixpath.join(folder, "." + rest))
        if place != "." and place.partition("/")[0] not in tops:
            return True
    return False


def search_paths(file: str) -> list[bytes]:
    """The paths (RPATH, RUNPATH, or of Mach-O all that name the library's own place) in which the library
    *file* looks for others; none if it cannot be read."""
    try:
        with open(file, "rb") as opened:
            magic = opened.read(4)
            if magic != b"\x7fELF" and magic not in _MACH:
                return []
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
                if magic == b"\x7fELF":
                    return [piece for text in _elf_texts(data) for piece in text.split(b":")]
                return re.findall(rb"@loader_path[^\0]*", data)
    except (OSError, ValueError, IndexError, struct.error):
        return []


def _elf_texts(data: mmap.mmap) -> Iterator[bytes]:
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    head = struct.Struct(order + ("HHIQQQIHHH" if wide else "HHIIIIIHHH"))
    _, _, _, _, table, _, _, _, size, count = head.unpack_from(data, 16)
    entry = struct.Struct(order + ("IIQQQQQQ" if wide else "IIIIIIII"))
    loads: list[tuple[int, int, int]] = []
    dynamic = (0, 0)
    for number in range(count):
        fields = entry.unpack_from(data, table + number * size)
        # (type, offset in the file, address, bytes in the file)
        kind, offset, address, length = (
            (fields[0], fields[2], fields[3], fields[5])
            if wide
            else (fields[0], fields[1], fields[2], fields[4])
        )
        if kind == _PT_LOAD:
            loads.append((address, length, offset))
        elif kind == _PT_DYNAMIC:
            dynamic = (offset, length)
    pair = struct.Struct(order + ("qQ" if wide else "iI"))
    found: list[int] = []
    strings = 0
    for at in range(dynamic[0], dynamic[0] + dynamic[1], pair.size):
        tag, value = pair.unpack_from(data, at)
        if tag == 0:
            break
        if tag == _DT_STRTAB:
            strings = value
        elif tag in (_DT_RPATH, _DT_RUNPATH):
            found.append(value)
    start = next((offset + strings - address for address, length, offset in loads
                  if address <= strings < address + length), -1)  # fmt: skip
    if start < 0:
        return
    for value in found:
        end = data.find(b"\0", start + value)
        if end >= 0:
            yield data[start + value : end]
