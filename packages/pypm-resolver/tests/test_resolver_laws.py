"""Laws on random small universes, against brute force."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit import oracle
from kit.laws import examples
from kit.universe import Release, Universe, member, request
from pypm_model.freshness import manifest_of
from pypm_model.lock_pins import pins_of, splits_of, union
from pypm_model.lock_reach import covered
from pypm_model.lock_soundness import flaw
from pypm_model.lock_text import read, write
from pypm_model.locks import Lock, LockedPackage
from pypm_model.markers import evaluate, parse, text
from pypm_model.names import normalize
from pypm_model.python_ranges import union as either_of
from pypm_model.records import replace
from pypm_model.requests import MemberRequest, Preference, Request
from pypm_model.resolutions import Resolution, Unsolvable
from pypm_resolver.verify import verify

NAMES = ("a", "b", "c", "d")
VERSIONS = ("1.0", "2.0", "3.0")
SPECIFIERS = ("", "", ">=2", "<2", "<3", "==2.0", "!=3.0", ">=3", "==1.0")
MARKERS = (
    "",
    "",
    "",
    "sys_platform == 'linux'",
    "sys_platform != 'linux'",
    "sys_platform == 'win32'",
    "python_version < '3.12'",
    "python_version >= '3.12'",
    "python_version == '3.12' and os_name == 'posix'",
)
POINTS = [
    oracle.environment(python, platform)
    for python in ("3.11.4", "3.12.0", "3.13.2")
    for platform in ("linux", "darwin", "win32")
]


def _requirements(extras: tuple[str, ...], markers: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Texts of requirements. Made once: a strategy costs more to make than to draw from."""
    parts = st.tuples(*map(st.sampled_from, (NAMES, extras, SPECIFIERS, markers)))
    return parts.map(lambda one: "".join(one[:3]) + (f" ; {one[3]}" if one[3] else ""))


def _gated(text: str, marker: str) -> str:
    return f"{text} and ({marker})" if ";" in text else f"{text} ; {marker}"


requirements = _requirements(("", "", "", "[x]"), MARKERS)
releases = st.tuples(
    st.lists(requirements, max_size=2),
    st.lists(requirements.map(lambda text: _gated(text, "extra == 'x'")), max_size=1),
).map(lambda found: [*found[0], *found[1]])
universes = st.fixed_dictionaries(
    {name: st.dictionaries(st.sampled_from(VERSIONS), releases, min_size=1) for name in NAMES}
)
roots = st.lists(requirements, min_size=1, max_size=4)


def served(packages: dict[str, dict[str, list[str]]], extras: tuple[str, ...] = ("x",)) -> Universe:
    return Universe(
        {
            name: {version: Release(tuple(requires), extras) for version, requires in found.items()}
            for name, found in packages.items()
        }
    )


def selected(resolution: Resolution, where: dict[str, str], root: str = "app") -> dict[str, str]:
    """What an installer takes from the lock in one environment, for the member *root* alone."""
    by_name: dict[str, list[LockedPackage]] = {}
    for package in resolution.packages:
        by_name.setdefault(package.name, []).append(package)
    chosen: dict[str, str] = {}
    queue = [(by_name[root][0], "")]
    seen = set()
    while queue:
        package, extra = queue.pop()
        if (package.name, package.version, extra) in seen:
            continue
        seen.add((package.name, package.version, extra))
        if package.name != root:
            assert chosen.setdefault(package.name, package.version) == package.version
        edges = package.dependencies if not extra else dict(package.extras).get(normalize(extra), ())
        for edge in edges:
            if evaluate(parse(edge.marker), where, {root}):
                targets = [t for t in by_name[edge.name] if edge.version in ("", t.version)]
                assert len(targets) == 1
                queue += [(targets[0], ""), *((targets[0], e) for e in edge.extras)]
    return chosen


