"""A clone that is new on this machine begins with what another one has found out."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.transcripts import Stage
from kit.wheels import make_wheel
from pypm.ops.lock import CheckOptions, LockOptions, check, lock
from pypm.ops.opening import open_workspace
from pypm.ops.remembered import snapshot_folder
from pypm.ops.world import World
from pypm_workspace import discovery

WORKSPACE = '[workspace]\nname = "all"\nmembers = ["packages/*"]\n'
MEMBER = '[project]\nname = "{}"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["a"]\n'


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made:
        assert made.server.folder is not None
        make_wheel(made.server.folder, "a", "1.0")
        make_wheel(made.server.folder, "b", "1.0")
        first = made.root / "first"
        for name in ("m", "n"):
            (first / "packages" / name).mkdir(parents=True)
            (first / "packages" / name / "pyproject.toml").write_text(MEMBER.format(name))
        (first / "pypm-workspace.toml").write_text(WORKSPACE)
        lock(World(first, {**made.environ}), LockOptions())
        yield made


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Manifests that were parsed."""
    seen: list[str] = []
    real = discovery.Discovery.manifest

    def manifest(self: discovery.Discovery, path: str, reading: object) -> object:
        def read(*given: object) -> object:
            seen.append(path)
            return reading(*given)  # type: ignore[operator]

        return real(self, path, read)  # type: ignore[arg-type]

    monkeypatch.setattr(discovery.Discovery, "manifest", manifest)
    return seen


def cloned(stage: Stage, name: str = "second") -> World:
    shutil.copytree(stage.root / "first", stage.root / name)
    return World(stage.root / name, {**stage.environ})


def test_no_manifest_of_a_clone_is_parsed_again(stage: Stage, parsed: list[str]) -> None:
    world = cloned(stage)
    workspace = open_workspace(world)
    assert not parsed
    assert workspace.root == str(world.cwd) and [member.name for member in workspace.members] == ["m", "n"]
    # From now on it stands for itself.
    shutil.rmtree(stage.root / "first")
    open_workspace(world)
    assert not parsed


def test_what_differs_in_a_clone_is_parsed(stage: Stage, parsed: list[str]) -> None:
    world = cloned(stage)
    manifest = world.cwd / "packages" / "n" / "pyproject.toml"
    manifest.write_text(MEMBER.format("n").replace('"a"', '"b"'))
    workspace = open_workspace(world)
    assert parsed == ["packages/n/pyproject.toml"]
    (asked,) = next(member for member in workspace.members if member.name == "n").dependencies
    assert asked.requirement.name == "b"
    # The first is as it was, and has its own.
    parsed.clear()
    first = open_workspace(World(stage.root / "first", {**stage.environ}))
    assert not parsed and {one.dependencies[0].requirement.name for one in first.members} == {"a"}


def test_a_clone_knows_that_its_lock_fits(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    world = cloned(stage)
    with monkeypatch.context() as patched:
        patched.setattr("pypm.ops.lock.open_tools", None)  # whoever looks closer falls over it
        assert check(world, CheckOptions()).problem is None
        assert not lock(world, LockOptions()).changed
    (world.cwd / "packages" / "n" / "pyproject.toml").write_text(MEMBER.format("n").replace('"a"', '"b"'))
    assert check(world, CheckOptions()).problem is not None


def test_another_workspace_takes_nothing_over(stage: Stage, parsed: list[str]) -> None:
    world = cloned(stage)
    (world.cwd / "pypm-workspace.toml").write_text(WORKSPACE.replace("all", "other"))
    assert open_workspace(world).name == "other"
    assert sorted(parsed) == [
        "packages/m/pyproject.toml",
        "packages/n/pyproject.toml",
        "pypm-workspace.toml",
    ]


@pytest.mark.parametrize("content", [b"", b"../../x", b"0" * 24, b"\xff\xfe"])
def test_a_pointer_that_leads_nowhere_is_none(stage: Stage, parsed: list[str], content: bytes) -> None:
    world = cloned(stage)
    for pointer in snapshot_folder(world).glob("*.clone.json"):
        pointer.write_bytes(content)
    assert len(open_workspace(world).members) == 2 and parsed


@pytest.mark.skipif(sys.platform == "win32", reason="no such modes there")
def test_what_others_may_have_written_is_not_taken_over(stage: Stage, parsed: list[str]) -> None:
    world = cloned(stage)
    for file in snapshot_folder(world).iterdir():
        file.chmod(0o666)
    assert len(open_workspace(world).members) == 2 and len(parsed) == 3
