"""T22: nothing in a conflict's story is untrue. Every line's claim is checked by brute force: what a
line says of packages against the packages themselves, what it concludes against the lines it uses."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from kit import oracle
from kit.laws import examples
from kit.universe import Release, Universe, member, request
from pypm_model.claims import (
    Bars,
    Claim,
    DependsOn,
    Ends,
    Follows,
    NoneSuch,
    NoVersions,
    Requires,
    Supports,
    Term,
    Unknown,
)
from pypm_model.requests import Request
from pypm_model.requirement_text import parse
from pypm_model.resolutions import Reason, Unsolvable
from pypm_resolver.sentences import said
from pypm_resolver.wording import of_requirement

NAMES = ("a", "b", "c", "d")
VERSIONS = ("1.0", "2.0", "3.0", "4.0")
SPECIFIERS = ("", "", ">=2", "<2", "<3", "==2.0", "!=3.0", ">=3", "==1.0", ">=2,<4", "!=2.0,!=3.0", ">5")
MARKERS = ("", "", "", "sys_platform == 'linux'", "sys_platform != 'linux'", "python_version < '3.12'")
POINTS = [
    oracle.environment(python, platform)
    for python in ("3.11.4", "3.13.2")
    for platform in ("linux", "darwin", "win32")
]
Releases = Mapping[str, Mapping[str, Release]]
State = Mapping[str, str | None]
"""A version or None by package, and, by ``a[x]``, a text where the extra is on, else None."""


@st.composite
def requirements(draw: st.DrawFn, names: Sequence[str] = (*NAMES, "gone")) -> str:
    name = draw(st.sampled_from(names))
    extra = draw(st.sampled_from(("", "", "", "[x]"))) if name != "gone" else ""
    specifier = draw(st.sampled_from(SPECIFIERS))
    marker = draw(st.sampled_from(MARKERS))
    return f"{name}{extra}{specifier} ; {marker}" if marker else f"{name}{extra}{specifier}"


@st.composite
def releases(draw: st.DrawFn) -> Release:
    plain = draw(st.lists(requirements(), max_size=2))
    gated = draw(st.lists(requirements(), max_size=1))
    gated = [f"{text} and extra == 'x'" if ";" in text else f"{text} ; extra == 'x'" for text in gated]
    kind = draw(st.sampled_from(("", "", "", "", "yanked", "python", "new", "unreadable", "build")))
    return Release(
        (*plain, *gated),
        ("x",),
        python=">=3.99" if kind == "python" else "",
        yanked="broken" if kind == "yanked" else None,
        too_new=kind == "new",
        unreadable="its metadata is empty" if kind in ("unreadable", "build") else "",
        needs_build=kind == "build",
    )


universes = st.fixed_dictionaries(
    {name: st.dictionaries(st.sampled_from(VERSIONS), releases(), min_size=1) for name in NAMES}
)
asked = st.lists(requirements(), min_size=1, max_size=3)
thorough = settings(
    max_examples=examples(200),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


# What a claim says of a state


def allowed(packages: Releases, text: str) -> set[str]:
    requirement = Requirement(text)
    specifier = SpecifierSet(str(requirement.specifier))
    return {v for v in packages.get(requirement.name, {}) if specifier.contains(v, prereleases=True)}


def meets(term: Term, state: State) -> bool:
    """Whether the term holds; ``a[x] 2.0`` when a is 2.0 and its extra is on."""
    if not term.known and "[" in term.label:
        return (state[term.label] is None) == term.absent
    if "[" in term.label and not term.absent and state[term.label] is None:
        return False
    version = state.get(term.name)
    return term.absent if version is None else version in term.versions


def serves(packages: Releases, text: str, state: State) -> bool:
    requirement = Requirement(text)
    version = state.get(requirement.name)
    extras = all(state[f"{requirement.name}[{extra}]"] for extra in requirement.extras)
    return version is not None and version in allowed(packages, text) and extras


def respects(packages: Releases, claim: Claim, state: State) -> bool:
    """Whether a state is one that the claim leaves possible."""
    match claim:
        case Requires(requirement=text):
            return serves(packages, text, state)
        case DependsOn(owner=owner, requirements=texts):
            return not meets(owner, state) or any(serves(packages, text, state) for text in texts)
        case Bars(what=what):
            return not meets(what, state)
        case Unknown(name=name):
            return state.get(name) is None
        case Follows(terms=terms):
            return not all(meets(term, state) for term in terms)
        case _:
            return True


def states(packages: Releases) -> Iterator[State]:
    keys = [*packages, *(f"{name}[x]" for name in packages)]
    values = [(None, *versions) for versions in packages.values()] + [(None, "on")] * len(packages)
    for chosen in product(*values):
        yield dict(zip(keys, chosen, strict=True))


# What a claim says of the packages


def check_term(packages: Releases, term: Term) -> None:
    if term.known:
        assert term.known == tuple(sorted(packages[term.name]))
        assert set(term.versions) <= set(term.known)


def check_fact(packages: Releases, asked_for: Request, reason: Reason) -> None:
    match reason.claim:
        case Requires(who=who, requirement=text):
            (one,) = reason.asks
            asks = {m.name: m.dependencies for m in asked_for.members}[one.origin.member]
            assert one in asks
            assert (who, text) == (one.origin.member, of_requirement(one.requirement))
        case DependsOn(owner=owner, requirements=texts, within=within):
            check_term(packages, owner)
            check_term(packages, within)
            assert owner.versions
            for version in owner.versions:
                gate = "extra == 'x'" if "[" in owner.label else ""
                own = [
                    of_requirement(parse(text))
                    for text in packages[owner.name][version].requires
                    if ("extra" in text) == bool(gate) and Requirement(text).name == within.name
                ]
                assert set(own) & set(texts), (version, own, texts)
            if within.known:
                for text in texts:
                    if "==" not in owner.label and within.name != owner.name:
                        assert allowed(packages, text) <= set(within.versions)
        case Bars(what=what, kind=kind):
            check_term(packages, what)
            for version in what.versions:
                release = packages[what.name][version]
                assert {
                    "yanked": release.yanked is not None,
                    "too-new": release.too_new,
                    "python": release.python == ">=3.99",
                    "build": release.needs_build,
                    "metadata": bool(release.unreadable),
                }[kind]
        case Unknown(name=name):
            assert name not in packages
        case NoneSuch(name=name, specifier=specifier, newest=newest):
            assert not allowed(packages, f"{name}{specifier}")
            assert newest == max(packages[name])
        case NoVersions(name=name):
            assert packages[name] == {}
        case Supports(member=name, requires_python=python):
            assert {m.name: m.requires_python for m in asked_for.members}[name] == python
        case Follows(terms=terms):
            for term in terms:
                check_term(packages, term)
        case Ends():
            pass
        case _:
            raise AssertionError(f"a line without a claim: {reason.text}")


def check_story(packages: Releases, asked_for: Request, outcome: Unsolvable) -> None:
    story = outcome.story
    assert isinstance(story[-1].claim, Ends)
    used: set[int] = set()
    for position, reason in enumerate(story):
        check_fact(packages, asked_for, reason)
        assert reason.claim is not None
        assert said(reason.claim).removeprefix("so ") in reason.text
        assert all(use < position for use in reason.uses)
        used |= set(reason.uses)
    asides = (NoneSuch, NoVersions, Supports, Unknown)
    told = {i for i, reason in enumerate(story) if not isinstance(reason.claim, asides)}
    assert told - {len(story) - 1} <= used, "a line nobody needs"
    every = list(states({name: packages[name] for name in outcome.names if name in packages}))
    for reason in story:
        if isinstance(reason.claim, (Follows, Ends)):
            premises = [story[use].claim for use in reason.uses]
            end = reason.claim if isinstance(reason.claim, Follows) else None
            for state in every:
                if all(respects(packages, premise, state) for premise in premises if premise is not None):
                    assert end is not None and respects(packages, end, state), (reason.text, state)


def check_region(packages: Releases, asked_for: Request, outcome: Unsolvable) -> None:
    """Where it is said to be impossible it is, and all that is told of holds there."""
    region = Marker(outcome.region) if outcome.region else None
    roots = [of_requirement(a.requirement) for m in asked_for.members for a in m.dependencies]
    usable = {
        name: {
            version: release.requires
            for version, release in found.items()
            if not (release.python or release.yanked or release.too_new or release.unreadable)
        }
        for name, found in packages.items()
    }
    for where in POINTS:
        if region is not None and not region.evaluate({**where, "extra": ""}):
            continue
        if all(usable.values()):
            pinned = any(Requirement(text).specifier for text in roots if "==" in text)
            assert pinned or not oracle.satisfiable(usable, roots, where)
        for reason in outcome.story:
            match reason.claim:
                case Requires(requirement=text):
                    texts = [text]
                case DependsOn(requirements=several):
                    texts = list(several)
                case _:
                    continue
            for text in texts:
                marker = Requirement(text).marker
                assert marker is None or marker.evaluate(where)


@thorough
@given(universes, asked, asked)
def test_t22_every_line_of_a_story_is_true(
    packages: dict[str, dict[str, Release]], first: list[str], second: list[str]
) -> None:
    asked_for = request(first, member("lib", second))
    outcome = Universe(packages).solve(asked_for)
    if isinstance(outcome, Unsolvable):
        check_story(packages, asked_for, outcome)
        check_region(packages, asked_for, outcome)


def dense(seed: int) -> tuple[dict[str, dict[str, Release]], Request]:
    """Five packages that ask much of each other: proofs with lemmas, and conclusions that are used twice."""
    dice = random.Random(seed)
    names = tuple(f"p{number}" for number in range(5))
    specifiers = ("", ">=2", "<2", "<3", ">=3", "==2", "!=3", ">=2,<4", ">4")

    def some() -> str:
        return dice.choice(names) + dice.choice(specifiers)

    packages = {
        name: {
            f"{version}.0": Release(tuple(some() for _ in range(dice.choice((1, 1, 2, 3)))))
            for version in range(1, dice.choice((3, 4, 5)))
        }
        for name in names
    }
    return packages, request([some(), some()], member("lib", [some()]))


@pytest.mark.slow
@settings(thorough, max_examples=examples(150))
@given(st.integers(0, 1_000_000))
def test_t22_long_stories_are_true_too(seed: int) -> None:
    packages, asked_for = dense(seed)
    outcome = Universe(packages).solve(asked_for)
    if isinstance(outcome, Unsolvable):
        check_story(packages, asked_for, outcome)


def test_t22_what_is_used_twice_has_a_number() -> None:
    packages = {
        "a": {"2.0": [], "3.0": ["b==2"], "4.0": ["b<3"]},
        "b": {"1.0": ["a<4"], "2.0": ["a==2"], "3.0": []},
    }
    outcome = Universe(packages).solve(request(["a>=3"]))
    assert isinstance(outcome, Unsolvable)
    assert [reason.text for reason in outcome.story] == [
        "app requires a>=3",
        "b 2.0 depends on a==2",
        "(1) so b 2.0 can not be used",
        "a 3.0 depends on b==2",
        "so, with (1), a 3.0 can not be used",
        "a 4.0 depends on b<3",
        "b 1.0 depends on a<4",
        "so, with (1), no version of a fits",
    ]
    assert outcome.story[4].uses == (2, 3)


def test_t22_a_long_way_ends_in_what_follows() -> None:
    packages = {
        "httpx": {"1.0": ["anyio>=4"]},
        "anyio": {"3.0": ["idna<3"], "4.0": ["idna>=3"], "4.1": ["idna>=3"]},
        "idna": {"2.0": [], "3.0": []},
    }
    outcome = Universe(packages).solve(request(["httpx"], member("lib", ["idna<3"])))
    assert isinstance(outcome, Unsolvable)
    assert [reason.text for reason in outcome.story] == [
        "app requires httpx",
        "httpx 1.0 (the only version) depends on anyio>=4",
        "anyio 4.0 and later depend on idna>=3",
        "so app needs idna>=3",
        "lib requires idna<3",
        "so no version of idna fits both app and lib",
    ]


def test_t22_what_many_versions_ask_is_one_line() -> None:
    packages = {
        "boto3": {f"1.{n}": [f"botocore>=1.{n},<1.{n + 1}"] for n in range(40)},
        "botocore": {f"1.{n}": [f"urllib3<{2 if n < 60 else 3}"] for n in range(40)},
        "urllib3": {"1.0": [], "2.0": []},
    }
    outcome = Universe(packages).solve(request(["boto3>=1.20"], member("lib", ["urllib3>=2"])))
    assert isinstance(outcome, Unsolvable)
    assert [reason.text for reason in outcome.story] == [
        "app requires boto3>=1.20",
        "boto3 1.20 and later depend on botocore, each within >=1.20",
        "botocore 1.20 and later depend on urllib3<2",
        "so app needs urllib3<2",
        "lib requires urllib3>=2",
        "so no version of urllib3 fits both app and lib",
    ]


def test_t22_a_page_without_files_is_told() -> None:
    for asked in ("a", "a>=2"):
        outcome = Universe({"a": {}}).solve(request([asked]))
        assert isinstance(outcome, Unsolvable)
        assert [reason.text for reason in outcome.story] == [
            f"app requires {asked}",
            "pypi has a page of a that names no wheel and no sdist",
            f"so {asked} can not be met",
        ]


def test_t22_sdists_that_may_not_be_built_are_one_line() -> None:
    releases = {
        f"0.{n}": Release(unreadable=f"a-0.{n}.tar.gz would have to be built", needs_build=True)
        for n in range(30)
    }
    outcome = Universe({"a": releases}).solve(request(["a>=0.2"]))
    assert isinstance(outcome, Unsolvable)
    assert [reason.text for reason in outcome.story][1:] == [
        "a 0.2 and later have no wheel: only a build would tell the dependencies, and that is not allowed",
        "so no version of a fits",
    ]


@settings(thorough, max_examples=examples(60))
@given(universes, asked, asked)
def test_t22_every_hint_helps(
    packages: dict[str, dict[str, Release]], first: list[str], second: list[str]
) -> None:
    asked_for = request(first, member("lib", second))
    outcome = Universe(packages).solve(asked_for)
    if not isinstance(outcome, Unsolvable):
        return
    hints = Universe(packages).explain(asked_for).hints
    for remedy in outcome.remedies:
        start = remedy.text.partition("{")[0]
        if remedy.kind not in ("relax", "yanked", "build") or not any(h.startswith(start) for h in hints):
            continue
        texts = [of_requirement(a.requirement) for m in remedy.request.members for a in m.dependencies]
        if remedy is next(r for r in outcome.remedies if (r.kind, r.origin) == (remedy.kind, remedy.origin)):
            # The first for this requirement, or another one that says less and so must help as well.
            wider = [r for r in outcome.remedies if (r.kind, r.origin) == (remedy.kind, remedy.origin)]
            texts = [of_requirement(a.requirement) for m in wider[-1].request.members for a in m.dependencies]
            every = {
                name: {  # what a build gives is not known before it is allowed: the hint says so
                    v: () if remedy.kind == "build" and release.needs_build else release.requires
                    for v, release in found.items()
                }
                for name, found in packages.items()
            }
            assert all(oracle.satisfiable(every, texts, where) for where in POINTS), hints
