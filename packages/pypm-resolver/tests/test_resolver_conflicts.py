"""Declared conflicts: every combination left is served, and they are not solved one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, product

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kit import oracle
from kit.laws import examples
from kit.universe import Universe, member, request
from pypm_model.activation import extra_flag
from pypm_model.freshness import manifest_of
from pypm_model.lock_pins import pins_of, splits_of
from pypm_model.lock_text import read, write
from pypm_model.locks import Edge, Lock, LockedPackage
from pypm_model.markers import NEVER, evaluate, parse
from pypm_model.names import normalize
from pypm_model.records import replace
from pypm_model.requests import Conflict, Request
from pypm_model.resolutions import Resolution, Unsolvable
from pypm_model.sources import MemberSource
from pypm_resolver.verify import verify

APP = normalize("app")
NAMES = ("a", "b", "c", "d")
VERSIONS = ("1.0", "2.0", "3.0")
POINTS = [oracle.environment(*point) for point in (("3.11.4", "linux"), ("3.12.0", "win32"))]
SPECIFIERS = ("", "", ">=2", "<2", "<3", "==2.0", "!=3.0")
MARKERS = ("", "", "", "", " ; sys_platform == 'linux'", " ; python_version < '3.12'")

requirements = st.tuples(*map(st.sampled_from, (NAMES, SPECIFIERS, MARKERS))).map("".join)
releases = st.one_of(st.just([]), st.just([]), st.lists(requirements, min_size=1, max_size=2))
universes = st.fixed_dictionaries(
    {name: st.fixed_dictionaries(dict.fromkeys(VERSIONS, releases)) for name in NAMES}
)
EXCLUDING = (("<2", ">=2"), (">=3", "<3"), ("<3", ">=2"), ("==1.0", "==2.0", "==3.0"))
sides = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from(EXCLUDING),
        st.sampled_from(MARKERS),
        st.lists(requirements, min_size=3, max_size=3),
        st.integers(0, 3),
    ).map(
        lambda one: [
            [f"{one[0]}{bound}{one[2]}", *one[3][number : number + (number < one[4])]]
            for number, bound in enumerate(one[1])
        ]
    ),
    min_size=2,
    max_size=3,
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


def selected(
    resolution: Resolution, where: dict[str, str], extras: Sequence[str], root: str = "app"
) -> dict[str, str]:
    """What an installer takes from the lock for the member *root* with *extras*."""
    by_name: dict[str, list[LockedPackage]] = {}
    for package in resolution.packages:
        by_name.setdefault(package.name, []).append(package)
    flags = {root, *(extra_flag(normalize(root), normalize(extra)) for extra in extras)}
    queue = [(by_name[root][0], tuple(map(normalize, extras)))]
    seen = []
    chosen: dict[str, str] = {}
    while queue:
        entry = package, wanted = queue.pop()
        if entry in seen:
            continue
        seen.append(entry)
        if not isinstance(package.source, MemberSource):
            assert chosen.setdefault(package.name, package.version) == package.version
        tables = dict(package.extras)
        for edge in (*package.dependencies, *(edge for extra in wanted for edge in tables.get(extra, ()))):
            if evaluate(parse(edge.marker), where, flags):
                (target,) = [e for e in by_name[edge.name] if edge.version in ("", e.version)]
                queue.append((target, edge.extras))
    return chosen


def every_edge(package: LockedPackage) -> list[Edge]:
    return [*package.dependencies, *(edge for _, edges in package.extras for edge in edges)]


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
    assert all(edge.marker != NEVER for package in outcome.packages for edge in every_edge(package))
    for extras, texts in choices(sets):
        for where in POINTS:
            chosen = selected(outcome, where, extras)
            assert oracle.needed(packages, [*base, *texts], chosen, where) == set(chosen)
    again = relocked(universe, ask, outcome)
    assert (again.packages, again.splits) == (outcome.packages, outcome.splits)


# On Windows three extras exclude each other, of which a pair does so on Linux.
@example(
    {name: {version: [] for version in VERSIONS} for name in NAMES}
    | {"b": {"1.0": [], "2.0": ["a>=2"], "3.0": []}},
    [],
    [
        [["a<2"], ["a>=2"]],
        [["b<2", "a"], ["b>=2", "a>=2 ; sys_platform == 'linux'"]],
        [["b>=3"], ["b<3"]],
    ],
    [],
    False,
    "",
)
@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    universes,
    st.lists(requirements, max_size=2),
    sides,
    st.lists(requirements, max_size=2),
    st.booleans(),
    st.sampled_from(["", "app", "app[x0a]"]),
)
def test_every_combination_of_members_apart_agrees_with_brute_force(
    packages: dict[str, dict[str, list[str]]],
    base: list[str],
    sets: list[list[list[str]]],
    others: list[str],
    declared: bool,
    sibling: str,
) -> None:
    """The same where nothing is installed with another member. Extras that turn out to exclude each other are
    kept apart, as if that were declared."""
    universe = Universe(packages)
    ask = asked_of(base, sets, shared_environment=False)
    zoo = member("zoo", [*others, sibling] if sibling else others, extras={"e": base})
    ask = replace(ask, members=(*ask.members, zoo))
    brought = {"": [], "app": base, "app[x0a]": [*base, *sets[0][0]]}[sibling]
    if not declared:
        ask = replace(ask, conflicts=())
    outcome = universe.solve(ask)
    if isinstance(outcome, Unsolvable):
        found = [texts for _, texts in choices(sets)] if declared else _without_pairs(packages, base, sets)
        every = [[*others, *base, *brought], *([*base, *texts] for texts in found)]
        assert not all(oracle.satisfiable(packages, texts, where) for texts in every for where in EVERYWHERE)
        return
    assert isinstance(outcome, Resolution)
    assert verify(ask, outcome, universe.facts()) == ()
    apart = [{extra for _, extra, _ in conflict.items} for conflict in outcome.conflicts]
    for extras, texts in choices(sets):
        if any(len(one & set(extras)) > 1 for one in apart):
            continue
        for where in POINTS:
            chosen = selected(outcome, where, extras)
            assert oracle.needed(packages, [*base, *texts], chosen, where) == set(chosen)
    for where in POINTS:
        chosen = selected(outcome, where, [], "zoo")
        assert oracle.needed(packages, [*others, *brought], chosen, where) == set(chosen)
    again = relocked(universe, ask, outcome)
    assert (again.packages, again.splits) == (outcome.packages, outcome.splits)


def _without_pairs(
    packages: dict[str, dict[str, list[str]]], base: list[str], sets: list[list[list[str]]]
) -> Iterator[list[str]]:
    """What every combination of extras asks for, but those with two that exclude each other."""

    def fits(asks: Iterable[list[str]]) -> bool:
        texts = [*base, *(text for one in asks for text in one)]
        return all(oracle.satisfiable(packages, texts, where) for where in EVERYWHERE)

    extras = [side for one in sets for side in one]
    apart = [{i, j} for i, j in combinations(range(len(extras)), 2) if not fits((extras[i], extras[j]))]
    for count in range(len(extras) + 1):
        for some in combinations(range(len(extras)), count):
            if not any(pair <= set(some) for pair in apart):
                yield [text for i in some for text in extras[i]]


EVERYWHERE = [oracle.environment(p, s) for p in ("3.11.4", "3.12.0") for s in ("linux", "win32")]


def _everywhere(
    packages: dict[str, dict[str, list[str]]], base: list[str], sets: list[list[list[str]]]
) -> bool:
    return all(
        oracle.satisfiable(packages, [*base, *texts], where)
        for _, texts in choices(sets)
        for where in EVERYWHERE
    )


def pairs(count: int, *, members: bool) -> tuple[Universe, Request]:
    """*count* pairs of extras that exclude each other, of one member or each pair of one of its own."""
    packages: dict[str, dict[str, list[str]]] = {"base": {"1": []}}
    many, conflicts, every = [], [], {}
    for n in range(count):
        packages[f"p{n}"] = {"1": ["base"], "2": ["base"]}
        name = f"m{n:02}" if members else "app"
        extras = {f"n{n:02}-new": [f"p{n}>=2"], f"n{n:02}-old": [f"p{n}<2"]}
        every |= extras
        many.append(member(name, ["base"], extras=extras))
        conflicts.append(Conflict(tuple((normalize(name), extra, "") for extra in extras)))
    asked = Request(tuple(many)) if members else request(["base"], extras=every)
    return Universe(packages), replace(asked, conflicts=tuple(conflicts))


@pytest.mark.slow
@pytest.mark.parametrize("members", [False, True])
def test_t15_pairs_that_have_nothing_to_do_with_each_other_cost_their_sum(members: bool) -> None:
    """Of n pairs n + 2 regions are solved, in each of which every pair is entered: not 2 to the n."""
    for count in (2, 4, 8, 16):
        universe, ask = pairs(count, members=members)
        outcome = universe.solve(ask)
        assert isinstance(outcome, Resolution)
        assert verify(ask, outcome, universe.facts()) == ()
        assert len(outcome.splits) == 2 * count
        assert outcome.steps <= (count + 2) * (count + 1)
        again = relocked(universe, ask, outcome)
        assert (again.packages, again.splits) == (outcome.packages, outcome.splits)
        assert again.steps <= outcome.steps


@pytest.mark.slow
@pytest.mark.parametrize("declared", [False, True])
def test_t15_pairs_of_a_member_apart_cost_their_sum(declared: bool) -> None:
    """Members that do not share an environment are no reason to solve all combinations of one of them."""
    for count in (2, 4, 8, 12):
        universe, ask = pairs(count, members=False)
        alone = member("zoo", ["base", "p0<2"])
        ask = replace(ask, members=(*ask.members, alone), shared_environment=False)
        outcome = universe.solve(ask if declared else replace(ask, conflicts=()))
        assert isinstance(outcome, Resolution)
        assert verify(ask, outcome, universe.facts()) == ()
        assert len(outcome.splits) <= 2 * count + 2
        assert outcome.steps <= 8 * (count + 2) * (count + 1)


def test_t15_pairs_that_clash_are_solved_together() -> None:
    """What two pairs want of one package is found for both at once; a third has nothing to do with it."""
    packages = {
        "a": {"1": ["c<3"], "2": []},
        "b": {"1": ["c!=2"], "2": []},
        "c": {"1": [], "2": [], "3": []},
        "d": {"1": [], "2": []},
    }
    sets = [[["a>=2"], ["a<2"]], [["b>=2"], ["b<2"]], [["d>=2"], ["d<2"]]]
    universe = Universe(packages)
    ask = asked_of([], sets)
    outcome = universe.solve(ask)
    assert isinstance(outcome, Resolution)
    assert verify(ask, outcome, universe.facts()) == ()
    where = POINTS[0]
    found = {tuple(extras): selected(outcome, where, extras) for extras, _ in choices(sets)}
    # What serves both serves each, so that there is one c.
    assert found["x0b", "x1a"] == {"a": "1", "b": "2", "c": "1"}
    assert found["x0a", "x1b"] == {"a": "2", "b": "1", "c": "1"}
    assert found["x0b", "x1b", "x2b"] == {"a": "1", "b": "1", "c": "1", "d": "1"}
    third = [split for split in outcome.splits if "x2" in split]
    assert len(outcome.splits) == 6
    assert third == ["'app[x2b]' in dependency_groups", "'app[x2b]' not in dependency_groups"]


def test_t15_what_all_that_is_left_out_agrees_on_is_one_region() -> None:
    """Ten members that have one package in two versions are two regions, as they are without composing."""
    members = tuple(member(f"m{n}", extras={"new": ["a>=2"], "old": ["a<2"]}) for n in range(10))
    names = [normalize(f"m{n}") for n in range(10)]
    conflicts = tuple(Conflict(((one, "new", ""), (other, "old", ""))) for one in names for other in names)
    universe = Universe({"a": {"1": [], "2": []}})
    ask = Request(members, conflicts=conflicts)
    outcome = universe.solve(ask)
    assert isinstance(outcome, Resolution)
    assert verify(ask, outcome, universe.facts()) == ()
    assert len(outcome.splits) == 2
    assert outcome.steps <= 60
