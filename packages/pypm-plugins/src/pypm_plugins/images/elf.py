"""ELF (System V ABI, chapters 4 and 5): libraries of Linux and most other systems."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from mmap import mmap

from pypm_model.records import record
from pypm_plugins.images.image import BadImage, Image, check_extent

MAGIC = b"\x7fELF"
_ET_EXEC, _ET_DYN = 2, 3
_PT_LOAD, _PT_DYNAMIC = 1, 2
_SHT_NULL, _SHT_NOBITS = 0, 8
_DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_STRSZ, _DT_GNU_HASH = 4, 5, 6, 10, 0x6FFFFEF5
_DT_FLAGS_1, _DF_1_PIE = 0x6FFFFFFB, 0x08000000
_FUNCTIONS = {0, 2, 10}
"""STT_NOTYPE (from assemblers), STT_FUNC, STT_GNU_IFUNC."""
_VISIBLE_BINDINGS = {1, 2, 10}
"""STB_GLOBAL, STB_WEAK, STB_GNU_UNIQUE."""
_VISIBLE = {0, 3}
"""STV_DEFAULT, STV_PROTECTED."""
_X86_64 = 62
_MACHINES = {
    3: "i386", 8: "mips", 20: "ppc", 21: "ppc64", 22: "s390x", 40: "arm", _X86_64: "x86_64", 183: "aarch64",
    243: "riscv", 258: "loongarch",
}  # fmt: skip


@record
class _Layout:
    """How numbers are written in one file."""

    wide: bool
    order: str

    def at(self, data: bytes | mmap, narrow: str, wide: str, offset: int) -> tuple[int, ...]:
        return struct.unpack_from(self.order + (wide if self.wide else narrow), data, offset)


def read_elf(data: bytes | mmap, wanted: Collection[str]) -> Image:
    """What the file *data* is, and which of the functions *wanted* it has. Raises `BadImage`."""
    try:
        return _read(data, wanted)
    except (struct.error, IndexError, OverflowError) as error:
        raise BadImage("it is cut short or damaged") from error


def _read(data: bytes | mmap, wanted: Collection[str]) -> Image:
    if data[4] not in (1, 2) or data[5] not in (1, 2):
        raise BadImage("its head is damaged")
    layout = _Layout(data[4] == 2, "<" if data[5] == 1 else ">")
    kind, machine = layout.at(data, "HH", "HH", 16)
    name = _machine(machine, layout)
    if kind not in (_ET_EXEC, _ET_DYN):
        return Image("ELF", "other", (name,), frozenset())
    segments, dynamic = _segments(data, layout)
    for _, offset, size in segments:
        check_extent(offset + size, len(data))
    _check_sections(data, layout)
    if kind == _ET_EXEC or dynamic is None:
        return Image("ELF", "program" if kind == _ET_EXEC else "other", (name,), frozenset())
    tags = dict(_tags(data, layout, dynamic))
    is_program = bool(tags.get(_DT_FLAGS_1, 0) & _DF_1_PIE)
    found = frozenset(_functions(data, layout, segments, tags, wanted))
    return Image("ELF", "program" if is_program else "library", (name,), found)


def _machine(number: int, layout: _Layout) -> str:
    if number == _X86_64 and not layout.wide:
        return "x32"
    name = _MACHINES.get(number, f"machine {number}")
    if name in ("riscv", "loongarch", "mips"):
        name += "64" if layout.wide else "32"
    little_is_rare, big_is_rare = name in ("ppc64", "ppc"), name in ("aarch64", "arm")
    if little_is_rare and layout.order == "<":
        return name + "le"
    return name + "_be" if big_is_rare and layout.order == ">" else name


def _segments(
    data: bytes | mmap, layout: _Layout
) -> tuple[list[tuple[int, int, int]], tuple[int, int] | None]:
    """(address, offset, size in the file) of what is loaded; (offset, size) of the dynamic section."""
    (table,) = layout.at(data, "I", "Q", 32 if layout.wide else 28)
    size, count = layout.at(data, "HH", "HH", 54 if layout.wide else 42)
    loaded = []
    dynamic = None
    for number in range(count):
        start = table + number * size
        if layout.wide:
            kind, _, offset, address, _, length = layout.at(data, "", "IIQQQQ", start)
        else:
            kind, offset, address, _, length = layout.at(data, "IIIII", "", start)
        if kind == _PT_LOAD:
            loaded.append((address, offset, length))
        elif kind == _PT_DYNAMIC:
            dynamic = offset, length
    return loaded, dynamic


def _check_sections(data: bytes | mmap, layout: _Layout) -> None:
    """Raises `BadImage` if a section, or their table, is not all in the file. There may be none."""
    (table,) = layout.at(data, "I", "Q", 40 if layout.wide else 32)
    size, count = layout.at(data, "HH", "HH", 58 if layout.wide else 46)
    if not table:
        return
    check_extent(table + size * count, len(data))
    if not count:
        # There are too many for the head's number: the first section's size is their number.
        (count,) = layout.at(data, "I", "Q", table + (32 if layout.wide else 20))
        check_extent(table + size * count, len(data))
    for number in range(count):
        start = table + number * size
        (kind,) = layout.at(data, "I", "I", start + 4)
        offset, length = layout.at(data, "II", "QQ", start + (24 if layout.wide else 16))
        if kind not in (_SHT_NULL, _SHT_NOBITS):
            check_extent(offset + length, len(data))


def _tags(data: bytes | mmap, layout: _Layout, dynamic: tuple[int, int]) -> Iterator[tuple[int, int]]:
    step = 16 if layout.wide else 8
    offset, size = dynamic
    if offset + size > len(data):
        raise BadImage("it is cut short: its dynamic section is not all there")
    for at in range(offset, offset + size - step + 1, step):
        tag, value = layout.at(data, "II", "QQ", at)
        if tag == 0:
            return
        yield tag, value


def _functions(
    data: bytes | mmap,
    layout: _Layout,
    segments: list[tuple[int, int, int]],
    tags: dict[int, int],
    wanted: Collection[str],
) -> Iterator[str]:
    if not {_DT_STRTAB, _DT_SYMTAB, _DT_STRSZ} <= tags.keys():
        return
    names = _offset(tags[_DT_STRTAB], segments)
    symbols = _offset(tags[_DT_SYMTAB], segments)
    text = bytes(data[names : names + tags[_DT_STRSZ]])
    places = {at: name for name in wanted for at in _places(text, name.encode() + b"\0")}
    if not places:
        return
    step = 24 if layout.wide else 16
    for number in range(_count(data, layout, segments, tags)):
        at = symbols + number * step
        if layout.wide:
            name, info, other, section = layout.at(data, "", "IBBH", at)
        else:
            name, _, _, info, other, section = layout.at(data, "IIIBBH", "", at)
        if name not in places or section == 0:
            continue
        if info & 15 in _FUNCTIONS and info >> 4 in _VISIBLE_BINDINGS and other & 3 in _VISIBLE:
            yield places[name]


def _places(text: bytes, name: bytes) -> Iterator[int]:
    """Where *name* is in the table of names: also as the end of another, which linkers share."""
    at = text.find(name)
    while at >= 0:
        yield at
        at = text.find(name, at + 1)


def _offset(address: int, segments: list[tuple[int, int, int]]) -> int:
    for start, offset, size in segments:
        if start <= address < start + size:
            return address - start + offset
    raise BadImage("its tables lie outside of it")


def _count(
    data: bytes | mmap, layout: _Layout, segments: list[tuple[int, int, int]], tags: dict[int, int]
) -> int:
    """How many symbols there are: only the hash tables tell."""
    if _DT_HASH in tags:
        # Entries of 8 bytes are s390x' alone.
        entry = "Q" if layout.wide and _machine_of(data, layout) == 22 else "I"
        _, chains = layout.at(data, entry * 2, entry * 2, _offset(tags[_DT_HASH], segments))
        return min(chains, len(data) // 16)
    if _DT_GNU_HASH not in tags:
        return 0
    start = _offset(tags[_DT_GNU_HASH], segments)
    buckets, first, words, _ = layout.at(data, "IIII", "IIII", start)
    at = start + 16 + words * (8 if layout.wide else 4)
    if at + 4 * buckets > len(data):
        raise BadImage("its table of symbols is damaged")
    last = max(layout.at(data, f"{buckets}I", f"{buckets}I", at), default=0)
    if last < first:
        return first
    chains = at + 4 * buckets
    while not layout.at(data, "I", "I", chains + 4 * (last - first))[0] & 1:
        last += 1
    return last + 1


def _machine_of(data: bytes | mmap, layout: _Layout) -> int:
    return layout.at(data, "H", "H", 18)[0]
