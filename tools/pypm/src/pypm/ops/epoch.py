"""SOURCE_DATE_EPOCH: the moment that what is made takes for its own, so that it can be made again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from pypm.ops.world import World
from pypm_model.errors import PypmError


class BadEpoch(PypmError):
    """SOURCE_DATE_EPOCH is no moment."""

    code: ClassVar[str] = "bad-epoch"
    exit: ClassVar[int] = 2
    value: str

    def __str__(self) -> str:
        return f"SOURCE_DATE_EPOCH is {self.value!r}, which is no number of seconds since 1970"


def epoch_of(world: World) -> int | None:
    """Seconds since 1970; None if the variable says nothing. Raises `BadEpoch`."""
    text = world.environ.get("SOURCE_DATE_EPOCH", "").strip()
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        raise BadEpoch(text)
    return int(text)


def moment_of(epoch: int | None) -> str:
    """*epoch* as RFC 3339 in UTC; empty for None."""
    return "" if epoch is None else datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
