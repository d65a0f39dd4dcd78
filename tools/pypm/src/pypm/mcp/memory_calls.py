"""The memory's five tools: asked in the server's own process, and waited for without a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pypm.mcp.errors import BadCall
from pypm_memory.arguments import LONGEST_WAIT, VALUE_LIMIT
from pypm_memory.memory import Memory
from pypm_memory.promises import pauses

LEASE_SECONDS = 60.0
"""Of a claim that names none: as on the command line."""


async def call(memory: Memory, tool: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the memory's tool named *tool* answers to checked arguments. Raises what the memory raises."""
    session = given["session_id"]
    match tool:
        case "init":
            return await asyncio.to_thread(memory.init, session, given.get("silo_size"))
        case "peek":
            return await asyncio.to_thread(
                memory.peek,
                session,
                given["key"],
                claim=given.get("claim", False),
                lease_seconds=_lease(given),
            )
        case "set":
            return await asyncio.to_thread(
                memory.set, session, given["key"], given["value"], ttl_seconds=given.get("ttl_seconds")
            )
        case "flush":
            return await asyncio.to_thread(memory.flush, session)
    return await _resolve(memory, given)


async def _resolve(memory: Memory, given: Mapping[str, Any]) -> Mapping[str, Any]:
    settles = "payload" in given or "failure" in given
    wait = given.get("wait_seconds", 0)
    if settles and (wait or given.get("claim")):
        raise BadCall("resolve", "wait_seconds", "and claim are for another's result, without a payload")
    if wait > LONGEST_WAIT:
        raise BadCall("resolve", "wait_seconds", f"must be at most {LONGEST_WAIT:.0f}")
    loop = asyncio.get_running_loop()
    end = loop.time() + wait
    answer = await _ask(memory, given)
    for pause in pauses():
        left = end - loop.time()
        if answer["status"] != "pending" or "claimed" in answer or left <= 0:
            return answer
        await asyncio.sleep(min(pause, left))
        # A look is quick enough for the loop: a hundred who wait are not a hundred threads.
        answer = dict(memory.resolve(given["session_id"], given["promise_id"]))
        if "abandoned" in answer and given.get("claim"):
            answer = await _ask(memory, given)
    raise AssertionError("pauses have no end")


async def _ask(memory: Memory, given: Mapping[str, Any]) -> Mapping[str, Any]:
    return await asyncio.to_thread(
        memory.resolve,
        given["session_id"],
        given["promise_id"],
        given.get("payload"),
        failure=given.get("failure"),
        ttl_seconds=given.get("ttl_seconds"),
        claim=given.get("claim", False),
        lease_seconds=_lease(given),
    )


def _lease(given: Mapping[str, Any]) -> float:
    return float(given.get("lease_seconds", LEASE_SECONDS))


LONGEST_TEXT = VALUE_LIMIT + 1
"""Characters that are looked at: what is longer is above the memory's own limit in any case."""
