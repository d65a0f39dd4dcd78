"""PE (Microsoft's PE format): libraries of Windows."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from mmap import mmap

from pypm_plugins.images.image import BadImage, Image, check_extent

MAGIC = b"MZ"
_MACHINES = {0x14C: "i386", 0x8664: "x86_64", 0xAA64: "aarch64", 0x1C4: "arm"}
_IS_DLL, _IS_EXECUTABLE = 0x2000, 0x0002
_WIDE, _NARROW = 0x20B, 0x10B

_SYMBOL = 18
"""Bytes of a symbol for debuggers."""
_CERTIFICATES = 4
"""The only directory that says where in the file it is, not where in memory."""

_Section = tuple[int, int, int, int]
"""Address, size in memory, offset, size in the file."""


def read_pe(data: bytes | mmap, wanted: Collection[str]) -> Image:
    """What the file *data* is, and which of the functions *wanted* it has. Raises `BadImage`."""
    try:
        return _read(data, wanted)
    except (struct.error, IndexError, OverflowError) as error:
        raise BadImage("it is cut short or damaged") from error


def _read(data: bytes | mmap, wanted: Collection[str]) -> Image:
    (head,) = struct.unpack_from("<I", data, 0x3C)
    if data[head : head + 4] != b"PE\0\0":
        raise BadImage("it is a program for MS-DOS")
    machine, count, _, symbols, names, size, flags = struct.unpack_from("<HHIIIHH", data, head + 4)
    optional = head + 24
    sections = [_section(data, optional + size + 40 * number) for number in range(count)]
    for _, _, offset, filled in sections:
        if filled:
            check_extent(offset + filled, len(data))
    if symbols:
        _check_symbols(data, symbols + _SYMBOL * names)
    _check_certificates(data, optional)
    kind = "library" if flags & _IS_DLL else "program" if flags & _IS_EXECUTABLE else "other"
    name = _MACHINES.get(machine, f"machine {machine}")
    return Image("PE", kind, (name,), frozenset(_exports(data, optional, sections)) & frozenset(wanted))


def _section(data: bytes | mmap, at: int) -> _Section:
    size, address, filled, offset = struct.unpack_from("<IIII", data, at + 8)
    return address, max(size, filled), offset, filled


def _check_symbols(data: bytes | mmap, end: int) -> None:
    """Raises `BadImage` if the symbols for debuggers, or the names behind them at *end*, are cut off."""
    check_extent(end + 4, len(data))
    (length,) = struct.unpack_from("<I", data, end)
    check_extent(end + length, len(data))


def _check_certificates(data: bytes | mmap, optional: int) -> None:
    offset, size = _directory(data, optional, _CERTIFICATES)
    check_extent(offset + size, len(data))


def _directory(data: bytes | mmap, optional: int, number: int) -> tuple[int, int]:
    """Where a table is, and its size; zeros if there is none."""
    (magic,) = struct.unpack_from("<H", data, optional)
    if magic not in (_WIDE, _NARROW):
        raise BadImage("its head is damaged")
    directories = optional + (112 if magic == _WIDE else 96)
    (count,) = struct.unpack_from("<I", data, directories - 4)
    if number >= count:
        return 0, 0
    address, size = struct.unpack_from("<II", data, directories + 8 * number)
    return address, size


def _exports(data: bytes | mmap, optional: int, sections: list[_Section]) -> Iterator[str]:
    address, size = _directory(data, optional, 0)
    if not address or not size:
        return
    table = _offset(address, sections)
    _, names, _, names_at = struct.unpack_from("<IIII", data, table + 20)
    if not names:
        return
    first = _offset(names_at, sections)
    if first + 4 * names > len(data):
        raise BadImage("its table of exports is damaged")
    for where in struct.unpack_from(f"<{names}I", data, first):
        at = _offset(where, sections)
        end = data.find(b"\0", at)
        yield bytes(data[at:end]).decode("ascii", "replace")


def _offset(address: int, sections: list[_Section]) -> int:
    for start, size, offset, _ in sections:
        if start <= address < start + size:
            return address - start + offset
    raise BadImage("its tables lie outside of it")
