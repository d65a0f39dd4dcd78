"""The platforms of Pyodide (PEP 783): which Python and which Emscripten goes with each.

The platform is versioned once for a feature release of Python, so a wheel for ``pyemscripten_2026_0`` is for
Python 3.14 whatever its Python tag says, and ``cp310-abi3`` does not make it one for 3.13. Source: Pyodide's
documentation, "Platform ABI".
"""

from __future__ import annotations

from pypm_model.patterns import pattern
from pypm_model.records import NamedTuple

PREFIX = "pyemscripten_"


class Platform(NamedTuple):
    """One platform."""

    python: tuple[int, int]
    emscripten: str
    """The compiler's version, as in the platform tag without a promise: ``emscripten_5_0_3_wasm32``."""


PLATFORMS = {
    "pyemscripten_2024_0": Platform((3, 12), "3_1_58"),
    "pyemscripten_2025_0": Platform((3, 13), "4_0_9"),
    "pyemscripten_2026_0": Platform((3, 14), "5_0_3"),
    "pyemscripten_2026_5": Platform((3, 15), "6_0_5"),
}
"""Oldest first. The last one is what its documentation plans."""

_tag = pattern(
    r"(?:(?:pyemscripten|pyodide)_(?P<abi>[0-9]+_[0-9]+)|emscripten_(?P<version>[0-9_]*[0-9]))_wasm32"
)


def canonical(platform_tag: str) -> str:
    """The platform a wheel is for by its platform tag: ``pyemscripten_2026_0``, for Pyodide's older name
    ``pyodide_2026_0_wasm32`` too; ``emscripten_5_0_3`` for that compiler alone; empty for other tags."""
    match = _tag.fullmatch(platform_tag)
    if match is None:
        return ""
    return PREFIX + match["abi"] if match["abi"] else f"emscripten_{match['version']}"


def pythons(platform: str) -> tuple[tuple[int, int], ...]:
    """The Pythons (major, minor) that a *platform* as `canonical` names it goes with; none if it is not
    known here."""
    known = PLATFORMS.get(platform)
    if known is not None:
        return (known.python,)
    version = platform.removeprefix("emscripten_")
    return tuple([each.python for each in PLATFORMS.values() if each.emscripten == version])
