"""What the operations answer: plain dictionaries in the shapes that agents see as JSON."""

from __future__ import annotations

from typing import Literal, TypedDict


class Initialized(TypedDict):
    """Of ``init``. The status is ``initialized`` for a new session, ``resumed`` for one that was there."""

    status: Literal["initialized", "resumed"]
    session_id: str
    silo_size: int


class Hit(TypedDict):
    """Of ``peek``: the value, and its place in the silo, from 0 to ``silo_size`` - 1."""

    hit: Literal[True]
    value: str
    index: int


class Miss(TypedDict):
    """Of ``peek``: nothing is kept, and nobody is at work on it."""

    hit: Literal[False]


class Stored(TypedDict):
    """Of ``set``: kept in this place of the silo."""

    status: Literal["stored"]
    index: int


class Flushed(TypedDict):
    """Of ``flush``: how many entries were there to be forgotten."""

    status: Literal["flushed"]
    cleared_count: int
