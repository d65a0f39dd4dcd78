"""Files and folders exchanged in one step."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pypm_store import atomic, exchange
from pypm_store.atomic import beside_name, remove_tree, write_anew, write_atomically
from pypm_store.exchange import replace_tree

POSIX = os.name != "nt"


@pytest.mark.parametrize("fsync", [False, True])
def test_new_and_old_files(tmp_path: Path, fsync: bool) -> None:
    path = tmp_path / "file.txt"
    write_atomically(path, "one\r\nzwei\n", fsync=fsync)
    assert path.read_bytes() == b"one\r\nzwei\n"
    write_atomically(path, b"\0\1", fsync=fsync)
    assert path.read_bytes() == b"\0\1"
    assert os.listdir(tmp_path) == ["file.txt"]


@pytest.mark.skipif(not POSIX, reason="pipes with names")
def test_what_is_no_file_is_written_into_and_stays(tmp_path: Path) -> None:
    """`-o /dev/null` by an administrator would else take the device away from everybody."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomically(pipe, "text")
        assert os.read(reader, 10) == b"text"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode) and os.listdir(tmp_path) == ["pipe"]
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path, "text")


@pytest.mark.skipif(not POSIX, reason="modes")
def test_permissions_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    old = os.umask(0o027)
    try:
        write_atomically(path, "x")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    finally:
        os.umask(old)
    path.chmod(0o755)
    write_atomically(path, "y")
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    write_atomically(path, "z", mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "folder" / "real"
    real.parent.mkdir()
    real.write_text("old")
    link = tmp_path / "link"
    link.symlink_to(real)
    write_atomically(link, "new")
    assert link.is_symlink() and real.read_text() == "new" and os.listdir(real.parent) == ["real"]


def test_a_failure_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(atomic.os, "replace", fail)
    with pytest.raises(OSError, match="no"):
        write_atomically(path, "new")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_windows_lets_go_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, turns = os.replace, []

    def stubborn(source: str, target: str) -> None:
        turns.append(source)
        if len(turns) < 3:
            raise PermissionError
        real(source, target)

    monkeypatch.setattr(atomic, "_RETRIES", 20)
    monkeypatch.setattr(atomic.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(atomic.os, "replace", stubborn)
    write_atomically(tmp_path / "file", "x")
    assert len(turns) == 3 and (tmp_path / "file").read_text() == "x"


def test_long_and_odd_names(tmp_path: Path) -> None:
    for name in ("n" * 250, "ü" * 120):
        write_atomically(tmp_path / name, "x")
        assert len(os.path.basename(beside_name(tmp_path / name)).encode()) <= 255
    assert len(os.listdir(tmp_path)) == 2


def folder_with(path: Path, name: str) -> Path:
    path.mkdir()
    (path / name).write_text(name)
    return path


@pytest.mark.parametrize("can_exchange", [True, False])
def test_folders_change_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool) -> None:
    if not can_exchange:
        monkeypatch.setattr(exchange, "_system_swap", lambda: None)
    target = tmp_path / "target"
    replace_tree(folder_with(tmp_path / "first", "a"), target)
    assert os.listdir(target) == ["a"]
    os.chmod(target, 0o555)
    replace_tree(folder_with(tmp_path / "second", "b"), target)
    assert os.listdir(target) == ["b"] and os.listdir(tmp_path) == ["target"]


def test_the_old_folder_comes_back_if_the_new_one_cannot_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_system_swap", lambda: None)
    target = folder_with(tmp_path / "target", "old")
    with pytest.raises(FileNotFoundError):
        replace_tree(tmp_path / "missing", target)
    assert os.listdir(target) == ["old"] and os.listdir(tmp_path) == ["target"]


def test_removing_follows_no_links_and_minds_no_modes(tmp_path: Path) -> None:
    outside = folder_with(tmp_path / "outside", "kept")
    tree = folder_with(tmp_path / "tree", "file")
    inner = folder_with(tree / "inner", "deep")
    (inner / "link").symlink_to(outside)
    os.chmod(inner / "deep", 0o444)
    os.chmod(inner, 0o555)
    os.chmod(tree, 0o555)
    assert remove_tree(tree) >= len("file") + len("deep")
    assert not tree.exists() and os.listdir(outside) == ["kept"]
    assert remove_tree(tree) == 0
    link = tmp_path / "link"
    link.symlink_to(outside)
    remove_tree(link)
    assert not link.is_symlink() and outside.exists()


def test_what_is_written_anew_is_not_written_through_a_link(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(b"of the store")
    linked, pointed = tmp_path / "linked", tmp_path / "pointed"
    os.link(kept, linked)
    pointed.symlink_to(kept)
    for path in (linked, pointed, tmp_path / "new"):
        time = write_anew(str(path), b"own")
        assert path.read_bytes() == b"own" and not path.is_symlink()
        assert time == path.stat().st_mtime_ns
    assert kept.read_bytes() == b"of the store"
