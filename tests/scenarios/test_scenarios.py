"""Every scenario beside this file, resolved in memory.

Scenarios that are not universal speak of one environment: one Python (`python` or the environment's)
on Linux. The lock must then hold exactly the expected versions there; a universal one must hold them
somewhere. What a `DEVIATIONS` entry names is expected to end the other way, for the reason given there
and in ``docs/explanation/resolver-policy.md``.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from kit.universe import Release, Universe, request, versions
from pypm_model.names import normalize
from pypm_model.requests import BuildPolicy, PrereleasePolicy, Request
from pypm_model.resolutions import Resolution, Unsolvable
from pypm_resolver.verify import verify

HERE = Path(__file__).parent
SCENARIOS = sorted(HERE.rglob("*.toml"))
PLATFORM = (
    "sys_platform == 'linux' and platform_machine == 'x86_64' and platform_python_implementation == 'CPython'"
)

DEVIATIONS = {
    "fork-non-local-fork-marker-direct": "the requirements never meet in one environment: solved by a cut",
}


def load(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def universe_of(scenario: dict[str, Any]) -> Universe:
    packages: dict[str, dict[str, Release]] = {}
    for name, package in scenario.get("packages", {}).items():
        packages[normalize(name)] = {
            version: release_of(release) for version, release in package.get("versions", {}).items()
        }
    return Universe(packages)


def release_of(release: dict[str, Any]) -> Release:
    requires = list(release.get("requires", []))
    extras = release.get("extras", {})
    for extra, texts in extras.items():
        for text in texts:
            name, _, marker = text.partition(";")
            gate = f"extra == '{normalize(extra)}'"
            requires.append(f"{name.strip()} ; ({marker}) and {gate}" if marker else f"{name} ; {gate}")
    tags = release.get("wheel_tags", ["py3-none-any"]) if release.get("wheel", True) else None
    return Release(
        tuple(requires),
        tuple(extras),
        release.get("requires_python", ">=3.12"),
        tags=tags,
        sdist=release.get("sdist", True),
        yanked="" if release.get("yanked") else None,
    )


def request_of(scenario: dict[str, Any]) -> Request:
    options = scenario.get("resolver_options", {})
    python = options.get("python") or scenario.get("environment", {}).get("python") or "3.12"
    settings: dict[str, Any] = {
        "strategy": options.get("resolution", "highest"),
        "prereleases": PrereleasePolicy("allow" if options.get("prereleases") else "if-necessary"),
        "build": BuildPolicy(
            no_binary=frozenset(map(normalize, options.get("no_binary", []))),
            no_build=frozenset(map(normalize, options.get("no_build", []))),
        ),
        "required_environments": tuple(options.get("required_environments", ())),
    }
    requires = scenario["root"].get("requires", [])
    if options.get("universal"):
        own = scenario["root"].get("requires_python", f">={python}")
        if scenario.get("testgen", {}).get("kind") == "compile":
            own = f">={python}"  # the interpreter's Python is the lower bound when requirements are compiled
        return request(requires, python=own, **settings)
    full = python if python.count(".") == 2 else f"{python}.0"
    settings["environments"] = (f"{PLATFORM} and python_full_version == '{full}'",)
    return request(requires, python=f"=={full}", **settings)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_scenario(path: Path) -> None:
    scenario = load(path)
    universe = universe_of(scenario)
    asked = request_of(scenario)
    outcome = universe.solve(asked)
    expected = scenario.get("expected", {})
    satisfiable = expected.get("satisfiable", True)
    if scenario["name"] in DEVIATIONS:
        satisfiable = not satisfiable
    if not satisfiable:
        assert isinstance(outcome, Unsolvable)
        assert outcome.story
        return
    assert isinstance(outcome, Resolution), outcome
    assert verify(asked, outcome, universe.facts()) == ()
    found = versions(outcome)
    for name, version in expected.get("packages", {}).items():
        assert version in found.get(normalize(name), []), found
    if "packages" in expected:
        assert set(found) == {normalize(name) for name in expected["packages"]}


def test_all_are_here() -> None:
    assert len(SCENARIOS) == 112
    assert set(DEVIATIONS) <= {load(path)["name"] for path in SCENARIOS}
