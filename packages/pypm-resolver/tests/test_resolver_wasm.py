"""Locks for Pyodide and WASI: only wheels count there, against brute force and by example."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit import oracle
from kit.laws import examples
from kit.universe import Release, Universe, direct, request, versions
from pypm_model.claims import NoWheel
from pypm_model.facts import DirectKey
from pypm_model.locks import LockedPackage
from pypm_model.markers import evaluate, parse
from pypm_model.names import normalize
from pypm_model.records import replace
from pypm_model.requests import BuildPolicy, Preference, Request
from pypm_model.resolutions import Outcome, Resolution, Unsolvable
from pypm_model.sources import DirectSource, GitSource, PathSource, UrlSource
from pypm_model.targets import target
from pypm_resolver.verify import verify

LINUX = "sys_platform == 'linux'"
PYODIDE_2025 = target("pyodide_2025_0").marker
PYODIDE_2026 = target("pyodide_2026_0").marker
WASI = target("wasi_3.14").marker

PURE = "py3-none-any"
POINTS = {
    LINUX: [oracle.environment(python, "linux") for python in ("3.12.4", "3.13.2", "3.14.1")],
    PYODIDE_2025: [oracle.environment("3.13.2", "emscripten")],
    PYODIDE_2026: [oracle.environment("3.14.1", "emscripten")],
    WASI: [oracle.environment("3.14.1", "wasi")],
}
FITS = {
    LINUX: (PURE, "cp312-abi3-manylinux_2_17_x86_64"),
    PYODIDE_2025: (PURE, "cp310-abi3-pyodide_2025_0_wasm32", "cp313-cp313-pyemscripten_2025_0_wasm32"),
    PYODIDE_2026: (PURE, "cp310-abi3-pyodide_2026_0_wasm32", "cp314-cp314-emscripten_5_0_3_wasm32"),
    WASI: (PURE,),
}
TAGS = sorted({*(tag for tags in FITS.values() for tag in tags), "cp314-cp314-wasi_0_0_0_wasm32"})
Packages = Mapping[str, Mapping[str, Release]]
NAMES = ("a", "b", "c")
VERSIONS = ("1.0", "2.0", "3.0")

requirements = st.tuples(
    st.sampled_from(NAMES),
    st.sampled_from(("", "", ">=2", "<2", "<3", "==2.0", ">=3")),
    st.sampled_from(("", "", "", f" ; {LINUX}", " ; sys_platform != 'emscripten'", " ; os_name == 'posix'")),
).map("".join)
releases = st.builds(
    Release,
    st.lists(requirements, max_size=2),
    # There is an sdist of everything: elsewhere all versions can be used.
    tags=st.lists(st.sampled_from(TAGS), max_size=3, unique=True).map(tuple),
)
universes = st.fixed_dictionaries(
    {name: st.dictionaries(st.sampled_from(VERSIONS), releases, min_size=1) for name in NAMES}
)
environments = st.lists(st.sampled_from(sorted(POINTS)), min_size=1, unique=True)


def usable(packages: Packages, environment: str) -> dict[str, dict[str, list[str]]]:
    """What can be installed in an environment: sdists on Linux alone."""
    return {
        name: {
            version: list(release.requires)
            for version, release in found.items()
            if environment == LINUX or not set(FITS[environment]).isdisjoint(release.tags or ())
        }
        for name, found in packages.items()
    }


def selected(resolution: Resolution, where: Mapping[str, str]) -> dict[str, str]:
    """What an installer takes from the lock in one environment."""
    by_name: dict[str, list[LockedPackage]] = {}
    for package in resolution.packages:
        by_name.setdefault(package.name, []).append(package)
    chosen: dict[str, str] = {}
    queue = [by_name["app"][0]]
    while queue:
        for edge in queue.pop().dependencies:
            if not evaluate(parse(edge.marker), where, {"app"}):
                continue
            (found,) = [each for each in by_name[edge.name] if edge.version in ("", each.version)]
            if edge.name not in chosen:
                queue.append(found)
            assert chosen.setdefault(edge.name, found.version) == found.version
    return chosen


def can(packages: Packages, asked: list[str], environment: str) -> bool:
    left = {name: found or {"": ["nothing"]} for name, found in usable(packages, environment).items()}
    return all(oracle.satisfiable(left, asked, where) for where in POINTS[environment])


thorough = settings(
    max_examples=examples(300), deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


@thorough
@given(universes, st.lists(requirements, min_size=1, max_size=3), environments)
def test_only_wheels_count_where_nothing_is_built(
    packages: dict[str, dict[str, Release]], asked: list[str], chosen: list[str]
) -> None:
    universe = Universe(packages)
    ask = request(asked, environments=tuple(chosen), build=BuildPolicy(default=True))
    outcome = universe.solve(ask)
    possible = {environment: can(packages, asked, environment) for environment in chosen}
    if isinstance(outcome, Unsolvable):
        assert not all(possible.values())
        check_claims(packages, chosen, outcome)
        return
    assert isinstance(outcome, Resolution)
    assert all(possible.values()), possible
    assert verify(ask, outcome, universe.facts()) == ()
    for environment in chosen:
        for where in POINTS[environment]:
            taken = selected(outcome, where)
            assert oracle.needed(usable(packages, environment), asked, taken, where) == set(taken)
    again = Universe(packages).solve(relock(ask, outcome))
    assert isinstance(again, Resolution)
    assert (again.packages, again.splits) == (outcome.packages, outcome.splits)


def check_claims(packages: Packages, chosen: list[str], outcome: Unsolvable) -> None:
    """What a story says of wheels is true."""
    meant = {
        "pyemscripten_2025_0": {PYODIDE_2025},
        "pyemscripten_2026_0": {PYODIDE_2026},
        "Pyodide": {PYODIDE_2025, PYODIDE_2026},
        "WASI": {WASI},
        "WebAssembly": {PYODIDE_2025, PYODIDE_2026, WASI},
    }
    for reason in outcome.story:
        if isinstance(reason.claim, NoWheel):
            claim = reason.claim
            (there,) = [found for word, found in meant.items() if claim.target.startswith(word)]
            having = {v for e in there & set(chosen) for v in usable(packages, e)[claim.what.name]}
            assert not having & set(claim.what.versions)
            assert claim.newest == max(having, default="")


def relock(ask: Request, resolution: Resolution) -> Request:
    """The request with what the resolution holds as preferences, as an old lock gives it."""
    (app,) = (package for package in resolution.packages if package.name == "app")
    kept: dict[str, list[Preference]] = {}
    for package in resolution.packages:
        if package.name != app.name:
            kept.setdefault(package.name, []).append(Preference(package.version, "pypi", ""))
    return replace(
        ask,
        preferences=tuple((normalize(name), tuple(found)) for name, found in sorted(kept.items())),
        preferred_splits=resolution.splits,
    )


# By example

NUMPY = {
    "1.26": Release(tags=("cp314-cp314-pyodide_2026_0_wasm32", "cp314-cp314-manylinux_2_17_x86_64")),
    "2.0": Release(tags=("cp314-cp314-manylinux_2_17_x86_64",)),
    "2.1": Release(tags=("cp310-abi3-pyemscripten_2025_0_wasm32", "cp314-cp314-manylinux_2_17_x86_64")),
}


def solved(packages: object, asked: Request) -> Resolution:
    universe = packages if isinstance(packages, Universe) else Universe(packages)  # type: ignore[arg-type]
    outcome = universe.solve(asked)
    assert isinstance(outcome, Resolution), [reason.text for reason in getattr(outcome, "story", ())]
    assert verify(asked, outcome, universe.facts()) == ()
    return outcome


def edges(outcome: Outcome, name: str = "numpy") -> dict[str, str]:
    assert isinstance(outcome, Resolution)
    (app,) = (package for package in outcome.packages if package.name == "app")
    return {edge.version: edge.marker for edge in app.dependencies if edge.name == name}


def test_an_older_version_where_the_newest_has_no_wheel() -> None:
    outcome = solved({"numpy": NUMPY}, request(["numpy"], environments=(LINUX, PYODIDE_2026)))
    assert edges(outcome) == {"1.26": "sys_platform == 'emscripten'", "2.1": LINUX}
    # Nobody asked for it: the newest version is everywhere.
    assert versions(solved({"numpy": NUMPY}, request(["numpy"]))) == {"numpy": ["2.1"]}


def test_the_abi_of_a_wheel_decides_its_python() -> None:
    outcome = solved({"numpy": NUMPY}, request(["numpy"], environments=(PYODIDE_2025, PYODIDE_2026)))
    assert edges(outcome) == {"1.26": "python_version >= '3.14'", "2.1": "python_version < '3.14'"}


@pytest.mark.parametrize("marker", ["sys_platform == 'emscripten'", "platform_system == 'Emscripten'"])
def test_a_marker_alone_asks_for_the_system_too(marker: str) -> None:
    packages = {"numpy": {"1.26": NUMPY["1.26"], "2.0": NUMPY["2.0"]}}
    outcome = solved(packages, request(["numpy"], python=">=3.14", environments=(marker, LINUX)))
    assert edges(outcome) == {"1.26": "sys_platform == 'emscripten'", "2.0": LINUX}
    # Each Python has the best that there is for it.
    outcome = solved({"numpy": NUMPY}, request(["numpy"], python=">=3.13", environments=(marker,)))
    assert edges(outcome) == {"1.26": "python_version == '3.14'", "2.1": "python_version != '3.14'"}


def test_a_required_environment_does() -> None:
    outcome = solved({"numpy": NUMPY}, request(["numpy"], required_environments=(PYODIDE_2026,)))
    where = edges(outcome)["1.26"]
    assert parse(where) == parse(PYODIDE_2026)
    taken = solved({"a": {"1": Release(tags=(PURE,)), "2": Release(tags=None)}}, request(["a"]))
    assert versions(taken) == {"a": ["2"]}
    ask = request(["a"], required_environments=("sys_platform == 'wasi'",))
    outcome = solved({"a": {"1": Release(tags=(PURE,)), "2": Release(tags=None)}}, ask)
    assert edges(outcome, "a") == {"1": "sys_platform == 'wasi'", "2": "sys_platform != 'wasi'"}


def test_what_few_wheels_there_are_holds_nobody_else_back() -> None:
    """The region of Pyodide ends like the one of Linux, and begins later: it would be solved first."""
    ask = request(["numpy"], python=">=3.11,<3.15", environments=(LINUX, PYODIDE_2026))
    assert edges(solved({"numpy": NUMPY}, ask))["2.1"] == LINUX
    middle = {**NUMPY, "2.2": Release(tags=("cp314-cp314-manylinux_2_17_x86_64",), python=">=3.14")}
    outcome = solved({"numpy": middle}, replace(ask, environments=(PYODIDE_2026, LINUX)))
    assert sorted(edges(outcome)) == ["1.26", "2.1", "2.2"]


def test_another_parent_where_its_newest_needs_what_has_no_wheel() -> None:
    packages = {"numpy": NUMPY, "pandas": {"1.0": ["numpy<2"], "2.0": ["numpy>=2"]}}
    outcome = solved(packages, request(["pandas"], environments=(LINUX, PYODIDE_2026)))
    assert edges(outcome, "pandas") == {"1.0": "sys_platform == 'emscripten'", "2.0": LINUX}


def test_what_is_not_needed_there_needs_no_wheel() -> None:
    ask = request(["numpy>=2 ; sys_platform != 'emscripten'"], environments=(LINUX, PYODIDE_2026))
    assert edges(solved({"numpy": NUMPY}, ask)) == {"": LINUX}


def test_the_fewest_versions_have_wheels_everywhere() -> None:
    ask = request(["numpy"], environments=(LINUX, PYODIDE_2026), fork_strategy="fewest")
    assert versions(solved({"numpy": NUMPY}, ask)) == {"numpy": ["1.26"]}


@pytest.mark.parametrize(
    ("environments", "told"),
    [
        (
            (LINUX, PYODIDE_2026),
            "numpy 2.0 and later have no wheel for pyemscripten_2026_0 (Pyodide on Python 3.14): "
            "the newest version with one is 1.26",
        ),
        ((WASI,), "no version of numpy has a wheel for WASI, which takes pure wheels only"),
        (
            ("sys_platform == 'emscripten' and python_version == '3.11'",),
            "no version of numpy has a wheel for Pyodide",
        ),
    ],
)
def test_a_conflict_names_the_newest_version_with_a_wheel(environments: tuple[str, ...], told: str) -> None:
    ask = request(["numpy>=2"], environments=environments, build=BuildPolicy(default=True))
    outcome = Universe({"numpy": NUMPY}).explain(ask)
    assert told in [reason.text for reason in outcome.story]


def test_the_conflict_hints_at_leaving_the_package_out_there() -> None:
    ask = request(["numpy>=2"], environments=(LINUX, PYODIDE_2026))
    hints = Universe({"numpy": NUMPY}).explain(ask).hints
    assert any(LINUX in hint for hint in hints), hints
    assert any("numpy 1.26 and 2.1" in hint for hint in hints), hints


@pytest.mark.parametrize(
    ("source", "fits"),
    [
        (GitSource("https://example.test/a.git", "", "0" * 40), False),
        (UrlSource("https://example.test/a-1.0.tar.gz", "", "0" * 64), False),
        (PathSource("vendor/a-1.0.tar.gz", False, "0" * 64), False),
        (PathSource("vendor/a"), True),
    ],
)
def test_of_direct_sources_only_folders_may_be_no_wheels(source: DirectSource, fits: bool) -> None:
    universe = Universe({}, directs={source: direct("a", source, "1.0")})
    ask = request([("a", source)], environments=(LINUX, WASI))
    outcome = universe.solve(ask)
    assert isinstance(outcome, Resolution if fits else Unsolvable)
    assert isinstance(universe.solve(replace(ask, environments=(LINUX,))), Resolution)
    assert DirectKey(normalize("a"), source) in universe.asked


def test_a_wheel_at_an_address_is_taken_where_it_fits() -> None:
    source = UrlSource("https://example.test/a-1.0-py3-none-any.whl", "", "0" * 64)
    held = direct("a", source, "1.0", is_wheel=True, tags=("py3|*|*",))
    universe = Universe({}, directs={source: held})
    solved(universe, request([("a", source)], environments=(LINUX, WASI)))


def test_the_verifier_sees_what_has_no_wheel() -> None:
    ask = request(["numpy"], environments=(LINUX, PYODIDE_2026))
    universe = Universe({"numpy": NUMPY})
    outcome = universe.solve(replace(ask, environments=(LINUX,)))
    assert isinstance(outcome, Resolution)
    said = [violation.text for violation in verify(ask, outcome, universe.facts())]
    assert said == ["numpy 2.1 has no file on Python 3.14 on Emscripten with CPython, and needs one"]
