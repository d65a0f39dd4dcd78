"""Scenario files (the packse format) as universes and requests."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from kit.universe import Release, Universe, request
from pypm_model.names import normalize
from pypm_model.requests import BuildPolicy, PrereleasePolicy, Request

FOLDER = Path(__file__).resolve().parents[1] / "scenarios"
PLATFORM = (
    "sys_platform == 'linux' and platform_machine == 'x86_64' and platform_python_implementation == 'CPython'"
)


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
