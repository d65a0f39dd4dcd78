"""Samples have the right shape and order; how long things take is not asserted."""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.measure import (
    Command,
    Contender,
    Result,
    RunFailed,
    Sample,
    Stopwatch,
    median,
    race,
    ratio,
    size_of,
)

pytestmark = pytest.mark.slow

needs_spawn = pytest.mark.skipif(not hasattr(os, "posix_spawn"), reason="wall time only on this platform")


@pytest.fixture
def stopwatch(tmp_path: Path) -> Iterator[Stopwatch]:
    with Stopwatch(tmp_path) as watch:
        yield watch


def python(cwd: Path, code: str, limit: float = 60.0) -> Command:
    return Command((sys.executable, "-I", "-S", "-c", code), cwd, dict(os.environ), limit)


@needs_spawn
def test_a_sample_counts_time_cpu_and_memory_of_children_too(stopwatch: Stopwatch, tmp_path: Path) -> None:
    work = "b = bytearray(60_000_000); b[::4096] = b[::4096]; sum(range(1_000_000))"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-ISc', {work!r}])"
    idle = stopwatch.run([python(tmp_path, "import time; time.sleep(0.2)")])
    busy = stopwatch.run([python(tmp_path, code)])
    assert idle.wall >= 0.2 and busy.wall > 0
    assert (
        idle.cpu is not None and busy.cpu is not None and idle.memory is not None and busy.memory is not None
    )
    assert idle.cpu < idle.wall
    assert busy.memory >= 60_000_000 > idle.memory > 1_000_000


@needs_spawn
def test_the_floor_of_memory_is_not_that_of_the_measuring_process(
    stopwatch: Stopwatch, tmp_path: Path
) -> None:
    ballast = bytearray(200_000_000)
    ballast[::4096] = ballast[::4096]
    sample = stopwatch.run([python(tmp_path, "pass")])
    assert sample.memory is not None and sample.memory < 100_000_000, len(ballast)


@pytest.mark.skipif(os.name != "posix", reason="blocks and hard links")
def test_a_folder_takes_what_is_there_alone(tmp_path: Path) -> None:
    folder, cache = tmp_path / "made", tmp_path / "cache"
    (folder / "sub").mkdir(parents=True)
    cache.mkdir()
    bare = size_of(folder)
    (cache / "large").write_bytes(b"x" * 1_000_000)
    os.link(cache / "large", folder / "sub/large")
    os.symlink("sub/large", folder / "link")
    (folder / "empty").touch()
    assert size_of(folder) == bare
    (folder / "own").write_bytes(b"x" * 100_000)
    once = size_of(folder)
    assert once >= bare + 100_000
    os.link(folder / "own", folder / "sub/own")
    assert size_of(folder) == once
    assert size_of(folder / "own") == 100_000


def test_several_commands_are_one_sample(stopwatch: Stopwatch, tmp_path: Path) -> None:
    one = [
        python(tmp_path, "import time; time.sleep(0.15)"),
        python(tmp_path, "import time; time.sleep(0.15)"),
    ]
    assert stopwatch.run(one).wall >= 0.3


