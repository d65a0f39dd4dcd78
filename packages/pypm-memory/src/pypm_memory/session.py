"""One session: the operations without its name, and `Session.once`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Literal, overload

from pypm_memory.answers import (
    Claimed,
    Failed,
    Flushed,
    Hit,
    Initialized,
    Miss,
    Pending,
    Resolved,
    Stored,
    Unresolved,
)
from pypm_memory.arguments import session_name
from pypm_memory.operations import Operations
from pypm_model.later import later

if TYPE_CHECKING:
    from pypm_memory import once, once_async
else:
    once = later("pypm_memory.once")
    once_async = later("pypm_memory.once_async")


class Session:
    """One session of a memory: the same operations, without its name."""

    __slots__ = ("id", "memory")

    def __init__(self, memory: Operations, session_id: str) -> None:
        session_name(session_id)
        self.memory = memory
        self.id = session_id

    def init(self, silo_size: int | None = None) -> Initialized:
        """`Operations.init`."""
        return self.memory.init(self.id, silo_size)

    @overload
    def peek(self, key: str, *, claim: Literal[False] = False) -> Hit | Pending | Miss: ...
    @overload
    def peek(
        self, key: str, *, claim: bool, lease_seconds: float | None = None
    ) -> Hit | Pending | Claimed | Miss: ...
    def peek(
        self, key: str, *, claim: bool = False, lease_seconds: float | None = None
    ) -> Hit | Pending | Claimed | Miss:
        """`Operations.peek`."""
        return self.memory.peek(self.id, key, claim=claim, lease_seconds=lease_seconds)

    def set(self, key: str, value: str, *, ttl_seconds: float | None = None) -> Stored:
        """`Operations.set`."""
        return self.memory.set(self.id, key, value, ttl_seconds=ttl_seconds)

    def resolve(
        self,
        promise_id: str,
        payload: str | None = None,
        *,
        failure: str | None = None,
        ttl_seconds: float | None = None,
        wait_seconds: float = 0.0,
        claim: bool = False,
        lease_seconds: float | None = None,
    ) -> Resolved | Failed | Unresolved:
        """`Operations.resolve`."""
        return self.memory.resolve(
            self.id,
            promise_id,
            payload,
            failure=failure,
            ttl_seconds=ttl_seconds,
            wait_seconds=wait_seconds,
            claim=claim,
            lease_seconds=lease_seconds,
        )

    def release(self, promise_id: str) -> bool:
        """`Operations.release`."""
        return self.memory.release(self.id, promise_id)

    @overload
    def once(
        self,
        key: str,
        compute: Callable[[], Coroutine[Any, Any, str]],
        *,
        ttl_seconds: float | None = None,
        wait_seconds: float | None = None,
    ) -> Coroutine[Any, Any, str]: ...
    @overload
    def once(
        self,
        key: str,
        compute: Callable[[], str],
        *,
        ttl_seconds: float | None = None,
        wait_seconds: float | None = None,
    ) -> str: ...
    def once(
        self,
        key: str,
        compute: Callable[[], str] | Callable[[], Coroutine[Any, Any, str]],
        *,
        ttl_seconds: float | None = None,
        wait_seconds: float | None = None,
    ) -> str | Coroutine[Any, Any, str]:
        """The value of *key*, computed if nobody has it and nobody is at it: among all processes, threads
        and tasks that ask at the same time *compute* is called by one, and all get what it gave.

        If *compute* is an ``async def`` this gives something to ``await``. A hit is a use of the entry.
        If *compute* raises, so does this, the waiters raise `PromiseFailed`, and nothing is kept. If the
        one at work dies, or is interrupted or cancelled, another takes over. Raises `PromiseOverdue` when
        the result is not there after *wait_seconds* (by default one waits on), `PromiseCycle` when
        *compute* asks for its own key, and what `Memory` raises.
        """
        if once_async.is_async(compute):
            return once_async.once(self.memory, self.id, key, compute, ttl_seconds, wait_seconds)  # type: ignore[arg-type]
        return once.once(self.memory, self.id, key, compute, ttl_seconds, wait_seconds)  # type: ignore[arg-type]

    def touch(self, key: str) -> bool:
        """`Operations.touch`."""
        return self.memory.touch(self.id, key)

    def flush(self) -> Flushed:
        """`Operations.flush`."""
        return self.memory.flush(self.id)
