"""Version specifiers (PEP 440) as intervals of sort keys.

Every operator but ``===`` allows the versions between two boundaries, or all but those, and a
boundary is a text that compares with sort keys (`pypm_model.versions`). So a whole specifier is one
interval with holes in it, and is answered by bisecting the sorted keys of a package.

What is allowed is what ``packaging`` 26.3 allows with pre-releases admitted: whether pre-releases are
candidates is the resolver's policy and not decided here.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import lru_cache

from pypm_model import versions
from pypm_model.patterns import pattern
from pypm_model.records import NamedTuple
from pypm_model.versions import InvalidVersion, Version


class InvalidSpecifier(ValueError):
    """The text is no version specifier according to PEP 440; *clause* is the part at fault."""

    def __init__(self, specifier: str, clause: str, reason: str = "") -> None:
        self.specifier = specifier
        self.clause = clause
        self.reason = reason
        text = f"invalid specifier: {clause!r}"
        if clause != specifier:
            text += f" in {specifier!r}"
        super().__init__(f"{text}: {reason}" if reason else text)


class Clause(NamedTuple):
    """One comparison. *version* is None for ``===``, whose operand need not be a version."""

    operator: str
    text: str
    """The operand, normalised; as written for ``===``; with its ``.*`` where it has one."""
    version: Version | None

    @property
    def is_wildcard(self) -> bool:
        return self.operator in ("==", "!=") and self.text.endswith(".*")

    def __str__(self) -> str:
        return self.operator + self.text


class Intervals(NamedTuple):
    """Keys *k* with ``low <= k < high`` that are in no hole, and whose version is in *literals*."""

    low: str
    high: str
    holes: tuple[tuple[str, str], ...]
    """Half-open intervals that are left out; may overlap."""
    literals: frozenset[str] | None
    """Of ``===``: lower-case spellings, one of which the version must have; None if there is no ``===``."""


_OPERATORS = frozenset(("===", "~=", "==", "!=", "<=", ">=", "<", ">"))
_literal = pattern(r"[^\s;)]*")
_lowest = ""
_highest = "~"
_after_locals = "+~"
"""Behind a public key: above every local version, below everything that is higher."""


@lru_cache(maxsize=16384)
def parse(specifier: str) -> tuple[Clause, ...]:
    """The clauses of *specifier*, sorted by their text, each once. Raises `InvalidSpecifier`."""
    found = {str(c): c for c in (_parse_clause(p, specifier) for p in specifier.split(",") if p.strip())}
    return tuple([found[text] for text in sorted(found)])


def _parse_clause(text: str, specifier: str) -> Clause:
    clause = text.strip()
    operator = next((o for o in (clause[:3], clause[:2], clause[:1]) if o in _OPERATORS), "")
    if not operator:
        raise InvalidSpecifier(specifier, clause, "it must begin with one of == != <= >= < > ~= ===")
    operand = clause[len(operator) :].lstrip()
    if operator == "===":
        if _literal.fullmatch(operand) is None:
            raise InvalidSpecifier(specifier, text.strip())
        return Clause(operator, operand, None)
    wildcard = operand.endswith(".*")
    if wildcard and operator not in ("==", "!="):
        raise InvalidSpecifier(specifier, text.strip(), "'.*' can only be used with == and !=")
    try:
        version = versions.parse(operand[:-2] if wildcard else operand)
    except InvalidVersion:
        raise InvalidSpecifier(specifier, text.strip()) from None
    if wildcard and (version.is_prerelease or version.post is not None or version.local):
        raise InvalidSpecifier(specifier, text.strip(), "'.*' can only follow a release number")
    if version.local and operator not in ("==", "!="):
        raise InvalidSpecifier(specifier, text.strip(), "a local version can only be used with == and !=")
    if operator == "~=" and len(version.release) < 2:
        raise InvalidSpecifier(specifier, text.strip(), "~= needs at least two numbers, as in ~=1.0")
    return Clause(operator, f"{version}.*" if wildcard else str(version), version)


@lru_cache(maxsize=16384)
def compile(specifier: str) -> Intervals:
    """The intervals of *specifier*. Raises `InvalidSpecifier`."""
    low, high, holes = _lowest, _highest, []
    literals: frozenset[str] | None = None
    for clause in parse(specifier):
        if clause.version is None:
            this = frozenset((clause.text.lower(),))
            literals = this if literals is None else literals & this
            continue
        clause_low, clause_high = _interval(clause, clause.version)
        if clause.operator == "!=":
            holes.append((clause_low, clause_high))
        else:
            low, high = max(low, clause_low), min(high, clause_high)
    return Intervals(low, high, tuple(holes), literals)


def _interval(clause: Clause, version: Version) -> tuple[str, str]:
    """The half-open interval of a clause; of ``!=``, what it leaves out."""
    match clause.operator:
        case "==" | "!=" if clause.is_wildcard:
            return versions.release_key(version.epoch, version.release), _next_release(
                version, version.release
            )
        case "==" | "!=":
            # A version without a local part stands for all its local versions, one with it for itself:
            # a blank is lower than whatever continues a local part.
            key = versions.key_of(version)
            return key, key + (" " if version.local else _after_locals)
        case ">=":
            return versions.key_of(version), _highest
        case "<=":
            return _lowest, versions.key_of(version) + _after_locals
        case "~=":
            return versions.key_of(version), _next_release(version, version.release[:-1])
        case "<":
            return _lowest, _before(version)
        case _:
            return _after(version), _highest


def _next_release(version: Version, prefix: tuple[str, ...]) -> str:
    """Below everything of the release that follows *prefix*: for ``1.2`` all of ``1.3``."""
    return versions.release_key(version.epoch, (*prefix[:-1], str(int(prefix[-1]) + 1)))


def _before(version: Version) -> str:
    """The upper boundary of ``<V``, which leaves out the pre-releases of V unless V is one."""
    if version.is_prerelease:
        return versions.key_of(version)
    if version.post is not None:
        return f"{versions.stage_key(version)}p{versions.number_key(version.post)}"
    return versions.release_key(version.epoch, version.release)


def _after(version: Version) -> str:
    """The lower boundary of ``>V``, which leaves out V's local versions, and its post-releases unless V
    is a post-release (a development release has none)."""
    if version.dev is not None or version.post is not None:
        return versions.key_of(version) + _after_locals
    return f"{versions.stage_key(version)}q"


def bits(specifier: str, versions: tuple[str, ...], keys: tuple[str, ...]) -> int:
    """The mask of the versions that *specifier* allows: bit *i* speaks of ``versions[i]``.

    *keys* are the sort keys of *versions*, ascending. Pre-releases are treated as any other version.
    Costs two bisections, and two for each ``!=``; ``===`` looks at every version. Raises `InvalidSpecifier`.
    """
    low, high, holes, literals = compile(specifier)
    start, end = bisect_left(keys, low), bisect_left(keys, high)
    if start >= end:
        return 0
    mask = (1 << end) - (1 << start)
    for hole_low, hole_high in holes:
        start, end = bisect_left(keys, hole_low), bisect_left(keys, hole_high)
        if start < end:
            mask &= ~((1 << end) - (1 << start))
    if literals is not None:
        mask &= sum(1 << i for i, version in enumerate(versions) if version.lower() in literals)
    return mask


def contains(specifier: str, version: str) -> bool:
    """Whether *specifier* allows *version*, pre-releases admitted; no if *version* is none at all and
    *specifier* more than ``===``. Raises `InvalidSpecifier`."""
    low, high, holes, literals = compile(specifier)
    if literals is not None and version.lower() not in literals:
        return False
    if (low, high, holes) == (_lowest, _highest, ()):
        return literals is not None or versions.is_valid(version)
    try:
        key = versions.sort_key(version)
    except InvalidVersion:
        return False
    return low <= key < high and not any(start <= key < end for start, end in holes)


def readable(specifier: str) -> str:
    """*specifier* in the order in which people write it: lower bounds, upper bounds, what is left out."""
    clauses = specifier.split(",")
    return ",".join(sorted(clauses, key=lambda clause: (clause[:1] in "<!", clause[:1] == "!")))


@lru_cache(maxsize=16384)
def canonical(specifier: str) -> str:
    """*specifier* as normal text: clauses in order of their text, each once, versions normalised, no
    blanks; zeros at the end stay. Raises `InvalidSpecifier`."""
    return ",".join([str(clause) for clause in parse(specifier)])


def merge(first: str, second: str) -> str:
    """The normal text of both together. Raises `InvalidSpecifier`."""
    if not first or not second or first == second:
        return canonical(first or second)
    return canonical(f"{first},{second}")


def without_upper_bounds(specifier: str) -> str:
    """The normal text of *specifier* without what excludes versions because they are too new: ``<`` and
    ``<=`` are left out, ``~=V``, ``==V`` and ``==V.*`` become ``>=V``. Raises `InvalidSpecifier`."""
    kept = []
    for clause in parse(specifier):
        match clause.operator:
            case "<" | "<=":
                continue
            case "~=" | "==":
                kept.append(f">={str(clause.version).partition('+')[0]}")
            case _:
                kept.append(str(clause))
    return canonical(",".join(kept))


def exact_pins(specifier: str) -> tuple[str, ...]:
    """The versions that ``==`` (without ``.*``, normalised) or ``===`` (as written) names, sorted by text.

    Raises `InvalidSpecifier`.
    """
    pins = {c.text for c in parse(specifier) if c.operator in ("==", "===") and not c.is_wildcard}
    return tuple(sorted(pins))


def names_prerelease(specifier: str) -> bool:
    """Whether a clause other than ``!=`` names a pre-release, which admits pre-releases (PEP 440).

    Raises `InvalidSpecifier`.
    """
    for clause in parse(specifier):
        if clause.operator == "!=":
            continue
        if clause.version is not None:
            if clause.version.is_prerelease:
                return True
        elif versions.is_valid(clause.text) and versions.is_prerelease(clause.text):
            return True
    return False


_repairs: tuple[tuple[re.Pattern[str], str], ...] = (
    # `>= '2.7'`: quotes around a version.
    (pattern(r"['\"]"), ""),
    # `>=1.0<2.0`, `>=1.0 <2.0`: a comma is missing.
    (pattern(r"(?<=[0-9a-z*])\s*(?=[<>=!~])", re.IGNORECASE), ","),
    # `!=~5.0`: taken as `!=5.0.*`.
    (pattern(r"!=\s*~=?\s*([0-9]+(?:\.[0-9]+)*)"), r"!=\1.*"),
    # `>=2.0.*`, `<3.*`, `>=2.*`: the wildcard adds nothing to an ordered comparison.
    (pattern(r"((?:<=|>=|<|>|~=)\s*v?[0-9][0-9.]*?)\.?\*(?=\s*(?:,|$))"), r"\1"),
    # `!=3.0*`: a dot is missing.
    (pattern(r"((?:==|!=)\s*[0-9][0-9.]*?)\.*\*(?=\s*(?:,|$))"), r"\1.*"),
    # `>dev`, `>=dev`: any version (`>=0.dev0` would also opt in to pre-releases).
    (pattern(r"(>=?)\s*dev(?=\s*(?:,|$))", re.IGNORECASE), r">=0"),
    # `>=9.0.0a1.0`: a zero after the end of the version.
    (pattern(r"((?:a|b|rc|post|dev)[0-9]+)(?:\.0)+(?=\s*(?:,|$))", re.IGNORECASE), r"\1"),
    # `>=3.6.`: a dot at the end.
    (pattern(r"(?<=[0-9])\.+(?=\s*(?:,|$))"), ""),
    # `~=2`: compatible with a single number means nothing else than at least that.
    (pattern(r"~=(?=\s*v?[0-9]+\s*(?:,|$))"), ">="),
    # `=>1.0`, `=<2.0`, `=1.0`: operators turned around or short of a sign.
    (pattern(r"(?<![<>=!~])=([<>])(?!=)"), r"\1="),
    (pattern(r"(?<![<>=!~])=(?![<>=])"), "=="),
)


def lenient(specifier: str) -> str:
    """The normal text of *specifier*, which may have the faults of old metadata.

    Text that is right is not touched. Otherwise what pip accepted and uv still repairs is repaired, one
    kind of fault after the other, until it reads: stray quotes, missing commas, ``>=2.0.*``, ``!=3.0*``,
    ``>dev``, ``!=~5.0``, ``>=9.0a1.0``, ``>=3.6.``, ``~=2``, ``=>1.0``. Commas at the ends and doubled
    ones never matter. Raises `InvalidSpecifier` for *specifier* as given when nothing helps.
    """
    try:
        return canonical(specifier)
    except InvalidSpecifier as fault:
        text = specifier
        for pattern, replacement in _repairs:
            changed = pattern.sub(replacement, text)
            if changed != text:
                text = changed
                try:
                    return canonical(text)
                except InvalidSpecifier:
                    continue
        raise fault
