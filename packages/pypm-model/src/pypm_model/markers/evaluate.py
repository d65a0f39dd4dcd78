"""Whether one environment is in a diagram, and one environment that is."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Mapping

from pypm_model import specifiers, versions
from pypm_model.markers import python_axis
from pypm_model.markers.diagram import (
    FALSE,
    TRUE,
    Diagram,
    branches,
    cofactor,
    substitute,
    top,
)
from pypm_model.markers.inquiry import asked
from pypm_model.markers.python_axis import ALPHA, BETA, CANDIDATE, FINAL, HIGHEST, LOWEST, Cut
from pypm_model.markers.variables import (
    ATOM_RANK,
    KNOWN,
    LOOSE_FIELDS,
    ORDER,
    PYTHON,
    SET_RANK,
    TEXT_FIELDS,
    TEXT_NUMBERS,
    Variable,
    implied,
)
from pypm_model.names import normalize
from pypm_model.records import NamedTuple


def evaluate(
    d: Diagram,
    environment: Mapping[str, str],
    flags: Collection[str] = (),
    extras: Collection[str] = (),
) -> bool:
    """Whether *environment* (the eleven PEP 508 variables but ``extra``) is in *d* when *flags*
    (`pypm_model.activation`) and *extras* are active. *extras* answer both ``extra ==``, which is for
    metadata, and ``in extras``, which is for lock files; no marker has a use for both.

    Raises ``KeyError`` for a variable that *d* asks and *environment* has not.
    """
    active: _Active | None = (
        None  # made when asked for: most markers ask for no flags, and there may be thousands
    )
    while d not in (TRUE, FALSE):
        keys, children = branches(d)
        variable = ORDER[top(d)]
        if top(d) == PYTHON:
            place = python_axis.point(environment["python_full_version"])
            d = children[bisect_right(keys, place)]
        elif keys:
            value = environment[variable.name]
            position = bisect_left(keys, value)
            known = position < len(keys) and keys[position] == value
            d = children[position] if known else children[-1]
        elif variable.rank >= SET_RANK:
            if active is None:
                active = _Active(frozenset(map(normalize, flags)), frozenset(map(normalize, extras)))
            d = children[active.has(variable)]
        else:
            d = children[holds(variable, environment[variable.name])]
    return d == TRUE


class _Active(NamedTuple):
    flags: frozenset[str]
    extras: frozenset[str]

    def has(self, variable: Variable) -> bool:
        if variable.name == "dependency_groups":
            return variable.literal in self.flags
        if not variable.literal:
            # ``extra == ''`` is true where no extra is asked for.
            return not self.extras
        return variable.literal in self.extras


def holds(variable: Variable, value: str) -> bool:
    """Whether a boolean about a field is true where the field is *value*."""
    left, right = (variable.literal, value) if variable.mirrored else (value, variable.literal)
    if variable.operator == "in":
        return left in right
    if variable.operator == "===":
        return left.strip().lower() == right.strip().lower()
    if python_axis.clause_of(variable.operator, right) is not None:
        return specifiers.contains(variable.operator + right, left)
    # No version to compare with: texts are equal or not, and have no order.
    match variable.operator:
        case "==" | "<=" | ">=":
            return left == right
        case "!=":
            return left != right
        case _:
            return False


class Witness(NamedTuple):
    """One environment in a diagram, with what must be active."""

    environment: dict[str, str]
    """The eleven PEP 508 variables but ``extra``."""
    flags: frozenset[str]
    extras: frozenset[str]


def sample(d: Diagram) -> dict[str, str] | None:
    """One environment (the eleven PEP 508 variables but ``extra``) in *d*, the most usual one that was
    found; None if there is none. See `witness` for flags and extras."""
    found = witness(d)
    return found.environment if found else None


def witness(d: Diagram) -> Witness | None:
    """One environment in *d* with the flags and extras that must be active; None if none was found.

    One is always found unless *d* hangs on comparisons of ``platform_release`` and the like that
    contradict each other.
    """
    for python, rest in _pythons(d):
        environment = {"python_full_version": python, "python_version": ".".join(python.split(".")[:2])}
        rest = substitute(
            rest,
            {
                n: holds(ORDER[n], environment[ORDER[n].name])
                for n in asked(rest)
                if ORDER[n].rank == ATOM_RANK and ORDER[n].name in environment
            },
        )
        found = next(_texts(rest, environment, (*TEXT_FIELDS, *LOOSE_FIELDS)), None)
        if found is not None:
            return found
    return None


def _pythons(d: Diagram) -> Iterator[tuple[str, Diagram]]:
    """A version in each interval whose rest is not empty: the intervals of usual versions first."""
    if top(d) != PYTHON:
        if d != FALSE:
            yield "3.12.0", d
        return
    cuts, children = branches(d)
    usual = [bisect_right(cuts, (3, minor, 0, FINAL, 0)) for minor in (12, 13, 11, 14, 10, 9, 8)]
    for i in dict.fromkeys([*usual, *range(len(children))]):
        if children[i] != FALSE:
            low = cuts[i - 1] if i else LOWEST
            high = cuts[i] if i < len(cuts) else HIGHEST
            yield _version_in(low, high), children[i]


def _version_in(low: Cut, high: Cut) -> str:
    """A version from *low* up to before *high*: a usual one, else the lowest final one, else the lowest."""
    for minor in (12, 13, 11, 14, 10, 9, 8):
        if low <= (3, minor, 0, FINAL, 0) < high:
            return f"3.{minor}.0"
    x, y, z, stage, n = low if low != LOWEST else (0, 0, 0, ALPHA, 0)
    if (x, y, z, FINAL, 0) < high:
        return f"{x}.{y}.{z}"
    return f"{x}.{y}.{z}" + {ALPHA: f"a{n}", BETA: f"b{n}", CANDIDATE: f"rc{n}", FINAL: ""}[stage]


def _texts(d: Diagram, environment: dict[str, str], fields: tuple[str, ...]) -> Iterator[Witness]:
    """*environment* completed field by field so that *d* stays possible."""
    if not fields:
        found = _members(d)
        if found is not None:
            yield Witness(environment, *found)
        return
    field, rest = fields[0], fields[1:]
    tried = {FALSE}
    for value in _candidates(d, field, environment):
        if field in LOOSE_FIELDS:
            decided = {n: holds(ORDER[n], value) for n in asked(d) if ORDER[n].name == field}
            left = substitute(d, decided)
        else:
            left = cofactor(d, TEXT_NUMBERS[field], value)
        if left not in tried:
            tried.add(left)  # other values with the same rest lead no further
            yield from _texts(left, {**environment, field: value}, rest)
        if left == d and not any(ORDER[n].name == field for n in asked(d)):
            return  # the field is not asked: any value will do


def _candidates(d: Diagram, field: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Values worth trying, the most usual first."""
    for other in ("sys_platform", "platform_python_implementation"):
        fact = implied(other, environment.get(other, "")).get(field)
        if fact is not None:
            yield fact
            return
    if field == "platform_machine":
        yield {"darwin": "arm64", "win32": "AMD64"}.get(environment["sys_platform"], "x86_64")
    elif field == "implementation_version":
        yield environment["python_full_version"]
    elif field in ("platform_release", "platform_version"):
        yield ""
    yield from KNOWN.get(field, ())[:3]
    if field in TEXT_NUMBERS and top(d) == TEXT_NUMBERS[field]:
        yield from branches(d)[0]
    yield from KNOWN.get(field, ())
    literals = [ORDER[n].literal for n in asked(d) if ORDER[n].name == field and ORDER[n].rank == ATOM_RANK]
    for literal in sorted(literals):
        yield literal
        yield f"{literal}.1"
        yield f"{literal}0"
        if versions.is_valid(literal.removesuffix(".*")):
            yield f"{literal.removesuffix('.*')}.dev0"
    yield "".join(sorted(literals))
    yield "0"
    yield "other"


def _members(d: Diagram) -> tuple[frozenset[str], frozenset[str]] | None:
    """Flags and extras that make *d*, which asks nothing else, true: as few as the order allows."""
    flags, extras = set[str](), set[str]()
    while d not in (TRUE, FALSE):
        variable = ORDER[top(d)]
        low, high = branches(d)[1]
        d = low if low != FALSE else high
        if low == FALSE and variable.literal:
            (flags if variable.name == "dependency_groups" else extras).add(variable.literal)
    return (frozenset(flags), frozenset(extras)) if d == TRUE else None
