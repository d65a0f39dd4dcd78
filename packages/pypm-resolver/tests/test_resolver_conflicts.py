"""Declared conflicts: every combination that is left is served, and combinations are not solved one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit import oracle
from kit.laws import examples
from kit.universe import Universe, request
from pypm_model.activation import extra_flag
from pypm_model.freshness import manifest_of
from pypm_model.lock_pins import pins_of, splits_of
from pypm_model.lock_text import read, write
from pypm_model.locks import Lock, LockedPackage
from pypm_model.markers import evaluate, parse
from pypm_model.names import normalize
from pypm_model.records import replace
from pypm_model.requests import Conflict, Request
from pypm_model.resolutions import Resolution, Unsolvable
from pypm_resolver.verify import verify

APP = normalize("app")
NAMES = ("a", "b", "c", "d")
VERSIONS = ("1.0", "2.0", "3.0")
POINTS = [oracle.environment(*point) for point in (("3.11.4", "linux"), ("3.12.0", "win32"))]
SPECIFIERS = ("", "", ">=2", "<2", "<3", "==2.0", "!=3.0")
MARKERS = ("", "", "", "", " ; sys_platform == 'linux'", " ; python_version < '3.12'")

requirements = st.tuples(*map(st.sampled_from, (NAMES, SPECIFIERS, MARKERS))).map("".join)
universes = st.fixed_dictionaries(
    {
        name: st.dictionaries(st.sampled_from(VERSIONS), st.lists(requirements, max_size=2), min_size=1)
        for name in NAMES
    }
)
sides = st.lists(
    st.lists(st.lists(requirements, min_size=1, max_size=2), min_size=2, max_size=3), min_size=2, max_size=3
)
"""For each set of extras that exclude each other what each of them asks for."""


def asked_of(base: Sequence[str], sets: Sequence[Sequence[Sequence[str]]], **more: object) -> Request:
    """A member with the extras of *sets*, of each of which at most one is ever chosen."""
    extras = {
        f"x{i}{side}": asks for i, one in enumerate(sets) for side, asks in zip("abc", one, strict=False)
    }
    conflicts = tuple(
        Conflict(tuple((APP, f"x{i}{side}", "") for side, _ in zip("abc", one, strict=False)))
        for i, one in enumerate(sets)
    )
    return request(list(base), extras=extras, conflicts=conflicts, **more)


def choices(sets: Sequence[Sequence[Sequence[str]]]) -> Iterator[tuple[list[str], list[str]]]:
    """Every choice that is allowed: the extras, and what they ask for."""
    options = [
        [None, *((f"x{i}{side}", asks) for side, asks in zip("abc", one, strict=False))]
        for i, one in enumerate(sets)
    ]
    for some in product(*options):
        chosen = [one for one in some if one is not None]
        yield [extra for extra, _ in chosen], [text for _, asks in chosen for text in asks]


def selected(resolution: Resolution, where: dict[str, str], extras: Sequence[str]) -> dict[str, str]:
    """What an installer takes from the lock for the member with *extras*."""
    by_name: dict[str, list[LockedPackage]] = {}
    for package in resolution.packages:
        by_name.setdefault(package.name, []).append(package)
    flags = {"app", *(extra_flag(APP, normalize(extra)) for extra in extras)}
    app = by_name["app"][0]
    tables = dict(app.extras)
    queue = [*app.dependencies, *(edge for extra in extras for edge in tables.get(normalize(extra), ()))]
    chosen: dict[str, str] = {}
    while queue:
        edge = queue.pop()
        if not evaluate(parse(edge.marker), where, flags):
            continue
        (target,) = [each for each in by_name[edge.name] if edge.version in ("", each.version)]
        assert chosen.get(target.name, target.version) == target.version
        if target.name not in chosen:
            queue += target.dependencies
        chosen[target.name] = target.version
    return chosen


def relocked(universe: Universe, ask: Request, resolution: Resolution) -> Resolution:
    manifests = {each.name: manifest_of(each) for each in ask.members}
    packages = tuple(replace(p, manifest=manifests.get(p.name)) for p in resolution.packages)
    lock = read(write(Lock(splits=resolution.splits, packages=packages)))
    again = universe.solve(replace(ask, preferences=pins_of(lock), preferred_splits=splits_of([lock])))
    assert isinstance(again, Resolution)
    return again


@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(universes, st.lists(requirements, max_size=2), sides)
def test_every_combination_agrees_with_brute_force(
    packages: dict[str, dict[str, list[str]]], base: list[str], sets: list[list[list[str]]]
) -> None:
    universe = Universe(packages)
    ask = asked_of(base, sets)
    outcome = universe.solve(ask)
    possible = all(
        oracle.satisfiable(packages, [*base, *texts], where) for _, texts in choices(sets) for where in POINTS
    )
    if isinstance(outcome, Unsolvable):
        assert not possible or not _everywhere(packages, base, sets)
        return
    assert isinstance(outcome, Resolution)
    assert possible
    assert verify(ask, outcome, universe.facts()) == ()
    for extras, texts in choices(sets):
        for where in POINTS:
            chosen = selected(outcome, where, extras)
            assert oracle.needed(packages, [*base, *texts], chosen, where) == set(chosen)
    again = relocked(universe, ask, outcome)
    assert (again.packages, again.splits) == (outcome.packages, outcome.splits)


def _everywhere(
    packages: dict[str, dict[str, list[str]]], base: list[str], sets: list[list[list[str]]]
) -> bool:
    points = [oracle.environment(p, s) for p in ("3.11.4", "3.12.0") for s in ("linux", "win32")]
    return all(
        oracle.satisfiable(packages, [*base, *texts], where) for _, texts in choices(sets) for where in points
    )
