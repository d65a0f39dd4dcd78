"""sdists: every form unpacks, and nothing gets out of its folder."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from kit.wheels import make_sdist, write_tar, write_zip
from pypm_store.archive_rules import Limits, UnsafeArchive
from pypm_store.sdist_archive import unpack_sdist

GOOD = {"acme-1.0/PKG-INFO": b"Name: acme\n", "acme-1.0/src/acme.py": b"x = 1\n"}


def rule_of(path: Path, folder: Path, limits: Limits | None = None) -> str:
    with pytest.raises(UnsafeArchive) as caught:
        unpack_sdist(path, folder, limits=limits) if limits else unpack_sdist(path, folder)
    assert caught.value.file == path.name
    # What is refused has written nothing at all outside of its folder.
    assert sorted(one.name for one in folder.parent.iterdir()) in (
        sorted([path.name]),
        sorted([path.name, folder.name]),
    )
    return caught.value.rule


@pytest.mark.parametrize("form", [".tar.gz", ".tar.bz2", ".tar.xz", ".zip"])
def test_every_form_unpacks(tmp_path: Path, form: str) -> None:
    sdist = make_sdist(tmp_path, "Acme-Tools", "1.0", backend="in-tree", form=form)
    root = unpack_sdist(sdist, tmp_path / "out")
    assert root == tmp_path / "out" / "acme_tools-1.0"
    assert (root / "src" / "acme_tools" / "__init__.py").read_text().startswith('"""Acme-Tools')
    assert (root / "pyproject.toml").exists()


def test_the_file_name_may_be_given_apart(tmp_path: Path) -> None:
    sdist = make_sdist(tmp_path, "acme", "1.0").rename(tmp_path / "0123abcd")
    assert unpack_sdist(sdist, tmp_path / "out", filename="acme-1.0.tgz").name == "acme-1.0"
    with pytest.raises(UnsafeArchive):
        unpack_sdist(sdist, tmp_path / "other", filename="acme-1.0.rar")


@pytest.mark.skipif(os.name == "nt", reason="no executable bit")
def test_the_executable_bit_is_kept_and_no_other(tmp_path: Path) -> None:
    sdist = write_tar(
        tmp_path / "acme-1.0.tar.gz", {**GOOD, "acme-1.0/run": b"#!"}, executable=["acme-1.0/run"]
    )
    root = unpack_sdist(sdist, tmp_path / "out")
    assert os.access(root / "run", os.X_OK) and not os.access(root / "PKG-INFO", os.X_OK)


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("../evil", "parent-path"),
        ("acme-1.0/../../evil", "parent-path"),
        ("/tmp/evil", "absolute-path"),
        ("C:/evil", "drive"),
        ("acme-1.0/a\\b", "backslash"),
        ("acme-1.0/a\tb", "control-character"),
        ("acme-1.0//a", "odd-path"),
        ("other-1.0/a", "several-roots"),
        ("loose", "several-roots"),
        ("acme-1.0/pkg-info", "collision"),
        ("acme-1.0/PKG-INFO", "collision"),
        ("acme-1.0/PKG-INFO/inner", "collision"),
    ],
)
def test_paths_that_must_not_be(tmp_path: Path, path: str, rule: str) -> None:
    sdist = write_tar(tmp_path / "acme-1.0.tar.gz", [*GOOD.items(), (path, b"evil")])
    assert rule_of(sdist, tmp_path / "out") == rule
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "target", "rule"),
    [
        (tarfile.SYMTYPE, "/etc/passwd", "symlink"),
        (tarfile.SYMTYPE, "../../etc/passwd", "symlink"),
        (tarfile.SYMTYPE, "no-such-file", "symlink"),
        (tarfile.SYMTYPE, ".", "symlink"),
        (tarfile.LNKTYPE, "/etc/passwd", "symlink"),
        (tarfile.LNKTYPE, "acme-1.0/link", "symlink"),
        (tarfile.CHRTYPE, "", "special-file"),
        (tarfile.FIFOTYPE, "", "special-file"),
    ],
)
def test_members_that_are_no_files(tmp_path: Path, kind: bytes, target: str, rule: str) -> None:
    special = tarfile.TarInfo("acme-1.0/link")
    special.type, special.linkname = kind, target
    sdist = write_tar(tmp_path / "acme-1.0.tar.gz", GOOD, special=[special])
    assert rule_of(sdist, tmp_path / "out") == rule


