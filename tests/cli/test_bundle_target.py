"""Machines that are not this one: which wheels fit them, and what is an interpreter for them."""

from __future__ import annotations

import gzip
import lzma
import os
import platform as this_platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.markers import default_environment

from pypm.ops.bundle_target import (
    BadPlatform,
    NoInterpreterFor,
    environment_of,
    for_glibc,
    given_interpreter,
    target_of,
)
from pypm_bundle import runtime
from pypm_env.interpreters import Interpreter
from pypm_model.environments import Environment

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MACHINE = this_platform.machine()
TAGS = (
    "cp312-cp312-manylinux_2_34_x86_64",
    "cp312-cp312-manylinux_2_28_x86_64",
    "cp312-cp312-manylinux_2_17_x86_64",
    "cp312-cp312-manylinux2014_x86_64",
    "cp312-cp312-manylinux1_x86_64",
    "cp312-cp312-linux_x86_64",
    "py3-none-any",
)


@pytest.mark.parametrize(
    ("glibc", "left"), [(None, 7), ((2, 34), 7), ((2, 28), 6), ((2, 17), 5), ((2, 12), 3), ((2, 1), 2)]
)
def test_tags_for_a_glibc(glibc: tuple[int, int] | None, left: int) -> None:
    found = for_glibc(Environment({}, TAGS), glibc)
    assert found.tags == TAGS[len(TAGS) - left :]


@pytest.mark.parametrize(
    ("platform", "python", "best", "machine"),
    [
        ("linux-aarch64", "3.12", "cp312-cp312-linux_aarch64", "aarch64"),
        ("macos-arm64", "3.13.1", "cp313-cp313-macosx_14_0_arm64", "arm64"),
        ("windows-amd64", "3.11", "cp311-cp311-win_amd64", "AMD64"),
    ],
)
def test_a_machine_by_name(platform: str, python: str, best: str, machine: str) -> None:
    target = target_of(platform, python, None)
    found = environment_of(target)
    assert found.tags[0] == best and found.markers["platform_machine"] == machine
    assert set(found.markers) == set(default_environment())
    assert "py3-none-any" in found.tags
    assert ("cp312-cp312-manylinux_2_28_aarch64" in found.tags) == (platform == "linux-aarch64")
    assert "cp312-cp312-manylinux_2_29_aarch64" not in found.tags


@pytest.mark.parametrize("platform", ["plan9-x", "linux", "linux-", "", "windows-ppc64le"])
def test_machines_that_are_none(platform: str) -> None:
    with pytest.raises(BadPlatform):
        target_of(platform, "3.12", None)


needs_compiler = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None or MACHINE not in ("x86_64", "aarch64"),
    reason="needs Linux and a C compiler",
)


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """What looks like an installation of Python 3.12."""
    root = tmp_path / "python"
    for folder in ("bin", "lib/python3.12/lib-dynload", "include/python3.12"):
        (root / folder).mkdir(parents=True)
    (tmp_path / "x.c").write_text("int main(void) { return 0; }")
    subprocess.run(["cc", tmp_path / "x.c", "-o", root / "bin/python3.12"], check=True)
    (root / "bin/python3").symlink_to("python3.12")
    (root / "lib/python3.12/os.py").write_text("")
    (root / "include/python3.12/patchlevel.h").write_text('#define PY_VERSION   "3.12.7"\n')
    return root


def given(source: Path, platform: str = f"linux-{MACHINE}", python: str = "3.12") -> Interpreter:
    scratch = source.parent / "scratch"
    return given_interpreter(source, source.name, target_of(platform, python, None), scratch)


@needs_compiler
def test_an_interpreter_of_a_folder_or_archive(prefix: Path) -> None:
    found = given(prefix)
    assert (found.version, found.base_prefix) == ("3.12.7", str(prefix))
    assert found.paths["stdlib"] == str(prefix / "lib/python3.12")
    with tarfile.open(prefix.parent / "p.tar.gz", "w:gz") as tar:
        tar.add(prefix, "python")
    found = given(prefix.parent / "p.tar.gz")
    assert found.version == "3.12.7" and found.base_prefix.endswith("scratch/given/python")
    base = runtime.basis(found, prefix.parent / "s", foreign=True)
    paths = {item.path for item in runtime.complete(base, (), frozenset()).items}
    assert {"bin/python3.12", "bin/python", "lib/python3.12/os.py", "pyvenv.cfg"} <= paths
    assert not [path for path in paths if path.startswith("lib/lib")]


@needs_compiler
def test_what_is_no_interpreter_for_it(prefix: Path) -> None:
    other = "linux-aarch64" if MACHINE == "x86_64" else "linux-x86_64"
    (prefix.parent / "x.txt").write_text("hello")
    with tarfile.open(prefix.parent / "evil.tar", "w") as tar:
        info = tarfile.TarInfo("../evil")
        tar.addfile(info)
    with tarfile.open(prefix.parent / "link.tar", "w") as tar:
        info = tarfile.TarInfo("python/link")
        info.type, info.linkname = tarfile.SYMTYPE, "../../evil"
        tar.addfile(info)
    cases = [
        (prefix, other, "3.12", "for another machine"),
        (prefix, f"linux-{MACHINE}", "3.13", "it has no bin/python3.13"),
        (prefix.parent / "nowhere", f"linux-{MACHINE}", "3.12", "no such file"),
        (prefix.parent / "x.txt", f"linux-{MACHINE}", "3.12", "it is no archive that tar can read"),
        (prefix.parent / "evil.tar", f"linux-{MACHINE}", "3.12", "leads outside"),
        (prefix.parent / "link.tar", f"linux-{MACHINE}", "3.12", "leads outside"),
    ]
    for source, platform, python, reason in cases:
        shutil.rmtree(prefix.parent / "scratch", ignore_errors=True)
        with pytest.raises(NoInterpreterFor, match=reason):
            given(source, platform, python)
    assert not (prefix.parent / "evil").exists() and not (prefix.parent / "scratch/evil").exists()


@needs_compiler
@pytest.mark.parametrize("form", ["", "gz", "xz", "zst"])
def test_an_archive_that_is_damaged_anywhere_is_no_interpreter(prefix: Path, form: str) -> None:
    """Behind what a look for an interpreter would find, too."""
    (prefix / "zz").write_bytes(os.urandom(5000))
    plain = prefix.parent / "p.tar"
    with tarfile.open(plain, "w") as tar:
        tar.add(prefix, "python")
    data = plain.read_bytes()
    at = data.rindex(b"python/zz") + 3
    packers: dict[str, Callable[[bytes], bytes]] = {
        "": bytes,
        "gz": gzip.compress,
        "xz": lzma.compress,
        "zst": _zst,
    }
    pack = packers[form]
    wrong = [pack(data[:at] + b"?" + data[at + 1 :]), pack(data)[: len(pack(data)) // 2]]
    if form:
        packed = bytearray(pack(data))
        packed[-6] ^= 0xFF
        wrong += [bytes(packed), pack(data)[:-3]]
    for content in (pack(data), *wrong):
        source = prefix.parent / "given.tar"
        source.write_bytes(content)
        shutil.rmtree(prefix.parent / "scratch", ignore_errors=True)
        if content == pack(data):
            assert given(source).version == "3.12.7"
        else:
            with pytest.raises(NoInterpreterFor, match=r"it cannot be unpacked \(|no archive"):
                given(source)


def _zst(data: bytes) -> bytes:
    return zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})
