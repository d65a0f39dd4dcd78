"""Which of the modules and packages at the head of a flat project its build backend puts into the wheel."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any

_not_found = (
    *("ci", "bin", "debian", "doc", "docs", "documentation", "manpages", "news", "newsfragments"),
    *("changelog", "test", "tests", "unit_test", "unit_tests", "example", "examples", "scripts", "tools"),
    *("util", "utils", "python", "build", "benchmark", "benchmarks", "exercise", "exercises", "htmlcov"),
    *("setup", "conftest", "toxfile", "noxfile", "pavement", "dodo", "tasks", "fabfile", "conanfile"),
    "manage",
)
"""What setuptools leaves out where nothing names the packages (its user guide, "Flat-layout")."""


def packaged(
    manifest: Mapping[str, Any], backend: str, name: str, heads: Collection[str], packages: Collection[str]
) -> frozenset[str] | None:
    """Those of *heads*, the names of modules and folders in the project's folder, that the wheel of the
    project *name* has; None where the settings of *backend* do not tell. *packages* are the heads that have
    an ``__init__``."""
    module = name.replace("-", "_")
    tool = _table(manifest, "tool")
    match backend.partition(".")[0].partition(":")[0]:
        case "flit_core" | "flit":
            named = _texts(_table(_table(tool, "flit"), "module").get("name")) or [module]
        case "hatchling":
            named = _of_hatch(_table(_table(tool, "hatch"), "build"), module)
        case "poetry":
            named = _of_poetry(_table(tool, "poetry").get("packages"), module)
        case "pdm" if packages:
            build = _table(_table(tool, "pdm"), "build")
            named = _texts(build.get("includes")) or sorted(packages)
        case "uv_build":
            named = _texts(_table(_table(tool, "uv"), "build-backend").get("module-name")) or [module]
        case "setuptools" | "":
            named = _of_setuptools(_table(tool, "setuptools"), heads)
        case _:
            return None
    firsts = {one.replace("/", ".").partition(".")[0].lower() for one in named}
    found = frozenset(head for head in heads if any(fnmatchcase(head.lower(), first) for first in firsts))
    return found or None


def _of_hatch(build: Mapping[str, Any], module: str) -> list[str]:
    wheel = _table(_table(build, "targets"), "wheel")
    for table in (wheel, build):
        if table.get("packages"):
            return _texts(table["packages"])
        if any(key in table for key in ("only-include", "include", "force-include", "sources")):
            return []
    return [module]


def _of_poetry(packages: object, module: str) -> list[str]:
    if not packages:
        return [module]
    tables = packages if isinstance(packages, list) else []
    return [text for one in tables if isinstance(one, dict) for text in _texts(one.get("include"))]


def _of_setuptools(table: Mapping[str, Any], heads: Collection[str]) -> list[str]:
    packages, modules = table.get("packages"), table.get("py-modules")
    if isinstance(packages, list) or (packages is None and modules):
        return [*_texts(packages), *_texts(modules)]
    find = _table(_table(table, "packages"), "find")
    include, exclude = _texts(find.get("include")), _texts(find.get("exclude"))
    if include or exclude:
        return [
            head
            for head in heads
            if any(fnmatchcase(head, one.partition(".")[0]) for one in include or ["*"])
            and not any(fnmatchcase(head, one) for one in exclude)
        ] + _texts(modules)
    if packages is not None or "setup" in heads:
        return []
    return [head for head in heads if head not in _not_found]


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = table.get(key)
    return found if isinstance(found, dict) else {}


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
