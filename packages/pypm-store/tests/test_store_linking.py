"""Files from a tree into an environment."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from kit.wheels import make_wheel, sha256
from pypm_store import linking
from pypm_store.linking import Able, Way, able, choose, link_tree
from pypm_store.store import Store, Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    wheel = make_wheel(
        tmp_path,
        "acme",
        "1.0",
        files={"acme/__init__.py": "x = 1\n", "acme/sub/tool": "#!/bin/sh\n", "one.py": ""},
        executable=["acme/sub/tool"],
    )
    return Store.open(tmp_path / "cache").unpack(wheel, sha256(wheel))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "env" / "site-packages"
    path.mkdir(parents=True)
    return path


@pytest.mark.parametrize("way", ["hardlink", "reflink", "copy"])
def test_everything_arrives(tree: Tree, site: Path, way: Way) -> None:
    made: set[str] = set()
    assert link_tree(tree, site, way, made=made) == len(tree.files)
    for path in tree.files:
        assert (site / path).read_bytes() == (tree.site / path).read_bytes()
        # Bytecode is compared with the time of its source.
        assert (site / path).stat().st_mtime_ns == (tree.site / path).stat().st_mtime_ns
        assert ((site / path).stat().st_ino == (tree.site / path).stat().st_ino) == (way == "hardlink")
    assert os.access(site / "acme/sub/tool", os.X_OK)
    assert made == {f"{site}/{folder}" for folder in tree.folders}
    if way != "hardlink":
        (site / "one.py").write_text("mine = 1\n")
        assert (tree.site / "one.py").read_text() == ""


def test_folders_are_the_environments_own(tree: Tree, site: Path) -> None:
    link_tree(tree, site, "hardlink")
    (site / "acme" / "new.py").write_text("")
    assert not (tree.site / "acme" / "new.py").exists()


def test_some_files_are_left_out_and_bytecode_comes_along(tree: Tree, site: Path) -> None:
    (tree.site / "acme" / "__pycache__" / "x.pyc").write_bytes(b"code")
    record = f"{tree.info}/RECORD"
    count = link_tree(tree, site, "hardlink", leave_out={record}, bytecode=["acme/__pycache__/x.pyc"])
    assert count == len(tree.files)
    assert not (site / record).exists() and (site / "acme/__pycache__/x.pyc").read_bytes() == b"code"


@pytest.mark.parametrize("way", ["hardlink", "copy"])
def test_a_file_in_the_way(tree: Tree, site: Path, way: Way) -> None:
    (site / "one.py").write_text("older")
    with pytest.raises(FileExistsError):
        link_tree(tree, site, way)
    assert (site / "one.py").read_text() == "older"
    asked: list[str] = []
    for path in [p for p in tree.files if (site / p).exists() and p != "one.py"]:
        (site / path).unlink()
    link_tree(tree, site, way, taken=asked.append)
    assert asked == ["one.py"] and (site / "one.py").read_text() == "older"
    for path in [p for p in tree.files if p != "one.py"]:
        (site / path).unlink()
    link_tree(tree, site, way, taken=lambda path: (site / path).unlink())
    assert (site / "one.py").read_text() == ""


def test_a_file_where_a_folder_must_be(tree: Tree, site: Path) -> None:
    (site / "acme").write_text("")
    with pytest.raises(FileExistsError):
        link_tree(tree, site, "hardlink")


@pytest.mark.parametrize("error", [errno.EXDEV, errno.EMLINK, errno.EPERM])
def test_a_file_that_cannot_be_linked_is_copied(
    tree: Tree, site: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def refuse(source: str, target: str, **more: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(linking.os, "link", refuse)
    assert link_tree(tree, site, "hardlink") == len(tree.files)
    assert (site / "acme/__init__.py").read_text() == "x = 1\n"


@pytest.mark.skipif(os.link not in os.supports_dir_fd, reason="names relative to folders")
def test_a_file_is_one_call_with_short_names(tree: Tree, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    linked: list[tuple[str, str]] = []
    made: list[str] = []
    link, mkdir = os.link, os.mkdir
    monkeypatch.setattr(linking.os, "link", lambda a, b, **more: (linked.append((a, b)), link(a, b, **more)))
    monkeypatch.setattr(linking.os, "mkdir", lambda path, **more: (made.append(path), mkdir(path, **more)))
    link_tree(tree, site, "hardlink")
    assert linked == [(path, path) for path in tree.files]
    assert made == list(tree.folders)


def test_a_full_disk_is_not_taken_for_inability(
    tree: Tree, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: str, target: str, **more: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(linking.os, "link", refuse)
    with pytest.raises(OSError, match="full"):
        link_tree(tree, site, "hardlink")


def test_what_a_pair_can_do_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linking, "_able", {})
    tried: list[str] = []
    real = os.link
    monkeypatch.setattr(linking.os, "link", lambda a, b: tried.append(a) or real(a, b))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert able(tmp_path / "a", tmp_path / "b").hardlink
    assert able(tmp_path / "b", tmp_path / "a").hardlink
    assert len(tried) == 1
    assert os.listdir(tmp_path / "a") == os.listdir(tmp_path / "b") == []


def test_the_way_follows_from_what_is_asked_and_possible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for can, expected in (
        (
            Able(True, True),
            {"auto": "hardlink", "hardlink": "hardlink", "reflink": "reflink", "copy": "copy"},
        ),
        (Able(False, False), dict.fromkeys(("auto", "hardlink", "reflink", "copy"), "copy")),
    ):
        monkeypatch.setattr(linking, "able", lambda source, target, can=can: can)
        for mode, way in expected.items():
            assert choose(mode, tmp_path, tmp_path) == way  # type: ignore[arg-type]


def test_a_pair_on_two_devices_copies(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or not os.access(other, os.W_OK) or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second device")
    assert choose("auto", tmp_path, other) == "copy"
