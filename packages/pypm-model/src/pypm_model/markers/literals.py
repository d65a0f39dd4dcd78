"""Conditions on one variable as PEP 508 texts.

The texts of the Python axis are chosen so that ``packaging`` agrees on pre-releases too:

* from or before every pre-release of X.Y: ``python_version >= 'X.Y'``, ``python_version < 'X.Y'``;
* before every pre-release of X.Y.Z: ``python_full_version < 'X.Y.Z'``; from there on
  ``python_full_version > `` the final version before;
* from the final X.Y.Z on: ``python_full_version >= 'X.Y.Z'``; before it but with its pre-releases:
  ``python_full_version <= 'X.Y.Z' and python_full_version != 'X.Y.Z'``, as PEP 508 has no shorter way.

A comparison with ``platform_release`` or ``implementation_version`` has no exact complement in PEP 508, as a
text that is no version makes it false as well as its opposite: the opposite is written nevertheless.
"""

from __future__ import annotations

from itertools import zip_longest

from pypm_model.markers.diagram import Keys
from pypm_model.markers.python_axis import ALPHA, FINAL, HIGHEST, LOWEST, Cut
from pypm_model.markers.variables import ORDER, PYTHON, SET_RANK, TEXT_RANK, Variable
from pypm_model.records import NamedTuple


class Choice(NamedTuple):
    """A condition on one variable."""

    variable: int
    chosen: tuple[int, ...]
    """Positions of the children it holds for."""
    texts: tuple[tuple[str, ...], ...]
    """Alternatives (``or``) of comparisons (``and``)."""


def choose(variable: int, keys: Keys, must: frozenset[int], may: frozenset[int]) -> Choice:
    """The shortest condition on *variable* that holds for the children *must*, and for no others than
    *may* (at least one child is not in it)."""
    if variable == PYTHON:
        return _choose_python(keys, must, may)
    asked = ORDER[variable]
    if TEXT_RANK <= asked.rank < SET_RANK and keys:
        return _choose_text(variable, keys, must, may)
    (value,) = must
    return Choice(variable, (value,), ((boolean_text(asked, value == 1),),))


def _choose_text(variable: int, keys: Keys, must: frozenset[int], may: frozenset[int]) -> Choice:
    name, other = ORDER[variable].name, len(keys)
    named = tuple(sorted(must))
    unnamed = tuple([i for i in range(other) if i not in may])
    if other not in may or (other not in must and len(named) <= len(unnamed)):
        return Choice(variable, named, tuple([(f"{name} == {quoted(keys[i])}",) for i in named]))
    chosen = tuple([i for i in range(other + 1) if i not in unnamed])
    return Choice(variable, chosen, (tuple([f"{name} != {quoted(keys[i])}" for i in unnamed]),))


_OPPOSITES = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<", "in": "not in", "===": "!="}


def boolean_text(variable: Variable, is_true: bool) -> str:
    """A boolean, or its opposite, as a comparison."""
    literal = quoted(variable.literal)
    if not variable.operator:
        if variable.name == "extra":
            return f"extra {'==' if is_true else '!='} {literal}"
        return f"{literal} {'in' if is_true else 'not in'} {variable.name}"
    operator = variable.operator if is_true else _OPPOSITES[variable.operator]
    return (
        f"{literal} {operator} {variable.name}"
        if variable.mirrored
        else f"{variable.name} {operator} {literal}"
    )


def quoted(value: str) -> str:
    """*value*, which does not hold both kinds of quotes, in quotes."""
    return f'"{value}"' if "'" in value else f"'{value}'"


# The Python axis.


class _Run(NamedTuple):
    """Neighbouring children: from *start* up to before *end* (positions), between two cuts."""

    start: int
    end: int
    low: Cut
    high: Cut


def _choose_python(cuts: Keys, must: frozenset[int], may: frozenset[int]) -> Choice:
    runs: list[_Run] = []
    i, count = 0, len(cuts) + 1
    while i < count:
        if i not in may:
            i += 1
            continue
        start = i
        while i < count and i in may:
            i += 1
        needed = [j for j in range(start, i) if j in must]
        if needed:
            runs.append(_tighten(cuts, start, i, needed[0], needed[-1] + 1))
    chosen = tuple([j for run in runs for j in range(run.start, run.end)])
    return Choice(PYTHON, chosen, tuple(_python_texts(runs)))