quick = settings(
    max_examples=examples(120), deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


@quick
@given(universes, roots)
def test_agrees_with_brute_force(packages: dict[str, dict[str, list[str]]], asked: list[str]) -> None:
    _agrees(packages, asked)


EXTRAS = ("x", "y", "z")
JOINED = ("{0}", "{0} and {1}", "({0} or {1}) and {2}", "{0} and {1} and {2}", "{0} or {1} and {2}")


joint_requirements = _requirements(("", "", "[x]", "[y]", "[z]", "[x,y]", "[x,z]", "[y,z]"), MARKERS[2:6])
joint_markers = st.tuples(st.sampled_from(JOINED), st.permutations([f"extra == '{name}'" for name in EXTRAS]))
# Requirements that hold only where several extras are asked for at once.
joint_gated = st.tuples(joint_requirements, joint_markers.map(lambda one: one[0].format(*one[1]))).map(
    lambda one: _gated(*one)
)
joint_releases = st.tuples(
    st.lists(joint_requirements, max_size=2), st.lists(joint_gated, min_size=1, max_size=2)
).map(lambda found: [*found[0], *found[1]])


@quick
@given(
    st.fixed_dictionaries(
        {name: st.dictionaries(st.sampled_from(VERSIONS), joint_releases, min_size=1) for name in NAMES}
    ),
    st.lists(joint_requirements, min_size=2, max_size=4),
)
def test_extras_asked_for_together_agree_with_brute_force(
    packages: dict[str, dict[str, list[str]]], asked: list[str]
) -> None:
    _agrees(packages, asked, EXTRAS)


def _agrees(
    packages: dict[str, dict[str, list[str]]], asked: list[str], extras: tuple[str, ...] = ("x",)
) -> None:
    universe = served(packages, extras)
    ask = request(asked)
    outcome = universe.solve(ask)
    possible = [oracle.satisfiable(packages, asked, where) for where in POINTS]
    if isinstance(outcome, Unsolvable):
        assert not all(possible)
        return
    assert isinstance(outcome, Resolution)
    assert all(possible)
    assert verify(ask, outcome, universe.facts()) == ()
    for where in POINTS:
        chosen = selected(outcome, where)
        assert oracle.needed(packages, asked, chosen, where) == set(chosen)


@quick
@given(universes, roots, st.integers(0, 1000))
def test_answers_do_not_depend_on_the_order_of_facts(
    packages: dict[str, dict[str, list[str]]], asked: list[str], seed: int
) -> None:
    ask = request(asked)
    plain = served(packages).solve(ask, speculate=False)
    assert served(packages).solve(ask) == plain
    assert served(packages).solve(ask, shuffle=seed) == plain


@quick
@given(universes, roots, roots)
def test_answers_do_not_depend_on_what_is_known_ahead(
    packages: dict[str, dict[str, list[str]]], asked: list[str], before: list[str]
) -> None:
    """What another request had to know, fed before the first step."""
    earlier = served(packages)
    earlier.solve(request(before))
    ahead = earlier.facts()
    later = served(packages)
    assert later.solve(request(asked), ahead=ahead) == served(packages).solve(request(asked))
    assert not {fact.key for fact in ahead} & set(later.asked), "nothing is asked twice"


@quick
@given(universes, roots, roots, st.randoms(use_true_random=False))
def test_answers_do_not_depend_on_the_order_of_members(
    packages: dict[str, dict[str, list[str]]], asked: list[str], others: list[str], dice: Random
) -> None:
    ask = request(asked, member("lib", others), member("zoo", asked[:1]))
    turned = replace(ask, members=tuple(reversed(ask.members)))
    assert served(packages).solve(turned) == served(packages).solve(ask)


@quick
@given(universes, roots, roots, st.randoms(use_true_random=False))
def test_locks_do_not_depend_on_the_order_of_requirements(
    packages: dict[str, dict[str, list[str]]], asked: list[str], others: list[str], dice: Random
) -> None:
    """Nor does a lock record it."""

    def locked(first: list[str], second: list[str]) -> tuple[object, ...]:
        outcome = served(packages).solve(request(first, groups={"dev": second}, extras={"x": second}))
        return (outcome.packages, outcome.splits) if isinstance(outcome, Resolution) else (Unsolvable,)

    turned = [dice.sample(texts, len(texts)) for texts in (asked, others)]
    assert locked(*turned) == locked(asked, others)


def relock(ask: Request, resolution: Resolution) -> Request:
    """The request with everything the resolution holds as a preference, as an old lock gives it."""
    lock = as_lock(ask, resolution)
    return replace(
        ask,
        preferences=pins_of(lock),
        preferred_splits=splits_of([lock]),
        preferred_where=text(covered(lock)),
    )


@quick
@given(universes, roots)
def test_t8_locking_a_lock_changes_nothing(
    packages: dict[str, dict[str, list[str]]], asked: list[str]
) -> None:
    ask = request(asked)
    first = served(packages).solve(ask)
    if isinstance(first, Resolution):
        second = served(packages).solve(relock(ask, first))
        assert isinstance(second, Resolution)
        assert (second.packages, second.splits) == (first.packages, first.splits)
        assert bool(relock(ask, first).preferences) == (len(first.packages) > 1)


def as_lock(ask: Request, resolution: Resolution) -> Lock:
    """The lock of *resolution* as it is read back from its text."""
    manifests = {each.name: manifest_of(each) for each in ask.members}
    packages = tuple(replace(p, manifest=manifests.get(p.name)) for p in resolution.packages)
    pythons = either_of([each.requires_python for each in ask.members])
    return read(write(Lock(requires_python=pythons, splits=resolution.splits, packages=packages)))


def test_t8_a_requirement_that_holds_nowhere_moves_no_pin() -> None:
    """p6 asks for p5 where nobody needs p6, and p5 does not go with p8 2. At first the region is cut for
    other reasons, and the parts turn out alike; in the lock they are one."""
    packages: dict[str, dict[str, Release | list[str]]] = {
        "p1": {"2": [], "3": Release(tags=("py3-none-manylinux_2_17_x86_64",), sdist=False)},
        "p2": {"1": [], "3": []},
        "p3": {"2": ["p8", "p6<2; python_version >= '3.12'"]},
        "p5": {"1": ["p8!=2; sys_platform != 'win32'"]},
        "p6": {"1": ["p5!=2; sys_platform == 'win32'"]},
        "p7": {"3": ["p1"]},
        "p8": {"1": ["p7>=3"], "2": []},
    }
    other = member("m0", ["p3; sys_platform != 'win32'", "p2<2"])
    asked = ["p6<2; sys_platform == 'linux'", "p2>=2", "p8; python_version < '3.12'"]
    ask = request(asked, other, shared_environment=False)
    first = Universe(packages).solve(ask)
    assert isinstance(first, Resolution)
    lock = as_lock(ask, first)
    again = replace(ask, preferences=pins_of(lock), preferred_splits=splits_of([lock]))
    second = Universe(packages).solve(again)
    assert isinstance(second, Resolution)
    assert (second.packages, second.splits) == (first.packages, first.splits)


def test_t8_the_files_of_a_locked_version_move_no_pin() -> None:
    """Which platforms a version serves was weighed when it was locked. Where the lock was not for, it is
    weighed now."""
    linux = Release(tags=("py3-none-manylinux_2_17_x86_64",), sdist=False)
    packages: dict[str, dict[str, Release | list[str]]] = {"p1": {"1": linux, "2": []}}
    held = replace(request(["p1"]), preferences=((normalize("p1"), (Preference("1", "pypi"),)),))

    def versions(locked_for: str) -> list[str]:
        outcome = Universe(packages).solve(replace(held, preferred_where=locked_for))
        assert isinstance(outcome, Resolution)
        return [package.version for package in outcome.packages if package.name == "p1"]

    assert versions("") == ["1", "2"]
    assert versions("python_version >= '3.11'") == ["1"]
    assert versions("python_version < '3.13'") == ["1", "2"]
    assert versions("sys_platform == 'linux'") == ["1", "2"]


@quick
@given(universes, roots, roots, roots)
def test_a_lock_made_of_two_holds_together_and_stays(
    packages: dict[str, dict[str, list[str]]], shared: list[str], ours: list[str], theirs: list[str]
) -> None:
    """Two people add something; the lock of both, with the versions of both kept, is the same whoever merges,
    nothing in its text is amiss, and locking it again changes nothing."""
    sides = [request(shared, member("one", ours)), request(shared, member("two", theirs))]
    both = request(shared, member("one", ours), member("two", theirs))
    found = [served(packages).solve(ask) for ask in sides]
    first, second = found
    if not (isinstance(first, Resolution) and isinstance(second, Resolution)):
        return
    parents = [as_lock(ask, each) for ask, each in zip(sides, (first, second), strict=True)]

    def merged(locks: list[Lock]) -> Resolution | None:
        ask = replace(both, preferences=union(map(pins_of, locks)), preferred_splits=splits_of(locks))
        outcome = served(packages).solve(ask)
        return outcome if isinstance(outcome, Resolution) else None

    outcome = merged(parents)
    assert merged(parents[::-1]) == outcome
    if outcome is not None:
        lock = as_lock(both, outcome)
        assert [flaw(each) for each in (lock, *parents)] == [None, None, None]
        again = merged([lock])
        assert again is not None
        assert (again.packages, again.splits) == (outcome.packages, outcome.splits)


@quick
@given(universes, st.lists(roots, min_size=2, max_size=3))
def test_members_apart_are_solvable_when_each_is(
    packages: dict[str, dict[str, list[str]]], asked: list[list[str]]
) -> None:
    universe = served(packages)
    members = tuple(member(f"m{number}", texts) for number, texts in enumerate(asked))
    ask = Request(members, shared_environment=False)
    outcome = universe.solve(ask)
    possible = all(oracle.satisfiable(packages, texts, where) for texts in asked for where in POINTS)
    assert isinstance(outcome, Resolution if possible else Unsolvable)
    if not isinstance(outcome, Resolution):
        return
    assert verify(ask, outcome, universe.facts()) == ()
    for number, texts in enumerate(asked):
        for where in POINTS:
            chosen = selected(outcome, where, f"m{number}")
            assert oracle.needed(packages, texts, chosen, where) == set(chosen)


WHEELS = (
    ("py3-none-manylinux_2_17_x86_64",),
    ("py3-none-win_amd64",),
    ("py3-none-macosx_11_0_arm64", "py3-none-manylinux_2_17_x86_64"),
    ("py3-none-any",),
)
# No requirement is for a platform: it would have to be met there, and not by what others ask elsewhere.
unmarked = _requirements(("", "", "", "[x]"), ("",))
partial_releases = st.builds(
    Release,
    st.lists(unmarked, max_size=2),
    st.just(("x",)),
    tags=st.sampled_from(WHEELS),
    sdist=st.booleans(),
)


@quick
@given(
    st.fixed_dictionaries(
        {name: st.dictionaries(st.sampled_from(VERSIONS), partial_releases, min_size=1) for name in NAMES}
    ),
    st.lists(unmarked, min_size=1, max_size=4),
)
def test_t11_where_an_old_lock_was_parted_decides_nothing(
    packages: dict[str, dict[str, Release]], asked: list[str]
) -> None:
    """Whether files are enough does not hang on the regions they are judged in."""
    ask = request(asked)
    parted = replace(ask, preferred_splits=("sys_platform == 'darwin'", "sys_platform == 'win32'"))
    plain, again = Universe(packages).solve(ask), Universe(packages).solve(parted)
    assert isinstance(plain, Resolution) == isinstance(again, Resolution)
    for outcome in (plain, again):
        if isinstance(outcome, Resolution):
            universe = Universe(packages)
            universe.solve(ask)
            universe.solve(parted)
            assert verify(ask, outcome, universe.facts()) == ()


@quick
@given(
    st.fixed_dictionaries(
        {name: st.dictionaries(st.sampled_from(VERSIONS), partial_releases, min_size=1) for name in NAMES}
    ),
    st.lists(unmarked, min_size=1, max_size=4),
    st.lists(unmarked, min_size=1, max_size=4),
)
def test_t11_locking_a_lock_parted_for_files_changes_nothing(
    packages: dict[str, dict[str, Release]], asked: list[str], edited: list[str]
) -> None:
    """Neither the first one, nor what an edit makes of it."""
    held: Request | None = None
    for texts in (asked, edited):
        ask = request(texts)
        kept = held or ask
        first = Universe(packages).solve(
            replace(
                ask,
                preferences=kept.preferences,
                preferred_splits=kept.preferred_splits,
                preferred_where=kept.preferred_where,
            )
        )
        if not isinstance(first, Resolution):
            return
        held = relock(ask, first)
        second = Universe(packages).solve(held)
        assert isinstance(second, Resolution)
        assert (second.packages, second.splits) == (first.packages, first.splits)


def test_t11_what_only_pypy_needs_has_a_file_for_it() -> None:
    """Elsewhere the newest d would be right, and b 1 is impossible, which parts the environments."""
    ours = Release(tags=("cp311-cp311-manylinux_2_17_x86_64",), sdist=False)
    universe = Universe({"b": {"1": ["gone"], "4": ours}, "d": {"1.0": [], "3.0": ours}})
    ask = request(["b", "d; implementation_name == 'pypy'"])
    outcome = universe.solve(ask)
    assert isinstance(outcome, Resolution)
    assert verify(ask, outcome, universe.facts()) == ()
    assert [package.version for package in outcome.packages if package.name == "d"] == ["1.0"]


def test_t11_the_versions_of_an_old_lock_make_nothing_impossible() -> None:
    """p2 2 does not go with p1 on one Python, which parts that Python off. p6 1, which p2 1 needs, is for
    Windows alone: enough where files are judged for all, and not in that part."""
    packages: dict[str, dict[str, Release | list[str]]] = {
        "p1": {"2": ["p2[x]<2; python_version == '3.12' and os_name == 'posix'"]},
        "p2": {"1": Release(["p6==1; extra == 'y'"], ("x", "y")), "2": Release(["p1[x]>=2"], ("x", "y"))},
        "p6": {"1": Release(tags=("py3-none-win_amd64",), sdist=False), "3": []},
    }
    before, now = request(["p6"]), request(["p6", "p2[y]; sys_platform != 'linux'"])
    first = Universe(packages).solve(before)
    assert isinstance(first, Resolution)
    lock = as_lock(before, first)
    again = replace(now, preferences=pins_of(lock), preferred_splits=splits_of([lock]))
    for ask in (now, again):
        universe = Universe(packages)
        outcome = universe.solve(ask)
        assert isinstance(outcome, Resolution)
        assert verify(ask, outcome, universe.facts()) == ()


def test_t8_splits_stay_where_regions_are_cut_otherwise() -> None:
    """At first p4 2 is tried on Windows, and cut away there for what it needs; locked again, the parts are
    there from the start, and Windows is in another one of them."""
    wheels = Release(tags=("py3-none-macosx_11_0_arm64", "py3-none-manylinux_2_17_x86_64"), sdist=False)
    newer = Release(["gone; sys_platform == 'win32'"], python=">=3.13")
    universe = Universe({"p2": {"3": ["p4<3"]}, "p4": {"1": wheels, "2": newer}})
    ask = Request((member("m0", ["p2"]),), shared_environment=False)
    first = universe.solve(ask)
    assert isinstance(first, Resolution)
    lock = as_lock(ask, first)
    again = universe.solve(replace(ask, preferences=pins_of(lock), preferred_splits=splits_of([lock])))
    assert isinstance(again, Resolution)
    assert (again.packages, again.splits) == (first.packages, first.splits)


marked_releases = st.builds(
    Release,
    st.lists(requirements, max_size=2),
    st.just(("x",)),
    tags=st.sampled_from((*WHEELS, *[("py3-none-any",)] * 4)),
    python=st.sampled_from(("", "", "", ">=3.12", ">=3.13")),
    sdist=st.booleans(),
)


@settings(quick, max_examples=examples(300))
@given(
    st.fixed_dictionaries(
        {name: st.dictionaries(st.sampled_from(VERSIONS), marked_releases, min_size=1) for name in NAMES}
    ),
    st.lists(roots, min_size=1, max_size=3),
    st.booleans(),
)
def test_t8_a_lock_is_what_locking_it_again_gives(
    packages: dict[str, dict[str, Release]], asked: list[list[str]], shared: bool
) -> None:
    """How regions were found, and which of them were found to be alike, leaves no trace in a lock that is
    made again."""
    members = tuple(member(f"m{number}", texts) for number, texts in enumerate(asked))
    ask = Request(members, shared_environment=shared)
    first = Universe(packages).solve(ask)
    if not isinstance(first, Resolution):
        return
    lock = as_lock(ask, first)
    again = replace(ask, preferences=pins_of(lock), preferred_splits=splits_of([lock]))
    second = Universe(packages).solve(again)
    assert isinstance(second, Resolution)
    assert (second.packages, second.splits) == (first.packages, first.splits)


PYTHON_3 = "python_version >= '3'"
LINUX_ONLY = Release(tags=("py3-none-manylinux_2_17_x86_64",), sdist=False)
NO_WINDOWS = Release(tags=WHEELS[2], sdist=False)
MACOS_AND_LINUX = Release((), ("x",), python=">=3.12", tags=WHEELS[2], sdist=False)


@pytest.mark.parametrize(
    ("shared", "packages", "members"),
    [
        pytest.param(
            True,
            {
                "p2": {"2": ["p4<2; sys_platform == 'linux'", "p3<2; python_version == '3.12'"]},
                "p3": {"1": [], "3": ["p2; python_version >= '3.13'"]},
                "p4": {"1": ["p3>=2"], "3": ["p2"]},
                "p5": {"3": ["p3"]},
            },
            [member("m0", ["p5"]), member("m1", ["p4"])],
            id="one-environment",
        ),
        pytest.param(
            True,
            {
                "p0": {"1": ["p2>=2"], "2": NO_WINDOWS, "3": []},
                "p2": {"2": ["p0<3; python_version == '3.12' and os_name == 'posix'"]},
            },
            [member("m0", [], extras={"e": ["p0"]}, groups={"g": ["p2; sys_platform != 'linux'"]})],
            id="extra-and-group",
        ),
        pytest.param(
            False,
            {
                "p0": {"3": ["p5<2; sys_platform == 'linux'"]},
                "p3": {},
                "p5": {"1": ["p3[x]; sys_platform != 'linux'"], "3": LINUX_ONLY},
                "p7": {"3": ["p0>=2"]},
            },
            [member("m0", ["p7[x]"]), member("m1", ["p5"])],
            id="members-apart",
        ),
        pytest.param(
            False,
            {
                "p2": {"1": Release(["p5>=3; python_version >= '3.13' and extra == 'x'"], ("x",))},
                "p5": {"2": Release((), ("x",)), "3": MACOS_AND_LINUX},
                "p7": {"1": Release((), ("x",)), "3": Release(["p2[x]"], ("x",))},
            },
            [
                member(
                    "m0",
                    ["p5[x]; sys_platform == 'linux'", "p7[x]; sys_platform != 'linux'"],
                    groups={"g": ["p2<2; python_version >= '3.13'"]},
                )
            ],
            id="member-and-group-apart",
        ),
    ],
)
def test_t8_parts_that_turn_out_alike_move_nothing_later(
    shared: bool, packages: dict[str, dict[str, Release | list[str]]], members: list[MemberRequest]
) -> None:
    """More parts are solved than are left as splits; locked again, the splits are solved, in which another
    version would be chosen first."""
    ask = Request(tuple(members), shared_environment=shared)
    first = Universe(packages).solve(ask)
    assert isinstance(first, Resolution)
    lock = as_lock(ask, first)
    again = replace(
        ask, preferences=pins_of(lock), preferred_splits=splits_of([lock]), preferred_where=PYTHON_3
    )
    second = Universe(packages).solve(again)
    assert isinstance(second, Resolution)
    assert (second.packages, second.splits) == (first.packages, first.splits)
