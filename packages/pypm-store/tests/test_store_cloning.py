"""Reflinks: by the system where it can, and by what other systems offer, faked."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

import pytest

from pypm_store import cloning
from pypm_store.cloning import reflink
from pypm_store.linking import place


def test_a_reflink_or_nothing(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("x")
    try:
        reflink(str(source), str(target))
    except OSError:
        assert not target.exists()
    else:
        assert target.read_text() == "x" and target.stat().st_ino != source.stat().st_ino
    place(str(source), str(tmp_path / "second"), "reflink")
    assert (tmp_path / "second").read_text() == "x"


def test_linux_asks_for_a_clone_of_the_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Btrfs:
        @staticmethod
        def ioctl(write: int, request: int, read: int) -> int:
            assert request == 0x40049409
            os.write(write, os.read(read, 100))
            return 0

    monkeypatch.setattr(cloning, "_fcntl", Btrfs)
    monkeypatch.setattr(cloning, "_clone", cloning._clone_linux)
    (tmp_path / "source").write_text("shared")
    reflink(str(tmp_path / "source"), str(tmp_path / "target"))
    assert (tmp_path / "target").read_text() == "shared"
    with pytest.raises(FileExistsError):
        reflink(str(tmp_path / "source"), str(tmp_path / "target"))
    assert (tmp_path / "target").read_text() == "shared"


def test_macos_has_a_call_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[bytes, bytes, int]] = []

    def clonefile(source: bytes, target: bytes, flags: int) -> int:
        calls.append((source, target, flags))
        ctypes.set_errno(errno.ENOTSUP)
        return -1 if len(calls) > 1 else 0

    monkeypatch.setattr(cloning, "_clone", cloning._clone_darwin(clonefile))
    reflink("a", "b")
    assert calls == [(b"a", b"b", 0)]
    with pytest.raises(OSError) as caught:
        reflink("a", "b")
    assert caught.value.errno == errno.ENOTSUP


def test_elsewhere_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cloning._system_clone("win32") is None
    monkeypatch.setattr(cloning, "_clone", None)
    with pytest.raises(OSError) as caught:
        reflink("a", "b")
    assert caught.value.errno == errno.ENOTSUP
