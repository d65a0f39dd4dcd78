"""What `benchmarks/memory.py` times, run by an interpreter that has the peers: prints JSON, one row a line.

python memory_rows.py rows FOLDER OPTIONS-AS-JSON       all rows
python memory_rows.py ask|peek CONTENDER FOLDER ...     one of many processes of a row
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Protocol

KEY = "key-{}"
VALUE = "v" * 100
BLOCK = 500
"""Operations a contender does before it is the next one's turn."""
ROUNDS = 9
WORK_SECONDS = 0.3
"""How long the work takes that 65 processes ask for at once: all of them wait by then."""


class Contender(Protocol):
    """One memory, in this process."""

    def get(self, key: str) -> Any: ...
    def look(self, key: str) -> Any:
        """The value, or whether somebody is at work on it."""

    def set(self, key: str, value: str) -> Any: ...
    def once(self, key: str, compute: Callable[[], str]) -> str: ...
    def close(self) -> None: ...


class Ours:
    """`pypm_memory`, in a silo that holds everything."""

    def __init__(self, folder: Path) -> None:
        from pypm_memory.memory import Memory

        self._memory = Memory(folder / "memory.db")
        self._session = self._memory.session("benchmark")
        self._session.init(1_000_000)
        self.get = self.look = self._session.peek
        self.set = self._session.set
        self.once = self._session.once
        self.close = self._memory.close


class DiskCache:
    """`diskcache.Cache` as it comes; equal work by its own recipe, a barrier around a memoized function."""

    def __init__(self, folder: Path) -> None:
        import diskcache

        self._library = diskcache
        self._cache = diskcache.Cache(str(folder / "diskcache"))
        self.get = self._cache.get
        self.set = self._cache.set
        self.close = self._cache.close

    def look(self, key: str) -> Any:
        found = self._cache.get(key)
        return self._cache.get(f"lock-{key}") if found is None else found

    def once(self, key: str, compute: Callable[[], str]) -> str:
        @self._library.barrier(self._cache, self._library.Lock, name=f"lock-{key}")  # type: ignore[untyped-decorator]
        @self._cache.memoize(name=key)  # type: ignore[untyped-decorator]
        def work() -> str:
            return compute()

        return str(work())


class Redis:
    """redis on loopback, nothing written to disk; equal work by SET NX and a channel that wakes the rest."""

    def __init__(self, folder: Path) -> None:
        import redis

        port = int((folder / "redis-port").read_text(encoding="utf-8"))
        self._client = redis.Redis(host="127.0.0.1", port=port)
        self.get = self._client.get
        self.set = self._client.set
        self.close = self._client.close

    def look(self, key: str) -> Any:
        found = self._client.get(key)
        return self._client.get(f"claim-{key}") if found is None else found

    def once(self, key: str, compute: Callable[[], str]) -> str:
        found = self._client.get(key)
        if found is None and self._client.set(f"claim-{key}", "1", nx=True):
            value = compute()
            self._client.set(key, value)
            self._client.publish(f"done-{key}", value)
            return value
        with self._client.pubsub(ignore_subscribe_messages=False) as channel:
            channel.subscribe(f"done-{key}")
            channel.get_message(timeout=10)
            found = self._client.get(key)  # what came before one listened
            while found is None:
                message = channel.get_message(ignore_subscribe_messages=True, timeout=10)
                found = message and message["data"]
        return str(found, "ascii")


CONTENDERS: dict[str, Callable[[Path], Contender]] = {"pypm": Ours, "diskcache": DiskCache, "redis": Redis}


