"""The verifier finds what is wrong with a resolution, each fault by a resolution that has it."""

from __future__ import annotations

import pytest

from kit.universe import Release, Universe, ask, member, request, versions
from pypm_model.facts import Direct, DirectKey, ListingKey, MetadataKey
from pypm_model.locks import Edge, LockedPackage
from pypm_model.names import normalize
from pypm_model.records import replace
from pypm_model.requests import Provision
from pypm_model.resolutions import Resolution
from pypm_model.sources import IndexSource, PathSource
from pypm_resolver.verify import verify

UNIVERSE = Universe(
    {
        "a": {"1.0": Release(["b>=2,<3; sys_platform == 'linux'", "c; extra == 'x'"], ("x",)), "2.0": []},
        "b": {"1.0": [], "2.0": Release(python=">=3.9"), "3.0": Release(python=">=3.13")},
        "c": {"1.0": []},
        "d": {"1.0": Release(tags=("cp27-cp27m-win32",), sdist=False)},
    }
)
ASKED = request(["a[x]<2"])


def sound() -> Resolution:
    outcome = UNIVERSE.solve(ASKED)
    assert isinstance(outcome, Resolution)
    return outcome


def changed(name: str, **changes: object) -> Resolution:
    outcome = sound()
    packages = tuple(replace(p, **changes) if p.name == name else p for p in outcome.packages)  # type: ignore[arg-type]
    return replace(outcome, packages=packages)


def kinds(resolution: Resolution, asked: object = ASKED) -> set[tuple[str, str]]:
    for name, releases in UNIVERSE.packages.items():
        for version in releases:
            if not any(getattr(key, "version", "") == version and key.name == name for key in UNIVERSE.asked):
                UNIVERSE.answer(MetadataKey(normalize(name), version, "pypi"))
    return {(v.kind, v.name) for v in verify(asked, resolution, UNIVERSE.facts())}  # type: ignore[arg-type]


def test_a_sound_resolution_has_no_violation() -> None:
    assert kinds(sound()) == set()


def test_a_dependency_without_an_edge() -> None:
    assert ("missing", "b") in kinds(changed("a", dependencies=()))


def test_an_edge_that_holds_in_too_few_environments() -> None:
    edge = Edge(normalize("b"), marker="sys_platform == 'linux' and python_version >= '3.12'")
    assert kinds(changed("a", dependencies=(edge,))) == {("missing", "b")}


def test_an_extra_nobody_brings() -> None:
    assert ("missing", "c") in kinds(changed("a", extras=()))


def test_a_version_outside_of_a_specifier() -> None:
    assert ("specifier", "b") in kinds(changed("b", version="1.0"))


def test_a_version_for_another_python() -> None:
    assert ("requires-python", "b") in kinds(changed("b", version="3.0"))


def test_a_package_nobody_needs() -> None:
    outcome = sound()
    stray = LockedPackage(normalize("d"), "1.0", IndexSource("pypi"))
    assert kinds(replace(outcome, packages=(*outcome.packages, stray))) == {("missing", "d")}


def test_two_versions_at_once() -> None:
    outcome = changed(
        "app", dependencies=(Edge(normalize("a"), ("x",), "", "1.0"), Edge(normalize("a"), (), "", "2.0"))
    )
    second = LockedPackage(normalize("a"), "2.0", IndexSource("pypi"))
    assert ("ambiguous", "a") in kinds(replace(outcome, packages=(*outcome.packages, second)))


def test_an_edge_that_two_entries_answer_to() -> None:
    second = LockedPackage(normalize("b"), "3.0", IndexSource("pypi"))
    outcome = sound()
    assert ("ambiguous", "b") in kinds(replace(outcome, packages=(*outcome.packages, second)))


def test_a_version_without_any_file_for_the_lock() -> None:
    edges = (Edge(normalize("a"), (normalize("x"),)), Edge(normalize("d")))
    outcome = changed("app", dependencies=edges)
    second = LockedPackage(normalize("d"), "1.0", IndexSource("pypi"))
    asked = request(["a[x]<2", "d"])
    UNIVERSE.answer(ListingKey(normalize("d")))
    assert ("files", "d") in kinds(replace(outcome, packages=(*outcome.packages, second)), asked)


