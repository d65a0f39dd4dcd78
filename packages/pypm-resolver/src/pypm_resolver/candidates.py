"""In which order the candidates of a package are tried.

A choice, not a rule: any order gives a valid answer, this one gives the one people expect. What to
keep comes first (an old lock, a region solved before), then stable versions, then pre-releases; newest
first, or oldest first under the lowest strategies.
"""

from __future__ import annotations

from collections.abc import Iterator

from pypm_model.markers import FALSE, Diagram, both, implies
from pypm_model.names import NormalizedName
from pypm_model.requests import PrereleasePolicy
from pypm_model.sources import IndexSource
from pypm_resolver.choices import is_possible
from pypm_resolver.package import Package
from pypm_resolver.problem import Problem


def in_order(
    package: Package, allowed: int, first: tuple[int, ...], lowest: bool, mixed: bool
) -> Iterator[int]:
    """The candidates in *allowed*: those of *first*, then the stable, then the pre-releases (*mixed*:
    both at once); ascending if *lowest*, else descending."""
    for index in first:
        if allowed >> index & 1:
            allowed &= ~(1 << index)
            yield index
    if mixed:
        yield from _walk(allowed, lowest)
        return
    yield from _walk(allowed & ~package.prereleases, lowest)
    yield from _walk(allowed & package.prereleases, lowest)


def _walk(allowed: int, lowest: bool) -> Iterator[int]:
    while allowed:
        bit = allowed & -allowed if lowest else 1 << (allowed.bit_length() - 1)
        allowed &= ~bit
        yield bit.bit_length() - 1


def best(package: Package, allowed: int, lowest: bool, mixed: bool) -> int | None:
    """The first of `in_order` when nothing is to be kept."""
    return next(in_order(package, allowed, (), lowest, mixed), None)


def is_lowest(problem: Problem, name: NormalizedName, where: Diagram) -> bool:
    """Whether the oldest version of *name* is wanted in the region *where*."""
    match problem.request.strategy:
        case "lowest":
            return True
        case "lowest-direct":
            return both(problem.direct.get(name, FALSE), where) != FALSE
        case _:
            return False


def is_mixed(policy: PrereleasePolicy, name: NormalizedName) -> bool:
    """Whether pre-releases of *name* stand in line with stable versions."""
    return policy.mode == "allow" or (policy.mode == "only" and name in policy.names)


def bars_prereleases(policy: PrereleasePolicy, name: NormalizedName) -> bool:
    """Whether no pre-release of *name* may be chosen at all."""
    return policy.mode == "never" or (policy.mode == "only" and name not in policy.names)


def kept(problem: Problem, package: Package, where: Diagram) -> tuple[int, ...]:
    """Candidates an old lock holds: first those whose region covers all of *where*, then those whose
    region meets it; newest first (under the lowest strategies oldest first) among equals."""
    whole, part = _held(problem, package, where)
    newest_first = not is_lowest(problem, package.name, where)
    return (
        *sorted(whole, reverse=newest_first),
        *sorted(part - whole, reverse=newest_first),
    )


def is_settled(problem: Problem, package: Package, index: int, where: Diagram) -> bool:
    """Whether an old lock has candidate *index* all over *where*, and was for all of it. What files it has
    was weighed then: that there are better ones elsewhere is nothing to move it for."""
    return implies(where, problem.locked) and index in _held(problem, package, where)[0]


def _held(problem: Problem, package: Package, where: Diagram) -> tuple[set[int], set[int]]:
    """Candidates an old lock holds in all of *where*, and those it holds in a part of it."""
    whole: set[int] = set()
    part: set[int] = set()
    for version, index, marker in problem.preferences.get(package.name, ()):
        if not is_possible(problem, both(where, marker)):
            continue
        for candidate in package.positions(version):
            if not index or package.source(candidate) == IndexSource(index):
                (whole if implies(where, marker) else part).add(candidate)
    return whole, part
