"""What was resolved before is not resolved again, as long as nothing that had a say has changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.transcripts import Stage
from kit.wheels import core_metadata, make_wheel
from pypm.ops import resolving
from pypm.ops.lock import LockOptions, LockReport, lock
from pypm.ops.world import World
from pypm_model.events import Event, Warned


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made:
        make(made, "a", "1.0", requires=["b"])
        make(made, "b", "1.0")
        write(made.root)
        yield made


def make(stage: Stage, name: str, version: str, **more: Any) -> None:
    assert stage.server.folder is not None
    make_wheel(stage.server.folder, name, version, **more)


def write(root: Path, *asks: str, python: str = 'requires-python = ">=3.11"', more: str = "") -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "pyproject.toml").write_text(
        f'[project]\nname = "m"\nversion = "1"\n{python}\ndependencies = {json.dumps(asks or ["a"])}\n{more}'
    )


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One item for each resolution."""
    seen: list[int] = []
    real = resolving.run

    def run(*given: Any) -> Any:
        seen.append(1)
        return real(*given)

    monkeypatch.setattr(resolving, "run", run)
    return seen


def world_of(stage: Stage, **more: Any) -> World:
    return World(stage.root, {**stage.environ}, **more)


def locked(stage: Stage, *, anew: bool = True, **more: Any) -> tuple[LockReport, str]:
    file = stage.root / "pypm.lock"
    if anew:
        file.unlink(missing_ok=True)
    report = lock(world_of(stage, **more), LockOptions())
    return report, file.read_text()


def test_the_same_question_has_the_same_answer(stage: Stage, resolved: list[int]) -> None:
    first, text = locked(stage)
    again, same = locked(stage)
    assert len(resolved) == 1 and same == text
    assert again == first and again.changed and again.created


def test_what_was_tried_is_done_at_once(stage: Stage, resolved: list[int]) -> None:
    locked(stage)
    make(stage, "b", "2.0")
    upgrade = LockOptions(dry_run=True, upgrade=True)
    tried = lock(world_of(stage, refresh=True), upgrade)
    assert len(resolved) == 2 and [change.name for change in tried.diff.changed] == ["b"]
    done = lock(world_of(stage), LockOptions(upgrade=True))
    assert len(resolved) == 2 and done.diff == tried.diff and done.changed
    assert not lock(world_of(stage), LockOptions(upgrade=True)).changed


@pytest.mark.slow
def test_an_edit_that_is_taken_back_is_known(stage: Stage, resolved: list[int]) -> None:
    make(stage, "c", "1.0")
    _, text = locked(stage)
    write(stage.root, "a", "c")
    locked(stage, anew=False)
    write(stage.root)
    locked(stage, anew=False)
    assert len(resolved) == 2  # what goes is not resolved
    for asks in (["a", "c"], ["a"]):
        write(stage.root, *asks)
        _, last = locked(stage, anew=False)
    assert len(resolved) == 2 and last == text


@pytest.mark.slow
def test_a_page_that_changes_changes_the_answer(stage: Stage, resolved: list[int]) -> None:
    locked(stage)
    make(stage, "b", "2.0")
    assert "2.0" not in locked(stage)[1] and len(resolved) == 1  # nobody has asked yet
    assert "2.0" in locked(stage, refresh=True)[1] and len(resolved) == 2
    stage.server.max_age = 0
    make(stage, "b", "3.0")
    assert "3.0" in locked(stage, refresh=True)[1] and len(resolved) == 3
    make(stage, "b", "4.0")
    assert "4.0" in locked(stage)[1] and len(resolved) == 4
    requests = stage.server.count("/simple/")
    locked(stage)
    # Old pages are asked for again, and have not changed.
    assert len(resolved) == 4 and stage.server.count("/simple/") == requests + 2


def test_pages_of_what_was_not_chosen_count(stage: Stage, resolved: list[int]) -> None:
    make(stage, "a", "2.0", requires=["gone"])
    _, text = locked(stage)
    assert "a-1.0" in text
    make(stage, "gone", "1.0")
    assert "gone" in locked(stage, refresh=True)[1] and len(resolved) == 2


