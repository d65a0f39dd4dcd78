"""What the operations take: checks that name what is wrong and never what was given."""

from __future__ import annotations

from pypm_memory import entries
from pypm_memory.memory_errors import BadArgument, ValueTooLarge

SILO_SIZE = 256
"""Entries of a session that says nothing else."""
LARGEST_SILO = 2**31 - 1
VALUE_LIMIT = 1024 * 1024
"""Bytes of the longest value, as UTF-8."""
SESSION_ID_LIMIT = 1024
"""Bytes of the longest name of a session, as UTF-8."""

LEASE_SECONDS = 10.0
"""How long a process that has died holds what it claimed."""
LONGEST_LEASE = 86_400.0
LONGEST_WAIT = 60.0
"""Seconds that `Memory.resolve` waits at most."""
FAILURE_LIMIT = 1000
"""Characters of a failure's words that are kept."""


def content_of(value: str, limit: int) -> str | bytes:
    """*value* as it is stored. Raises `ValueTooLarge`, `BadArgument`."""
    if not isinstance(value, str):
        raise BadArgument("the value", "must be a text")
    content = entries.encoded(value)
    if len(content) > limit:
        raise ValueTooLarge(len(content), limit)
    return entries.storable(value, content)


def printable(failure: str) -> str:
    """A failure's words as a row takes them."""
    return failure[:FAILURE_LIMIT].encode("utf-8", "backslashreplace").decode()


def check_lease(seconds: float) -> None:
    """Raises `BadArgument` unless it is a time a lease may have."""
    number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not number or not 0 < seconds <= LONGEST_LEASE:
        raise BadArgument("the lease", f"must be above 0 and at most {LONGEST_LEASE:.0f} seconds")


def session_name(session_id: str) -> bytes:
    """The name as it is stored. Raises `BadArgument`."""
    if not isinstance(session_id, str):
        raise BadArgument("the session's name", "must be a text")
    name = entries.encoded(session_id)
    if not name:
        raise BadArgument("the session's name", "is empty")
    if len(name) > SESSION_ID_LIMIT:
        raise BadArgument("the session's name", f"is longer than {SESSION_ID_LIMIT} bytes")
    return name


def check_key(key: str) -> None:
    """Raises `BadArgument` for what is no text."""
    if not isinstance(key, str):
        raise BadArgument("the key", "must be a text")


def check_silo_size(size: int) -> None:
    """Raises `BadArgument` unless it is a size a silo may have."""
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= LARGEST_SILO:
        raise BadArgument("the silo's size", f"must be a whole number from 1 to {LARGEST_SILO}")


def end_of(ttl_seconds: float | None, now: float) -> float | None:
    """When an entry that is kept *now* ends. Raises `BadArgument`."""
    if ttl_seconds is None:
        return None
    number = isinstance(ttl_seconds, (int, float)) and not isinstance(ttl_seconds, bool)
    if not number or not 0 < ttl_seconds < 1e12:
        raise BadArgument("the time to live", "must be a number of seconds above 0")
    return now + ttl_seconds
