"""Killed, failing and competing runs: afterwards one more sync makes everything right."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pypm_env.apply as apply_module
from kit.laws import examples
from pypm_env.dists import Wanted, WantedDist
from pypm_env.installed import inspect
from pypm_env.own_files import JOURNAL
from pypm_env.plan import after, plan

if TYPE_CHECKING:
    from conftest import Bench

_RUN = """
import json, sys
from pathlib import Path
from pypm_env.apply import apply
from pypm_env.dists import Wanted, WantedDist
from pypm_env.installed import inspect
from pypm_env.interpreters import interpreter_from_text
from pypm_env.plan import plan
from pypm_store.store import Store

job = json.load(sys.stdin)
wanted = Wanted(interpreter_from_text(job["interpreter"]), tuple(WantedDist(*one) for one in job["dists"]))
print("ready", flush=True)
done = plan(wanted, inspect(Path(job["venv"])))
apply(done, Store.open(Path(job["store"])), pypm_version="1")
print("done", flush=True)
"""


def _start(bench: Bench, dists: tuple[WantedDist, ...]) -> subprocess.Popen[str]:
    job = {
        "interpreter": bench.interpreter.to_text(),
        "venv": str(bench.venv),
        "store": str(bench.folder / "store"),
        "dists": [[one.name, one.version, one.tree] for one in dists],
    }
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, "-c", _RUN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(job))
    process.stdin.close()
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _sets(bench: Bench) -> list[tuple[WantedDist, ...]]:
    """Two sets with updates, removals, additions, shared files, scripts and data."""

    def dist(name: str, version: str) -> WantedDist:
        files = {f"{name}/m{number}.py": f"x = '{version}'" for number in range(25)}
        files[f"{name}/__init__.py"] = f"version = '{version}'"
        files["shared/__init__.py"] = ""
        files[f"shared/{name}.txt"] = version
        files["clash.txt"] = f"{name} {version}"
        return bench.wheel(
            name,
            version,
            files=files,
            data={f"share/{name}/{version}.txt": version},
            entry_points={"console_scripts": {name: f"{name}:main", f"{name}-{version}": f"{name}:main"}},
        )

    names = [f"dist{number}" for number in range(8)]
    first = tuple(dist(name, "1.0") for name in names[:6])
    second = tuple(dist(name, "2.0") for name in names[2:])
    return [first, second]


def _content(bench: Bench) -> dict[str, bytes]:
    """Everything that is in the environment, but bytecode and what says when."""
    found = {}
    for folder, folders, files in os.walk(bench.venv):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in files:
            path = Path(folder, name)
            relative = str(path.relative_to(bench.venv))
            if name != "pypm-state" and not path.is_symlink():
                found[relative] = path.read_bytes()
    return found


def _expected(bench: Bench, sets: list[tuple[WantedDist, ...]]) -> list[dict[str, bytes]]:
    found = []
    for dists in sets:
        bench.sync(*dists, reinstall=True)
        found.append(_content(bench))
    return found


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_killed_at_any_moment_the_next_sync_makes_it_right(bench: Bench) -> None:
    sets = _sets(bench)
    expected = _expected(bench, sets)
    chance = random.Random(3)
    process = _start(bench, sets[0])
    start = time.monotonic()
    process.wait()
    whole = time.monotonic() - start
    torn = turns = 0
    while torn < 3 and turns < 60:
        turns += 1
        process = _start(bench, sets[turns % 2])
        time.sleep(chance.uniform(0, whole))
        process.send_signal(signal.SIGKILL)
        process.wait()
        torn += (bench.venv / JOURNAL).exists()
        # Now and then the other set is wanted, so that leftovers of what is not wanted are met, too.
        goal = chance.choice([0, 1])
        bench.sync(*sets[goal])
        assert _content(bench) == expected[goal]
        assert {one.dist for one in bench.installed().dists} == set(sets[goal])
        assert bench.sync(*sets[goal]).plan.is_empty
    assert torn == 3
    assert [path.name for path in bench.venv.parent.iterdir()] == [".venv"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_killed_while_it_is_made_there_is_no_half_environment(bench: Bench) -> None:
    sets = _sets(bench)
    chance = random.Random(7)
    for _ in range(5):
        process = _start(bench, sets[0])
        time.sleep(chance.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if bench.venv.exists():
            assert bench.sync(*sets[0]).plan.is_empty
            bench.venv.rename(bench.folder / f"old{time.monotonic_ns()}")
    bench.sync(*sets[0])
    assert [path.name for path in bench.venv.parent.iterdir()] == [".venv"], "what was begun is cleaned up"


class _Stop(BaseException):
    """Ends a run at a chosen step as a kill does: nothing after it runs."""


_STEPS = ["unlink", "link", "mkdir", "open", "rmdir", "replace"]


@pytest.mark.slow
@pytest.mark.parametrize("step", _STEPS)
def test_stopped_at_every_kind_of_step(bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    sets = _sets(bench)
    expected = _expected(bench, sets)
    stopped = 0
    for goal, count in [(0, 1), (1, 2), (0, 7), (1, 20), (0, 60), (1, 150), (0, 320)]:
        real = getattr(os, step)
        left = [count]

        def counted(
            *arguments: object, _real: object = real, _left: list[int] = left, **more: object
        ) -> object:
            _left[0] -= 1
            if _left[0] <= 0:
                raise _Stop
            return _real(*arguments, **more)  # type: ignore[operator]

        with monkeypatch.context() as patch:
            patch.setattr(os, step, counted)
            # What cleans up after an error would not run after a kill.
            patch.setattr(apply_module, "remove_tree", lambda path: 0)
            try:
                bench.sync(*sets[goal], workers=1)
            except _Stop:
                stopped += 1
        other = (goal + count) % 2
        bench.sync(*sets[other])
        assert _content(bench) == expected[other], (step, count)
        assert bench.sync(*sets[other]).plan.is_empty
    assert stopped >= 1


@pytest.mark.slow
def test_two_processes_at_one_environment(bench: Bench) -> None:
    sets = _sets(bench)
    expected = _expected(bench, sets)
    for _ in range(3):
        both = [_start(bench, dists) for dists in sets]
        for process in both:
            assert process.wait(60) == 0
        assert _content(bench) in expected, "one after the other: the last one's set, whole"


def test_the_plan_is_made_again_if_the_environment_changed_since(bench: Bench) -> None:
    acme, beta = bench.wheel("acme"), bench.wheel("beta")
    wanted = Wanted(bench.interpreter, (acme,))
    early = plan(wanted, inspect(bench.venv))
    bench.sync(beta)
    changes = apply_module.apply(early, bench.store, pypm_version="1")
    assert changes.plan != early
    assert [one.name for one in bench.installed().dists] == ["acme"]


@pytest.mark.slow
def test_a_full_disk(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = _sets(bench)
    expected = _expected(bench, sets)
    bench.sync(*sets[0])
    real = os.link
    left = [100]

    def full(*arguments: object, **more: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(arguments[1]))
        real(*arguments, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)
        with pytest.raises(OSError, match="No space left"):
            bench.sync(*sets[1])
    assert inspect(bench.venv).unfinished
    bench.sync(*sets[1])
    assert _content(bench) == expected[1]


def test_what_a_killed_run_was_writing_is_removed(bench: Bench) -> None:
    bench.sync(bench.wheel("acme"))
    left = [
        bench.venv.parent / "..venv.12.0123abcd.new" / "bin" / "python",
        bench.venv / ".pypm-state.12.0123abcd.new",
        bench.site / "._pypm_members.pth.12.0123abcd.new",
        bench.site / ".pypm-probe.12.0123abcd.new",
    ]
    mine = bench.venv.parent / "..venv.12.mine.new"
    for file in (*left, mine):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    bench.sync(bench.wheel("beta"))
    assert [file.exists() for file in left] == [True, False, False, False]
    bench.sync(bench.wheel("beta"), link_mode="copy")
    assert sorted(path.name for path in bench.venv.parent.iterdir()) == [mine.name, ".venv"]


def test_an_error_leaves_an_old_environment_that_was_to_be_made_anew(bench: Bench) -> None:
    bench.sync(bench.wheel("acme"))
    before = _content(bench)
    bad = bench.wheel("bad", data={"pyvenv.cfg": "x"})
    with pytest.raises(Exception, match="would write over"):
        bench.sync(bench.wheel("acme"), bad, link_mode="copy")
    assert _content(bench) == before
    assert [path.name for path in bench.venv.parent.iterdir()] == [".venv"]


_NAMES = ["aa", "bb", "cc"]


@settings(
    max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.tuples(
            st.lists(st.tuples(st.sampled_from(_NAMES), st.sampled_from(["1.0", "2.0"]), st.booleans())),
            st.booleans(),
        ),
        min_size=2,
        max_size=4,
    )
)
def test_apply_of_the_plan_makes_what_the_plan_says(
    bench: Bench, steps: list[tuple[list[tuple[str, str, bool]], bool]]
) -> None:
    for chosen, inexact in steps:
        dists = {name: bench.wheel(name, version, requested=asked) for name, version, asked in chosen}
        done = plan(Wanted(bench.interpreter, tuple(dists.values())), inspect(bench.venv), inexact=inexact)
        apply_module.apply(done, bench.store, pypm_version="1")
        assert tuple(one.dist for one in inspect(bench.venv).dists) == after(done)
        # And what is there is there: by a look at the folders instead of the record.
        os.utime(bench.site)
        assert tuple(one.dist for one in inspect(bench.venv).dists) == after(done)
        infos = {path.name for path in bench.site.glob("*.dist-info")}
        assert infos == {f"{dist.name}-{dist.version}.dist-info" for dist in after(done)}
        assert all((bench.site / dist.name / "__init__.py").exists() for dist in after(done))


def test_a_lease_names_what_is_used(bench: Bench) -> None:
    acme, beta = bench.wheel("acme"), bench.wheel("beta")
    bench.sync(acme, beta)
    bench.sync(beta)
    (lease,) = bench.store.leases()
    assert lease.owner == bench.venv
    assert lease.digests == {beta.tree}
