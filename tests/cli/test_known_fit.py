"""A lock that is known to fit is not read again; whatever has changed is looked into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.transcripts import Stage
from kit.wheels import make_wheel
from pypm.ops import retained
from pypm.ops.lock import CheckOptions, LockOptions, check, lock
from pypm.ops.remembered import fit_file
from pypm.ops.world import World
from pypm_model.locks import Lock

PROJECT = '[project]\nname = "m"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["a"]\n'


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made:
        assert made.server.folder is not None
        make_wheel(made.server.folder, "a", "1.0")
        make_wheel(made.server.folder, "b", "1.0")
        made.root.mkdir(parents=True, exist_ok=True)
        (made.root / "pyproject.toml").write_text(PROJECT)
        yield made


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Locks that were read."""
    seen: list[str] = []
    real = retained.read

    def read(text: str, file: str) -> Lock:
        seen.append(text)
        return real(text, file)

    monkeypatch.setattr(retained, "read", read)
    return seen


def world_of(stage: Stage) -> World:
    return World(stage.root, {**stage.environ})


def is_read(stage: Stage, reads: list[str]) -> tuple[bool, bool]:
    """Whether checking the lock, and then locking again, read it; neither finds anything to do."""
    reads.clear()
    assert check(world_of(stage), CheckOptions()).problem is None
    checking = bool(reads)
    reads.clear()
    assert not lock(world_of(stage), LockOptions()).changed
    return checking, bool(reads)


def test_what_fits_is_not_read_again(stage: Stage, reads: list[str]) -> None:
    first = lock(world_of(stage), LockOptions())
    assert first.changed and is_read(stage, reads) == (False, False)
    again = lock(world_of(stage), LockOptions())
    assert (again.packages, again.members) == (first.packages, first.members) == (1, 1)
    assert lock(world_of(stage), LockOptions(upgrade=True)).changed is False and reads


def test_an_edit_of_either_is_looked_into(stage: Stage, reads: list[str]) -> None:
    lock(world_of(stage), LockOptions())
    file = stage.root / "pypm.lock"
    file.write_text(file.read_text() + "# mine\n")
    assert is_read(stage, reads)[0]
    (stage.root / "pyproject.toml").write_text(PROJECT.replace('"a"', '"b"'))
    assert check(world_of(stage), CheckOptions()).problem is not None
    assert lock(world_of(stage), LockOptions()).changed
    assert is_read(stage, reads) == (False, False)


def test_a_check_remembers_what_it_found(stage: Stage, reads: list[str]) -> None:
    lock(world_of(stage), LockOptions())
    fit_file(world_of(stage), str(stage.root)).unlink()
    # `lock` also has to know that the packages' own requirements are met.
    assert is_read(stage, reads) == (True, True)
    assert is_read(stage, reads) == (False, False)


@pytest.mark.parametrize("content", [b"", b"x 1 2", b"\xff" * 300, b"a b", b"a b c d"])
def test_whatever_stands_in_the_file_is_no_proof(stage: Stage, reads: list[str], content: bytes) -> None:
    lock(world_of(stage), LockOptions())
    fit_file(world_of(stage), str(stage.root)).write_bytes(content)
    assert is_read(stage, reads)[0]


@pytest.mark.skipif("os.name != 'posix'")
def test_what_others_could_have_written_is_no_proof(stage: Stage, reads: list[str]) -> None:
    lock(world_of(stage), LockOptions())
    fit_file(world_of(stage), str(stage.root)).chmod(0o666)
    assert is_read(stage, reads)[0]


@pytest.mark.parametrize("kind", ["export", "folder", "no-python"])
def test_where_more_than_the_manifests_counts_it_is_always_looked_into(
    stage: Stage, reads: list[str], kind: str
) -> None:
    manifest = stage.root / "pyproject.toml"
    if kind == "export":
        (stage.root / "pypm-workspace.toml").write_text('[lock]\nexport = ["pylock.toml"]\n')
    elif kind == "folder":
        (stage.root / "lib").mkdir()
        (stage.root / "lib" / "pyproject.toml").write_text(
            '[project]\nname = "lib"\nversion = "1"\n[build-system]\nrequires = []\nbuild-backend = "none"\n'
        )
        manifest.write_text(PROJECT.replace('"a"', '"lib"') + '[tool.pypm.sources]\nlib = { path = "lib" }\n')
    else:
        manifest.write_text(PROJECT.replace('requires-python = ">=3.11"\n', ""))
    lock(world_of(stage), LockOptions())
    assert is_read(stage, reads) == (True, True)