def _tighten(cuts: Keys, start: int, end: int, first: int, last: int) -> _Run:
    """The part of children *start* to *end* (exclusive) with the simplest ends that has those from *first*
    to *last* (exclusive) in it: no end at all is best, then X.Y, and of equal ones the nearest."""
    if start == 0:
        low = LOWEST
    else:
        start = min(range(first, start - 1, -1), key=lambda i: _low_cost(cuts[i - 1]))
        low = cuts[start - 1]
    if end == len(cuts) + 1:
        high = HIGHEST
    else:
        end = min(range(last, end + 1), key=lambda i: _high_cost(cuts[i - 1]))
        high = cuts[end - 1]
    return _Run(start, end, low, high)


def _low_cost(cut: Cut) -> int:
    if _is_minor(cut):
        return 0
    return 1 if cut[3] == FINAL or cut[3:] == (ALPHA, 0) else 2


def _high_cost(cut: Cut) -> int:
    if _is_minor(cut):
        return 0
    return 3 if cut[3] == FINAL else 1 if cut[3:] == (ALPHA, 0) else 2


def _is_minor(cut: Cut) -> bool:
    return cut[2:] == (0, ALPHA, 0)


def _python_texts(runs: list[_Run]) -> list[tuple[str, ...]]:
    """Alternatives for the union of *runs*. Runs with one minor or one version between them are joined by
    ``!=`` where that is shorter."""
    texts: list[tuple[str, ...]] = []
    group: list[_Run] = []
    holes: list[str] = []
    for run, following in zip_longest(runs, runs[1:]):
        group.append(run)
        hole = _only(run.high, following.low) if following else ""
        if hole:
            holes.append(hole)
            continue
        joined = tuple(_interval(group[0].low, run.high, holes))
        apart = [tuple(_interval(each.low, each.high, [])) for each in group]
        shorter = sum(map(_length, apart)) < _length(joined)
        texts += apart if shorter else [joined]
        group, holes = [], []
    return texts


def _length(comparisons: tuple[str, ...]) -> int:
    return sum(map(len, comparisons))


def _interval(low: Cut, high: Cut, holes: list[str]) -> list[str]:
    only = _only(low, high)
    if only and not holes:
        return [only.replace("!=", "==", 1)]
    texts = []
    if low != LOWEST:
        texts.append(_from(low))
    texts += holes
    if high != HIGHEST:
        texts += _before(high)
    return texts


def _only(low: Cut, high: Cut) -> str:
    """``!=`` with all that is between two cuts, if one comparison can say it, else the empty text."""
    if _is_minor(low) and high == (low[0], low[1] + 1, 0, ALPHA, 0):
        return f"python_version != '{low[0]}.{low[1]}'"
    if low[3] == FINAL and high == (low[0], low[1], low[2] + 1, ALPHA, 0):
        return f"python_full_version != '{_spelled(low)}'"
    if low[3] < FINAL and high == (*low[:4], low[4] + 1):
        return f"python_full_version != '{_spelled(low)}'"
    if low[3:] == (ALPHA, 0) and high == (low[0], low[1], low[2] + 1, ALPHA, 0):
        return f"python_full_version != '{low[0]}.{low[1]}.{low[2]}.*'"
    return ""


def _from(cut: Cut) -> str:
    if _is_minor(cut):
        return f"python_version >= '{_short(cut)}'"
    if cut[3:] == (ALPHA, 0):
        return f"python_full_version > '{cut[0]}.{cut[1]}.{cut[2] - 1}'"
    return f"python_full_version >= '{_spelled(cut)}'"


def _before(cut: Cut) -> list[str]:
    if _is_minor(cut):
        return [f"python_version < '{_short(cut)}'"]
    if cut[3] == FINAL:
        return [f"python_full_version <= '{_spelled(cut)}'", f"python_full_version != '{_spelled(cut)}'"]
    return [f"python_full_version < '{_spelled(cut)}'"]


def _short(cut: Cut) -> str:
    """``3.12``; ``3`` for the first of all versions 3."""
    return f"{cut[0]}.{cut[1]}" if cut[1] else f"{cut[0]}"


def _spelled(cut: Cut) -> str:
    release = f"{cut[0]}.{cut[1]}.{cut[2]}"
    if cut[3] == FINAL or cut[3:] == (ALPHA, 0):
        return release
    return release + ("a", "b", "rc")[cut[3]] + str(cut[4])


def version_text(cut: Cut) -> str:
    """The version at a cut, as short as people say it: ``3.12`` for 3.12.0 and for what is before its
    pre-releases."""
    is_release = cut[3] == FINAL or cut[3:] == (ALPHA, 0)
    return f"{cut[0]}.{cut[1]}" if is_release and not cut[2] else _spelled(cut)