def rows(folder: Path, *, names: Sequence[str], entries: int, waiters: int, peekers: int) -> Iterator[Any]:
    """(row, unit, contender → figure), one row after the other; of all figures less is better but of
    those in operations a second."""
    contenders = {name: CONTENDERS[name](folder) for name in names}
    keys = [KEY.format(number) for number in range(entries)]
    chance = random.Random(7)
    yield "set, a new key", "us", in_turns(contenders, keys, lambda each: lambda key: each.set(key, VALUE))
    some = [chance.choice(keys) for _ in range(min(entries, 10_000))]
    yield (
        "set, a key that is there",
        "us",
        in_turns(contenders, some, lambda each: lambda key: each.set(key, VALUE)),
    )
    yield "peek, a hit", "us", in_turns(contenders, some, lambda each: each.get)
    absent = [f"no-{key}" for key in some]
    yield "peek, nothing and nobody", "us", in_turns(contenders, absent, lambda each: each.look)
    for each in contenders.values():
        each.close()
    many: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            many[name].append(peeks(name, folder, peekers, entries))
    yield f"peeks of {peekers} processes", "1/s", {name: median(found) for name, found in many.items()}
    yield (
        f"hand-over to {waiters} waiters",
        "us",
        {name: median(hand_overs(name, folder, waiters)) for name in names},
    )


def in_turns(
    contenders: dict[str, Contender], keys: Sequence[str], how: Callable[[Contender], Callable[[str], Any]]
) -> dict[str, float]:
    """The median time of one operation, in us; the contenders take turns, block by block."""
    found: dict[str, list[int]] = {name: [] for name in contenders}
    clock = time.perf_counter_ns
    for start in range(0, len(keys), BLOCK):
        for name, contender in contenders.items():
            operation = how(contender)
            for key in keys[start : start + BLOCK]:
                begin = clock()
                operation(key)
                found[name].append(clock() - begin)
    return {name: median(times) / 1000 for name, times in found.items()}


def peeks(name: str, folder: Path, peekers: int, entries: int) -> float:
    """Hits a second of *peekers* processes together."""
    running = [Worker("peek", name, folder, str(entries)) for _ in range(peekers)]
    for each in running:
        each.say("go")
    spans = [json.loads(each.hear()) for each in running]
    for each in running:
        each.end()
    seconds = (max(end for _, end, _ in spans) - min(begin for begin, _, _ in spans)) / 1e9
    return float(sum(count for *_, count in spans) / seconds)


def hand_overs(name: str, folder: Path, waiters: int) -> list[float]:
    """From the end of the work to the moment the last of *waiters* has the result, in us."""
    running = [Worker("ask", name, folder) for _ in range(waiters + 1)]
    found = []
    for turn in range(ROUNDS):
        for each in running:
            each.say(f"work-{turn}")
        found.append(max(float(each.hear()) for each in running))
    for each in running:
        each.end()
    return found


class Worker:
    """One of many processes."""

    def __init__(self, *arguments: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.hear()

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a process of {self._process.args!r} has failed")
        return line

    def end(self) -> None:
        self._process.communicate()


def ask(contender: Contender) -> None:
    """Asks for the work of each line, and says how long after its end it had the result, in us."""

    def compute() -> str:
        time.sleep(WORK_SECONDS)
        return str(time.monotonic_ns())  # of one clock for all processes

    contender.get("warm")
    print("ready", flush=True)
    for line in sys.stdin:
        ended = int(contender.once(line.strip(), compute))
        print((time.monotonic_ns() - ended) / 1000, flush=True)


def peek(contender: Contender, entries: int) -> None:
    """Looks at random keys; says when it began and ended, and how many there were."""
    chance = random.Random()
    keys = [KEY.format(chance.randrange(entries)) for _ in range(5000)]
    contender.get(keys[0])
    print("ready", flush=True)
    sys.stdin.readline()
    begin = time.monotonic_ns()
    for key in keys:
        contender.get(key)
    print(json.dumps([begin, time.monotonic_ns(), len(keys)]), flush=True)


def main(arguments: list[str]) -> None:
    """Does what the first of *arguments* says."""
    if arguments[0] == "rows":
        for row, unit, figures in rows(Path(arguments[1]), **json.loads(arguments[2])):
            print(json.dumps({"row": row, "unit": unit, "figures": figures}), flush=True)
        return
    contender = CONTENDERS[arguments[1]](Path(arguments[2]))
    if arguments[0] == "ask":
        ask(contender)
    else:
        peek(contender, int(arguments[3]))


if __name__ == "__main__":
    main(sys.argv[1:])
