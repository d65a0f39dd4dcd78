"""How often a law is tried."""

from __future__ import annotations

from hypothesis import settings

_USUAL = 100
"""Examples that hypothesis tries if nothing else is said."""


def examples(number: int) -> int:
    """*number* in the full suite; in the quick one as many times fewer as its profile has fewer than usual.
    For ``max_examples`` of a law that is not tried the usual 100 times."""
    return max(1, number * settings().max_examples // _USUAL)
