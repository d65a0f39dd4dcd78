"""Cut-offs in time: files that are newer are not seen (``exclude-newer``, ``cooldown``).

A cut-off is RFC 3339 in UTC with whole seconds, so that texts compare as times do; empty is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pypm_model.names import NormalizedName
from pypm_model.records import field, record


class InvalidTime(ValueError):
    """The text is no time, date or span; says what was expected."""


@record
class Cutoffs:
    """Which cut-off is in force for a package: its own, else its index's, else that for all."""

    everywhere: str = ""
    indexes: Mapping[str, str] = field(default_factory=dict)
    """By index name; an empty text lifts the cut-off."""
    packages: Mapping[NormalizedName, str] = field(default_factory=dict)
    """Exceptions by name; an empty text lifts the cut-off."""

    def of(self, name: NormalizedName, index: str) -> str:
        """The cut-off for *name* on the index named *index*; empty: none."""
        found = self.packages.get(name)
        if found is None:
            found = self.indexes.get(index, self.everywhere)
        return found

    def __bool__(self) -> bool:
        """Whether any cut-off is in force anywhere."""
        return bool(self.everywhere or any(self.indexes.values()) or any(self.packages.values()))


def moment(text: str, now: datetime) -> str:
    """The cut-off that *text* means at *now*: a time (``2026-11-01T00:00:00Z``; without an offset it
    is UTC), a date (``2026-11-01``: the whole day still counts, in UTC, so that every machine sees
    the same), or a span (``7 days``, ``12h``, ``P7D``) back from *now*. Empty stays empty.

    A span is counted from the full hour before *now*: what it gives does not change from run to run.
    Raises `InvalidTime`.
    """
    text = text.strip()
    if not text:
        return ""
    back = span(text)
    if back is not None:
        hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        try:
            return _text(hour - back)
        except OverflowError:
            raise InvalidTime(f"{text!r} is further back than time goes") from None
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            return _text(datetime.fromisoformat(text).replace(tzinfo=UTC) + timedelta(days=1))
        time = datetime.fromisoformat(text)
        return _text(time if time.tzinfo else time.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise InvalidTime(
            f"{text!r} is no time: expected one like 2026-11-01T00:00:00Z, 2026-11-01 or '7 days'"
        ) from None


_SPELLED = r"(?a)(\d{1,9})\s*([a-z]+)"
_ISO = r"(?a)P(?:(\d{1,9})W)?(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})S)?)?"
_units = {"w": 604800, "d": 86400, "h": 3600, "min": 60, "m": 60, "s": 1}
_words = {"week": "w", "day": "d", "hour": "h", "minute": "min", "second": "s", "hr": "h", "sec": "s"}


def span(text: str) -> timedelta | None:
    """The length of time that *text* names (``7 days``, ``1 week 2d``, ``P7D``, ``PT12H``), or None."""
    text = text.strip()
    found = re.fullmatch(_ISO, text.upper())
    try:
        if found and any(found.groups()):
            weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
            return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        parts = re.findall(_SPELLED, text.lower())
        if not parts or re.sub(r"[\s,]+", "", re.sub(_SPELLED, "", text.lower())):
            return None
        total = 0
        for number, unit in parts:
            unit = _words.get(unit.removesuffix("s") if len(unit) > 1 else unit, unit)
            if unit not in _units:
                return None
            total += int(number) * _units[unit]
        return timedelta(seconds=total)
    except OverflowError:
        raise InvalidTime(f"{text!r} is too long a time") from None


def earliest(*cutoffs: str) -> str:
    """The strictest of several cut-offs; empty ones are none."""
    return min((one for one in cutoffs if one), default="")


def _text(time: datetime) -> str:
    # strftime does not pad years below 1000.
    return time.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
