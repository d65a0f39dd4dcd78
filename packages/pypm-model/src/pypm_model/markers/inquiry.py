"""Questions about a diagram and its booleans: flags and extras put in or left open, what is asked, bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from pypm_model.markers.diagram import (
    FALSE,
    Diagram,
    branches,
    named,
    quantify,
    substitute,
    support,
    top,
)
from pypm_model.markers.literals import version_text
from pypm_model.markers.variables import ORDER, PYTHON, SET_RANK, SETS, Variable, number
from pypm_model.names import normalize


def flag(name: str) -> Diagram:
    """Where the flag *name* of `pypm_model.activation` is active: ``'NAME' in dependency_groups``."""
    return named("dependency_groups", normalize(name))


def extra(name: str) -> Diagram:
    """Where the extra *name* is asked for: ``extra == 'NAME'``. Several may be at once."""
    return named("extra", normalize(name))


def assume(d: Diagram, flags: Mapping[str, bool]) -> Diagram:
    """*d* where these flags are active (True) or not (False); others stay open."""
    return substitute(d, {flag_number(name): value for name, value in flags.items()})


def without_extras(d: Diagram, active: frozenset[str]) -> Diagram:
    """*d* where the extras *active* (normalised) are asked for and no others: it asks no extra."""
    values: dict[int, str | bool] = {}
    for variable in asked(d):
        known = ORDER[variable]
        if known.name in ("extra", "extras"):
            values[variable] = known.literal in active if known.literal else not active
    return substitute(d, values) if values else d


def exists(d: Diagram, names: Iterable[str]) -> Diagram:
    """The environments that are in *d* for some choice of the flags *names*, whatever the others are."""
    return quantify(d, [flag_number(name) for name in names])


def projected(d: Diagram, names: Iterable[str]) -> Diagram:
    """What *d* says of the variables *names* (see `variables`), whatever the others are: it holds all
    environments of *d*, and those that differ from one only in others."""
    kept = frozenset(names)
    return quantify(d, [n for n in asked(d) if ORDER[n].name not in kept])


def hangs_on(d: Diagram, name: str) -> bool:
    """Whether *d* asks the flag *name*."""
    return bool(support(d) >> flag_number(name) & 1)


def flags(d: Diagram) -> frozenset[str]:
    """The names of the flags that *d* asks, normalised."""
    found = [ORDER[n] for n in asked(d)]
    return frozenset(v.literal for v in found if v.name == "dependency_groups" and v.literal)


@lru_cache(maxsize=16384)
def flag_number(name: str) -> int:
    set_ = "dependency_groups"
    return number(Variable(SET_RANK + SETS.index(set_), set_, literal=normalize(name)))


def asked(d: Diagram) -> list[int]:
    """Numbers of the variables that *d* asks, in the order of a diagram."""
    bits, numbers = support(d), []
    while bits:
        lowest = bits & -bits
        bits ^= lowest
        numbers.append(lowest.bit_length() - 1)
    return sorted(numbers, key=ORDER.__getitem__)


def variables(d: Diagram) -> frozenset[str]:
    """The marker variables that *d* hangs on, by their PEP 508 (and PEP 751) names; the Python version is
    ``python_full_version``, what follows from another variable is called by that one's name."""
    return frozenset([ORDER[n].name for n in asked(d)])


def is_python_only(d: Diagram) -> bool:
    """Whether *d* hangs on nothing but the Python version (TRUE and FALSE included)."""
    return support(d) | 1 << PYTHON == 1 << PYTHON


def python_bounds(d: Diagram) -> tuple[str, str]:
    """The lowest Python version in *d* and the one before which the highest is: ``('3.9', '3.13')``.
    Empty where there is no bound, and twice for FALSE."""
    if top(d) != PYTHON:
        return "", ""
    cuts, children = branches(d)
    inside = [i for i, child in enumerate(children) if child != FALSE]
    first, last = inside[0], inside[-1]
    return (
        version_text(cuts[first - 1]) if first else "",
        version_text(cuts[last]) if last < len(cuts) else "",
    )
