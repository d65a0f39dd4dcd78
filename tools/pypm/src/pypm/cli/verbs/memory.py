"""``pypm memory``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from pypm.cli.arguments import Group, UsageError, argument, option, verb
from pypm.cli.options import COMMON, Common, world
from pypm.cli.render.report import say
from pypm.ops.memory import open_memory

DB = option("--db", metavar="FILE", help="The memory's file (memory.db in ~/.pypm). [PYPM_MEMORY]")
SESSION = argument("session_id", metavar="SESSION")
TTL = option("--ttl", name="ttl_seconds", metavar="N", least=1, help="Forget it after so many seconds.")
LEASE = option(
    "--lease",
    name="lease_seconds",
    metavar="N",
    least=1,
    default=60,
    help="Seconds that a claim is held without a result (60).",
)


@verb(
    SESSION,
    option("--silo-size", least=1, help="How many entries it holds (256, or as many as it did)."),
    DB,
    COMMON,
)
def init_command(common: Common, session_id: str, silo_size: int | None, db: str | None) -> int:
    """Make a session, or give it another size: the entries used last stay."""
    with world(common) as here, open_memory(here, db) as memory:
        answer = memory.init(session_id, silo_size)
    _tell(common, answer, f"{answer['status']} {session_id}: {answer['silo_size']} entries at most")
    return 0


@verb(
    SESSION,
    argument("key"),
    option("--claim", help="If nothing is kept and nobody is at work on it, promise to do it."),
    LEASE,
    DB,
    COMMON,
)
def peek_command(
    common: Common, session_id: str, key: str, claim: bool, lease_seconds: int, db: str | None
) -> int:
    """Print what is kept under a key, changing nothing; exit 1 if there is no value.

    Without a value it prints `pending PROMISE` if somebody is at work on it, and with --claim
    `claimed PROMISE` if the work is yours now: do it, and `pypm memory resolve`.
    """
    with world(common) as here, open_memory(here, db) as memory:
        answer = memory.peek(session_id, key, claim=claim, lease_seconds=float(lease_seconds))
    match answer:
        case {"value": str(value)}:
            _print(common, answer, value)
            return 0
        case {"status": str(status), "promise_id": str(promise)}:
            _print(common, answer, f"{status} {promise}")
        case _:
            _tell(common, answer, "nothing is kept under this key")
    return 1


@verb(SESSION, argument("key"), argument("value"), TTL, DB, COMMON)
def set_command(
    common: Common, session_id: str, key: str, value: str, ttl_seconds: int | None, db: str | None
) -> int:
    """Keep a value under a key; `-` reads it from standard input.

    Where the session is full, the entry used least recently makes room.
    """
    text = _text(value)
    with world(common) as here, open_memory(here, db) as memory:
        answer = memory.set(session_id, key, text, ttl_seconds=ttl_seconds)
    _tell(common, answer, f"stored at {answer['index']}")
    return 0


@verb(
    SESSION,
    argument("promise_id", metavar="PROMISE"),
    argument("payload", required=False),
    option("--failure", metavar="TEXT", help="The work has failed: tell those who wait, keep nothing."),
    option(
        "--wait",
        name="wait_seconds",
        metavar="N",
        least=0,
        default=0,
        help="Wait so many seconds for the result (up to 60).",
    ),
    option("--claim", help="If whoever was at work is gone, promise to do it."),
    LEASE,
    TTL,
    DB,
    COMMON,
)
def resolve_command(
    common: Common,
    session_id: str,
    promise_id: str,
    payload: str | None,
    failure: str | None,
    wait_seconds: int,
    claim: bool,
    lease_seconds: int,
    ttl_seconds: int | None,
    db: str | None,
) -> int:
    """Keep a promise with its payload (`-`: from standard input), or print the result of another's; exit 1 if
    there is none yet."""
    settles = payload is not None or failure is not None
    if payload is not None and failure is not None:
        raise UsageError("PAYLOAD and --failure exclude each other")
    if settles and (wait_seconds or claim):
        raise UsageError("--wait and --claim are for a result of another, without PAYLOAD and --failure")
    text = None if payload is None else _text(payload)
    with world(common) as here, open_memory(here, db) as memory:
        answer = memory.resolve(
            session_id,
            promise_id,
            text,
            failure=failure,
            ttl_seconds=ttl_seconds,
            wait_seconds=float(wait_seconds),
            claim=claim,
            lease_seconds=float(lease_seconds),
        )
    match answer:
        case {"payload": str(result)} if not settles:
            _print(common, answer, result)
        case {"payload": str()}:
            _tell(common, answer, "it was resolved before: nothing changed")
        case {"claimed": True, "promise_id": str(mine)}:
            _print(common, answer, f"claimed {mine}")
            return 1
        case {"status": "pending"}:
            gone = "abandoned" in answer
            _tell(common, answer, "abandoned: --claim takes it over" if gone else "pending")
            return 1
        case _:
            _tell(common, answer, answer["status"])
    return 0


@verb(SESSION, DB, COMMON)
def flush_command(common: Common, session_id: str, db: str | None) -> int:
    """Forget all entries of a session."""
    with world(common) as here, open_memory(here, db) as memory:
        answer = memory.flush(session_id)
    _tell(common, answer, f"forgot {answer['cleared_count']}")
    return 0


def _text(word: str) -> str:
    """What a word of the command line stands for."""
    if word != "-":
        return word
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError:
        # Not the error itself: it has the text with it.
        raise UsageError("what came from standard input is no UTF-8 text") from None


def _print(common: Common, answer: Mapping[str, Any], text: str) -> None:
    """*text* is data: for stdout, in UTF-8 whatever the locale is."""
    if common.json:
        sys.stdout.write(json.dumps(answer) + "\n")
        return
    try:
        content = text.encode("utf-8", "surrogateescape")  # bytes of a command line that are no UTF-8
    except UnicodeEncodeError:
        content = text.encode("utf-8", "surrogatepass")
    sys.stdout.flush()
    sys.stdout.buffer.write(content + b"\n")
    sys.stdout.buffer.flush()


def _tell(common: Common, answer: Mapping[str, Any], text: str) -> None:
    """*text* is talk."""
    if common.json:
        sys.stdout.write(json.dumps(answer) + "\n")
    elif not common.quiet:
        say(text)


command = Group(
    "What agents and programs remember: texts by session and key in one file, shared by all processes. Equal "
    "work is promised once: who finds nothing may claim it, the others wait for the result.",
    {
        "init": init_command,
        "peek": peek_command,
        "set": set_command,
        "resolve": resolve_command,
        "flush": flush_command,
    },
)