@pytest.mark.parametrize(
    ("kind", "target"), [(tarfile.SYMTYPE, "PKG-INFO"), (tarfile.LNKTYPE, "acme-1.0/PKG-INFO")]
)
def test_a_link_to_a_file_of_the_archive_becomes_a_copy(tmp_path: Path, kind: bytes, target: str) -> None:
    special = tarfile.TarInfo("acme-1.0/link")
    special.type, special.linkname = kind, target
    root = unpack_sdist(write_tar(tmp_path / "acme-1.0.tar.gz", GOOD, special=[special]), tmp_path / "out")
    assert not (root / "link").is_symlink()
    assert (root / "link").read_bytes() == (root / "PKG-INFO").read_bytes()


def test_a_folder_outside_the_root(tmp_path: Path) -> None:
    special = tarfile.TarInfo("elsewhere")
    special.type = tarfile.DIRTYPE
    assert (
        rule_of(write_tar(tmp_path / "acme-1.0.tar.gz", GOOD, special=[special]), tmp_path / "out")
        == "several-roots"
    )


def test_the_dots_that_tar_puts_before_names(tmp_path: Path) -> None:
    dotted = {f"./{path}": content for path, content in GOOD.items()}
    top = tarfile.TarInfo(".")
    top.type = tarfile.DIRTYPE
    root = unpack_sdist(write_tar(tmp_path / "acme-1.0.tar.gz", dotted, special=[top]), tmp_path / "out")
    assert (root / "src" / "acme.py").read_bytes() == b"x = 1\n"


def test_bombs(tmp_path: Path) -> None:
    sdist = write_tar(tmp_path / "acme-1.0.tar.gz", {**GOOD, "acme-1.0/zeros": b"\0" * 5_000_000})
    assert rule_of(sdist, tmp_path / "out", Limits(grace=1_000_000, ratio=10)) == "too-large"
    assert rule_of(sdist, tmp_path / "out", Limits(entries=2)) == "too-many-entries"
    unpack_sdist(sdist, tmp_path / "out")


@pytest.mark.parametrize("form", [".tar.gz", ".tar.bz2", ".tar.xz", ".tar", ".zip"])
def test_damaged_archives(tmp_path: Path, form: str) -> None:
    good = {**GOOD, "acme-1.0/noise": os.urandom(30_000)}
    sdist = tmp_path / f"acme-1.0{form}"
    (write_zip if form == ".zip" else write_tar)(sdist, good)
    data = sdist.read_bytes()
    for cut in (0, 10, len(data) // 2):
        sdist.write_bytes(data[:cut])
        with pytest.raises(UnsafeArchive):
            unpack_sdist(sdist, tmp_path / f"out{cut}")


def test_a_zip_with_two_roots(tmp_path: Path) -> None:
    sdist = write_zip(tmp_path / "acme-1.0.zip", {**GOOD, "other/x": b"x"})
    assert rule_of(sdist, tmp_path / "out") == "several-roots"


def test_nothing_is_written_through_what_is_there(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("safe")
    folder = tmp_path / "out" / "acme-1.0"
    folder.mkdir(parents=True)
    (folder / "PKG-INFO").symlink_to(outside)
    with pytest.raises(FileExistsError):
        unpack_sdist(write_tar(tmp_path / "acme-1.0.tar.gz", GOOD), tmp_path / "out")
    assert outside.read_text() == "safe"
