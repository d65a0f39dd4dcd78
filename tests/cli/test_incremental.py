"""An edit on top of a lock: what is locked is neither asked about nor moved (decision 0052)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.transcripts import Stage
from kit.wheels import make_wheel
from pypm.ops import resolving
from pypm.ops.lock import LockOptions, lock
from pypm.ops.world import World
from pypm_model.events import Event, Warned

A_B = ("a",)
"""What is asked for at first: a, which needs b."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made:
        make(made, "a", "1.0", requires=["b>=1"])
        make(made, "b", "1.0")
        make(made, "c", "1.0", requires=["b; sys_platform == 'win32'"])
        write(made.root)
        yield made


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One item for each time that everything is resolved."""
    seen: list[int] = []
    real = resolving.resolve

    def resolve(*given: Any) -> Any:
        seen.append(1)
        return real(*given)

    monkeypatch.setattr(resolving, "resolve", resolve)
    return seen


def make(stage: Stage, name: str, version: str, **more: Any) -> None:
    assert stage.server.folder is not None
    make_wheel(stage.server.folder, name, version, **more)


def write(root: Path, *asks: str) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "pyproject.toml").write_text(
        '[project]\nname = "m"\nversion = "1"\nrequires-python = ">=3.11"\n'
        f"dependencies = {json.dumps(asks or A_B)}\n"
    )


def locked(stage: Stage, *asks: str, **more: Any) -> str:
    """The lock after the manifest was made to ask for *asks*; nothing is known of answers before."""
    write(stage.root, *asks)
    shutil.rmtree(Path(stage.environ["PYPM_CACHE_DIR"]) / "v1" / "answers", ignore_errors=True)
    lock(World(stage.root, {**stage.environ}, **more), LockOptions())
    return (stage.root / "pypm.lock").read_text()


def notes_of(stage: Stage) -> list[Path]:
    found = list((Path(stage.environ["PYPM_CACHE_DIR"]) / "v1" / "resolved").iterdir())
    assert found
    return found


def asked(stage: Stage) -> set[str]:
    """Names whose pages the index was asked for."""
    return {seen.path.rstrip("/").rpartition("/")[2] for seen in stage.server.seen("/simple/")}


def test_only_what_is_new_is_looked_up(stage: Stage, resolved: list[int]) -> None:
    stage.server.max_age = 0
    locked(stage)
    make(stage, "b", "2.0")
    make(stage, "d", "1.0")
    stage.server.forget()
    text = locked(stage, "a", "d")
    assert asked(stage) == {"d"} and len(resolved) == 1
    assert "d-1.0" in text and "b-1.0" in text and "b-2.0" not in text


def test_the_lock_is_that_of_a_machine_that_does_not_know_it(stage: Stage, resolved: list[int]) -> None:
    first = locked(stage)
    make(stage, "b", "1.0", tag="py2-none-any")  # a file more of what is locked
    here = locked(stage, "a", "c")
    assert "py2" not in here
    (stage.root / "pypm.lock").write_text(first)
    for note in notes_of(stage):
        note.unlink()
    assert locked(stage, "a", "c", refresh=True) == here
    assert locked(stage) == first and len(resolved) == 1


def test_a_clone_may_have_another_place(stage: Stage, resolved: list[int]) -> None:
    text = locked(stage)
    clone = stage.root.with_name("elsewhere")
    write(clone, "a", "c")
    (clone / "pypm.lock").write_text(text)
    lock(World(clone, {**stage.environ}), LockOptions())
    assert len(resolved) == 1 and "c-1.0" in (clone / "pypm.lock").read_text()


def test_what_goes_needs_no_index(stage: Stage, resolved: list[int]) -> None:
    locked(stage, "a", "c")
    known = list((Path(stage.environ["PYPM_CACHE_DIR"]) / "v1").glob("meta-*.sqlite"))
    assert known
    known[0].unlink()
    text = locked(stage, "c", offline=True)
    assert len(resolved) == 1 and "a-1.0" not in text and "b-1.0" in text


def test_a_lock_from_elsewhere_is_checked_once(stage: Stage, resolved: list[int]) -> None:
    stage.server.max_age = 0
    locked(stage)
    shutil.rmtree(stage.environ["PYPM_CACHE_DIR"])
    stage.server.forget()
    locked(stage, "a", "c")
    assert asked(stage) == {"a", "b", "c"} and len(resolved) == 1
    stage.server.forget()
    make(stage, "d", "1.0")
    locked(stage, "a", "c", "d")
    assert asked(stage) == {"d"} and len(resolved) == 1


def test_what_was_put_together_by_hand_is_healed(stage: Stage, resolved: list[int]) -> None:
    """Two branches that were merged by lines may leave a version which does not go with the other."""
    text = locked(stage)
    make(stage, "b", "0.9")
    file = stage.root / "pypm.lock"
    old = text.replace("b-1.0", "b-0.9").replace('name = "b"\nversion = "1.0"', 'name = "b"\nversion = "0.9"')
    assert old != text
    file.write_text(old)
    healed = locked(stage, "a", "c", refresh=True)
    assert len(resolved) == 2 and 'name = "b"\nversion = "1.0"' in healed


def test_what_somebody_else_could_have_noted_is_not_believed(stage: Stage, resolved: list[int]) -> None:
    stage.server.max_age = 0
    locked(stage)
    for note in notes_of(stage):
        note.chmod(0o666)
    stage.server.forget()
    locked(stage, "a", "c")
    assert asked(stage) == {"a", "b", "c"}


def test_what_was_warned_of_is_warned_of_again(stage: Stage, resolved: list[int]) -> None:
    locked(stage)
    told: list[Event] = []
    for asks in (("a", "b[none]"), ("a", "b[none]", "c")):
        told.clear()
        locked(stage, *asks, listener=told.append)
        assert any(isinstance(event, Warned) and "no extra none" in event.message for event in told)
    assert len(resolved) == 2


def test_an_index_in_front_is_asked_for_what_is_locked(stage: Stage, resolved: list[int]) -> None:
    """The lock was made without it; which index serves a name may be another one now."""
    locked(stage)
    first = stage.folder / "first"
    first.mkdir()
    make_wheel(first, "b", "3.0")
    (stage.root / "pypm-workspace.toml").write_text(
        f'[workspace]\n[[index]]\nname = "first"\nurl = "{first.as_uri()}"\n'
    )
    text = locked(stage, "a", "c")
    assert 'version = "3.0"\nsource = { index = "first" }' in text and len(resolved) == 2


def test_a_version_that_its_index_has_no_more_is_left_where_the_lock_is_not_known(
    stage: Stage, resolved: list[int]
) -> None:
    make(stage, "b", "2.0")
    locked(stage)
    assert stage.server.folder is not None
    for file in stage.server.folder.glob("b-2.0*"):
        file.unlink()
    for note in notes_of(stage):
        note.unlink()
    assert "b-1.0" in locked(stage, "a", "c", refresh=True) and len(resolved) == 2
