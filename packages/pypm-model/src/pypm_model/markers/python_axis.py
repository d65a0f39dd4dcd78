"""Versions of Python as points of one axis, and comparisons as intervals of it.

A point is a version an interpreter can have: ``X.Y.Z``, or a pre-release of it (``a``, ``b``, ``rc`` with a
number). It is written (X, Y, Z, stage, n) with the stage 0, 1, 2 for a, b, rc and 3 for a final version, and
a *cut* is written as the first point behind it. ``(X, Y, Z, 0, 0)`` is before every pre-release of X.Y.Z:
what is called ``X.Y.Z.dev0`` elsewhere.

Comparisons mean what ``packaging`` 26.3 makes of them, pre-releases included. On 3.14.0rc1 both
``python_full_version >= '3.14'`` and ``python_full_version < '3.14'`` are false: the two are cut at different
points and the pre-releases are in neither. ``python_version`` has two components only, so on 3.14.0rc1
``python_version >= '3.14'`` is true. A Requires-Python looks at X.Y.Z alone, as pip does: 3.14.0rc1 satisfies
``>=3.14``. The last two are cut before the pre-releases and meet their complements there.

A local part (``3.13.0+`` of a build from a checkout) is not looked at.
"""

from __future__ import annotations

from functools import lru_cache
from math import inf

from pypm_model import specifiers, versions
from pypm_model.markers.diagram import FALSE, TRUE, Diagram, node
from pypm_model.markers.variables import PYTHON
from pypm_model.patterns import pattern
from pypm_model.versions import Version

Cut = tuple[float, float, float, int, int]
Interval = tuple[Cut, Cut]
"""From the first cut up to before the second."""

LOWEST: Cut = (0, 0, 0, 0, 0)
HIGHEST: Cut = (inf, 0, 0, 0, 0)
ALPHA, BETA, CANDIDATE, FINAL = 0, 1, 2, 3
_stages = {"a": ALPHA, "b": BETA, "rc": CANDIDATE}

