"""Executable files of three platforms, read without loading."""

from __future__ import annotations

import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.plugins import COMPILER, compile_library, exits
from pypm_plugins.images.elf import read_elf
from pypm_plugins.images.image import BadImage
from pypm_plugins.images.macho import is_macho, read_macho
from pypm_plugins.images.pe import read_pe
from pypm_plugins.images.reading import read_image, this_machine

MAIN = "pypm_plugin_main"
OTHERS = ("pypm_plugin_abi", "pypm_plugin_init")
needs_elf = pytest.mark.skipif(
    COMPILER is None or not sys.platform.startswith("linux"), reason="needs a compiler for ELF"
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return compile_library(exits(0), tmp_path_factory.mktemp("elf") / "a.so").read_bytes()


def macho(
    cpu: int = 0x0100000C,
    kind: int = 6,
    names: tuple[tuple[str, int], ...] = ((f"_{MAIN}", 0x0F),),
    *,
    order: str = "<",
    wide: bool = True,
    filled: int | None = None,
) -> bytes:
    """A Mach-O file of one segment and a table of symbols (name, n_type)."""
    head, segment, table = (32 if wide else 28), (72 if wide else 56), 24
    texts = b"\0" + b"".join(name.encode() + b"\0" for name, _ in names)
    entry = struct.Struct(order + ("IBBHQ" if wide else "IBBHI"))
    symbols = head + segment + table
    names_at = symbols + entry.size * len(names)
    whole = names_at + len(texts)
    body, at = b"", 1
    for name, n_type in names:
        body += entry.pack(at, n_type, 1, 0, 0)
        at += len(name) + 1
    magic = 0xFEEDFACF if wide else 0xFEEDFACE
    made = struct.pack(f"{order}7I", magic, cpu, 0, kind, 2, segment + table, 0) + (
        b"\0" * 4 if wide else b""
    )
    size = whole if filled is None else filled
    if wide:
        made += struct.pack(f"{order}II16sQQQQIIII", 0x19, segment, b"__TEXT", 0, size, 0, size, 5, 5, 0, 0)
    else:
        made += struct.pack(f"{order}II16sIIIIIIII", 0x1, segment, b"__TEXT", 0, size, 0, size, 5, 5, 0, 0)
    made += struct.pack(f"{order}6I", 0x2, table, symbols, len(names), names_at, len(texts))
    return made + body + texts


def fat(*parts: bytes, wide: bool = False) -> bytes:
    form = struct.Struct(">IIQQII" if wide else ">IIIII")
    at = 8 + form.size * len(parts)
    made = struct.pack(">II", 0xCAFEBABF if wide else 0xCAFEBABE, len(parts))
    for part in parts:
        made += form.pack(*((0, 0, at, len(part), 0, 0) if wide else (0, 0, at, len(part), 0)))
        at += len(part)
    return made + b"".join(parts)


def pe(
    machine: int = 0x8664, flags: int = 0x2002, names: tuple[str, ...] = (MAIN,), wide: bool = True
) -> bytes:
    """A PE file of one section that is a table of exports."""
    optional = (112 if wide else 96) + 8 * 16
    start = 64 + 24 + optional + 40
    address = 0x1000
    table = 40
    pointers = address + table
    at = pointers + 4 * len(names)
    texts, where = b"", []
    for name in names:
        where.append(at + len(texts))
        texts += name.encode() + b"\0"
    exports = struct.pack("<5I", 0, 0, 0, 0, 1) + struct.pack("<5I", len(names), len(names), 0, pointers, 0)
    exports += struct.pack(f"<{len(names)}I", *where) + texts
    made = b"MZ" + b"\0" * 58 + struct.pack("<I", 64)
    made += b"PE\0\0" + struct.pack("<HHIIIHH", machine, 1, 0, 0, 0, optional, flags)
    head = struct.pack("<H", 0x20B if wide else 0x10B).ljust(optional - 8 * 16 - 4, b"\0") + struct.pack(
        "<I", 16
    )
    made += head + struct.pack("<II", address, len(exports)) + b"\0" * (8 * 15)
    made += b".edata\0\0" + struct.pack("<IIII", len(exports), address, len(exports), start) + b"\0" * 16
    return made + exports


@needs_elf
def test_a_library_of_the_machine(tmp_path: Path) -> None:
    path = compile_library(exits(0), tmp_path / "a.so")
    here = this_machine()
    image = read_image(str(path), (MAIN, *OTHERS), here.architecture)
    assert (image.format, image.kind, image.machines) == ("ELF", "library", (here.architecture,))
    assert image.functions == {MAIN}


@needs_elf
@pytest.mark.parametrize("style", ["sysv", "gnu", "both"])
def test_either_table_of_hashes_tells_the_symbols(tmp_path: Path, style: str) -> None:
    many = "".join(f"int other_{n}(void) {{ return {n}; }}\n" for n in range(300))
    path = compile_library(many + exits(0), tmp_path / "a.so", f"-Wl,--hash-style={style}", "-s")
    assert read_image(str(path), (MAIN,), "").functions == {MAIN}


@needs_elf
@pytest.mark.parametrize(
    ("source", "flags", "functions"),
    [
        ("int x;", (), set()),
        (f"int {MAIN};", (), set()),
        (f"static int {MAIN}(void) {{ return 0; }} int (*f)(void) = {MAIN};", (), set()),
        (exits(0), ("-fvisibility=hidden",), set()),
        (f"extern int {MAIN}(int, char **); int f(void) {{ return {MAIN}(0, 0); }}", (), set()),
        (f"int my_{MAIN}(void) {{ return 0; }}", (), set()),
        (f"int my_{MAIN}(void) {{ return 0; }}\n{exits(0)}", (), {MAIN}),
        (f"__attribute__((weak)) {exits(0)}", (), {MAIN}),
        (f'__attribute__((visibility("protected"))) {exits(0)}', (), {MAIN}),
        (f'asm(".globl {MAIN}\\n.text\\n{MAIN}:\\n");', (), {MAIN}),
    ],
)
def test_only_what_is_exported_as_a_function_counts(
    tmp_path: Path, source: str, flags: tuple[str, ...], functions: set[str]
) -> None:
    path = compile_library(source, tmp_path / "a.so", *flags)
    assert read_image(str(path), (MAIN,), "").functions == functions


@needs_elf
def test_programs_and_object_files_are_told_apart(tmp_path: Path) -> None:
    source = tmp_path / "a.c"
    source.write_text(exits(0) + "\nint main(void) { return 0; }\n", encoding="utf-8")
    assert COMPILER is not None
    for flag, kind in (("-pie", "program"), ("-no-pie", "program"), ("-c", "other")):
        made = tmp_path / f"a{flag}"
        subprocess.run([COMPILER, flag, str(source), "-o", str(made)], check=True, capture_output=True)
        assert read_image(str(made), (MAIN,), "").kind == kind


@needs_elf
@pytest.mark.parametrize(
    ("number", "wide", "name"),
    [
        (183, True, "aarch64"),
        (62, False, "x32"),
        (3, False, "i386"),
        (243, True, "riscv64"),
        (999, True, "machine 999"),
    ],
)
def test_architectures_of_others(library: bytes, number: int, wide: bool, name: str) -> None:
    if wide:
        assert read_elf(library[:18] + struct.pack("<H", number) + library[20:], ()).machines == (name,)
    else:
        head = (
            b"\x7fELF\x01\x01\x01"
            + b"\0" * 9
            + struct.pack("<HHIIIIIHHHHHH", 3, number, 1, 0, 0, 0, 0, 52, 32, 0, 0, 0, 0)
        )
        assert read_elf(head, ()).machines == (name,)


@needs_elf
def test_a_library_cut_short_anywhere_is_never_taken_for_a_whole_one(library: bytes) -> None:
    for size in (*range(4, len(library), 97), len(library) - 1):
        with pytest.raises(BadImage, match=r"cut short|damaged|outside"):
            read_elf(library[:size], (MAIN,))


@needs_elf
def test_a_library_without_sections_is_whole(library: bytes) -> None:
    table = struct.unpack_from("<Q", library, 40)[0]
    bare = library[:40] + bytes(8) + library[48:58] + bytes(6) + library[64:table]
    assert read_elf(bare, (MAIN,)) == read_elf(library, (MAIN,))


@needs_elf
def test_more_sections_than_the_head_can_count(library: bytes) -> None:
    table, (count,) = struct.unpack_from("<Q", library, 40)[0], struct.unpack_from("<H", library, 60)
    many = bytearray(library)
    struct.pack_into("<H", many, 60, 0)
    struct.pack_into("<Q", many, table + 32, count)
    assert read_elf(bytes(many), (MAIN,)) == read_elf(library, (MAIN,))
    with pytest.raises(BadImage, match="cut short"):
        read_elf(bytes(many[:-1]), (MAIN,))


@needs_elf
@given(data=st.data())
def test_damage_is_told_and_never_a_fault(library: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(4, len(library) - 1) | st.integers(4, 1200))
    damage = data.draw(st.binary(min_size=1, max_size=8))
    with suppress(BadImage):
        read_elf(library[:at] + damage + library[at + len(damage) :], (MAIN,))


@given(data=st.data(), wide=st.booleans(), form=st.sampled_from(["macho", "fat", "pe"]))
def test_damage_of_made_files_is_told_and_never_a_fault(data: st.DataObject, wide: bool, form: str) -> None:
    whole = {"macho": macho(wide=wide), "fat": fat(macho(), macho(7), wide=wide), "pe": pe(wide=wide)}[form]
    at = data.draw(st.integers(8, len(whole) - 1))
    damage = data.draw(st.binary(min_size=1, max_size=8))
    broken = whole[:at] + damage + whole[at + len(damage) :]
    broken = broken[: data.draw(st.integers(8, len(broken)))]
    with suppress(BadImage):
        if form == "pe":
            read_pe(broken, (MAIN,))
        else:
            read_macho(broken, (MAIN,), "aarch64")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("wide", [True, False])
def test_a_library_of_macos(order: str, wide: bool) -> None:
    data = macho(0x01000007 if wide else 7, order=order, wide=wide)
    assert is_macho(data[:8])
    image = read_macho(data, (MAIN, *OTHERS), "x86_64")
    assert (image.kind, image.machines) == ("library", ("x86_64" if wide else "i386",))
    assert image.functions == {MAIN}


@pytest.mark.parametrize(
    ("name", "n_type"),
    [(MAIN, 0x0F), (f"_{MAIN}", 0x01), (f"_{MAIN}", 0x1F), (f"_{MAIN}", 0x0E), (f"_{MAIN}", 0x24)],
    ids=["no underscore", "undefined", "private", "local", "for debuggers"],
)
def test_symbols_of_macos_that_do_not_count(name: str, n_type: int) -> None:
    assert read_macho(macho(names=((name, n_type),)), (MAIN,), "aarch64").functions == frozenset()


@pytest.mark.parametrize("wide", [True, False])
def test_of_a_universal_file_the_part_for_this_machine_counts(wide: bool) -> None:
    data = fat(macho(0x01000007, names=()), macho(0x0100000C), wide=wide)
    for machine, functions in (("x86_64", set()), ("aarch64", {MAIN})):
        image = read_macho(data, (MAIN,), machine)
        assert image.machines == ("x86_64", "aarch64") and image.functions == functions


def test_a_library_of_macos_cut_short() -> None:
    with pytest.raises(BadImage, match="cut short"):
        read_macho(macho(filled=100_000), (MAIN,), "aarch64")
    with pytest.raises(BadImage, match="cut short"):
        read_macho(fat(macho())[:-5], (MAIN,), "aarch64")


@pytest.mark.parametrize("command", [0x1D, 0x80000034, 0x80000022])
def test_a_library_of_macos_without_what_its_load_commands_speak_of(command: int) -> None:
    whole = macho()
    length = 8 + 4 * (10 if command == 0x80000022 else 2)
    head, rest = bytearray(whole[:32]), whole[32:]
    # The last load command is another one: what it speaks of lies behind everything.
    struct.pack_into("<I", head, 16, 3)
    at = len(whole) + length

    def made(size: int) -> bytes:
        numbers = (at, size) * ((length - 8) // 8)
        extra = struct.pack(f"<{2 + len(numbers)}I", command, length, *numbers)
        segment = bytearray(rest[:72])
        table = bytearray(rest[72:96])
        for place in (8, 16):
            struct.pack_into("<I", table, place, struct.unpack_from("<I", table, place)[0] + length)
        return bytes(head) + bytes(segment) + bytes(table) + extra + rest[96:] + b"x" * 16

    assert read_macho(made(16), (MAIN,), "aarch64").functions == {MAIN}
    with pytest.raises(BadImage, match="cut short"):
        read_macho(made(17), (MAIN,), "aarch64")


def test_a_class_of_java_is_no_universal_file() -> None:
    assert not is_macho(bytes.fromhex("cafebabe00000041"))


@pytest.mark.parametrize("wide", [True, False])
def test_a_library_of_windows(wide: bool) -> None:
    image = read_pe(pe(0x8664 if wide else 0x14C, names=("a", MAIN, "z"), wide=wide), (MAIN, *OTHERS))
    assert (image.format, image.kind) == ("PE", "library")
    assert image.machines == ("x86_64" if wide else "i386",) and image.functions == {MAIN}
    assert read_pe(pe(flags=0x0002), (MAIN,)).kind == "program"
    assert read_pe(pe(names=("other",)), (MAIN,)).functions == frozenset()
    with pytest.raises(BadImage, match="cut short"):
        read_pe(pe()[:-4], (MAIN,))


@pytest.mark.parametrize("wide", [True, False])
def test_a_library_of_windows_without_what_lies_behind_its_sections(wide: bool) -> None:
    whole = pe(wide=wide)
    signed = bytearray(whole + b"s" * 16)
    struct.pack_into("<II", signed, 64 + 24 + (112 if wide else 96) + 8 * 4, len(whole), 16)
    with_symbols = bytearray(whole + bytes(18) + struct.pack("<I", 12) + b"12345678")
    struct.pack_into("<II", with_symbols, 64 + 12, len(whole), 1)
    for made in (signed, with_symbols):
        assert read_pe(bytes(made), (MAIN,)).functions == {MAIN}
        for cut in range(1, len(made) - len(whole) + 1):
            with pytest.raises(BadImage, match="cut short"):
                read_pe(bytes(made[:-cut]), (MAIN,))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\x7fELF", "cut short"),
        (b"#!/bin/sh\nexit 0\n", "a script"),
        (b"PK\x03\x04" + b"\0" * 30, "a zip archive"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"!<arch>\nxxxx", "an archive of object files"),
        (b"\xca\xfe\xba\xbe\x00\x00\x00\x41class", "no library of any system"),
        (b"int pypm_plugin_main", "no library of any system"),
    ],
)
def test_what_is_no_library(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(BadImage, match=said):
        read_image(str(path), (MAIN,), "x86_64")