def test_environment_and_folder_are_the_commands_own(stopwatch: Stopwatch, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    code = (
        "import os; assert os.getcwd().endswith('inner'); "
        "assert os.environ['MARK'] == 'x'; assert 'HOME' not in os.environ"
    )
    env = {"MARK": "x", **{name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}}
    stopwatch.run([Command((sys.executable, "-ISc", code), tmp_path / "inner", env)])


def test_a_failing_command_says_which_and_the_end_of_its_output(stopwatch: Stopwatch, tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match=r"(?s)ended with 3.*the reason"):
        stopwatch.run([python(tmp_path, "import sys; print('the reason'); sys.exit(3)")])
    with pytest.raises(RunFailed, match="ended with"):
        stopwatch.run([Command((str(tmp_path / "missing"),), tmp_path, {})])
    assert stopwatch.run([python(tmp_path, "pass")]).wall > 0, "the next one runs"


@needs_spawn
def test_a_command_beyond_its_limit_is_killed(stopwatch: Stopwatch, tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="-9"):
        stopwatch.run([python(tmp_path, "import time; time.sleep(600)", limit=0.3)])


@pytest.mark.skipif(sys.platform != "linux", reason="leftovers are adopted on Linux only")
def test_what_goes_on_behind_a_command_is_waited_for_and_counted_apart(
    stopwatch: Stopwatch, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    busy = "import time; end = time.process_time() + 0.2\nwhile time.process_time() < end: pass"
    child = f"{busy}\nopen({str(mark)!r}, 'w')"
    start = f"subprocess.Popen([sys.executable, '-ISc', {child!r}], start_new_session=True)"
    code = f"import subprocess, sys; {start}"
    sample = stopwatch.run([python(tmp_path, code)])
    assert mark.exists(), "the run was not over before its leftovers were"
    assert sample.behind >= 0.15


def test_without_posix_spawn_there_is_wall_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "posix_spawn", raising=False)
    with Stopwatch(tmp_path) as watch:
        sample = watch.run([python(tmp_path, "pass")])
        assert sample.wall > 0 and sample.cpu is None and sample.memory is None
        with pytest.raises(RunFailed, match="ended with 4"):
            watch.run([python(tmp_path, "raise SystemExit(4)")])


def test_contenders_take_turns_and_the_first_round_is_not_measured(
    stopwatch: Stopwatch, tmp_path: Path
) -> None:
    order: list[str] = []

    def contender(name: str, once: bool = False) -> Contender:
        def prepare(at: int) -> list[Command]:
            order.append(f"{name}{at}")
            return [python(tmp_path, "pass")]

        return Contender(name, prepare, once)

    results = race(stopwatch, [contender("a"), contender("b"), contender("c", once=True)], 2)
    assert order == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2"]
    assert [len(results[name].samples) for name in "abc"] == [2, 2, 1]


def test_who_fails_is_out_and_the_others_go_on(stopwatch: Stopwatch, tmp_path: Path) -> None:
    bad = Contender("bad", lambda at: [python(tmp_path, "raise SystemExit('no luck')")])
    good = Contender("good", lambda at: [python(tmp_path, "pass")])
    results = race(stopwatch, [bad, good], 2)
    assert "no luck" in results["bad"].failure and not results["bad"].samples
    assert len(results["good"].samples) == 2 and not results["good"].failure


def test_the_race_ends_when_another_round_would_go_over_its_budget(
    stopwatch: Stopwatch, tmp_path: Path
) -> None:
    moments = iter(range(0, 10_000, 40))
    one = Contender("one", lambda at: [python(tmp_path, "pass")])
    results = race(stopwatch, [one], 50, budget=300, clock=lambda: float(next(moments)))
    assert 1 <= len(results["one"].samples) < 50


def test_ratios_are_taken_pair_by_pair() -> None:
    ours = Result([Sample(1.0, 1.0, 1), Sample(20.0, 1.0, 1), Sample(3.0, 1.0, 1)])
    theirs = Result([Sample(1.0, None, 1), Sample(10.0, None, 1), Sample(1.0, None, 1)])
    assert ratio(ours, theirs, lambda sample: sample.wall) == 2.0, (
        "of 1, 2 and 3; of the medians it would be 3"
    )
    assert ratio(ours, theirs, lambda sample: sample.cpu) is None
    assert ratio(ours, Result(), lambda sample: sample.wall) is None
    assert (
        median(ours, lambda sample: sample.wall) == 3.0
        and median(Result(), lambda sample: sample.wall) is None
    )


@needs_spawn
def test_a_run_that_is_broken_off_leaves_nothing_running(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    code = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    with pytest.raises(KeyboardInterrupt), Stopwatch(tmp_path) as watch:
        assert watch.process is not None and watch.process.stdin is not None
        job = ([sys.executable, "-ISc", code], str(tmp_path), dict(os.environ), str(watch.log), 600.0, 1.0)
        marshal.dump(job, watch.process.stdin)
        watch.process.stdin.flush()
        while not (mark.exists() and mark.read_text()):
            time.sleep(0.01)
        raise KeyboardInterrupt
    for _ in range(200):
        try:
            os.kill(int(mark.read_text()), 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    pytest.fail("the command is still running")


def test_the_starter_ends_with_its_stopwatch(tmp_path: Path) -> None:
    with Stopwatch(tmp_path) as watch:
        process = watch.process
    if process is not None:
        assert isinstance(process, subprocess.Popen) and process.poll() == 0
