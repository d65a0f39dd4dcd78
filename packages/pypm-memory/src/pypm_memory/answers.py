"""What the operations answer: plain dictionaries in the shapes that agents see as JSON."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict, final


@final
class Initialized(TypedDict):
    """Of ``init``. The status is ``initialized`` for a new session, ``resumed`` for one that was there."""

    status: Literal["initialized", "resumed"]
    session_id: str
    silo_size: int


@final
class Hit(TypedDict):
    """Of ``peek``: the value, and its place in the silo, from 0 to ``silo_size`` - 1."""

    hit: Literal[True]
    value: str
    index: int


@final
class Miss(TypedDict):
    """Of ``peek``: nothing is kept, and nobody is at work on it."""

    hit: Literal[False]


@final
class Stored(TypedDict):
    """Of ``set``: kept in this place of the silo."""

    status: Literal["stored"]
    index: int


@final
class Flushed(TypedDict):
    """Of ``flush``: how many entries were there to be forgotten."""

    status: Literal["flushed"]
    cleared_count: int


@final
class Pending(TypedDict):
    """Of ``peek``: somebody is at work on it; ``resolve`` waits for the result."""

    hit: Literal[True]
    status: Literal["pending"]
    promise_id: str


@final
class Claimed(TypedDict):
    """Of ``peek`` with ``claim``: nothing is kept, and the work is the caller's now. ``resolve`` with the
    payload (or the failure) keeps the promise; the lease is what the caller has for it."""

    hit: Literal[False]
    status: Literal["claimed"]
    promise_id: str
    lease_seconds: float


@final
class Resolved(TypedDict):
    """Of ``resolve``: the work is done. Without a payload it is the caller's own that was kept."""

    status: Literal["resolved"]
    payload: NotRequired[str]


@final
class Failed(TypedDict):
    """Of ``resolve`` with a failure: the waiters will be told."""

    status: Literal["failed"]


@final
class Unresolved(TypedDict):
    """Of ``resolve``: not yet. ``abandoned``: whoever was at work is gone; with ``claim`` the work is the
    caller's now (``claimed``), under a new promise_id."""

    status: Literal["pending"]
    abandoned: NotRequired[Literal[True]]
    claimed: NotRequired[Literal[True]]
    promise_id: NotRequired[str]
    lease_seconds: NotRequired[float]
