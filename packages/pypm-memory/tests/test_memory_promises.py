"""Equal work is done once: in one process, in many, and when the one at work is killed at any moment."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from pypm_memory.memory import Memory
from pypm_memory.memory_errors import (
    BadArgument,
    PromiseCycle,
    PromiseFailed,
    PromiseLost,
    PromiseOverdue,
    UnknownPromise,
    ValueTooLarge,
)
from pypm_memory.promises import SETTLED_KEPT, SETTLED_SECONDS
from pypm_memory.schema import STEPS, migrate
from pypm_memory.session import Session

pytestmark = pytest.mark.slow


class Clocks:
    def __init__(self) -> None:
        self.wall = 1_000_000.0
        self.steady = 500.0

    def memory(self, path: Path, **options: float) -> Memory:
        return Memory(path, clock=lambda: self.wall, steady=lambda: self.steady, **options)  # type: ignore[arg-type]


def test_a_promise_from_claim_to_result(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as one, Memory(tmp_path / "m.db") as two:
        claimed = one.peek("s", "k", claim=True)
        promise = str(claimed["promise_id"])  # type: ignore[typeddict-item]
        mine = {"hit": False, "status": "claimed", "promise_id": promise, "lease_seconds": 10.0}
        assert claimed == mine
        pending = {"hit": True, "status": "pending", "promise_id": promise}
        assert two.peek("s", "k") == pending == two.peek("s", "k", claim=True)
        assert two.peek("other", "k") == {"hit": False}
        assert two.resolve("s", promise) == {"status": "pending"}
        assert one.resolve("s", promise, "result") == {"status": "resolved"}
        assert two.resolve("s", promise) == {"status": "resolved", "payload": "result"}
        assert two.peek("s", "k") == {"hit": True, "value": "result", "index": 0}
        # What is settled stays as it is.
        assert two.resolve("s", promise, "late") == {"status": "resolved", "payload": "result"}
        assert two.resolve("s", promise, failure="late") == {"status": "resolved", "payload": "result"}


def test_a_failure_is_delivered_and_not_kept(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as memory:
        promise = memory.peek("s", "k", claim=True)["promise_id"]  # type: ignore[typeddict-item]
        assert memory.resolve("s", promise, failure="no network") == {"status": "failed"}
        with pytest.raises(PromiseFailed, match="no network"):
            memory.resolve("s", promise, wait_seconds=1)
        assert memory.peek("s", "k") == {"hit": False}
        again = memory.peek("s", "k", claim=True)
        assert again["hit"] is False and again["promise_id"] != promise  # type: ignore[typeddict-item]


@pytest.mark.parametrize("promise_id", ["", "x", "0" * 32 + "-1", "0" * 32, 7, None, "é" * 500])
def test_a_promise_that_is_none(tmp_path: Path, promise_id: str) -> None:
    with Memory(tmp_path / "m.db") as memory:
        memory.set("s", "k", "v")
        for call in (
            lambda: memory.resolve("s", promise_id),
            lambda: memory.resolve("s", promise_id, "p"),
            lambda: memory.release("s", promise_id),
        ):
            with pytest.raises(UnknownPromise):
                call()


def test_a_promise_of_another_session_is_none(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as memory:
        promise = memory.peek("mine", "k", claim=True)["promise_id"]  # type: ignore[typeddict-item]
        memory.init("yours")
        for call in (
            lambda: memory.resolve("yours", promise),
            lambda: memory.resolve("yours", promise, "p"),
            lambda: memory.release("yours", promise),
        ):
            with pytest.raises(UnknownPromise):
                call()
        assert memory.peek("mine", "k")["promise_id"] == promise  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    "options",
    [
        {"payload": "p", "failure": "f"},
        {"payload": 7},
        {"failure": 7},
        {"wait_seconds": -1},
        {"wait_seconds": 61},
        {"wait_seconds": "5"},
        {"payload": "p", "ttl_seconds": -1},
    ],
)
def test_a_bad_argument_leaves_the_promise(tmp_path: Path, options: dict[str, object]) -> None:
    with Memory(tmp_path / "m.db") as memory:
        promise = memory.peek("s", "k", claim=True)["promise_id"]  # type: ignore[typeddict-item]
        with pytest.raises(BadArgument):
            memory.resolve("s", promise, **options)  # type: ignore[arg-type]
        for lease in (0, -1, 86_401, float("nan"), True, "5"):
            with pytest.raises(BadArgument):
                memory.peek("s", "other", claim=True, lease_seconds=lease)  # type: ignore[arg-type]
        assert memory.resolve("s", promise) == {"status": "pending"}


def test_a_payload_over_the_limit_leaves_the_promise(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db", value_limit=4) as memory:
        promise = memory.peek("s", "k", claim=True)["promise_id"]  # type: ignore[typeddict-item]
        with pytest.raises(ValueTooLarge):
            memory.resolve("s", promise, "12345")
        assert memory.resolve("s", promise, "1234") == {"status": "resolved"}


def test_a_lease_that_ran_out_is_taken_over_by_one_and_lost_to_the_other(tmp_path: Path) -> None:
    clocks = Clocks()
    with clocks.memory(tmp_path / "m.db") as one, clocks.memory(tmp_path / "m.db") as two:
        first = one.peek("s", "k", claim=True, lease_seconds=5)["promise_id"]  # type: ignore[typeddict-item]
        clocks.steady += 4.9
        assert two.peek("s", "k", claim=True)["hit"] is True
        assert two.resolve("s", first, claim=True) == {"status": "pending"}
        clocks.steady += 0.1
        assert two.peek("s", "k") == {"hit": False}
        assert two.resolve("s", first) == {"status": "pending", "abandoned": True}
        second = two.resolve("s", first, claim=True, lease_seconds=5)
        assert second["status"] == "pending" and second["claimed"] is True  # type: ignore[typeddict-item]
        new = str(second["promise_id"])  # type: ignore[typeddict-item]
        assert new != first
        # The old one is told and changes nothing; those who wait under the old name get the new result.
        with pytest.raises(PromiseLost):
            one.resolve("s", first, "stale")
        assert not one.release("s", first)
        assert one.resolve("s", first, claim=True) == {"status": "pending"}
        assert two.resolve("s", new, "fresh") == {"status": "resolved"}
        assert one.resolve("s", first) == {"status": "resolved", "payload": "fresh"}
        assert one.resolve("s", first, "stale") == {"status": "resolved", "payload": "fresh"}


def test_a_lease_ends_when_the_machine_was_started_anew(tmp_path: Path) -> None:
    clocks = Clocks()
    with clocks.memory(tmp_path / "m.db") as memory:
        memory.peek("s", "k", claim=True, lease_seconds=60)
        clocks.steady = 3.0
        assert memory.peek("s", "k") == {"hit": False}
        assert memory.peek("s", "k", claim=True)["hit"] is False


def test_the_clock_on_the_wall_takes_no_lease_away(tmp_path: Path) -> None:
    clocks = Clocks()
    with clocks.memory(tmp_path / "m.db") as memory:
        memory.peek("s", "k", claim=True, lease_seconds=60)
        clocks.wall += 1e7
        assert memory.peek("s", "k", claim=True)["hit"] is True


def test_what_is_given_back_is_anybodys(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as one, Memory(tmp_path / "m.db") as two:
        first = one.peek("s", "k", claim=True)["promise_id"]  # type: ignore[typeddict-item]
        assert one.release("s", first)
        assert two.peek("s", "k") == {"hit": False}
        second = two.peek("s", "k", claim=True)
        assert second["hit"] is False
        two.close()  # gives back what it holds
        assert one.peek("s", "k") == {"hit": False}


def test_set_keeps_the_promise_of_whoever_is_at_work(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as memory:
        promise = memory.peek("s", "k", claim=True)["promise_id"]  # type: ignore[typeddict-item]
        memory.set("s", "k", "known")
        assert memory.resolve("s", promise) == {"status": "resolved", "payload": "known"}
        assert memory.resolve("s", promise, "mine") == {"status": "resolved", "payload": "known"}


def test_flush_forgets_what_is_settled_and_lets_work_go_on(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as memory:
        done = memory.peek("s", "done", claim=True)["promise_id"]  # type: ignore[typeddict-item]
        memory.resolve("s", done, "v")
        open_ = memory.peek("s", "open", claim=True)["promise_id"]  # type: ignore[typeddict-item]
        assert memory.flush("s") == {"status": "flushed", "cleared_count": 1}
        with pytest.raises(UnknownPromise):
            memory.resolve("s", done)
        assert memory.resolve("s", open_, "w") == {"status": "resolved"}
        assert memory.peek("s", "open")["hit"]


def test_a_result_is_delivered_when_the_silo_has_no_room_for_it_any_more(tmp_path: Path) -> None:
    clocks = Clocks()
    with clocks.memory(tmp_path / "m.db") as memory:
        memory.init("s", 1)
        first = memory.peek("s", "first", claim=True)["promise_id"]  # type: ignore[typeddict-item]
        memory.resolve("s", first, "1")
        for number in range(SETTLED_KEPT - 1):
            promise = memory.peek("s", str(number), claim=True)["promise_id"]  # type: ignore[typeddict-item]
            memory.resolve("s", promise, "2")
        assert memory.peek("s", "first") == {"hit": False}
        assert memory.resolve("s", first) == {"status": "resolved", "payload": "1"}
        promise = memory.peek("s", "one more", claim=True)["promise_id"]  # type: ignore[typeddict-item]
        memory.resolve("s", promise, "3")
        with pytest.raises(UnknownPromise):
            memory.resolve("s", first)
        clocks.wall += SETTLED_SECONDS + 1
        for number in range(20):
            memory.peek("t", str(number), claim=True)
        with pytest.raises(UnknownPromise):
            memory.resolve("s", promise)


def test_once_computes_once(tmp_path: Path) -> None:
    calls: list[int] = []

    def compute() -> str:
        calls.append(1)
        time.sleep(0.05)
        return "result"

    with Memory(tmp_path / "m.db") as memory, ThreadPoolExecutor(16) as pool:
        session = memory.session("s")
        assert set(pool.map(lambda _: session.once("k", compute), range(32))) == {"result"}
        assert calls == [1]


def test_once_is_a_use(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as memory:
        session = memory.session("s")
        session.init(2)
        for key in ("a", "b"):
            session.once(key, lambda: "v")
        session.once("a", lambda: "never")
        session.once("c", lambda: "v")
        assert session.peek("a")["hit"] and not session.peek("b")["hit"]


def test_once_ends_with_its_time_to_live(tmp_path: Path) -> None:
    clocks = Clocks()
    with clocks.memory(tmp_path / "m.db") as memory:
        session = memory.session("s")
        assert session.once("k", lambda: "first", ttl_seconds=10) == "first"
        clocks.wall += 9
        assert session.once("k", lambda: "second") == "first"
        clocks.wall += 2
        assert session.once("k", lambda: "second") == "second"


def test_a_failure_of_once_reaches_all_and_is_not_kept(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as memory, ThreadPoolExecutor(8) as pool:
        session = memory.session("s")
        waiting = threading.Barrier(8)
        calls: list[int] = []

        def compute() -> str:
            calls.append(1)
            time.sleep(0.3)
            raise LookupError("no such thing")

        def ask(_: int) -> str:
            waiting.wait()
            try:
                return session.once("k", compute)
            except LookupError:
                return "own"
            except PromiseFailed as error:
                return error.reason

        answers = sorted(pool.map(ask, range(8)))
        assert answers == ["LookupError: no such thing"] * 7 + ["own"] and calls == [1]
        assert session.once("k", lambda: "now") == "now"


def test_work_that_is_interrupted_is_anybodys(tmp_path: Path) -> None:
    def interrupted() -> str:
        raise KeyboardInterrupt

    with Memory(tmp_path / "m.db") as memory:
        session = memory.session("s")
        with pytest.raises(KeyboardInterrupt):
            session.once("k", interrupted)
        assert session.once("k", lambda: "v", wait_seconds=0) == "v"


@pytest.mark.parametrize("given", [None, 7, b"bytes"])
def test_what_is_no_text_is_not_kept(tmp_path: Path, given: str) -> None:
    with Memory(tmp_path / "m.db") as memory:
        with pytest.raises(BadArgument):
            memory.session("s").once("k", lambda: given)
        assert memory.peek("s", "k") == {"hit": False}


def test_work_that_asks_for_itself_is_told(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as memory:
        session = memory.session("s")
        with pytest.raises(PromiseCycle):
            session.once("a", lambda: session.once("b", lambda: session.once("a", lambda: "never")))
        assert session.once("a", lambda: "v") == "v"


def test_one_need_not_wait_for_ever(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as memory:
        memory.peek("s", "k", claim=True)
        with pytest.raises(PromiseOverdue):
            memory.session("s").once("k", lambda: "v", wait_seconds=0.05)


def test_a_claim_lives_as_long_as_its_process_and_not_longer(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as other:
        memory = Memory(tmp_path / "m.db", lease_seconds=0.4)
        promise = memory.peek("s", "k", claim=True)["promise_id"]  # type: ignore[typeddict-item]
        time.sleep(1.0)
        assert other.resolve("s", promise) == {"status": "pending"}
        del memory  # never closed: nobody can settle it any more
        gc.collect()
        taken = other.resolve("s", promise, wait_seconds=30, claim=True)
        assert taken["claimed"] is True  # type: ignore[typeddict-item]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_what_the_parent_holds_the_child_does_not(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db", lease_seconds=0.4) as memory:
        promise = memory.peek("s", "k", claim=True)["promise_id"]  # type: ignore[typeddict-item]
        child = os.fork()
        if not child:
            code = 1
            try:
                mine = memory.peek("s", "mine", claim=True)["promise_id"]  # type: ignore[typeddict-item]
                time.sleep(0.8)
                still = memory.resolve("s", mine) == {"status": "pending"}
                memory.close()
                code = 0 if still else 2
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert memory.peek("s", "mine") == {"hit": False}  # given back
        assert memory.peek("s", "k")["promise_id"] == promise  # type: ignore[typeddict-item]


# -- async ----------------------------------------------------------------------------------------


def test_once_async_computes_once(tmp_path: Path) -> None:
    calls: list[int] = []

    async def compute(text: str) -> str:
        calls.append(1)
        await asyncio.sleep(0.05)
        return text

    async def run(session: Session) -> list[str]:
        return await asyncio.gather(*(session.once("k", partial(compute, "result")) for _ in range(50)))

    with Memory(tmp_path / "m.db") as memory:
        assert asyncio.run(run(memory.session("s"))) == ["result"] * 50
        assert calls == [1]


def test_a_failure_of_once_async(tmp_path: Path) -> None:
    async def compute() -> str:
        await asyncio.sleep(0.3)
        raise LookupError("no such thing")

    async def run(session: Session) -> list[str]:
        found = await asyncio.gather(*(session.once("k", compute) for _ in range(5)), return_exceptions=True)
        return sorted(type(each).__name__ for each in found)

    with Memory(tmp_path / "m.db") as memory:
        assert asyncio.run(run(memory.session("s"))) == ["LookupError"] + ["PromiseFailed"] * 4
        assert memory.peek("s", "k") == {"hit": False}


def test_a_task_that_is_cancelled_gives_its_work_to_one_who_waits(tmp_path: Path) -> None:
    calls: list[int] = []

    async def compute() -> str:
        calls.append(1)
        await asyncio.sleep(0.01 if len(calls) > 1 else 60)
        return str(len(calls))

    async def run(session: Session) -> list[str]:
        first = asyncio.ensure_future(session.once("k", compute))
        while not calls:
            await asyncio.sleep(0.005)
        others = [asyncio.ensure_future(session.once("k", compute)) for _ in range(8)]
        await asyncio.sleep(0.05)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await asyncio.gather(*others)

    with Memory(tmp_path / "m.db") as memory:
        assert asyncio.run(run(memory.session("s"))) == ["2"] * 8


def test_a_task_may_be_cancelled_at_any_moment(tmp_path: Path) -> None:
    """A claim that a thread makes while its task is cancelled is held by nobody afterwards."""

    async def compute() -> str:
        await asyncio.sleep(0.002)
        return "v"

    async def run(session: Session) -> None:
        for turn in range(60):
            task = asyncio.ensure_future(session.once(str(turn), compute))
            await asyncio.sleep(random.random() * 0.004)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for turn in range(60):
            assert await session.once(str(turn), compute, wait_seconds=20) == "v"

    with Memory(tmp_path / "m.db", lease_seconds=3600) as memory:
        asyncio.run(run(memory.session("s")))


def test_an_awaitable_from_a_plain_function_is_no_text(tmp_path: Path) -> None:
    async def compute() -> str:
        return "v"

    with Memory(tmp_path / "m.db") as memory:
        with pytest.raises(BadArgument, match="async def"):
            memory.session("s").once("k", lambda: compute())  # type: ignore[arg-type,return-value]
        assert memory.peek("s", "k") == {"hit": False}


# -- migration ------------------------------------------------------------------------------------


def test_a_file_from_before_promises_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with Memory(path) as memory:
        memory.init("s", 7)
        memory.set("s", "k", "kept")
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE promises")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    old = set(connection.execute("SELECT sql FROM sqlite_master"))
    connection.close()
    with sqlite3.connect(tmp_path / "first.db", isolation_level=None) as first:
        migrate(first, 0, 1)
        assert set(first.execute("SELECT sql FROM sqlite_master")) == old, "this is not what version 1 was"
    first.close()
    with Memory(path) as memory:
        assert memory.peek("s", "k") == {"hit": True, "value": "kept", "index": 0}
        assert memory.init("s")["silo_size"] == 7
        assert memory.peek("s", "new", claim=True)["hit"] is False
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(STEPS),)
    connection.close()


# -- processes ------------------------------------------------------------------------------------

ASK = """
import os, sys, time
from pypm_memory.memory import Memory
path, diary, lease, pause = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
session = Memory(path, lease_seconds=lease).session("s")
log = os.open(diary, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
def compute(key):
    os.write(log, f"begin {key} {os.getpid()}\\n".encode())
    time.sleep(pause)
    os.write(log, f"end {key} {os.getpid()}\\n".encode())
    return f"{key} by {os.getpid()}"
print("ready", flush=True)
for line in sys.stdin:
    key = line.strip()
    print(session.once(key, lambda: compute(key)), flush=True)
"""


class Asker:
    def __init__(self, folder: Path, lease: float, pause: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", ASK, str(folder / "m.db"), str(folder / "diary"), str(lease), str(pause)],
            stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        assert self.answer() == "ready"

    def ask(self, key: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{key}\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        self.process.communicate()


def check_diary(folder: Path, killed: set[int]) -> dict[str, list[int]]:
    """Who finished each key. Nobody begins while another who lives is at it."""
    at_work: dict[str, int] = {}
    finished: dict[str, list[int]] = {}
    for line in (folder / "diary").read_text(encoding="utf-8").splitlines():
        what, key, pid_text = line.split()
        pid = int(pid_text)
        if what == "begin":
            assert key not in at_work or at_work[key] in killed, f"{key}: {pid} began beside {at_work[key]}"
            at_work[key] = pid
        else:
            assert at_work.pop(key) == pid
            finished.setdefault(key, []).append(pid)
    return finished


def proof_of_one_winner(folder: Path, processes: int, rounds: int) -> None:
    askers = [Asker(folder, 30.0, 0.02) for _ in range(processes)]
    for turn in range(rounds):
        for asker in askers:
            asker.ask(f"key-{turn}")
        answers = {asker.answer() for asker in askers}
        assert len(answers) == 1 and answers.pop().startswith(f"key-{turn} by "), turn
    for asker in askers:
        asker.end()
    finished = check_diary(folder, set())
    assert len(finished) == rounds and all(len(pids) == 1 for pids in finished.values()), finished


def test_eight_processes_do_equal_work_once(tmp_path: Path) -> None:
    proof_of_one_winner(tmp_path, 8, 5)


@pytest.mark.slow
def test_sixty_four_processes_do_equal_work_once(tmp_path: Path) -> None:
    proof_of_one_winner(tmp_path, 64, 8)


def proof_of_take_over(folder: Path, rounds: int, side_by_side: int) -> None:
    """In each round one that may be at work is killed at a random moment; the others get one result."""
    lanes = [folder / f"lane-{lane}" for lane in range(side_by_side)]
    for lane in lanes:
        lane.mkdir()

    def play(lane: Path, turns: int) -> None:
        chance = random.Random(lane.name)
        killed: set[int] = set()
        askers = [Asker(lane, LEASE, PAUSE) for _ in range(3)]
        for turn in range(turns):
            chance.shuffle(askers)
            victim, others = askers[0], askers[1:]
            victim.ask(f"key-{turn}")
            head_start = chance.random() < 0.8
            if head_start:
                time.sleep(chance.random() * PAUSE * 0.5)
            for other in others:
                other.ask(f"key-{turn}")
            time.sleep(chance.random() * PAUSE * 1.2)
            victim.kill()
            killed.add(victim.process.pid)
            answers = {other.answer() for other in others}
            assert len(answers) == 1 and answers.pop().startswith(f"key-{turn} by "), (lane, turn)
            askers = [*others, Asker(lane, LEASE, PAUSE)]
        for asker in askers:
            asker.end()
        finished = check_diary(lane, killed)
        assert set(finished) == {f"key-{turn}" for turn in range(turns)}
        # A second finisher is possible only where the first was killed between its work and its word.
        for key, pids in finished.items():
            assert all(pid in killed for pid in pids[:-1]), (key, pids)
        check = sqlite3.connect(lane / "m.db")
        assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        check.close()

    with ThreadPoolExecutor(side_by_side) as pool:
        for done in [pool.submit(play, lane, rounds // side_by_side) for lane in lanes]:
            done.result()


LEASE, PAUSE = 2.0, 0.1


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_work_of_the_killed_is_taken_over_by_one(tmp_path: Path) -> None:
    proof_of_take_over(tmp_path, 4, 2)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_work_of_the_killed_is_taken_over_by_one_many_times(tmp_path: Path) -> None:
    proof_of_take_over(tmp_path, 24, 8)


@pytest.mark.soak
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_work_of_the_killed_is_taken_over_by_one_a_thousand_times(tmp_path: Path) -> None:
    proof_of_take_over(tmp_path, 1000, 8)