def test_a_source_nobody_asked_for() -> None:
    asked = request([("a[x]<2", IndexSource("corp"))])
    assert ("source", "a") in kinds(sound(), asked)


@pytest.mark.parametrize("text", ["a<1", "b<2"])
def test_a_constraint_that_is_not_kept(text: str) -> None:
    asked = replace(ASKED, constraints=(ask(text),))
    assert ("specifier", text[0]) in kinds(sound(), asked)


def test_a_member_nobody_served() -> None:
    asked = replace(ASKED, members=(*ASKED.members, member("lib", ["c"])))
    outcome = UNIVERSE.solve(asked)
    assert isinstance(outcome, Resolution)
    packages = tuple(replace(p, dependencies=()) if p.name == "lib" else p for p in outcome.packages)
    assert ("missing", "c") in kinds(replace(outcome, packages=packages), asked)


JOINED = Universe(
    {
        "a": {"1.0": Release(["c; extra == 'x' and extra == 'y'"], ("x", "y"))},
        "b": {"1.0": ["a[y]; sys_platform == 'linux'"]},
        "c": {"1.0": []},
    }
)


@pytest.mark.parametrize(
    ("marker", "found"),
    [
        ("sys_platform == 'linux'", set()),
        ("", set()),
        ("sys_platform == 'win32'", {("missing", "c")}),
        (None, {("missing", "c")}),
    ],
)
def test_what_two_extras_bring_together(marker: str | None, found: set[tuple[str, str]]) -> None:
    asked = request(["a[x]", "b"])
    outcome = JOINED.solve(asked)
    assert isinstance(outcome, Resolution)
    edges = () if marker is None else (Edge(normalize("c"), marker=marker),)
    packages = tuple(
        replace(p, extras=((normalize("x"), edges), (normalize("y"), ()))) if p.name == "a" else p
        for p in outcome.packages
    )
    violations = verify(asked, replace(outcome, packages=packages), JOINED.facts())
    assert {(v.kind, v.name) for v in violations if v.kind == "missing"} >= found
    assert bool(violations) == (found != set())


PROVIDING = Universe(
    {"o": {"1.0": ["i"]}, "i": {"3.0": []}},
    others={"priv": {"i": {"9.0": []}}, "other": {"i": {"5.0": []}}},
)


def test_what_the_workspace_provides_is_for_packages_too() -> None:
    provided = (Provision(normalize("i"), IndexSource("priv"), "sys_platform == 'linux'"),)
    asked = request(["o"], provisions=provided)
    outcomes = [PROVIDING.solve(asked, shuffle=seed) for seed in range(3)]
    assert versions(outcomes[0])["i"] == ["3.0", "9.0"]
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert verify(asked, outcomes[0], PROVIDING.facts()) == ()  # type: ignore[arg-type]
    plain = PROVIDING.solve(request(["o"]))
    assert [v.kind for v in verify(asked, plain, PROVIDING.facts())] == ["source"]  # type: ignore[arg-type]


def test_a_member_that_asks_for_it_elsewhere_has_its_way() -> None:
    provided = (Provision(normalize("i"), IndexSource("priv")),)
    asked = request(["o", ("i", IndexSource("other"))], provisions=provided)
    outcome = PROVIDING.solve(asked)
    assert versions(outcome)["i"] == ["5.0"]
    assert verify(asked, outcome, PROVIDING.facts()) == ()  # type: ignore[arg-type]


def test_a_folder_that_the_workspace_provides_is_looked_into_once_a_package_asks() -> None:
    source = PathSource("../i")
    key = DirectKey(normalize("i"), source)
    universe = Universe(PROVIDING.packages, directs={source: Direct(key, source, "7.0", (), ())})
    provided = (Provision(normalize("i"), source),)
    asked = request(["o"], provisions=provided)
    outcome = universe.solve(asked)
    assert versions(outcome)["i"] == ["7.0"]
    assert verify(asked, outcome, universe.facts()) == ()  # type: ignore[arg-type]
    universe.asked.clear()
    universe.solve(request([], provisions=provided))
    assert key not in universe.asked
