"""Poetry's version constraints (also Pipenv's) as PEP 440 specifiers and PEP 508 markers.

``^`` and ``~`` are ranges, a bare version is ``==``, ``||`` is "or". PEP 440 has no "or": ranges that
touch become one, others their hull, which is told.
"""

from __future__ import annotations

import re

from pypm_model import specifiers, versions
from pypm_model.patterns import pattern
from pypm_model.records import record

_clause = pattern(r"(\^|~=|~|===|==|!=|<=|>=|<|>|=)?\s*([^\s,|<>=!~^]+)")
_digits = pattern(r"(?:\d+!)?(\d+(?:\.\d+)*)")


class BadConstraint(ValueError):
    """The text is no constraint."""


@record
class Constraint:
    """What a constraint means."""

    specifier: str
    """Empty: any version."""
    alternatives: tuple[str, ...]
    """Specifiers of which one must hold."""
    hull: bool = False
    """Whether *specifier* allows more than the constraint."""


def parse(text: str) -> Constraint:
    """What *text* means. Raises `BadConstraint`."""
    alternatives = tuple(_conjunction(part) for part in re.split(r"\|\|?", text))
    if "" in alternatives:
        return Constraint("", ("",))
    alternatives = tuple(dict.fromkeys(alternatives))
    if len(alternatives) == 1:
        return Constraint(alternatives[0], alternatives)
    ranges = sorted(
        (_range(each) for each in alternatives), key=lambda r: versions.sort_key(r[0] or "0.dev0")
    )
    lower, upper = ranges[0][:2]
    hull = any(others for _, _, others in ranges)
    for start, end, _ in ranges[1:]:
        hull = hull or (bool(upper) and versions.sort_key(start or "0.dev0") > versions.sort_key(upper))
        if upper and (not end or versions.sort_key(end) > versions.sort_key(upper)):
            upper = end
    bounds = ",".join(filter(None, [f">={lower}" if lower else "", f"<{upper}" if upper else ""]))
    return Constraint(bounds, alternatives, hull)


def python_marker(text: str) -> str:
    """The marker for the Pythons of constraint *text*; empty for all. Raises `BadConstraint`."""
    parts = []
    for specifier in parse(text).alternatives:
        if not specifier:
            return ""
        clauses = [_python_clause(clause.operator, clause.text) for clause in specifiers.parse(specifier)]
        parts.append(" and ".join(clauses))
    return parts[0] if len(parts) == 1 else " or ".join(f"({part})" for part in parts)


def all_of(*markers: str) -> str:
    """The marker that holds where all of *markers* do; empty ones hold everywhere."""
    given = [marker for marker in markers if marker]
    if len(given) < 2:
        return "".join(given)
    return " and ".join(f"({marker})" if " or " in marker else marker for marker in given)


def _python_clause(operator: str, version: str) -> str:
    short = version.removesuffix(".*").count(".") <= 1
    if version.endswith(".*") and short and "." in version.removesuffix(".*"):
        return f"python_version {operator} '{version.removesuffix('.*')}'"
    variable = "python_version" if short and operator in (">=", "<") else "python_full_version"
    return f"{variable} {operator} '{version}'"


def _conjunction(text: str) -> str:
    """Clauses with commas or blanks between them; empty for any version."""
    rest = text.strip().strip(",")
    clauses = []
    while rest:
        match = _clause.match(rest)
        if match is None:
            raise BadConstraint(f"{text.strip()!r} is no constraint on versions")
        clauses += _clauses(match[1] or "", match[2])
        rest = rest[match.end() :].lstrip(" ,\t")
    try:
        specifiers.canonical(",".join(clauses))
        return ",".join(dict.fromkeys(clauses))
    except specifiers.InvalidSpecifier as error:
        raise BadConstraint(f"{text.strip()!r} is no constraint on versions: {error}") from None


def _clauses(operator: str, version: str) -> list[str]:
    if version == "*":
        return []
    version = version.removeprefix("v")
    if operator in ("", "=", "==") and version.endswith(".*"):
        return [f"=={version}"]
    if operator in ("", "="):
        return [f"=={version}"]
    if operator not in ("^", "~"):
        return [f"{operator}{version}"]
    match = _digits.match(version)
    if match is None:
        raise BadConstraint(f"{version!r} is no version")
    lower = version.removesuffix(".*")
    return [f">={lower}", f"<{_above(operator, [int(part) for part in match[1].split('.')])}"]


def _above(operator: str, parts: list[int]) -> str:
    """The first version that ``^`` or ``~`` does not allow."""
    if operator == "~":
        kept = min(len(parts), 2)
    else:
        # The first part that is not zero may not change; of zeros alone the last one.
        kept = next((at + 1 for at, part in enumerate(parts) if part), len(parts))
    bumped = [*parts[: kept - 1], parts[kept - 1] + 1]
    return ".".join(map(str, bumped + [0] * (min(len(parts), 3) - kept)))


def _range(specifier: str) -> tuple[str, str, bool]:
    """(lower bound, first version above, whether there is more to it) of a specifier; empty: no bound."""
    lower = upper = ""
    others = False
    for clause in specifiers.parse(specifier):
        version = clause.text
        match clause.operator:
            case ">=":
                lower = version
            case "<":
                upper = version
            case "==" if version.endswith(".*"):
                parts = [int(part) for part in version.removesuffix(".*").split(".")]
                lower = ".".join(map(str, parts))
                upper = ".".join(map(str, [*parts[:-1], parts[-1] + 1]))
            case _:
                others = True
    return lower, upper, others