def test_another_setting_is_another_question(stage: Stage, resolved: list[int]) -> None:
    make(stage, "b", "2.0")
    assert "b-2.0" in locked(stage)[1]
    (stage.root / "pypm-workspace.toml").write_text('[workspace]\n[resolution]\nstrategy = "lowest"\n')
    assert "b-1.0" in locked(stage)[1] and len(resolved) == 2


def test_another_index_is_another_question(stage: Stage, resolved: list[int], tmp_path: Path) -> None:
    locked(stage)
    with Stage(tmp_path / "other") as other:
        make(other, "a", "1.0")
        there = World(stage.root, {**stage.environ, "PYPM_INDEX_URL": other.server.url})
        (stage.root / "pypm.lock").unlink()
        lock(there, LockOptions())
    assert len(resolved) == 2


@pytest.mark.slow
def test_warnings_are_given_every_time(stage: Stage, resolved: list[int]) -> None:
    write(stage.root, "a", "b[x]")
    for _ in range(2):
        events: list[Event] = []
        locked(stage, listener=events.append)
        assert [event.code for event in events if isinstance(event, Warned)] == ["resolution"]
    assert len(resolved) == 2


@pytest.mark.slow
def test_what_pages_do_not_tell_is_looked_at_each_time(stage: Stage, resolved: list[int]) -> None:
    make_local = stage.root / "local"
    make_local.mkdir()
    (make_local / "pyproject.toml").write_text(
        '[project]\nname = "local"\nversion = "1"\ndependencies = ["a"]\n'
    )
    write(stage.root, "local", more='[tool.uv.sources]\nlocal = { path = "local" }\n')
    locked(stage)
    (make_local / "pyproject.toml").write_text(
        '[project]\nname = "local"\nversion = "1"\ndependencies = ["b"]\n'
    )
    _, text = locked(stage)
    assert len(resolved) == 2 and "a-1.0" not in text
    # The interpreter at hand decides where no member says a word.
    write(stage.root, python="")
    for _ in range(2):
        locked(stage)
    assert len(resolved) == 4


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "list", "mode"])
def test_an_answer_that_is_damaged_is_none(stage: Stage, resolved: list[int], damage: str) -> None:
    _, text = locked(stage)
    (file,) = (Path(stage.environ["PYPM_CACHE_DIR"]) / "v1" / "answers").iterdir()
    content = file.read_bytes()
    match damage:
        case "cut":
            file.write_bytes(content[:-20])
        case "changed":
            file.write_bytes(content.replace(b"1.0", b"9.9"))
        case "empty":
            file.write_bytes(b"")
        case "list":
            file.write_bytes(b"[1, 2, 3]\n")
        case "mode":
            file.chmod(0o666)
    assert locked(stage)[1] == text and len(resolved) == 2


@pytest.mark.slow
def test_an_index_that_lied_is_not_believed_again(stage: Stage) -> None:
    stage.server.told["a-1.0-py3-none-any.whl"] = core_metadata("a", "1.0").encode()
    assert stage.run("pypm lock -q") == (0, "")
    told = (stage.root / "pypm.lock").read_text()
    assert stage.run("pypm sync -q")[0] == 0  # which unpacks the wheel, and warns
    (stage.root / "pypm.lock").unlink()
    assert stage.run("pypm lock -q") == (0, "")
    assert "b-1.0" not in told and "b-1.0" in (stage.root / "pypm.lock").read_text()


@pytest.mark.slow
def test_a_few_answers_are_kept(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pypm.ops.answers._MOST", 3)
    for number in range(5):
        make(stage, f"c{number}", "1.0")
        write(stage.root, f"c{number}")
        locked(stage)
    assert len(list((Path(stage.environ["PYPM_CACHE_DIR"]) / "v1" / "answers").iterdir())) == 3
