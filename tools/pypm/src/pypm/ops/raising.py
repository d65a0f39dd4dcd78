"""Requirements rewritten so that they allow a newer release: ``pypm update --latest``."""

from __future__ import annotations

from pypm_model import specifiers
from pypm_model.requirements import Requirement
from pypm_model.specifiers import Clause, InvalidSpecifier
from pypm_model.versions import base, public, release


def raised(requirement: Requirement, version: str) -> str:
    """The specifier of *requirement* in its own style, at *version*; as it is where it says nothing.

    ``==`` stays exact, ``~=`` keeps the number of its components, and an upper bound moves to the next
    number of the component it was about: ``>=1.2,<2`` at 3.4 is ``>=3.4,<4``. What else was excluded is
    not any more.
    """
    try:
        clauses = specifiers.parse(requirement.specifier)
    except InvalidSpecifier:
        return requirement.specifier
    if not clauses:
        return ""
    new = public(version)
    by_operator = {clause.operator: clause for clause in clauses}
    if "===" in by_operator:
        return f"==={new}"
    if "==" in by_operator:
        return f"=={_like(by_operator['=='], new)}"
    if "~=" in by_operator:
        return f"~={_like(by_operator['~='], new)}"
    lower = f">={new}" if {">=", ">"} & by_operator.keys() else ""
    upper = by_operator.get("<") or by_operator.get("<=")
    bound = f"<{_next(upper, new)}" if upper is not None else ""
    return ",".join(filter(None, (lower, bound))) or f">={new}"


def _like(clause: Clause, version: str) -> str:
    """*version* with as many components as *clause* has, wildcard included."""
    length = clause.text.removesuffix(".*").count(".") + 1
    if clause.is_wildcard:
        numbers = [*release(version), *[0] * length]
        return ".".join(map(str, numbers[:length])) + ".*"
    if clause.operator == "==":
        return version
    numbers = [*release(version), *[0] * length]
    return version if length >= len(release(version)) else ".".join(map(str, numbers[: max(length, 2)]))


def _next(clause: Clause, version: str) -> str:
    """The first version after all that share with *version* the components before the upper bound's
    last one that counts: ``<2`` and ``<2.0`` are about the first, ``<2.5`` about the second."""
    bound = list(release(base(clause.text)))
    while len(bound) > 1 and bound[-1] == 0:
        bound.pop()
    numbers = [*release(version), *[0] * len(bound)][: len(bound)]
    numbers[-1] += 1
    return ".".join(map(str, numbers))
