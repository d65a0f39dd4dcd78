"""The memory against a model of it: dictionaries, a list in the order of use, and a clock that is told."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kit.laws import examples
from pypm_memory.memory import Memory

KEYS = st.sampled_from(["a", "b", "c", "d", "e", "", "\x00", "\ud800", "ключ"])
SESSIONS = st.sampled_from(["one", "two", "\udfff"])
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)


class ModelSilo:
    def __init__(self, size: int) -> None:
        self.size = size
        self.entries: dict[str, tuple[str, float | None]] = {}
        self.order: list[str] = []
        """From the one not used for longest on."""

    def drop_expired(self, now: float) -> None:
        for key in [k for k, (_, end) in self.entries.items() if end is not None and end <= now]:
            del self.entries[key]
            self.order.remove(key)

    def use(self, key: str) -> None:
        if key in self.order:
            self.order.remove(key)
        self.order.append(key)

    def cut(self) -> None:
        while len(self.order) > self.size:
            del self.entries[self.order.pop(0)]


class MemoryModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now = 1000.0
        self.path = Path(self.folder.name) / "deep" / "memory.db"
        # Two that know nothing of each other, as two processes would be.
        self.memories = [Memory(self.path, clock=lambda: self.now) for _ in range(2)]
        self.silos: dict[str, ModelSilo] = {}
        self.indexes: dict[tuple[str, str], int] = {}
        self.turn = 0

    @property
    def memory(self) -> Memory:
        self.turn += 1
        return self.memories[self.turn // 3 % 2]

    def teardown(self) -> None:
        for memory in self.memories:
            memory.close()
        self.folder.cleanup()

    def silo(self, session: str) -> ModelSilo:
        silo = self.silos.setdefault(session, ModelSilo(256))
        silo.drop_expired(self.now)
        return silo

    @initialize(session=SESSIONS, size=st.integers(1, 4))
    def begin(self, session: str, size: int) -> None:
        self.init(session, size)

    @rule(session=SESSIONS, size=st.none() | st.integers(1, 5))
    def init(self, session: str, size: int | None) -> None:
        status = "resumed" if session in self.silos else "initialized"
        answer = self.memory.init(session, size)
        silo = self.silo(session)
        silo.size = size or silo.size
        silo.cut()
        assert answer == {"status": status, "session_id": session, "silo_size": silo.size}
        self.indexes = {k: i for k, i in self.indexes.items() if k[0] != session}

    @rule(session=SESSIONS, key=KEYS, value=ANY_TEXT, ttl=st.none() | st.integers(1, 5))
    def set(self, session: str, key: str, value: str, ttl: int | None) -> None:
        answer = self.memory.set(session, key, value, ttl_seconds=ttl)
        silo = self.silo(session)
        silo.entries[key] = (value, None if ttl is None else self.now + ttl)
        silo.use(key)
        silo.cut()
        assert answer["status"] == "stored" and 0 <= answer["index"] < silo.size
        assert self.memory.peek(session, key) == {"hit": True, "value": value, "index": answer["index"]}

    @rule(session=SESSIONS, key=KEYS)
    def touch(self, session: str, key: str) -> None:
        silo = self.silos.get(session)
        if silo:
            silo.drop_expired(self.now)
        there = silo is not None and key in silo.entries
        assert self.memory.touch(session, key) == there
        if there:
            assert silo is not None
            silo.use(key)

    @rule(session=SESSIONS)
    def flush(self, session: str) -> None:
        silo = self.silos.get(session)
        count = 0
        if silo:
            silo.drop_expired(self.now)
            count = len(silo.entries)
            silo.entries.clear()
            silo.order.clear()
        assert self.memory.flush(session) == {"status": "flushed", "cleared_count": count}
        self.indexes = {k: i for k, i in self.indexes.items() if k[0] != session}

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def reopen(self) -> None:
        self.memory.close()

    @invariant()
    def every_session_has_what_the_model_has(self) -> None:
        for session in ("one", "two", "\udfff"):
            silo = self.silos.get(session)
            if silo:
                silo.drop_expired(self.now)
            entries = silo.entries if silo else {}
            taken = []
            for key in ("a", "b", "c", "d", "e", "", "\x00", "\ud800", "ключ"):
                answer = self.memory.peek(session, key)
                if key not in entries:
                    assert answer == {"hit": False}
                    self.indexes.pop((session, key), None)
                else:
                    assert answer["hit"] and answer["value"] == entries[key][0]
                    taken.append(answer["index"])
                    # An entry keeps its place for as long as it stays.
                    assert self.indexes.setdefault((session, key), answer["index"]) == answer["index"]
            assert len(set(taken)) == len(taken)
            assert silo is None or all(0 <= index < silo.size for index in taken)


MemoryModel.TestCase.settings = settings(max_examples=8, stateful_step_count=40, deadline=None)
TestMemoryModel = MemoryModel.TestCase


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memory]:
    with Memory(tmp_path_factory.mktemp("any-text") / "m.db") as memory:
        yield memory


@given(key=ANY_TEXT, other=ANY_TEXT, value=ANY_TEXT)
def test_any_text_comes_back(memory: Memory, key: str, other: str, value: str) -> None:
    memory.flush("s")
    memory.set("s", key, value)
    assert memory.peek("s", key) == {"hit": True, "value": value, "index": 0}
    assert key == other or memory.peek("s", other) == {"hit": False}


class LongMemoryModel(MemoryModel):
    """The same, for longer."""


LongMemoryModel.TestCase.settings = settings(
    max_examples=examples(150), stateful_step_count=60, deadline=None
)
TestLongMemoryModel = pytest.mark.slow(LongMemoryModel.TestCase)
