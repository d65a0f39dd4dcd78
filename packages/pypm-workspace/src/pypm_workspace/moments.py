"""Cut-off dates and periods as users write them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from pypm_model.patterns import pattern

_period = pattern(r"(\d+)\s*(seconds?|minutes?|hours?|days?|weeks?|[smhdw])", re.IGNORECASE)
_iso = pattern(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.IGNORECASE)
_seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def moment(value: object) -> str:
    """*value* as RFC 3339 in UTC with whole seconds, ``2026-11-01T09:30:00Z``.

    Takes RFC 3339 texts, TOML date-times and dates. A date means "until that day is over" in UTC, a
    date-time without a zone is UTC. Raises ValueError with a clause.
    """
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"`{value}` is no date or date-time such as `2026-11-01T00:00:00Z`") from None
    if isinstance(value, datetime):
        zoned = value if value.tzinfo else value.replace(tzinfo=UTC)
        return zoned.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return (datetime(value.year, value.month, value.day, tzinfo=UTC) + timedelta(days=1)).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        )
    raise ValueError("a date or date-time such as `2026-11-01T00:00:00Z` is wanted")


def seconds(text: str) -> int:
    """The length of a period: ``7 days``, ``12h``, ``1 week``, ``P7D``. Raises ValueError with a clause."""
    match = _period.fullmatch(text.strip())
    if match:
        return int(match[1]) * _seconds[match[2][0].lower()]
    match = _iso.fullmatch(text.strip())
    if match and any(match.groups()):
        return sum(int(n or 0) * s for n, s in zip(match.groups(), (604800, 86400, 3600, 60, 1), strict=True))
    raise ValueError(f"`{text}` is no period such as `7 days`")


def moment_or_period(value: object) -> str:
    """*value* as `moment` has it, or, where it is the length of a period, as ``604800 seconds``. Raises
    ValueError with a clause."""
    try:
        return moment(value)
    except ValueError as error:
        try:
            return f"{seconds(str(value))} seconds"
        except ValueError:
            raise error from None
