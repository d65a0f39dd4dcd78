"""Resolution by brute force, one environment at a time: slow, and too simple to be wrong.

Only for small universes: every combination of versions is tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import product

from packaging.markers import Marker
from packaging.requirements import Requirement

Packages = Mapping[str, Mapping[str, Sequence[str]]]
Selection = Mapping[str, str]


def environment(python: str, platform: str) -> dict[str, str]:
    """Marker values of CPython *python* (``3.12.1``) on a ``sys_platform``."""
    os_name, system, machine = {
        "linux": ("posix", "Linux", "x86_64"),
        "darwin": ("posix", "Darwin", "x86_64"),
        "win32": ("nt", "Windows", "AMD64"),
        "emscripten": ("posix", "Emscripten", "wasm32"),
        "wasi": ("posix", "wasi", "wasm32"),
    }[platform]
    return {
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
        "sys_platform": platform,
        "os_name": os_name,
        "platform_system": system,
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "implementation_version": python,
        "platform_release": "",
        "platform_version": "",
    }


def needed(
    packages: Packages, roots: Sequence[str], selection: Selection, where: Mapping[str, str]
) -> set[str] | None:
    """The names a walk from *roots* meets under *selection*; None where a requirement is not met."""
    asked: dict[str, set[str]] = {}
    queue = [(text, "") for text in roots]
    names: set[str] = set()
    while queue:
        text, parent = queue.pop()
        requirement = _parsed(text)
        if not _holds(text, where, asked.get(parent, set())):
            continue
        version = selection.get(requirement.name)
        if version is None or version not in packages.get(requirement.name, {}):
            return None
        if not _contains(text, version):
            return None
        extras = asked.setdefault(requirement.name, set())
        if requirement.name not in names or not requirement.extras <= extras:
            names.add(requirement.name)
            extras |= requirement.extras
            queue += [(inner, requirement.name) for inner in packages[requirement.name][version]]
    return names


@cache
def _parsed(text: str) -> Requirement:
    return Requirement(text)


@cache
def _contains(text: str, version: str) -> bool:
    return _parsed(text).specifier.contains(version, prereleases=True)


_extra = re.compile(r"""\bextra == ["']([^"']+)["']""")


def _holds(text: str, where: Mapping[str, str], extras: set[str]) -> bool:
    """Whether the requirement *text* holds where *extras* are asked for, all of them at once."""
    if _parsed(text).marker is None:
        return True
    return _evaluated(text, tuple(where.items()), frozenset(extras))


@cache
def _evaluated(text: str, where: tuple[tuple[str, str], ...], extras: frozenset[str]) -> bool:
    marker = _extra.sub(
        lambda found: f"os_name {'!=' if found[1] in extras else '=='} 'none'", str(_parsed(text).marker)
    )
    return Marker(marker).evaluate(dict(where))


def selections(packages: Packages) -> Iterator[Selection]:
    """Every way of choosing one version of every package."""
    names = sorted(packages)
    for versions in product(*(packages[name] for name in names)):
        yield dict(zip(names, versions, strict=True))


def satisfiable(packages: Packages, roots: Sequence[str], where: Mapping[str, str]) -> bool:
    """Whether anything fits in the environment *where*."""
    return any(needed(packages, roots, s, where) is not None for s in selections(packages))
