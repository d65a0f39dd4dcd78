"""The resident lock is the fresh one: whatever is edited, byte for byte, and it remembers without growing."""

from __future__ import annotations

import gc
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.transcripts import Stage, run
from kit.wheels import make_project, make_wheel
from pypm.ops.resident import ChangedMeanwhile, HalfWritten, Resident
from pypm.ops.world import World
from pypm_model.errors import PypmError
from pypm_store.atomic import write_atomically

pytestmark = pytest.mark.slow

PACKAGES = 24
MEMBERS = 8


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Packages that depend on each other across platforms, and members that ask for some of them."""
    dice = random.Random(11)
    with Stage(tmp_path / "stage") as made:
        folder = made.server.folder
        assert folder is not None
        for number in range(PACKAGES):
            for version in ("1.0", "1.5", "2.0"):
                later = dice.sample(range(number + 1, number + 9), 2)
                requires = [f"p{n}>={dice.choice(['1.0', '1.5'])}" for n in later if n < PACKAGES]
                if number == 3:
                    requires.append("p10<2; sys_platform == 'win32'")
                    requires.append("p10>=2; sys_platform != 'win32'")
                make_wheel(folder, f"p{number}", version, requires=requires)
        made.root.mkdir(parents=True, exist_ok=True)
        (made.root / "pypm-workspace.toml").write_text('[workspace]\nmembers = ["packages/*"]\n')
        for number in range(MEMBERS):
            write(made.root, f"m{number}", [f"p{number}", f"p{number + 5}"])
        yield made


def write(root: Path, name: str, asks: list[str], extra: str = "") -> None:
    rows = "".join(f'    "{ask}",\n' for ask in asks)
    file = root / "packages" / name / "pyproject.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(
        file,
        f'[project]\nname = "{name}"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
        f"dependencies = [\n{rows}]\n{extra}",
    )


def world_of(stage: Stage) -> World:
    return World(stage.root, {**stage.environ})


def edit(root: Path, dice: random.Random) -> str:
    """One thing that somebody may do to the workspace; says what it was."""
    members = sorted(file.parent.name for file in root.glob("packages/*/pyproject.toml"))
    name = dice.choice(members)
    settings = root / "pypm-workspace.toml"
    match dice.randrange(9):
        case 0:
            new = f"n{dice.randrange(100)}"
            write(root, new, [f"p{dice.randrange(PACKAGES)}", name])
            return f"member {new}"
        case 1 if len(members) > 4 and name.startswith("n"):
            shutil.rmtree(root / "packages" / name)
            return f"without {name}"
        case 2:
            write_atomically(
                settings,
                '[workspace]\nmembers = ["packages/*"]\n'
                f'[resolution]\nconstraints = ["p{dice.randrange(PACKAGES)}<2"]\n',
            )
            return "a constraint"
        case 3:
            write_atomically(settings, '[workspace]\nmembers = ["packages/*"]\n')
            return "no constraint"
        case 4:
            write(root, name, [f"p{dice.randrange(PACKAGES)}==9"])
            return f"{name} asks for what there is not"
        case 5:
            write(root, name, ["p1"], '[dependency-groups]\ndev = ["p7<2"]\n')
            return f"{name} has a group"
        case 6:
            write_atomically(root / "packages" / name / "pyproject.toml", "[project\nname = ")
            return f"{name} is broken"
        case 7:
            (root / "pypm.lock").unlink(missing_ok=True)
            return "no lock"
        case _:
            asks = [f"p{n}{dice.choice(['', '>=1.5', '<2', '>=1.5,<2'])}" for n in dice.sample(range(24), 3)]
            write(root, name, asks)
            return f"{name} asks for {asks}"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_edits_give_the_lock_of_a_fresh_run(stage: Stage, seed: int) -> None:
    dice = random.Random(seed)
    mine = stage.root / "pypm.lock"
    fresh = stage.folder / "fresh"
    done: list[str] = []
    with Resident(world_of(stage)) as resident:
        for turn in range(14):
            if turn:
                done += [edit(stage.root, dice) for _ in range(dice.choice([1, 1, 1, 3]))]
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(stage.root, fresh)
            ended = run(["pypm", "lock"], fresh, stage.environ)
            wanted = (fresh / "pypm.lock").read_bytes() if (fresh / "pypm.lock").exists() else b""
            try:
                resident.relock()
            except PypmError as error:
                assert ended.returncode == error.exit, f"{done}: {error}\n{ended.stdout}"
                assert f"[{(error.parts or (error,))[0].code}]" in ended.stdout, done
            else:
                assert ended.returncode == 0, f"{done}: {ended.stdout}"
            assert (mine.read_bytes() if mine.exists() else b"") == wanted, done
            if dice.random() < 0.5:
                resident.settle()


def test_nothing_is_read_or_asked_again_without_a_reason(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pypm_workspace import discovery

    parsed: list[str] = []
    real = discovery.read_toml
    monkeypatch.setattr(discovery, "read_toml", lambda data, file: (parsed.append(file), real(data, file))[1])
    with Resident(world_of(stage)) as resident:
        first = resident.relock()
        assert first is not None and first.wrote and len(parsed) == MEMBERS + 1
        _age(stage.root)
        resident.relock()
        parsed.clear()
        asked = len(stage.server.requests)
        assert resident.relock() is None and not parsed
        write(stage.root, "m3", ["p3", "p9"])
        done = resident.relock()
        assert done is not None and done.wrote and parsed == ["packages/m3/pyproject.toml"]
        assert done.manifests == ("packages/m3/pyproject.toml",)
        assert len(stage.server.requests) == asked, "all of it was in the cache"
        assert resident.relock() is None


def _age(root: Path) -> None:
    """Makes the files look as if they had been written a while ago."""
    for file in root.rglob("*.toml"):
        os.utime(file, (file.stat().st_mtime - 60,) * 2)


def test_a_file_changed_within_a_tick_of_the_clock_is_seen(stage: Stage) -> None:
    """Same size, same time: only the bytes differ. Being told of it is enough."""
    file = stage.root / "packages" / "m2" / "pyproject.toml"
    _age(stage.root)
    with Resident(world_of(stage)) as resident:
        resident.relock()
        before = file.stat()
        text = file.read_text().replace('"p2"', '"p4"')
        assert text != file.read_text()
        file.write_text(text)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert file.stat().st_size == before.st_size and file.stat().st_ino == before.st_ino
        done = resident.relock([str(file)])
        assert done is not None and done.wrote and done.manifests == ("packages/m2/pyproject.toml",)


def _folder(stage: Stage, asks: str, more: str = "") -> None:
    """A project beside the members, which m0 asks for by its path."""
    folder = stage.root / "lib"
    folder.mkdir(exist_ok=True)
    text = f'[project]\nname = "lib"\nversion = "1.0"\ndependencies = [{asks}]\n{more}'
    write_atomically(folder / "pyproject.toml", text)


def test_a_folder_that_is_no_member_is_looked_at(stage: Stage) -> None:
    _folder(stage, '"p1"')
    write(stage.root, "m0", ["lib"], '[tool.pypm.sources]\nlib = { path = "../../lib" }\n')
    file = stage.root / "lib" / "pyproject.toml"
    with Resident(world_of(stage)) as resident:
        resident.relock()
        assert str(file.parent) in resident.folders and resident.concerns([str(file)])
        assert resident.relock() is None
        _folder(stage, '"p1<2", "p7"')
        stale = run(["pypm", "lock", "--check"], stage.root, stage.environ)
        assert stale.returncode == 1
        told = "lib (lib/pyproject.toml): [project.dependencies] asks for p1<2, the lock has p1"
        assert told in stale.stdout
        assert run(["pypm", "lock", "--check", "-p", "m1"], stage.root, stage.environ).returncode == 0
        done = resident.relock([str(file)])
        assert done is not None and done.wrote and done.manifests == ("lib/pyproject.toml",)
        assert run(["pypm", "lock", "--check"], stage.root, stage.environ).returncode == 0
        assert resident.relock() is None
        # Neither what is beside the point, nor a folder that is not there just now, makes another lock.
        _folder(stage, '"p7", "p1<2"', "[tool.x]\n")
        assert resident.relock() is None
        shutil.rmtree(file.parent)
        assert resident.relock() is None
        assert run(["pypm", "lock", "--check"], stage.root, stage.environ).returncode == 0
        _folder(stage, '"p7"', 'requires-python = ">=3.12"\n'.replace("\n", "\n"))
        assert run(["pypm", "lock", "--check"], stage.root, stage.environ).returncode == 1


@pytest.mark.slow
def test_a_lock_of_somebody_else_is_taken_up(stage: Stage) -> None:
    lock = stage.root / "pypm.lock"
    with Resident(world_of(stage)) as resident:
        resident.relock()
        before = lock.read_text()
        other = stage.folder / "other"
        shutil.copytree(stage.root, other)
        write(other, "m1", ["p1<2", "p6"])
        assert run(["pypm", "lock"], other, stage.environ).returncode == 0
        write(other, "m1", ["p1", "p6"])
        assert run(["pypm", "lock"], other, stage.environ).returncode == 0
        theirs = (other / "pypm.lock").read_text()
        assert 'name = "p1"\nversion = "1.5"' in theirs and theirs != before
        write_atomically(lock, theirs)
        done = resident.relock()
        assert done is not None and done.foreign and not done.wrote
        assert [str(change) for change in done.diff.changed][:1] == ["~ p1 2.0 -> 1.5"]
        write(stage.root, "m5", ["p5", "p20"])
        done = resident.relock()
        assert done is not None and done.wrote and 'name = "p1"\nversion = "1.5"' in lock.read_text()


def test_what_changes_while_it_is_locked_is_not_written_over(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pypm.ops import resident as module

    lock = stage.root / "pypm.lock"
    with Resident(world_of(stage)) as resident:
        resident.relock()
        theirs = lock.read_text().replace("format = 1", "format = 1\n")
        real = module.lock_workspace

        def meanwhile(*arguments: object) -> object:
            made = real(*arguments)  # type: ignore[arg-type]
            lock.write_text(theirs)
            return made

        write(stage.root, "m1", ["p1", "p23"])
        monkeypatch.setattr(module, "lock_workspace", meanwhile)
        with pytest.raises(ChangedMeanwhile):
            resident.relock()
        assert lock.read_text() == theirs
        monkeypatch.setattr(module, "lock_workspace", real)
        done = resident.relock()
        assert done is not None and done.wrote and 'name = "p23"' in lock.read_text()


def test_an_empty_manifest_is_waited_for(stage: Stage) -> None:
    """A workspace file without a line asks for nothing: that is what an editor leaves for a moment."""
    file = stage.root / "pypm-workspace.toml"
    with Resident(world_of(stage)) as resident:
        resident.relock()
        before = (stage.root / "pypm.lock").read_bytes()
        text = file.read_text()
        file.write_text("")
        with pytest.raises(HalfWritten, match=r"pypm-workspace\.toml is empty"):
            resident.relock()
        assert (stage.root / "pypm.lock").read_bytes() == before
        file.write_text(text)
        assert resident.relock() is None, "nothing has happened"
        file.write_text("")
        done = resident.relock(hasty=True)
        assert done is not None and done.wrote and done.locked.lock.member_count == 0


@pytest.mark.slow
def test_a_cache_that_is_removed_or_written_by_others_is_noticed(stage: Stage) -> None:
    with Resident(world_of(stage)) as resident:
        resident.relock()
        shutil.rmtree(stage.environ["PYPM_CACHE_DIR"])
        write(stage.root, "m1", ["p1", "p22"])
        done = resident.relock()
        assert done is not None and done.wrote
        # Another process learns of a release; the index says no more that the old page is good.
        make_wheel(stage.server.folder or Path(), "p22", "3.0")
        other = stage.folder / "other"
        shutil.copytree(stage.root, other)
        write(other, "m1", ["p22>=3"])
        assert run(["pypm", "lock", "--refresh"], other, stage.environ).returncode == 0
        write(stage.root, "m1", ["p22>=3"])
        done = resident.relock()
        assert done is not None and done.wrote and "~ p22 2.0 -> 3.0" in map(str, done.diff.changed)


@pytest.mark.slow
def test_what_only_a_backend_knows_is_asked_again(stage: Stage) -> None:
    """A member's dependencies are in a file of its backend's: being told that something in its folder has
    changed is a reason to ask."""
    folder = stage.root / "packages" / "dyn"
    make_project(folder, "dyn", "1.0", requires=["p3"], dynamic=["dependencies"], backend="in-tree")
    with Resident(world_of(stage)) as resident:
        resident.relock()
        asked = folder / "requirements.txt"
        assert asked.read_text().split() == ["p3"]
        asked.write_text("p3\np19\n")
        assert resident.unfathomable() and resident.unfathomable([str(asked)])
        assert not resident.unfathomable([str(stage.root / "packages" / "m1" / "x")])
        done = resident.relock([str(asked)], force=True)
        assert done is not None and done.wrote
        assert [(reason.member, reason.new) for reason in done.locked.stale] == [("dyn", "p19")]


@pytest.mark.slow
def test_memory_stays_flat(stage: Stage) -> None:
    tracemalloc = pytest.importorskip("tracemalloc")
    with Resident(world_of(stage)) as resident:

        def turn(number: int) -> None:
            write(stage.root, "m4", ["p4", f"p{number % 7 + 9}>=1.{number % 5}"], f"# {number}\n")
            resident.relock()
            resident.settle()

        for number in range(20):
            turn(number)
        gc.collect()
        tracemalloc.start()
        objects = len(gc.get_objects())
        for number in range(20):
            turn(number)
        gc.collect()
        middle, _ = tracemalloc.get_traced_memory()
        for number in range(40):
            turn(number)
        gc.collect()
        end, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(gc.get_objects()) - objects < 1_100
        assert end - middle < 170_000, f"{(end - middle) / 40:.0f} bytes for each edit"
