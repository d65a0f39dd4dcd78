"""Watched folders tell of what changes in them, whatever takes their place; and what is held in memory of
manifests is believed exactly as long as it may be."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from pypm_workspace import watch
from pypm_workspace.discover import discover, look
from pypm_workspace.faults import InvalidManifest
from pypm_workspace.snapshot import Held
from pypm_workspace.watch import Poller, Watcher, WatchRefused
from pypm_workspace.workspace import Workspace

pytestmark = pytest.mark.slow

LONG = 60_000
SHORT = 300

each = pytest.mark.parametrize("kind", [Watcher, Poller])
"""Those who are told, and those who look."""


def waited(watcher: Watcher | Poller) -> set[str]:
    """What is told next: whoever looks does so once in each wait."""
    while not (told := names(watcher.wait(LONG))):
        pass
    return told


def names(paths: frozenset[str]) -> set[str]:
    return {os.path.basename(path) for path in paths}


@each
def test_a_renamed_file_is_told_and_what_is_below_is_not(
    kind: type[Watcher | Poller], tmp_path: Path
) -> None:
    (tmp_path / "below").mkdir()
    with kind() as watcher:
        assert watcher.follow([str(tmp_path)])
        assert watcher.wait(SHORT) == frozenset()
        (tmp_path / ".new").write_text("x")
        os.replace(tmp_path / ".new", tmp_path / "file")
        assert "file" in waited(watcher)
        (tmp_path / "below" / "other").write_text("x")
        assert "other" not in names(watcher.wait(SHORT))


@each
def test_what_happens_while_nobody_waits_is_told_later(kind: type[Watcher | Poller], tmp_path: Path) -> None:
    with kind() as watcher:
        watcher.follow([str(tmp_path)])
        for number in range(500):
            (tmp_path / f"file{number}").write_text("x")
        time.sleep(0.1)
        told = waited(watcher)
        while more := names(watcher.wait(SHORT)):
            told |= more
        assert told >= {f"file{number}" for number in range(500)}


def test_whoever_looks_sees_edits_that_follow_each_other_quickly(tmp_path: Path) -> None:
    """Several within a second, of the same length, in place or by renaming."""
    (tmp_path / "file").write_text("0")
    with Poller() as poller:
        poller.follow([str(tmp_path)])
        for number in range(1, 6):
            if number % 2:
                (tmp_path / "file").write_text(str(number))
            else:
                (tmp_path / ".new").write_text(str(number))
                os.replace(tmp_path / ".new", tmp_path / "file")
            assert "file" in names(poller.wait(20))
        assert poller.wait(20) == frozenset()


@each
def test_a_folder_that_takes_anothers_place_is_another_one(
    kind: type[Watcher | Poller], tmp_path: Path
) -> None:
    folder, missing = tmp_path / "folder", tmp_path / "missing"
    folder.mkdir()
    with kind() as watcher:
        assert watcher.follow([str(folder), str(missing)])
        assert not watcher.follow([str(missing), str(folder)]), "it is the same"
        folder.rename(tmp_path / "away")
        folder.mkdir()
        assert watcher.follow([str(folder), str(missing)])
        (folder / "file").write_text("x")
        assert "file" in waited(watcher)
        missing.mkdir()
        assert watcher.follow([str(folder), str(missing)])
        shutil.rmtree(folder)
        assert watcher.follow([str(folder), str(missing)])


def test_a_system_that_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> object:
        raise OSError("OS file watch limit reached.")

    with Watcher() as watcher:
        watcher.follow([str(tmp_path)])
        (tmp_path / "more").mkdir()
        monkeypatch.setattr(watch, "RustNotify", refuse)
        with pytest.raises(WatchRefused, match="refuses to watch 2 folders: OS file watch limit") as raised:
            watcher.follow([str(tmp_path), str(tmp_path / "more")])
        assert raised.value.hint is not None and "--poll" in raised.value.hint


def make(root: Path, *members: str) -> None:
    (root / "pypm-workspace.toml").write_text('[workspace]\nmembers = ["packages/*"]\n')
    for name in members:
        file = root / "packages" / name / "pyproject.toml"
        file.parent.mkdir(parents=True)
        file.write_text(f'[project]\nname = "{name}"\nversion = "1"\n')


def held(found: Workspace, began_ns: int) -> Held:
    return Held(found.root, found.remembered, found.state, found.checked, began_ns=began_ns)


def test_what_is_held_gives_the_same_workspace(tmp_path: Path) -> None:
    make(tmp_path, "a", "b", "c")
    first = discover(tmp_path)
    known = held(first, time.time_ns() + 10**10)
    same = look(str(tmp_path), known)
    assert same.outcome == first and same.inputs == first.inputs
    assert isinstance(same.outcome, Workspace)
    assert all(mine is theirs for mine, theirs in zip(same.outcome.members, first.members, strict=True))
    file = tmp_path / "packages" / "b" / "pyproject.toml"
    file.write_text(file.read_text() + 'dependencies = ["c"]\n')
    changed = look(str(tmp_path), known)
    assert changed.outcome == discover(tmp_path) != first


def test_times_are_believed_only_if_they_are_old_and_nobody_doubts(tmp_path: Path) -> None:
    make(tmp_path, "a")
    file = tmp_path / "packages" / "a" / "pyproject.toml"
    first = discover(tmp_path)
    before = file.stat()
    file.write_text(file.read_text().replace('"1"', '"2"'))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    def version(known: Held) -> str | None:
        found = look(str(tmp_path), known).outcome
        assert isinstance(found, Workspace)
        return found.members[0].version

    late = held(first, before.st_mtime_ns + 10**9)
    assert version(late) == "1", "nothing shows that it has changed"
    assert version(late.doubting({"packages/a/pyproject.toml"})) == "2"
    assert version(held(first, before.st_mtime_ns + 10**6)) == "2", "it was too fresh when it was read"


def test_an_error_tells_what_was_looked_at(tmp_path: Path) -> None:
    make(tmp_path, "a", "b")
    (tmp_path / "packages" / "a" / "pyproject.toml").write_text("[project")
    found = look(str(tmp_path))
    assert isinstance(found.outcome, InvalidManifest)
    assert {seen.path for seen in found.inputs.files} >= {
        "packages/a/pyproject.toml",
        "packages/b/pyproject.toml",
        "pypm-workspace.toml",
    }
    assert [seen.path for seen in found.inputs.folders] == ["packages"]
