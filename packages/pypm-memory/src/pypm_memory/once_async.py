"""`Session.once` for an ``async def``: looks are quick enough for the loop, writes are made in threads."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from pypm_memory.answers import Claimed, Hit, Pending
from pypm_memory.once import Patience, check_cycle, checked, give_back, keep, outcome, working
from pypm_memory.operations import Operations
from pypm_memory.promises import pauses

T = TypeVar("T")


def is_async(compute: object) -> bool:
    """Whether calling it gives a coroutine: an ``async def``, bound, partial or as ``__call__``."""
    while isinstance(compute, partial):
        compute = compute.func
    return inspect.iscoroutinefunction(compute) or inspect.iscoroutinefunction(
        getattr(compute, "__call__", None)  # noqa: B004
    )


async def once(
    memory: Operations,
    session_id: str,
    key: str,
    compute: Callable[[], Coroutine[Any, Any, str]],
    ttl_seconds: float | None,
    wait_seconds: float | None,
) -> str:
    """`Session.once` for an ``async def``."""
    patience = Patience(wait_seconds)

    def claimed_for_nobody(found: Hit | Pending | Claimed) -> None:
        if not found["hit"]:
            memory.release(session_id, found["promise_id"])

    while True:
        found = await _in_thread(partial(memory.use, session_id, key), claimed_for_nobody)
        if "value" in found:
            return found["value"]
        promise_id = found["promise_id"]
        if not found["hit"]:
            with working(promise_id):
                try:
                    value = checked(await compute())
                    kept = await _in_thread(
                        partial(keep, memory, session_id, promise_id, value, ttl_seconds), _no_regrets
                    )
                except BaseException as error:
                    # Not awaited here: a task that is being cancelled may be cancelled again.
                    loop = asyncio.get_running_loop()
                    done = loop.run_in_executor(None, give_back, memory, session_id, promise_id, error)
                    if not isinstance(error, asyncio.CancelledError):
                        await asyncio.shield(done)
                    raise
            if kept is not None:
                return kept
            continue
        check_cycle(promise_id)
        for pause in pauses():
            state = outcome(memory, session_id, promise_id)
            if state is None:
                break
            if isinstance(state, str):
                return state
            await asyncio.sleep(patience.at_most(pause, promise_id))


def _no_regrets(_: object) -> None:
    pass


async def _in_thread(work: Callable[[], T], if_cancelled: Callable[[T], None]) -> T:
    """*work* in a thread. A thread cannot be cancelled: what it brings when nobody waits any more goes to
    *if_cancelled*."""
    doing = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:

        def late(done: asyncio.Future[T]) -> None:
            if not done.cancelled() and done.exception() is None:
                if_cancelled(done.result())

        doing.add_done_callback(late)
        raise
