"""Which of the modules and packages at the head of a flat project its build backend puts into the wheel."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any

from pypm.ops.checks.tables import table_at, texts_in

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
    tool = table_at(manifest, "tool")
    match backend.partition(".")[0].partition(":")[0]:
        case "flit_core" | "flit":
            named = texts_in(table_at(table_at(tool, "flit"), "module").get("name")) or [module]
        case "hatchling":
            named = _of_hatch(table_at(table_at(tool, "hatch"), "build"), module)
        case "poetry":
            named = _of_poetry(table_at(tool, "poetry").get("packages"), module)
        case "pdm" if packages:
            build = table_at(table_at(tool, "pdm"), "build")
            named = texts_in(build.get("includes")) or sorted(packages)
        case "uv_build":
            named = texts_in(table_at(table_at(tool, "uv"), "build-backend").get("module-name")) or [module]
        case "setuptools" | "":
            named = _of_setuptools(table_at(tool, "setuptools"), heads)
        case _:
            return None
    firsts = {one.replace("/", ".").partition(".")[0].lower() for one in named}
    found = frozenset(head for head in heads if any(fnmatchcase(head.lower(), first) for first in firsts))
    return found or None


def _of_hatch(build: Mapping[str, Any], module: str) -> list[str]:
    wheel = table_at(table_at(build, "targets"), "wheel")
    for table in (wheel, build):
        if table.get("packages"):
            return texts_in(table["packages"])
        if any(key in table for key in ("only-include", "include", "force-include", "sources")):
            return []
    return [module]


def _of_poetry(packages: object, module: str) -> list[str]:
    if not packages:
        return [module]
    tables = packages if isinstance(packages, list) else []
    return [text for one in tables if isinstance(one, dict) for text in texts_in(one.get("include"))]


def _of_setuptools(table: Mapping[str, Any], heads: Collection[str]) -> list[str]:
    packages, modules = table.get("packages"), table.get("py-modules")
    if isinstance(packages, list) or (packages is None and modules):
        return [*texts_in(packages), *texts_in(modules)]
    find = table_at(table_at(table, "packages"), "find")
    include, exclude = texts_in(find.get("include")), texts_in(find.get("exclude"))
    if include or exclude:
        return [
            head
            for head in heads
            if any(fnmatchcase(head, one.partition(".")[0]) for one in include or ["*"])
            and not any(fnmatchcase(head, one) for one in exclude)
        ] + texts_in(modules)
    if packages is not None or "setup" in heads:
        return []
    return [head for head in heads if head not in _not_found]
