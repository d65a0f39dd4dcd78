"""Shared libraries and programs in ELF: what they need, and copies of them that look for it elsewhere.

A copy gets a segment of its own behind the others, with a new table of strings and a new dynamic section;
nothing that was loaded before moves. That works whether or not the linker left room (some leave none).
Sections, which only debuggers and linkers read, are left out of a copy.

Source: System V ABI, chapters 4 and 5; gABI "Dynamic Section"; LSB, "Symbol Versioning".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from pypm_model.records import record

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP, _PT_NOTE = 1, 2, 3, 4
_NULL, _NEEDED, _STRTAB, _STRSZ, _SONAME, _RPATH, _RUNPATH = 0, 1, 5, 10, 14, 15, 29
_VERNEED, _VERNEEDNUM = 0x6FFFFFFE, 0x6FFFFFFF
_READ_WRITE = 6

Buffer = bytes | memoryview


class NotElf(ValueError):
    """It is no ELF file with a dynamic section, or a damaged one; says which in a clause."""


@record
class ElfImage:
    """What the loader would read of a file."""

    machine: tuple[int, bool, bool]
    """(processor, 64 bits, little-endian): equal where one can be loaded by the other."""
    needed: tuple[str, ...]
    soname: str
    rpath: tuple[str, ...]
    """Folders that are searched for what it needs and for what that needs, before the environment's."""
    runpath: tuple[str, ...]
    """Folders that are searched for what it needs itself; with them *rpath* does not count."""
    versions: tuple[tuple[str, str], ...]
    """(library, version of its symbols) that must be there: ``("libc.so.6", "GLIBC_2.34")``."""

    @property
    def search(self) -> tuple[str, ...]:
        return self.runpath or self.rpath


class _Layout:
    """Tables of one class and byte order, read from *data*."""

    def __init__(self, data: Buffer) -> None:
        if bytes(data[:4]) != b"\x7fELF" or len(data) < 52:
            raise NotElf("is no ELF file")
        self.data = data
        self.wide, self.little = data[4] == 2, data[5] == 1
        order = "<" if self.little else ">"
        self.order = order
        self.head = struct.Struct(order + ("16sHHIQQQIHHHHHH" if self.wide else "16sHHIIIIIHHHHHH"))
        self.program = struct.Struct(order + ("IIQQQQQQ" if self.wide else "IIIIIIII"))
        self.pair = struct.Struct(order + ("qQ" if self.wide else "iI"))
        try:
            self.fields = list(self.head.unpack_from(data))
            self.programs = [self._program(number) for number in range(self.fields[10])]
        except struct.error as error:
            raise NotElf("is cut short") from error

    def _program(self, number: int) -> dict[str, int]:
        values = self.program.unpack_from(self.data, self.fields[5] + number * self.fields[9])
        names = _WIDE if self.wide else _NARROW
        return dict(zip(names, values, strict=True))

    def packed(self, program: dict[str, int]) -> bytes:
        return self.program.pack(*(program[name] for name in (_WIDE if self.wide else _NARROW)))

    def dynamic(self) -> list[tuple[int, int]]:
        """(tag, value) up to the end mark, which is left out."""
        found = next((p for p in self.programs if p["type"] == _PT_DYNAMIC), None)
        if found is None:
            raise NotElf("is linked statically")
        pairs = []
        for at in range(found["offset"], found["offset"] + found["filesz"], self.pair.size):
            try:
                tag, value = self.pair.unpack_from(self.data, at)
            except struct.error as error:
                raise NotElf("is cut short") from error
            if tag == _NULL:
                break
            pairs.append((tag, value))
        return pairs

    def offset(self, address: int) -> int:
        """Where in the file the byte at *address* is."""
        for program in self.programs:
            if (
                program["type"] == _PT_LOAD
                and program["vaddr"] <= address < program["vaddr"] + program["filesz"]
            ):
                return address - program["vaddr"] + program["offset"]
        raise NotElf("points outside of itself")

    def strings(self, dynamic: Sequence[tuple[int, int]]) -> bytes:
        """The table of strings that the loader reads."""
        known = dict(dynamic)
        if _STRTAB not in known or _STRSZ not in known:
            raise NotElf("has no strings")
        start = self.offset(known[_STRTAB])
        return bytes(self.data[start : start + known[_STRSZ]])


_WIDE = ("type", "flags", "offset", "vaddr", "paddr", "filesz", "memsz", "align")
_NARROW = ("type", "offset", "vaddr", "paddr", "filesz", "memsz", "flags", "align")


def loader_of(data: Buffer) -> str:
    """The loader that the program *data* names (``/lib64/ld-linux-x86-64.so.2``); empty: none. Raises
    `NotElf`."""
    layout = _Layout(data)
    for program in layout.programs:
        if program["type"] == _PT_INTERP:
            name = bytes(data[program["offset"] : program["offset"] + program["filesz"]])
            return name.rstrip(b"\0").decode("utf-8", "surrogateescape")
    return ""


def is_elf(head: Buffer) -> bool:
    """Whether a file that begins with *head* says it is one."""
    return bytes(head[:4]) == b"\x7fELF"


