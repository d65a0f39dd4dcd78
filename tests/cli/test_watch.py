"""`pypm watch` as a process: what it tells and writes when people, editors, git and other processes change
things under it."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from kit.transcripts import Stage, pypm, run
from kit.wheels import make_project, make_wheel
from pypm.ops import watch as watching
from pypm.ops.ending import Ending
from pypm.ops.watch import WatchOptions
from pypm.ops.watch_events import Locked, WatchEvent, Watching
from pypm.ops.world import World
from pypm_store.atomic import write_atomically
from pypm_workspace.watch import Watcher

pytestmark = [
    pytest.mark.slow,
    # Ctrl-C cannot be sent there to one process without the others of its console.
    pytest.mark.skipif(sys.platform == "win32", reason="needs signals"),
]

LONG = 120.0
"""Seconds after which an event is taken not to come: a busy machine fails nothing."""
QUIET = 1.0
"""Seconds in which nothing may happen where nothing should."""


class Watch:
    """A watcher and what it tells."""

    def __init__(self, stage: Stage, *arguments: str) -> None:
        self.stage = stage
        self.process = subprocess.Popen(
            pypm("watch", "--json", *arguments),
            cwd=stage.root,
            env=stage.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.seen: list[dict[str, Any]] = []
        self.talk: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._hear, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Watch:
        self.until("watching")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.put(json.loads(line))
        self.events.put(None)

    def _hear(self) -> None:
        assert self.process.stderr is not None
        self.talk += self.process.stderr

    def next(self, within: float = LONG) -> dict[str, Any] | None:
        """The next event, None if there is none."""
        try:
            found = self.events.get(timeout=within)
        except queue.Empty:
            return None
        if found is not None:
            self.seen.append(found)
        return found

    def until(self, name: str, **facts: Any) -> dict[str, Any]:
        """The next event of this name that says this."""
        end = time.monotonic() + LONG
        while time.monotonic() < end:
            found = self.next()
            if found is None:
                break
            if found["event"] == name and facts.items() <= found.items():
                return found
        raise AssertionError(f"no {name} {facts}: {self.seen}\n{''.join(self.talk)}")

    def locked(self, package: str) -> dict[str, Any]:
        """The next event of a lock in which *package* came, went or changed."""
        while True:
            found = self.until("locked")
            diff = found["diff"]
            every = (*diff["added"], *diff["removed"], *diff["changed"])
            if package in [change["name"] for change in every]:
                return found

    def silent(self) -> None:
        """Nothing more is told."""
        found = self.next(QUIET)
        assert found is None, found

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        self.until("stopped")
        return self.process.wait(LONG)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made:
        folder = made.server.folder
        assert folder is not None
        for name in ("acme", "beta", "gamma", "delta"):
            for version in ("1.0", "2.0"):
                make_wheel(folder, name, version, requires=["leaf"] if name == "gamma" else [])
        make_wheel(folder, "leaf", "1.0")
        (made.root / "pypm-workspace.toml").write_text('[workspace]\nmembers = ["packages/*"]\n')
        for name in ("api", "web"):
            write(made, name, ["acme"] if name == "api" else ["api", "beta"])
        yield made


def manifest(stage: Stage, name: str) -> Path:
    return stage.root / "packages" / name / "pyproject.toml"


def text_of(name: str, asks: list[str]) -> str:
    rows = "".join(f'    "{ask}",\n' for ask in asks)
    return (
        f'[project]\nname = "{name}"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
        f"dependencies = [\n{rows}]\n"
    )


def write(stage: Stage, name: str, asks: list[str]) -> None:
    file = manifest(stage, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, text_of(name, asks))


def lock_of(stage: Stage) -> bytes:
    return (stage.root / "pypm.lock").read_bytes()


def fresh_lock(stage: Stage) -> bytes:
    """What `pypm lock` gives for a copy of the workspace with the lock as it is."""
    copy = stage.folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(stage.root, copy, ignore=shutil.ignore_patterns(".venv", ".git"))
    done = run(["pypm", "lock"], copy, stage.environ)
    assert done.returncode == 0, done.stdout
    return (copy / "pypm.lock").read_bytes()


def test_it_locks_at_first_and_on_each_change_and_ends_in_order(stage: Stage) -> None:
    with Watch(stage) as watch:
        first = watch.seen[0]
        assert (first["event"], first["wrote"], first["members"]) == ("locked", True, 2)
        write(stage, "api", ["acme", "gamma"])
        done = watch.locked("gamma")
        assert done["wrote"] and done["manifests"] == ["packages/api/pyproject.toml"]
        assert done["diff"]["members"] == {"api": ["gamma", "leaf"], "web": ["gamma", "leaf"]}
        assert lock_of(stage) == fresh_lock(stage)
        write(stage, "api", ["acme"])
        assert [c["name"] for c in watch.locked("gamma")["diff"]["removed"]] == ["gamma", "leaf"]
        watch.silent()
        assert watch.stop() == 130
    with Watch(stage) as watch:
        assert not watch.seen[0]["wrote"]
        assert watch.stop(signal.SIGTERM) == 0
        assert watch.talk == []


def test_it_does_not_answer_to_itself(stage: Stage) -> None:
    settings = stage.root / "pypm-workspace.toml"
    settings.write_text(settings.read_text() + '[lock]\nexport = ["pylock.toml", "out/req.txt"]\n')
    with Watch(stage, "--sync") as watch:
        exported = (stage.root / "pylock.toml").read_text()
        write(stage, "web", ["api", "beta", "delta"])
        watch.until("synced")
        assert (stage.root / "pylock.toml").read_text() != exported
        watch.silent()
        before = os.stat(stage.root / "pypm.lock").st_mtime_ns
        (stage.root / "out" / "req.txt").unlink()
        done = watch.until("locked")
        assert done["exports"] == ["out/req.txt"] and not done["wrote"]
        watch.until("synced")
        os.utime(manifest(stage, "api"))
        write(stage, "api", ["acme"])
        (stage.root / "notes.txt").write_text("of no interest")
        (stage.root / "packages" / "api" / "module.py").write_text("")
        watch.silent()
        assert os.stat(stage.root / "pypm.lock").st_mtime_ns == before


def test_members_environments_are_brought_along(stage: Stage) -> None:
    with Watch(stage, "--sync", "--each") as watch:
        write(stage, "api", ["acme", "gamma"])
        done = watch.until("synced")
        while "gamma" not in json.dumps(done):
            done = watch.until("synced")
        installed = {one["member"]: json.dumps(one) for one in done["environments"]}
        assert "gamma" in installed["api"]
        assert any((stage.root / "packages" / "api" / ".venv").rglob("gamma-*.dist-info"))
        assert not (stage.root / ".venv").exists()
        watch.silent()


def test_members_come_and_go(stage: Stage) -> None:
    with Watch(stage) as watch:
        write(stage, "tool", ["gamma"])
        assert watch.locked("tool")["members"] == 3
        # The new folder is watched as well.
        write(stage, "tool", ["gamma", "delta"])
        watch.locked("delta")
        shutil.move(stage.root / "packages" / "tool", stage.folder / "away")
        assert watch.locked("tool")["members"] == 2
        shutil.move(stage.folder / "away", stage.root / "packages" / "tool")
        assert watch.locked("tool")["members"] == 3
        write(stage, "tool", ["gamma"])
        watch.locked("delta")
        write_atomically(
            stage.root / "pypm-workspace.toml", '[workspace]\nmembers = ["packages/*", "apps/*"]\n'
        )
        watch.until("locked", wrote=False)
        write_atomically_new(stage.root / "apps" / "one" / "pyproject.toml", text_of("one", ["delta"]))
        assert watch.locked("one")["members"] == 4
        assert lock_of(stage) == fresh_lock(stage)


def write_atomically_new(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(text)


def test_a_half_written_manifest_is_waited_for_and_a_broken_one_is_told(stage: Stage) -> None:
    file = manifest(stage, "api")
    with Watch(stage) as watch:
        before = lock_of(stage)
        whole = text_of("api", ["acme", "gamma"])
        with file.open("w") as out:
            for at in range(0, len(whole), 40):
                out.write(whole[at : at + 40])
                out.flush()
                time.sleep(0.02)
        watch.locked("gamma")
        assert not [event for event in watch.seen if event["event"] == "trouble"], "it was mended in time"
        file.write_text(text_of("api", ["acme"]).replace("= [", "= ["[:2]))
        trouble = watch.until("trouble")
        assert trouble["error"]["code"] == "invalid-manifest"
        assert trouble["error"]["places"][0]["file"] == "packages/api/pyproject.toml"
        watch.silent()
        file.write_text("[project")
        assert watch.until("trouble")["error"] != trouble["error"]
        file.unlink()
        assert watch.until("trouble")["error"]["code"] == "member-without-manifest"
        file.write_text(text_of("api", ["acme"]))
        assert watch.until("mended")["error"]["code"] == "member-without-manifest"
        watch.locked("gamma")
        assert lock_of(stage) == before


def test_a_conflict_is_told_once_and_so_is_its_end(stage: Stage) -> None:
    with Watch(stage) as watch:
        before = lock_of(stage)
        write(stage, "web", ["api", "acme<2"])
        watch.until("locked", wrote=True)
        write(stage, "api", ["acme>=2"])
        trouble = watch.until("trouble")
        assert trouble["error"]["code"] == "conflict"
        places = [(place["file"], place["line"]) for place in trouble["error"]["places"]]
        assert ("packages/web/pyproject.toml", 7) in places and ("packages/api/pyproject.toml", 6) in places
        os.utime(manifest(stage, "web"))
        write(stage, "api", ["acme>=2"])
        watch.silent()
        write(stage, "web", ["api", "beta"])
        assert watch.until("mended")["error"]["code"] == "conflict"
        done = watch.until("locked", wrote=True)
        assert done["diff"]["changed"] == [{"name": "acme", "old": ["1.0"], "new": ["2.0"]}]
        write(stage, "api", ["acme"])
        watch.until("locked", wrote=True)
        assert lock_of(stage) == before


def test_an_index_that_fails_is_no_end(stage: Stage) -> None:
    with Watch(stage) as watch:
        stage.server.fail("/simple/delta/", "status", status=500)
        write(stage, "api", ["acme", "delta"])
        assert watch.until("trouble")["error"]["code"] != "conflict"
        stage.server.heal()
        write(stage, "web", ["api"])
        watch.until("mended")
        watch.locked("delta")


def test_a_change_during_a_lock_is_not_lost(stage: Stage) -> None:
    with Watch(stage) as watch:
        stage.server.latency = 0.5
        write(stage, "api", ["acme", "gamma"])
        time.sleep(0.3)
        write(stage, "web", ["api", "beta", "delta"])
        watch.locked("delta")
        watch.silent()
        stage.server.latency = 0
        assert b'name = "gamma"' in lock_of(stage) and lock_of(stage) == fresh_lock(stage)


def test_a_lock_somebody_else_writes_is_taken_up(stage: Stage) -> None:
    with Watch(stage) as watch:
        lock = stage.root / "pypm.lock"
        mine = lock.read_text()
        lock.write_text("what is this\n")
        watch.until("locked", wrote=True)
        assert lock.read_text() == mine
        lock.unlink()
        watch.until("locked", wrote=True)
        assert lock.read_text() == mine
        done = run(["pypm", "add", "-p", "api", "gamma<2"], stage.root, stage.environ)
        assert done.returncode == 0, done.stdout
        theirs = lock.read_text()
        watch.locked("gamma")
        assert lock.read_text() == theirs
        write(stage, "api", ["acme", "gamma"])
        watch.until("locked", wrote=True)
        assert 'name = "gamma"\nversion = "1.0"' in lock.read_text(), "their version stays"


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_moves_between_branches(stage: Stage) -> None:
    def git(*words: str) -> None:
        done = subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.test", *words],
            cwd=stage.root,
            env=stage.environ,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    def commit(message: str) -> None:
        assert run(["pypm", "lock"], stage.root, stage.environ).returncode == 0
        git("add", "-A")
        git("commit", "-qm", message)

    for number in range(60):
        write(stage, f"m{number:02}", ["acme"])
    git("init", "-q", "-b", "main")
    commit("main")
    git("checkout", "-qb", "other")
    for number in range(60):
        write(stage, f"m{number:02}", ["acme<2", "gamma<2"])
    commit("lower")
    for number in range(60):
        write(stage, f"m{number:02}", ["acme", "gamma"])
    commit("wide")
    others = lock_of(stage)
    assert b'name = "acme"\nversion = "1.0"' in others
    git("checkout", "-q", "main")
    mains = lock_of(stage)
    with Watch(stage) as watch:
        # Manifests come before the lock, which says more than they do: it must not be made from the old one.
        for branch, lock in (("other", others), ("main", mains), ("other", others)):
            git("checkout", "-q", branch)
            watch.until("locked", foreign=True)
            watch.silent()
            assert lock_of(stage) == lock
            git("diff", "--exit-code")
        git("checkout", "-q", "main")
        watch.until("locked", foreign=True)
        # While git holds its index nothing is looked at.
        held = stage.root / ".git" / "index.lock"
        held.touch()
        write(stage, "m00", ["acme", "delta"])
        watch.silent()
        held.unlink()
        watch.locked("delta")
        git("add", "-A")
        git("commit", "-qm", "more")
        git("checkout", "-q", "other")
        write(stage, "m59", ["acme", "gamma", "leaf"])
        watch.locked("gamma")
        watch.silent()
        git("add", "-A")
        git("commit", "-qm", "leaf")
        git("rebase", "-q", "-X", "theirs", "main")
        watch.silent()
        while watch.next(QUIET) is not None:
            pass
        assert lock_of(stage) == fresh_lock(stage)
        assert run(["pypm", "lock", "--check"], stage.root, stage.environ).returncode == 0


def test_a_burst_of_files_is_one_change_or_few(stage: Stage) -> None:
    with Watch(stage) as watch:
        for number in range(250):
            write(stage, f"m{number:03}", ["acme"])
        for number in range(250):
            write(stage, f"m{number:03}", ["acme", "gamma"])
        while watch.until("locked")["members"] != 252:
            pass
        while watch.next(QUIET) is not None:
            pass
        assert len([event for event in watch.seen if event["event"] == "locked"]) < 25
        assert not [event for event in watch.seen if event["event"] == "trouble"]
        assert lock_of(stage) == fresh_lock(stage)


def test_the_environment_and_a_task_come_after(stage: Stage) -> None:
    make_project(stage.root / "packages" / "api", "api", "1.0", requires=["acme"], backend="in-tree")
    (stage.root / "packages" / "web" / "pyproject.toml").unlink()
    shutil.rmtree(stage.root / "packages" / "web")
    settings = stage.root / "pypm-workspace.toml"
    command = "python -c \\\"import sys, acme; print('ran', acme.__version__); sys.exit(3)\\\""
    settings.write_text(
        f'{settings.read_text()}\n[tasks.try]\ncommand = "{command}"\nscope = "workspace"\n'
        '[tasks.slow]\ncommand = "sleep 600"\nscope = "workspace"\n'
    )
    with Watch(stage, "--sync", "--run", "try") as watch:
        names = [event["event"] for event in watch.seen]
        assert names == ["locked", "synced", "task-started", "watching"]
        assert watch.until("task-ended")["code"] == 3
        file = manifest(stage, "api")
        write_atomically(file, file.read_text().replace('"acme"', '"acme<2"'))
        synced = watch.until("synced")
        assert "acme" in json.dumps(synced) and synced["lock-changed"] is False
        assert watch.until("task-ended") == {
            "event": "task-ended",
            "task": "try",
            "code": 3,
            "stopped": False,
        }
        assert watch.stop() == 130
    assert [line for line in watch.talk if line.startswith("ran")] == ["ran 2.0\n", "ran 1.0\n"]
    with Watch(stage, "--run", "slow") as watch:
        write_atomically(file, file.read_text().replace('"acme<2"', '"acme"'))
        assert watch.until("task-ended")["stopped"]
        watch.until("task-started")
        assert watch.stop(signal.SIGTERM) == 0
        assert watch.seen[-2]["event"] == "task-ended" and watch.seen[-2]["stopped"]


def test_what_a_backend_reads_is_watched_as_well(stage: Stage) -> None:
    folder = stage.root / "packages" / "dyn"
    make_project(folder, "dyn", "1.0", requires=["beta"], dynamic=["dependencies"], backend="in-tree")
    with Watch(stage) as watch:
        (folder / "requirements.txt").write_text("beta\ngamma\n")
        watch.locked("gamma")
        assert lock_of(stage) == fresh_lock(stage)


class _Deaf(Watcher):
    """A watcher that is told nothing, as on some network drives."""

    def wait(self, milliseconds: int, *, step: int = 0) -> frozenset[str]:
        time.sleep(milliseconds / 1000)
        return frozenset()


def _watched(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, *, heartbeat: float, jump: float
) -> list[WatchEvent]:
    """What is told when a manifest changes and the system says nothing, until *jump* seconds are missing
    from the clock, or after some heartbeats."""
    monkeypatch.setattr(watching, "Watcher", _Deaf)
    monkeypatch.setattr(watching, "SLICE", 0.05)
    monkeypatch.setattr(watching, "HEARTBEAT", heartbeat)
    ending, told, missing = Ending(), list[WatchEvent](), [0.0]

    def now() -> float:
        if told and isinstance(told[-1], Watching) and time.monotonic() > since[0] + 0.5:
            missing[0] = jump
        if time.monotonic() > since[0] + 3:
            ending.code = 0
        return time.time() + missing[0]

    since = [float("inf")]

    def tell(event: WatchEvent) -> None:
        told.append(event)
        if isinstance(event, Watching):
            since[0] = time.monotonic()
            write(stage, "api", ["acme", "gamma"])
        elif isinstance(event, Locked) and len(told) > 1:
            ending.code = 0

    watching.watch(World(stage.root, stage.environ), WatchOptions(), tell, ending, now=now)
    return [event for event in told[1:] if isinstance(event, Locked)]


def test_a_machine_that_slept_looks_at_everything(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _watched(stage, monkeypatch, heartbeat=1000, jump=0) == []
    write(stage, "api", ["acme"])
    assert len(_watched(stage, monkeypatch, heartbeat=1000, jump=3600)) == 1
    write(stage, "api", ["acme"])
    assert len(_watched(stage, monkeypatch, heartbeat=1000, jump=-3600)) == 1, "a clock that was set back"


def test_what_the_system_does_not_tell_is_found_in_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(_watched(stage, monkeypatch, heartbeat=0.3, jump=0)) == 1


def test_bad_input_ends_it_at_once(stage: Stage) -> None:
    done = run(["pypm", "watch", "-p", "api"], stage.root, stage.environ)
    assert done.returncode == 2 and "--sync or --run" in done.stdout
    done = run(["pypm", "watch", "--each"], stage.root, stage.environ)
    assert done.returncode == 2 and "--each goes with --sync" in done.stdout
    done = run(["pypm", "watch", "--json", "--run", "nosuch"], stage.root, stage.environ)
    assert done.returncode == 2 and "--run nosuch: no command 'nosuch'" in done.stdout
    assert '"event"' not in done.stdout
    empty = stage.folder / "empty"
    empty.mkdir()
    done = run(["pypm", "watch"], empty, stage.environ)
    assert done.returncode == 2 and "error[no-workspace]" in done.stdout
    done = run(["pypm", "watch", "nonsense"], stage.root, stage.environ)
    assert done.returncode == 2 and "unexpected argument" in done.stdout


def test_a_workspace_that_goes_away_ends_it(stage: Stage) -> None:
    with Watch(stage) as watch:
        shutil.rmtree(stage.root)
        assert watch.process.wait(LONG) == 1
        watch._readers[1].join(LONG)
        assert json.loads(watch.talk[-1])["error"]["code"] == "workspace-gone"
        watch._readers[0].join(LONG)
        assert watch.until("stopped") and watch.next() is None


def test_where_nothing_is_told_files_are_looked_at(stage: Stage) -> None:
    with Watch(stage, "--poll") as watch:
        write(stage, "api", ["acme", "gamma"])
        watch.locked("gamma")


def test_what_people_read(stage: Stage) -> None:
    """One or two lines for each change."""
    process = subprocess.Popen(
        pypm("watch"), cwd=stage.root, env=stage.environ, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    lines: list[str] = []

    def read(start: str) -> str:
        for line in process.stderr:  # type: ignore[union-attr]
            lines.append(line.rstrip("\n"))
            if line.startswith(start):
                return lines[-1]
        raise AssertionError(lines)

    try:
        read("Watching")
        assert lines[0].startswith("Locked 2 packages, 2 members (")
        write(stage, "api", ["acme", "gamma"])
        assert read("Relocked").startswith("Relocked: + gamma 2.0, + leaf 1.0 (")
        assert read("  for") == "  for api, web"
        write(stage, "api", ["acme", "gamma>=1"])
        assert read("Relocked").startswith("Relocked: the same versions, api changed (")
        write(stage, "api", ["acme", "gamma>=9"])
        read("error[conflict]")
        write(stage, "api", ["acme", "gamma>=1"])
        assert read("Mended").startswith("Mended: conflict, ")
        process.send_signal(signal.SIGINT)
        read("Stopped")
        assert process.wait(LONG) == 130
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
