"""Mach-O (`mach-o/loader.h`, `fat.h`, `nlist.h`): libraries of macOS, for one architecture or several."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from mmap import mmap

from pypm_plugins.images.image import BadImage, Image, check_extent

FAT = {b"\xca\xfe\xba\xbe": "IIIII", b"\xca\xfe\xba\xbf": "IIQQII"}
"""Universal files: what describes one architecture, big-endian."""
THIN = {
    b"\xce\xfa\xed\xfe": ("<", False),
    b"\xcf\xfa\xed\xfe": ("<", True),
    b"\xfe\xed\xfa\xce": (">", False),
    b"\xfe\xed\xfa\xcf": (">", True),
}
_MOST_ARCHITECTURES = 32
"""Of a universal file. The same four bytes begin a Java class, where a version of 45 or more follows."""
_MACHINES = {
    7: "i386",
    0x01000007: "x86_64",
    12: "arm",
    0x0100000C: "aarch64",
    18: "ppc",
    0x01000012: "ppc64",
}
_KINDS = {2: "program", 6: "library", 8: "library"}
_LC_SEGMENT, _LC_SYMTAB, _LC_SEGMENT_64 = 0x1, 0x2, 0x19
_LC_DYLD_INFO = {0x22, 0x80000022}
_LC_OF_LINKEDIT = {0x1D, 0x1E, 0x26, 0x29, 0x2B, 0x2E, 0x80000033, 0x80000034}
"""Commands that say where something is in the file, and how long: signatures, fixups, exports."""
_N_STAB, _N_PEXT, _N_TYPE, _N_EXT, _N_SECT, _N_INDR = 0xE0, 0x10, 0x0E, 0x01, 0x0E, 0x0A


def is_macho(head: bytes) -> bool:
    """Whether a file that begins with the eight bytes *head* is of this format."""
    if head[:4] in FAT:
        return 0 < int.from_bytes(head[4:8], "big") <= _MOST_ARCHITECTURES
    return head[:4] in THIN


def read_macho(data: bytes | mmap, wanted: Collection[str], machine: str) -> Image:
    """What the file *data* is; the functions are those of the part for *machine*. Raises `BadImage`."""
    try:
        if data[:4] not in FAT:
            return _read(data, 0, len(data), wanted)
        parts = [_read(data, start, size, wanted) for start, size in _slices(data)]
    except (struct.error, IndexError, OverflowError) as error:
        raise BadImage("it is cut short or damaged") from error
    ours = next((part for part in parts if machine in part.machines), parts[0])
    machines = tuple(name for part in parts for name in part.machines)
    return Image("Mach-O", ours.kind, machines, ours.functions)


def _slices(data: bytes | mmap) -> Iterator[tuple[int, int]]:
    entry = struct.Struct(">" + FAT[bytes(data[:4])])
    (count,) = struct.unpack_from(">I", data, 4)
    for number in range(count):
        _, _, start, size, *_ = entry.unpack_from(data, 8 + number * entry.size)
        check_extent(start + size, len(data))
        yield start, size


def _read(data: bytes | mmap, start: int, size: int, wanted: Collection[str]) -> Image:
    if bytes(data[start : start + 4]) not in THIN:
        raise BadImage("one of its architectures is no Mach-O file")
    order, wide = THIN[bytes(data[start : start + 4])]
    cpu, _, kind, count, _ = struct.unpack_from(f"{order}5I", data, start + 4)
    at = start + (32 if wide else 28)
    functions: frozenset[str] = frozenset()
    for _ in range(count):
        command, length = struct.unpack_from(f"{order}II", data, at)
        if command in (_LC_SEGMENT, _LC_SEGMENT_64):
            form = f"{order}QQ" if command == _LC_SEGMENT_64 else f"{order}II"
            offset, filled = struct.unpack_from(form, data, at + (40 if command == _LC_SEGMENT_64 else 32))
            check_extent(offset + filled, size)
        elif command == _LC_SYMTAB:
            table = struct.unpack_from(f"{order}4I", data, at + 8)
            functions = frozenset(_functions(data, start, size, order, wide, table, wanted))
        elif command in _LC_DYLD_INFO or command in _LC_OF_LINKEDIT:
            pairs = 5 if command in _LC_DYLD_INFO else 1
            numbers = struct.unpack_from(f"{order}{2 * pairs}I", data, at + 8)
            for offset, filled in zip(numbers[::2], numbers[1::2], strict=True):
                check_extent(offset + filled, size)
        if length < 8:
            raise BadImage("its load commands are damaged")
        at += length
    return Image("Mach-O", _KINDS.get(kind, "other"), (_MACHINES.get(cpu, f"machine {cpu}"),), functions)


def _functions(
    data: bytes | mmap,
    start: int,
    size: int,
    order: str,
    wide: bool,
    table: tuple[int, ...],
    wanted: Collection[str],
) -> Iterator[str]:
    symbols, count, names, length = table
    entry = struct.Struct(order + ("IBBHQ" if wide else "IBBHI"))
    check_extent(max(names + length, symbols + count * entry.size), size)
    text = bytes(data[start + names : start + names + length])
    # C names have an underscore before them here.
    known = {b"_" + name.encode(): name for name in wanted}
    for number in range(count):
        name, kind, *_ = entry.unpack_from(data, start + symbols + number * entry.size)
        if kind & (_N_STAB | _N_PEXT) or not kind & _N_EXT or kind & _N_TYPE not in (_N_SECT, _N_INDR):
            continue
        found = known.get(text[name : text.find(b"\0", name)])
        if found is not None:
            yield found
