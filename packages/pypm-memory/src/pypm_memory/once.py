"""`Session.once`: claim, compute and settle, or wait for whoever does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from time import monotonic, sleep

from pypm_memory.memory_errors import (
    BadArgument,
    MemoryUnusable,
    PromiseCycle,
    PromiseFailed,
    PromiseLost,
    PromiseOverdue,
    UnknownPromise,
    ValueTooLarge,
)
from pypm_memory.operations import Operations
from pypm_memory.promises import pauses

_at_work: ContextVar[frozenset[str]] = ContextVar("pypm_memory_at_work", default=frozenset())
"""Promises that the running code, and what it was called from, is to keep."""


def once(
    memory: Operations,
    session_id: str,
    key: str,
    compute: Callable[[], str],
    ttl_seconds: float | None,
    wait_seconds: float | None,
) -> str:
    """`Session.once` for a plain function."""
    patience = Patience(wait_seconds)
    while True:
        found = memory.use(session_id, key)
        if "value" in found:
            return found["value"]
        promise_id = found["promise_id"]
        if not found["hit"]:
            with working(promise_id), giving_back(memory, session_id, promise_id):
                value = checked(compute())
                kept = keep(memory, session_id, promise_id, value, ttl_seconds)
            if kept is not None:
                return kept
            continue
        check_cycle(promise_id)
        for pause in pauses():
            state = outcome(memory, session_id, promise_id)
            if state is None:
                break  # ask again: it is nobody's, or forgotten
            if isinstance(state, str):
                return state
            sleep(patience.at_most(pause, promise_id))


class Patience:
    """How long one wants to wait."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end = None if seconds is None else monotonic() + seconds

    def at_most(self, pause: float, promise_id: str) -> float:
        """*pause*, or what is left of the time. Raises `PromiseOverdue` when nothing is."""
        if self._end is None:
            return pause
        left = self._end - monotonic()
        if left <= 0:
            raise PromiseOverdue(promise_id, self._seconds or 0.0)
        return min(pause, left)


def outcome(memory: Operations, session_id: str, promise_id: str) -> str | bool | None:
    """The result; True while somebody is at it; None if nobody is, or nothing is known of it any more.

    Raises `PromiseFailed`.
    """
    try:
        answer = memory.resolve(session_id, promise_id)
    except UnknownPromise:
        return None
    if answer["status"] == "resolved":
        return answer["payload"]
    return None if "abandoned" in answer else True


def keep(
    memory: Operations, session_id: str, promise_id: str, value: str, ttl_seconds: float | None
) -> str | None:
    """Settles the promise with *value*; what counts as the result, or None if another is at the work now."""
    try:
        answer = memory.resolve(session_id, promise_id, value, ttl_seconds=ttl_seconds)
    except (PromiseLost, UnknownPromise):
        return None
    except PromiseFailed:
        return value  # somebody said in the meantime that it failed; the caller knows better
    return answer.get("payload", value)  # type: ignore[return-value]


def checked(value: object) -> str:
    """*value* if it is what `compute` has to give. Raises `BadArgument`."""
    if isinstance(value, str):
        return value
    if hasattr(value, "close") and hasattr(value, "__await__"):
        value.close()
        raise BadArgument("what is to be computed", "must be an `async def`, or give a text")
    raise BadArgument("what was computed", "must be a text")


@contextmanager
def working(promise_id: str) -> Iterator[None]:
    """Marks what runs inside as the work of this promise."""
    before = _at_work.set(_at_work.get() | {promise_id})
    try:
        yield
    finally:
        _at_work.reset(before)


def check_cycle(promise_id: str) -> None:
    """Raises `PromiseCycle` if the running code would wait for itself."""
    if promise_id in _at_work.get():
        raise PromiseCycle(promise_id)


@contextmanager
def giving_back(memory: Operations, session_id: str, promise_id: str) -> Iterator[None]:
    """Settles the promise as failed if the work fails, and gives it back if it is only interrupted."""
    try:
        yield
    except BaseException as error:
        give_back(memory, session_id, promise_id, error)
        raise


def give_back(memory: Operations, session_id: str, promise_id: str, error: BaseException) -> None:
    """What *error* means for the promise. That of the memory itself is no failure of the work."""
    with suppress(MemoryUnusable, UnknownPromise, PromiseLost, PromiseFailed):
        if isinstance(error, Exception) and not isinstance(error, MemoryUnusable):
            memory.resolve(session_id, promise_id, failure=described(error))
        else:
            memory.release(session_id, promise_id)


def described(error: Exception) -> str:
    """What the waiters are told. Of a value that is too large they are told no more than that."""
    if isinstance(error, (ValueTooLarge, BadArgument)):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