_minor = pattern(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
_no_identity = pattern(r"[\s;)]")
_minors = pattern(rf"(?=({_minor.pattern}))")
_full = pattern(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(?:(a|b|rc)(0|[1-9][0-9]*))?")


class Undefined(ValueError):
    """The comparison has no meaning, whatever the environment."""


def point(python_full_version: str) -> Cut:
    """The point of an interpreter's version. Raises `pypm_model.versions.InvalidVersion`."""
    # A build from a checkout says "3.14.0a1+".
    return _floor(versions.parse(python_full_version.rstrip("+")))


@lru_cache(maxsize=8192)
def requires_python(specifier: str) -> Diagram:
    """The interpreters that a Requires-Python admits; faults of old metadata are repaired. Remembers answers.

    Raises `pypm_model.specifiers.InvalidSpecifier`.
    """
    intervals = [(LOWEST, HIGHEST)]
    for clause in specifiers.parse(specifiers.lenient(specifier)):
        if clause.version is None:
            found = _named_exactly(clause.text.lower(), two_components=False)
        else:
            found = _intervals(clause.operator, clause.version, clause.is_wildcard)
        found = [(_release(low), _release(high)) for low, high in found]
        intervals = [(max(a, c), min(b, d)) for a, b in intervals for c, d in found if max(a, c) < min(b, d)]
    return diagram(intervals)


def compare(operator: str, literal: str, *, mirrored: bool, two_components: bool) -> Diagram:
    """``python_full_version operator 'literal'``; *mirrored*: with the literal on the left (not for ``in``,
    which tells no interval); *two_components*: ``python_version``. Raises `Undefined`."""
    if operator in ("in", "not in"):
        found = _named(literal, two_components)
        return _outside(found) if operator == "not in" else diagram(found)
    if operator == "===":
        if not mirrored and not is_identity(literal):
            raise Undefined("=== needs a word")
        return diagram(_named_exactly(literal.strip().lower(), two_components))
    if mirrored:
        found = _mirrored(operator, literal, two_components)
    else:
        clause = clause_of(operator, literal)
        if clause is None or clause.version is None:
            return _as_texts(operator)
        found = _intervals(operator, clause.version, clause.is_wildcard)
    if two_components:
        found = [(_minor_release(low), _minor_release(high)) for low, high in found]
    return diagram(found)


def _as_texts(operator: str) -> Diagram:
    """The literal is no version: the comparison is one of texts, which differ."""
    if operator == "~=":
        raise Undefined("~= needs a version")
    return TRUE if operator == "!=" else FALSE


def diagram(intervals: list[Interval]) -> Diagram:
    """The union of *intervals*."""
    cuts: list[Cut] = []
    for low, high in sorted(intervals):
        if low >= high:
            continue
        if cuts and low <= cuts[-1]:
            cuts[-1] = max(cuts[-1], high)
        else:
            cuts += (low, high)
    starts_inside = bool(cuts) and cuts[0] == LOWEST
    inner = [cut for cut in cuts if LOWEST < cut < HIGHEST]
    children = [TRUE if (i % 2 == 0) == starts_inside else FALSE for i in range(len(inner) + 1)]
    return node(PYTHON, tuple(inner), tuple(children))


def _outside(intervals: list[Interval]) -> Diagram:
    result: list[Interval] = []
    low = LOWEST
    for start, end in sorted(intervals):
        result.append((low, start))
        low = max(low, end)
    return diagram([*result, (low, HIGHEST)])


def _intervals(operator: str, version: Version, is_wildcard: bool) -> list[Interval]:
    """The points that *operator* with *version* allows."""
    match operator:
        case "==" if is_wildcard:
            return _prefix(version, version.release)
        case "==":
            return [] if version.local else [(_floor(version), _behind(version))]
        case "!=":
            excluded = _intervals("==", version, is_wildcard)
            return [(LOWEST, excluded[0][0]), (excluded[0][1], HIGHEST)] if excluded else [(LOWEST, HIGHEST)]
        case "~=":
            prefix = _prefix(version, version.release[:-1])
            return [(max(low, _floor(version)), high) for low, high in prefix]
        case ">=":
            return [(_floor(version), HIGHEST)]
        case "<=":
            return [(LOWEST, _behind(version))]
        case ">":
            return [(_behind(version), HIGHEST)]
        case _:
            # "<V" leaves out the pre-releases of V unless V is one.
            leaves_out = not version.is_prerelease and version.post is None
            cut = _floor(version)
            return [(LOWEST, _release(cut) if leaves_out else cut)]


def _mirrored(operator: str, literal: str, two_components: bool) -> list[Interval]:
    """``'literal' operator python``: here the interpreter's version is the specifier and the literal the
    candidate, so the exceptions of PEP 440 apply the other way round."""
    try:
        version = versions.parse(literal)
    except ValueError:
        return []
    if version.epoch != "0" and operator in ("<", "~="):
        return []
    low, high = _place(version)
    match operator:
        case "<=":
            return [(low, HIGHEST)]
        case ">=":
            return [(LOWEST, high)]
        case "<":
            # Not below a final version whose pre-release the literal is.
            final = (*low[:3], FINAL, 0)
            behind_final = _next_micro(low)
            return [(high, final), (behind_final, HIGHEST)] if version.is_prerelease else [(high, HIGHEST)]
        case ">" if version.post is not None and version.epoch == "0":
            # Not above the version whose post-release the literal is.
            base = version._replace(post=None, dev=None, local=())
            return [(LOWEST, _floor(base)), (_behind(base), low)]
        case ">":
            return [(LOWEST, low)]
        case "~=":
            # ~=X.Y.Z is ==X.Y.*, and ~=X.Y is ==X.*
            start: Cut = (low[0], 0, 0, 0, 0) if two_components else (low[0], low[1], 0, 0, 0)
            return [(start, high)]
        case "!=":
            return [(LOWEST, low), (high, HIGHEST)]
        case _:
            return [(low, high)]


def clause_of(operator: str, literal: str) -> specifiers.Clause | None:
    """The comparison of versions that *operator* and *literal* make, or None if they make none."""
    try:
        # With a comma it is two clauses, which no marker has.
        (clause,) = specifiers.parse(operator + literal) if "," not in literal else ()
    except ValueError:
        return None
    return clause


def is_identity(literal: str) -> bool:
    """Whether *literal* may stand behind ``===``."""
    return not _no_identity.search(literal.strip())


def _named(literal: str, two_components: bool) -> list[Interval]:
    """``in``: the interpreter's version is a part of the text (``3.1`` is one of ``3.11``)."""
    found: set[str] = set()
    if two_components:
        for match in _minors.finditer(literal):
            whole = match[1]
            dot = whole.index(".")
            found.update([whole[:end] for end in range(dot + 2, len(whole) + 1)])
    else:
        for start in range(len(literal)):
            # No interpreter's version is longer than 20 characters.
            for end in range(start + 5, min(len(literal), start + 20) + 1):
                if _full.fullmatch(literal, start, end):
                    found.add(literal[start:end])
    return [interval for text in found for interval in _named_exactly(text, two_components)]


def _named_exactly(text: str, two_components: bool) -> list[Interval]:
    """The interpreter's version is spelled like that."""
    if two_components:
        match = _minor.fullmatch(text)
        if match is None:
            return []
        x, y = int(match[1]), int(match[2])
        return [((x, y, 0, 0, 0), (x, y + 1, 0, 0, 0))]
    if not _full.fullmatch(text):
        return []
    version = versions.parse(text)
    return [(_floor(version), _behind(version))]


def _prefix(version: Version, release: tuple[str, ...]) -> list[Interval]:
    """All versions that begin with *release*."""
    if version.epoch != "0" or any(n != "0" for n in release[3:]):
        return []
    low = [int(n) for n in release[:3]]
    high = [*low[:-1], low[-1] + 1]
    return [(_start(low), _start(high))]


def _start(release: list[int]) -> Cut:
    x, y, z = (*release, 0, 0)[:3]
    return (x, y, z, 0, 0)


def _floor(version: Version) -> Cut:
    """The first point that is not lower than *version*."""
    return _place(version)[0]


def _behind(version: Version) -> Cut:
    """The first point that is higher than *version*."""
    return _place(version)[1]


def _place(version: Version) -> Interval:
    if version.epoch != "0":
        return HIGHEST, HIGHEST
    x, y, z = (*[int(n) for n in version.release[:3]], 0, 0)[:3]
    start: Cut = (x, y, z, 0, 0)
    if any(n != "0" for n in version.release[3:]) or (version.post is not None and version.pre is None):
        return (behind := _next_micro(start)), behind
    if version.pre is not None:
        stage, n = _stages[version.pre[0]], int(version.pre[1])
        this: Cut = (x, y, z, stage, n)
        following: Cut = (x, y, z, stage, n + 1)
        if version.post is not None:
            return following, following
        return (this, this) if version.dev is not None else (this, following)
    if version.dev is not None:
        return start, start
    return (x, y, z, FINAL, 0), _next_micro(start)


def _next_micro(cut: Cut) -> Cut:
    return (cut[0], cut[1], cut[2] + 1, 0, 0)


def _release(cut: Cut) -> Cut:
    """The cut among final versions that tells the same final versions apart."""
    return (cut[0], cut[1], cut[2], 0, 0)


def _minor_release(cut: Cut) -> Cut:
    """The same among versions X.Y: X.Y.0 stands for all of X.Y."""
    return (cut[0], cut[1] + 1, 0, 0, 0) if cut[2] else (cut[0], cut[1], 0, 0, 0)
