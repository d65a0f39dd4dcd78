"""A lock is looked into once for each text of it, and nobody else's word is taken for that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pypm.ops.remembered import sound_file
from pypm.ops.soundness import unsound
from pypm.ops.world import World
from pypm_model import lock_soundness
from pypm_model.lock_errors import LockUnsound
from pypm_model.lock_text import read, write
from pypm_model.locks import Edge, Lock, LockedPackage
from pypm_model.names import NormalizedName
from pypm_model.sources import MemberSource

NAME = NormalizedName("a")
GOOD = Lock(packages=(LockedPackage(NAME, "1.0", MemberSource("a")),))
BAD = Lock(
    packages=(LockedPackage(NAME, "1.0", MemberSource("a"), dependencies=(Edge(NormalizedName("nowhere")),)),)
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, {"PYPM_CACHE_DIR": str(tmp_path / "cache")})


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Lock]:
    seen: list[Lock] = []
    flaw = lock_soundness.flaw

    def counted(lock: Lock) -> LockUnsound | None:
        seen.append(lock)
        return flaw(lock)

    monkeypatch.setattr(lock_soundness, "flaw", counted)
    return seen


def judge(world: World, lock: Lock, root: str = "/w") -> LockUnsound | None:
    text = write(lock)
    return unsound(world, root, text, read(text, "pypm.lock"))


def test_what_was_found_sound_is_not_looked_into_again(world: World, looks: list[Lock]) -> None:
    assert judge(world, GOOD) is None
    assert judge(world, GOOD) is None
    assert len(looks) == 1
    assert judge(world, GOOD, "/other") is None
    assert len(looks) == 2


def test_what_is_wrong_is_said_each_time(world: World, looks: list[Lock]) -> None:
    assert judge(world, GOOD) is None
    for _ in range(2):
        assert judge(world, BAD) is not None
    assert len(looks) == 3
    assert judge(world, GOOD) is None
    assert len(looks) == 3


def test_without_a_folder_to_keep_it_in_it_is_looked_into(tmp_path: Path, looks: list[Lock]) -> None:
    (tmp_path / "file").write_text("")
    world = World(tmp_path, {"PYPM_CACHE_DIR": str(tmp_path / "file")})
    for _ in range(2):
        assert judge(world, GOOD) is None
    assert len(looks) == 2


@pytest.mark.skipif(os.name != "posix", reason="about owners and modes")
def test_a_file_that_others_may_write_is_not_trusted(
    world: World, looks: list[Lock], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert judge(world, GOOD) is None
    file = sound_file(world, "/w")
    assert file.stat().st_mode & 0o777 == 0o600
    for mode in (0o620, 0o602):
        file.chmod(mode)
        assert judge(world, GOOD) is None
    assert len(looks) == 3
    file.chmod(0o600)
    assert judge(world, GOOD) is None
    assert len(looks) == 3
    monkeypatch.setattr(os, "getuid", lambda: file.stat().st_uid + 1)
    assert judge(world, GOOD) is None
    assert len(looks) == 4


@pytest.mark.parametrize("content", [b"", b"0" * 64, b"{}", b"\xff" * 200])
def test_damage_is_no_answer(world: World, looks: list[Lock], content: bytes) -> None:
    assert judge(world, GOOD) is None
    sound_file(world, "/w").write_bytes(content)
    assert judge(world, GOOD) is None
    assert judge(world, GOOD) is None
    assert len(looks) == 2
