"""PDM: ``pdm.lock``, and the tables of ``[tool.pdm]`` that PEP 735 and pypm have words for."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from pypm.ops.importing.addresses import index_address
from pypm.ops.importing.records import Draft, Lost, NewIndex, Pins, Source, commit_of, pins_of
from pypm.ops.importing.toml_text import packages
from pypm_model import versions
from pypm_model.names import NormalizedName, is_valid, normalize
from pypm_model.patterns import pattern
from pypm_model.requests import Preference
from pypm_model.requirement_text import InvalidRequirement, parse, to_text
from pypm_model.sources import GitSource

CONVERTED = ("dev-dependencies", "source")
"""Keys of ``[tool.pdm]`` that are replaced; the others stay where they are."""
_here = pattern(
    r"(?P<name>[\w.-]+)(?P<extras>\s*\[[^\]]*\])?\s*@\s*file:///\$\{PROJECT_ROOT\}/(?P<path>[^;\s#]+)"
)
"""A dependency in a folder of the project."""


def read_pdm_lock(text: str, file: str = "pdm.lock") -> Pins:
    """The versions it has from indexes."""
    found: dict[NormalizedName, list[Preference]] = {}
    hashes: dict[NormalizedName, list[str]] = {}
    commits: dict[NormalizedName, list[GitSource]] = {}
    sdists = []
    lost = []
    for package in packages(text, file):
        name, version = package["name"], package.get("version")
        kind = next((key for key in ("git", "url", "path") if key in package), "")
        if kind == "path":
            continue
        said = (str(package.get(key, "")) for key in ("git", "ref", "revision", "subdirectory"))
        if kind == "git" and (commit := commit_of(*said)) is not None:
            commits.setdefault(normalize(name), []).append(commit)
            continue
        if kind:
            lost.append(Lost(file, f"package.{name}", f"is from {kind}: what is there now is locked"))
        elif isinstance(version, str):
            marker = package.get("marker", "")
            found.setdefault(normalize(name), []).append(Preference(version, marker=str(marker)))
            files = package.get("files", ())
            hashes.setdefault(normalize(name), []).extend(each.get("hash", "") for each in files)
            places = [str(each.get("file") or each.get("url", "")) for each in files]
            if files and not any(place.partition("#")[0].endswith(".whl") for place in places):
                sdists.append(normalize(name))
    several = {name: each for name, each in found.items() if len({one.version for one in each}) > 1}
    # One version has an entry for each set of extras, and is for everywhere its name is asked for.
    found |= {name: [Preference(each[0].version)] for name, each in found.items() if name not in several}
    return pins_of(file, found, lost, hashes, commits, sdists)


def read_pdm(document: Mapping[str, Any], file: str = "pyproject.toml") -> Draft | None:
    """What of ``[tool.pdm]`` is to be written otherwise; None if nothing is."""
    table: Mapping[str, Any] = document["tool"]["pdm"]
    lost: list[Lost] = []
    tasks = tuple(_tasks(table.get("scripts", {}), file, lost))
    groups: list[tuple[str, tuple[str, ...]]] = []
    sources: dict[str, tuple[Source, ...]] = {}
    for group, entries in table.get("dev-dependencies", {}).items():
        texts = []
        for entry in entries:
            editable = re.fullmatch(r"-e\s+(?:file:///\$\{PROJECT_ROOT\}/)?(.+?)#egg=([\w.-]+)", entry)
            if editable is None:
                texts.append(_named(entry, sources))
            elif "://" in editable[1]:
                lost.append(Lost(file, f"tool.pdm.dev-dependencies.{group}", f"{entry!r} is left out"))
            else:
                texts.append(editable[2])
                sources[editable[2]] = ({"path": editable[1], "editable": True},)
        groups.append((normalize(group), tuple(texts)))
    respelled = tuple(_respelled(document.get("project", {}), sources))
    indexes = []
    for entry in table.get("source", ()):
        name = str(entry.get("name", ""))
        url, reason = index_address(str(entry.get("url", "")))
        if reason:
            lost.append(Lost(file, f"tool.pdm.source.{name}", reason))
        if entry.get("type") == "find_links":
            lost.append(Lost(file, f"tool.pdm.source.{name}", "write it as [resolution] find-links"))
            continue
        only = [str(each) for each in entry.get("include_packages", ())]
        for each in only:
            if _is_name(each):
                sources.setdefault(normalize(each), ({"index": name},))
            else:
                why = f"{each!r} is left out: [sources] names each package that comes from an index"
                lost.append(Lost(file, f"tool.pdm.source.{name}.include_packages", why))
        if entry.get("exclude_packages"):
            why = "is left out: say of the packages in [sources] which index they come from"
            lost.append(Lost(file, f"tool.pdm.source.{name}.exclude_packages", why))
        indexes.append(NewIndex(name, url, explicit=bool(only), default=name == "pypi"))
    resolution = table.get("resolution", {})
    overrides = []
    for name, wanted in resolution.get("overrides", {}).items():
        text = _override(str(name), str(wanted))
        if text:
            overrides.append(text)
        else:
            key = f"tool.pdm.resolution.overrides.{name}"
            lost.append(Lost(file, key, f"{wanted!r} is left out: an override is a range of versions"))
    excludes = tuple(normalize(str(name)) for name in resolution.get("excludes", ()))
    # PDM installs all of them unless told otherwise.
    installed: list[str] = [normalize(str(name)) for name in document.get("dependency-groups", {})]
    installed += [name for name, _ in groups if name not in installed]
    default_groups = None if set(installed) <= {"dev"} else tuple(installed)
    # A project that is not distributed is not built either.
    package = False if table.get("distribution") is False and "build-system" in document else None
    said = groups or indexes or lost or overrides or excludes or default_groups or respelled or tasks
    if not said and package is None:
        return None
    return Draft(
        file=file,
        groups=tuple(groups),
        sources=tuple(sources.items()),
        respelled=respelled,
        default_groups=default_groups,
        tasks=tasks,
        package=package,
        indexes=tuple(indexes),
        overrides=tuple(overrides),
        excludes=excludes,
        lost=tuple(lost),
    )


def _named(text: str, sources: dict[str, tuple[Source, ...]]) -> str:
    """The requirement *text* without the folder it has after its name, which goes to *sources*."""
    match = _here.match(text)
    if match is None:
        return text
    name = match["name"]
    sources[name] = ({"path": match["path"]},)
    return f"{name}{(match['extras'] or '').strip()}{text[match.end() :].rstrip()}"


def _respelled(
    project: Mapping[str, Any], sources: dict[str, tuple[Source, ...]]
) -> Iterator[tuple[str, str]]:
    """Requirements of ``[project]`` and how they are to be written."""
    for texts in (project.get("dependencies", ()), *project.get("optional-dependencies", {}).values()):
        for text in texts:
            found = _named(text, sources)
            if found != text:
                yield text, found


def _tasks(scripts: Mapping[str, Any], file: str, lost: list[Lost]) -> Iterator[tuple[str, str]]:
    """The scripts that are one command; the others, and what is set for them, are told."""
    for name, script in scripts.items():
        key = f"tool.pdm.scripts.{name}"
        command = script.get("cmd") if isinstance(script, Mapping) else script
        if name == "_":
            lost.append(Lost(file, key, "is for pdm alone: tasks have an `env` of their own"))
        elif isinstance(command, str | list) and is_valid(name):
            more = sorted(script.keys() - {"cmd", "help"}) if isinstance(script, Mapping) else []
            if more:
                lost.append(Lost(file, key, f"its {', '.join(more)} is for pdm alone"))
            yield name, command if isinstance(command, str) else shlex.join(map(str, command))
        else:
            lost.append(Lost(file, key, "is for pdm alone: write a command as [tool.pypm.tasks]"))


def _is_name(text: str) -> bool:
    try:
        return parse(text) == parse(normalize(text))
    except InvalidRequirement:
        return False


def _override(name: str, wanted: str) -> str:
    """The requirement on *name* with a range, or a version, as PDM writes it; empty if that is none."""
    specifier = "" if wanted == "*" else f"=={wanted}" if versions.is_valid(wanted) else wanted
    try:
        return to_text(parse(f"{name}{specifier}"))
    except InvalidRequirement:
        return ""