def read_image(data: Buffer) -> ElfImage:
    """What the loader would read of the file *data*. Raises `NotElf`."""
    try:
        return _read_image(data)
    except (struct.error, OverflowError) as error:
        raise NotElf("says what cannot be") from error


def _read_image(data: Buffer) -> ElfImage:
    layout = _Layout(data)
    dynamic = layout.dynamic()
    strings = layout.strings(dynamic)
    texts: dict[int, list[str]] = {}
    for tag, value in dynamic:
        if tag in (_NEEDED, _SONAME, _RPATH, _RUNPATH):
            texts.setdefault(tag, []).append(_text(strings, value))
    return ElfImage(
        (layout.fields[2], layout.wide, layout.little),
        tuple(texts.get(_NEEDED, ())),
        "".join(texts.get(_SONAME, ())[:1]),
        _folders(texts.get(_RPATH, ())),
        _folders(texts.get(_RUNPATH, ())),
        tuple(_versions(layout, dict(dynamic), strings)),
    )


def relocated(data: bytes, rpath: Sequence[str], needed: Sequence[str] = ()) -> bytes:
    """A copy of the file *data* that searches *rpath* (``$ORIGIN``: its own folder) for what it needs, and
    so does what it loads, before anything the environment says; *needed* are loaded with it.

    Raises `NotElf`."""
    try:
        return _relocated(data, rpath, needed)
    except (struct.error, OverflowError) as error:
        raise NotElf("says what cannot be") from error


def _relocated(data: bytes, rpath: Sequence[str], needed: Sequence[str]) -> bytes:
    layout = _Layout(data)
    dynamic = layout.dynamic()
    strings = bytearray(layout.strings(dynamic))

    def add(text: str) -> int:
        strings.extend(text.encode() + b"\0")
        return len(strings) - len(text.encode()) - 1

    pairs = [(_NEEDED, add(name)) for name in needed]
    pairs += [pair for pair in dynamic if pair[0] not in (_RPATH, _RUNPATH)]
    pairs.append((_RPATH, add(":".join(rpath))))

    loads = [p for p in layout.programs if p["type"] == _PT_LOAD]
    if not loads:
        raise NotElf("has nothing to load")
    last = max(number for number, p in enumerate(layout.programs) if p["type"] == _PT_LOAD)
    spare = next(
        (n for n, p in enumerate(layout.programs) if p["type"] == _PT_NOTE and n > last),
        None,
    )
    if spare is None:
        raise NotElf("has no place for a segment more")
    align = max(1, *(p["align"] for p in loads))
    end_of_file = max(p["offset"] + p["filesz"] for p in layout.programs if p["filesz"])
    if end_of_file > len(data):
        raise NotElf("is cut short")
    # The table of strings first: the dynamic section follows at its natural alignment.
    start = _up(end_of_file, min(align, 0x10000))
    address = _up(max(p["vaddr"] + p["memsz"] for p in loads), align) + start % align
    table = bytes(strings).ljust(_up(len(strings), 16), b"\0")
    section = address + len(table)
    moved = {_STRTAB: address, _STRSZ: len(strings)}
    entries = [layout.pair.pack(tag, moved.get(tag, value)) for tag, value in pairs]
    block = table + b"".join(entries) + layout.pair.pack(_NULL, 0)
    for program in layout.programs:
        if program["type"] == _PT_DYNAMIC:
            size = len(block) - len(table)
            program.update(offset=start + len(table), vaddr=section, paddr=section, filesz=size, memsz=size)
    layout.programs[spare] = {
        "type": _PT_LOAD, "flags": _READ_WRITE, "offset": start, "vaddr": address, "paddr": address,
        "filesz": len(block), "memsz": len(block), "align": align,
    }  # fmt: skip

    out = bytearray(data[:end_of_file]).ljust(start, b"\0") + block
    fields = list(layout.fields)
    fields[6], fields[12], fields[13] = 0, 0, 0  # no sections
    layout.head.pack_into(out, 0, *fields)
    for number, program in enumerate(layout.programs):
        at = fields[5] + number * fields[9]
        out[at : at + layout.program.size] = layout.packed(program)
    return bytes(out)


def _versions(layout: _Layout, known: dict[int, int], strings: bytes) -> Iterator[tuple[str, str]]:
    if _VERNEED not in known:
        return
    need, aux = struct.Struct(layout.order + "HHIII"), struct.Struct(layout.order + "IHHII")
    at = layout.offset(known[_VERNEED])
    try:
        for _ in range(known.get(_VERNEEDNUM, 0)):
            _, count, file, first, following = need.unpack_from(layout.data, at)
            inner = at + first
            for _ in range(count):
                _, _, _, name, step = aux.unpack_from(layout.data, inner)
                yield _text(strings, file), _text(strings, name)
                if not step:
                    break
                inner += step
            if not following:
                break
            at += following
    except struct.error as error:
        raise NotElf("is cut short") from error


def _text(strings: bytes, at: int) -> str:
    end = strings.find(b"\0", at)
    if end < 0:
        raise NotElf("points outside of its strings")
    return strings[at:end].decode("utf-8", "surrogateescape")


def _folders(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(folder for text in texts for folder in text.split(":") if folder)


def _up(number: int, align: int) -> int:
    return -(-number // align) * align if align else number
