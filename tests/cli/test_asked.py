"""What a resolution had to know is asked at once by the next one, and nothing else comes of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kit.transcripts import Stage, run
from kit.wheels import make_wheel
from pypm.ops.asked import recall, remember
from pypm.ops.lock import LockOptions, lock
from pypm.ops.remembered import asked_file
from pypm.ops.world import World
from pypm_index.catalog import Catalog
from pypm_model.facts import DirectKey, ListingKey, MetadataKey
from pypm_model.names import NormalizedName
from pypm_model.sources import PathSource
from pypm_store.cache_file import CacheFile

LONG = 9
"""Packages of which each depends on the next."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made:
        folder = made.server.folder
        assert folder is not None
        for number in range(LONG):
            make_wheel(folder, f"p{number}", "1.0", requires=[f"p{number + 1}"] if number + 1 < LONG else [])
        made.root.mkdir(parents=True, exist_ok=True)
        write(made.root, "p0")
        yield made


def write(root: Path, *asks: str, more: str = "") -> None:
    (root / "pyproject.toml").write_text(
        '[project]\nname = "m"\nversion = "1"\nrequires-python = ">=3.11"\n'
        f"dependencies = {json.dumps(asks)}\n{more}"
    )


def file_of(stage: Stage) -> Path:
    return asked_file(World(stage.root, {**stage.environ}), str(stage.root))


def forget_answers(stage: Stage) -> None:
    """Has the next lock resolve, whatever was resolved before."""
    shutil.rmtree(Path(stage.environ["PYPM_CACHE_DIR"]) / "v1" / "answers", ignore_errors=True)


def locked(stage: Stage) -> bytes:
    (stage.root / "pypm.lock").unlink(missing_ok=True)
    forget_answers(stage)
    done = run(["pypm", "lock"], stage.root, stage.environ)
    assert done.returncode == 0, done.stdout
    return (stage.root / "pypm.lock").read_bytes()


def counted(monkeypatch: pytest.MonkeyPatch, kind: type, name: str) -> list[int]:
    calls: list[int] = []
    real: Callable[..., Any] = getattr(kind, name)

    def count(self: object, *given: Any, **more: Any) -> Any:
        calls.append(1)
        return real(self, *given, **more)

    monkeypatch.setattr(kind, name, count)
    return calls


@pytest.mark.slow
def test_a_chain_of_packages_takes_one_round(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    first = locked(stage)
    world = World(stage.root, {**stage.environ})
    rounds = counted(monkeypatch, Catalog, "wait")
    queries = counted(monkeypatch, CacheFile, "read")

    def again() -> tuple[int, int]:
        rounds.clear()
        queries.clear()
        forget_answers(stage)
        (stage.root / "pypm.lock").unlink()
        lock(world, LockOptions())
        assert (stage.root / "pypm.lock").read_bytes() == first
        return len(rounds), len(queries)

    short = again()
    file_of(stage).unlink()
    one_by_one = again()
    assert short[0] == 1 and one_by_one[0] > LONG
    assert short[1] < one_by_one[1] - LONG
    assert again() == short, "and it is remembered again"


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        "",
        "[",
        "{}",
        "[[], [], []]",
        '[["p1"], []]',
        '[[["p1", 3]], [["p1", "1.0"]]]',
        '[[["p1", "gone"], ["no-such", ""]], [["p1", "7", "gone"], ["p1", "7", "main"], ["p8", "x y", ""]]]',
    ],
)
def test_whatever_is_in_the_file_the_lock_is_the_same(stage: Stage, content: str) -> None:
    first = locked(stage)
    file_of(stage).write_text(content)
    assert locked(stage) == first
    assert "p8" in file_of(stage).read_text()


@pytest.mark.slow
def test_an_index_that_is_no_longer_named_is_not_asked(stage: Stage) -> None:
    named = f'[[tool.uv.index]]\nname = "own"\nurl = "{stage.server.url}"\ndefault = true\n'
    write(stage.root, "p0", more=named)
    locked(stage)
    assert '"own"' in file_of(stage).read_text()
    write(stage.root, "p0")
    locked(stage)
    assert '"own"' not in file_of(stage).read_text()


@pytest.mark.slow
def test_what_nobody_asks_for_any_more_is_forgotten(stage: Stage) -> None:
    locked(stage)
    write(stage.root, "p5")
    locked(stage)
    assert "p4" not in file_of(stage).read_text()
    shutil.rmtree(file_of(stage).parent)
    locked(stage)
    assert "p5" in file_of(stage).read_text()


def test_direct_sources_are_left_out(tmp_path: Path) -> None:
    world = World(tmp_path, {"PYPM_CACHE_DIR": str(tmp_path / "cache")})
    name = NormalizedName("a")
    keys: Sequence[Any] = (
        MetadataKey(name, "1.0", "main"),
        DirectKey(name, PathSource("a")),
        ListingKey(name),
    )
    remember(world, "/w", keys)
    assert recall(world, "/w") == (ListingKey(name), MetadataKey(name, "1.0", "main"))
    assert recall(world, "/other") == ()
