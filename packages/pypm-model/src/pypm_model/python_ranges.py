"""Ranges of Pythons put together."""

from __future__ import annotations

from collections.abc import Iterable

from pypm_model.markers import any_of, python_bounds, requires_python


def union(ranges: Iterable[str]) -> str:
    """The least specifier that each of *ranges* is within: from their lowest bound to their highest, as an
    installer of all that they are of would state it. Raises `pypm_model.specifiers.InvalidSpecifier`."""
    different = sorted(set(ranges))
    if len(different) == 1:
        return different[0]
    lower, upper = python_bounds(any_of(map(requires_python, different)))
    return ",".join(filter(None, [f">={lower}" if lower else "", f"<{upper}" if upper else ""]))
