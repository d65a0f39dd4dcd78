"""Jobs done by two processes, by two threads, by one: the same answers, the same errors."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from pypm_store import forks as forks_module
from pypm_store import shared_work
from pypm_store.forks import Forks
from pypm_store.shared_work import share_out

LINUX = sys.platform == "linux"
FORKS = pytest.mark.skipif(not LINUX, reason="no forks here")


@pytest.fixture(params=["fork", "threads", "one"])
def workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(shared_work, "processors", lambda: 2)
    if request.param == "fork" and not LINUX:
        pytest.skip("no forks here")
    if request.param == "threads":
        monkeypatch.setattr(shared_work, "may_fork", lambda: False)
    return 1 if request.param == "one" else 2


@pytest.mark.parametrize("jobs", [0, 1, 2, 7, pytest.param(2503, marks=pytest.mark.slow)])
def test_every_job_is_done_once_and_answered(workers: int, jobs: int, tmp_path: Path) -> None:
    answers: dict[int, tuple[int, str]] = {}

    def work(number: int) -> tuple[int, str]:
        # Fails if it is done twice.
        os.mkdir(tmp_path / str(number))
        return number * 3, f"\udc80{number}"

    def take(number: int, answer: tuple[int, str]) -> None:
        assert number not in answers
        answers[number] = answer

    share_out(jobs, work, take, workers=workers)
    assert answers == {number: (number * 3, f"\udc80{number}") for number in range(jobs)}


def test_an_error_is_raised_here_and_nothing_runs_on(workers: int, tmp_path: Path) -> None:
    def work(number: int) -> int:
        if number == 5:
            raise FileExistsError(17, "taken", "one", None, "two")
        (tmp_path / str(number)).touch()
        return number

    taken: list[int] = []
    with pytest.raises(FileExistsError) as caught:
        share_out(400, work, lambda number, answer: taken.append(answer), workers=workers)
    assert caught.value.filename2 == "two"
    before = set(os.listdir(tmp_path))
    time.sleep(0.05)
    assert set(os.listdir(tmp_path)) == before
    assert 5 not in taken


def test_an_error_of_the_taker_is_raised(workers: int) -> None:
    def take(number: int, answer: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        share_out(50, lambda number: number, take, workers=workers)


def _both_at_work(folder: Path, who: int) -> None:
    """Returns when another process has called it, too."""
    (folder / f"process-{who}").touch()
    end = time.monotonic() + 10
    while len([name for name in os.listdir(folder) if name.startswith("process-")]) < 2:
        assert time.monotonic() < end
        time.sleep(0.001)


@FORKS
def test_two_processes_share_and_a_killed_one_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_work, "processors", lambda: 2)
    here = os.getpid()

    def work(number: int) -> int:
        _both_at_work(tmp_path, os.getpid())
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    answers: dict[int, int] = {}
    share_out(20, work, answers.__setitem__)
    assert answers == {number: number for number in range(20)}
    assert len(os.listdir(tmp_path)) == 2


@FORKS
def test_the_fork_ends_when_this_process_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_work, "processors", lambda: 2)
    pid = os.fork()
    if pid == 0:

        def work(number: int) -> int:
            _both_at_work(tmp_path, os.getpid())
            (tmp_path / f"job-{number}").touch()
            time.sleep(0.02)
            return number

        try:
            share_out(500, work, lambda number, answer: None)
        finally:
            os._exit(0)
    end = time.monotonic() + 10
    while sum(name.startswith("job-") for name in os.listdir(tmp_path)) < 6:
        assert time.monotonic() < end
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    time.sleep(0.1)
    before = os.listdir(tmp_path)
    time.sleep(0.1)
    assert len(os.listdir(tmp_path)) == len(before) < 400


@FORKS
def test_threads_of_this_process_and_no_room_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks_module, "processors", lambda: 2)
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    answers: list[int] = []
    try:
        share_out(10, lambda number: number, lambda number, answer: answers.append(answer))
        assert sorted(answers) == list(range(10))

        def refuse() -> int:
            raise BlockingIOError(11, "no more processes")

        monkeypatch.setattr(os, "fork", refuse)
        share_out(10, lambda number: number, lambda number, answer: answers.append(answer))
        assert sorted(answers) == sorted([*range(10)] * 2)
        with Forks(3, lambda number: None) as forks:
            assert not forks.are_there
    finally:
        stop.set()
        thread.join()


@FORKS
def test_jobs_that_become_possible_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks_module, "processors", lambda: 2)
    here = os.getpid()

    def work(number: int) -> None:
        assert os.getpid() != here
        if number == 3:
            raise ValueError
        (tmp_path / str(number)).write_text(str(os.getpid()))

    done: list[int] = []
    with Forks(9, work) as forks:
        assert forks.are_there
        for number in range(8):
            forks.add(number)
            done += forks.ended()
        done += forks.rest()
        assert sorted(done) == [0, 1, 2, 4, 5, 6, 7]
        assert forks.left() == [3]
    assert sorted(os.listdir(tmp_path)) == ["0", "1", "2", "4", "5", "6", "7"]
    for pid in {int(path.read_text()) for path in tmp_path.iterdir()}:
        with pytest.raises(ChildProcessError):  # it has been waited for
            os.waitpid(pid, os.WNOHANG)


@FORKS
def test_the_longest_that_is_possible_is_begun_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks_module, "processors", lambda: 2)
    begun = tmp_path / "begun"
    go = tmp_path / "go"

    def work(number: int) -> None:
        with begun.open("a") as file:
            file.write(f"{number}\n")
        while not go.exists():
            time.sleep(0.005)

    with Forks(20, work, workers=1) as forks:
        for number in range(15, -1, -1):
            forks.add(number)
        go.touch()
        assert sorted(forks.rest()) == [*range(16)]
    # One is in hand and one is handed out when the others become possible.
    assert [int(line) for line in begun.read_text().split()] == [15, 14, *range(14)]


@FORKS
def test_forks_that_all_end_early_leave_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks_module, "processors", lambda: 2)

    def work(number: int) -> None:
        raise ValueError

    with Forks(50, work) as forks:
        for number in range(50):
            forks.add(number)
        assert forks.rest() == []
        assert forks.left() == [*range(50)]


def test_without_forks_all_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks_module, "may_fork", lambda: False)
    with Forks(3, lambda number: None) as forks:
        assert not forks.are_there
        forks.add(1)
        assert (forks.ended(), forks.rest(), forks.left()) == ([], [], [1])
