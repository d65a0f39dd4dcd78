"""ELF files: what they need, and copies that look for it elsewhere, made by this machine's compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.laws import examples
from pypm_bundle.elf_image import ElfImage, NotElf, read_image, relocated
from pypm_bundle.libraries import closure, glibc_of, image_of, is_of_a_driver, is_of_the_system

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="needs Linux and a C compiler"
)


def compiled(folder: Path, name: str, source: str, *options: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.c").write_text(source)
    subprocess.run(["cc", f"{name}.c", "-o", name, *options], cwd=folder, check=True)
    return folder / name


def library(folder: Path, value: int, *options: str) -> Path:
    return compiled(folder, "libfoo.so", f"int foo(void) {{ return {value}; }}", "-shared", "-fPIC", *options)


MAIN = '#include <stdio.h>\nint foo(void);\nint main(void) { printf("%d\\n", foo()); return 0; }\n'


def run(program: Path, **environ: str) -> str:
    return subprocess.run([program], env=environ, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    "options",
    [[], ["-no-pie"], ["-Wl,-rpath,/a/very/long/path/that/is/nowhere"], ["-Wl,--spare-dynamic-tags=0"]],
    ids=["plain", "no-pie", "runpath", "no-spare-entries"],
)
def test_a_copy_finds_its_library_beside_it_before_the_environments(
    tmp_path: Path, options: list[str]
) -> None:
    library(tmp_path / "build", 1)
    program = compiled(tmp_path / "build", "main", MAIN, "-L.", "-lfoo", *options)
    library(tmp_path / "moved/lib", 2)
    library(tmp_path / "other", 3)
    image = read_image(program.read_bytes())
    copy = tmp_path / "moved/bin/main"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(relocated(program.read_bytes(), ["$ORIGIN/../lib"]))
    copy.chmod(0o755)
    assert run(copy, LD_LIBRARY_PATH=str(tmp_path / "other")) == "2"
    found = image_of(copy)
    assert found is not None
    assert found == ElfImage(image.machine, image.needed, "", ("$ORIGIN/../lib",), (), image.versions)
    if shutil.which("readelf"):
        told = subprocess.run(["readelf", "-dW", copy], capture_output=True, text=True, check=True).stdout
        assert "[$ORIGIN/../lib]" in told and "(RPATH)" in told and "(RUNPATH)" not in told
    os.rename(tmp_path / "moved", tmp_path / "elsewhere")
    assert run(tmp_path / "elsewhere/bin/main") == "2"


def test_a_copy_may_load_more(tmp_path: Path) -> None:
    said = '#include <stdio.h>\n__attribute__((constructor)) void f(void) { puts("loaded"); }\n'
    compiled(tmp_path, "libmore.so", said, "-shared", "-fPIC")
    program = compiled(tmp_path, "main", "int main(void) { return 0; }")
    program.write_bytes(relocated(program.read_bytes(), ["$ORIGIN"], ["libmore.so"]))
    assert run(program) == "loaded"


def test_a_copy_of_a_copy(tmp_path: Path) -> None:
    library(tmp_path, 4)
    program = compiled(tmp_path, "main", MAIN, "-L.", "-lfoo")
    once = relocated(program.read_bytes(), ["/nowhere"])
    program.write_bytes(relocated(once, ["$ORIGIN"]))
    assert run(program) == "4"


def test_a_library_is_copied_too(tmp_path: Path) -> None:
    compiled(tmp_path / "deep", "libbar.so", "int bar(void) { return 5; }", "-shared", "-fPIC")
    source = "int bar(void); int foo(void) { return bar(); }"
    options = ["-shared", "-fPIC", f"-L{tmp_path / 'deep'}", "-lbar", "-Wl,-soname,libfoo.so"]
    made = compiled(tmp_path / "lib", "libfoo.so", source, *options)
    program = compiled(
        tmp_path, "main", MAIN, "-L" + str(tmp_path / "lib"), "-lfoo", "-Wl,--allow-shlib-undefined"
    )
    made.write_bytes(relocated(made.read_bytes(), ["$ORIGIN/../deep"]))
    program.write_bytes(relocated(program.read_bytes(), ["$ORIGIN/lib"]))
    assert run(program) == "5"
    found = image_of(made)
    assert found is not None and found.soname == "libfoo.so"


def test_the_closure_follows_what_each_says(tmp_path: Path) -> None:
    compiled(tmp_path / "deep", "libbar.so", "int bar(void) { return 5; }", "-shared", "-fPIC")
    source = "int bar(void); int foo(void) { return bar(); }"
    options = ["-shared", "-fPIC", f"-L{tmp_path / 'deep'}", "-lbar", "-Wl,-rpath,$ORIGIN/../deep"]
    compiled(tmp_path / "lib", "libfoo.so", source, *options)
    program = compiled(
        tmp_path, "main", MAIN, "-Llib", "-lfoo", "-Wl,-rpath,$ORIGIN/lib", "-Wl,--allow-shlib-undefined"
    )
    image = image_of(program)
    assert image is not None and glibc_of(image) >= (2, 2)
    found = closure([(str(program), image)])
    assert [one.name for one in found.libraries] == ["libbar.so", "libfoo.so"]
    assert found.missing == found.drivers == ()
    (tmp_path / "deep/libbar.so").unlink()
    gone = closure([(str(program), image)])
    assert [one.name for one in gone.libraries] == ["libfoo.so"]
    assert gone.missing == ((str(tmp_path / "lib/libfoo.so"), "libbar.so"),)


def test_names_of_the_system_and_of_drivers() -> None:
    system = [
        "libc.so.6",
        "libm.so.6",
        "ld-linux-x86-64.so.2",
        "ld-linux-aarch64.so.1",
        "libc.musl-x86_64.so.1",
    ]
    assert all(map(is_of_the_system, [*system, "libpthread.so.0", "libdl.so.2", "librt.so.1"]))
    assert not any(map(is_of_the_system, ["libcrypt.so.1", "libz.so.1", "libstdc++.so.6", "libmagic.so.1"]))
    assert is_of_a_driver("libcuda.so.1") and not is_of_a_driver("libcudart.so.12")


def test_what_is_no_dynamic_elf_file(tmp_path: Path) -> None:
    for data in (b"", b"\x7fELF", b"#!/bin/sh\n" * 99):
        with pytest.raises(NotElf):
            read_image(data)
    (tmp_path / "x").write_bytes(b"\x7fELF" + bytes(100))
    assert image_of(tmp_path / "x") is None


def test_sizes_beyond_all_bounds() -> None:
    head = bytearray(Path(_small()).read_bytes())
    head[0x28 - 8 : 0x28] = b"\xff" * 8  # where the table of segments is
    for use in (lambda: read_image(bytes(head)), lambda: relocated(bytes(head), ["$ORIGIN"])):
        with pytest.raises(NotElf):
            use()


@given(st.data())
@settings(max_examples=examples(300), deadline=None)
def test_damaged_files_are_read_or_refused(data: st.DataObject) -> None:
    whole = Path(_small()).read_bytes()
    cut = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 4))):
        if cut:
            # Most of what decides lies at the beginning.
            at = data.draw(st.integers(0, min(len(cut), 4096) - 1))
            count = data.draw(st.sampled_from([1, 1, 4, 8]))
            cut[at : at + count] = bytes([data.draw(st.sampled_from([0, 1, 2, 0x7F, 0x80, 0xFF]))]) * count
    for use in (lambda: read_image(bytes(cut)), lambda: relocated(bytes(cut), ["$ORIGIN"])):
        with suppress(NotElf):
            use()


_made: list[str] = []


def _small() -> str:
    if not _made:
        _made.append(str(library(Path(tempfile.mkdtemp()), 1)))
    return _made[0]
