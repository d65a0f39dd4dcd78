"""A lock narrowed to one target, for a file that is carried there: Pyodide and WASI install nothing
themselves, and no environment of this machine is one of theirs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from pypm_model.artifacts import Artifact
from pypm_model.errors import PypmError
from pypm_model.lock_reach import covered, reach
from pypm_model.locks import Lock, LockedPackage, Root
from pypm_model.markers import (
    FALSE,
    Diagram,
    both,
    requires_python,
    text,
)
from pypm_model.markers.coverage import WheelsFor
from pypm_model.names import NormalizedName
from pypm_model.records import replace
from pypm_model.sources import GitSource, IndexSource, PathSource, UrlSource


class TargetNotCovered(PypmError):
    """The lock was made for other environments than *target*."""

    code: ClassVar[str] = "target-not-covered"
    target: str
    requires_python: str
    environments: tuple[str, ...]

    def __str__(self) -> str:
        only = " | ".join(self.environments)
        pythons = f"Python {self.requires_python}" if self.requires_python else ""
        return f"the lock does not cover {self.target}, only: {' and '.join(filter(None, [pythons, only]))}"

    @property
    def hint(self) -> str:
        return "add it to `environments` in pypm-workspace.toml and run `pypm lock`"


class NoFileForTarget(PypmError):
    """Packages that *target* needs and has no file of in the lock; at least one."""

    code: ClassVar[str] = "no-file-for-target"
    target: str
    packages: tuple[tuple[NormalizedName, str], ...]
    """Names and versions."""

    def __str__(self) -> str:
        names = ", ".join([f"{name} {version}".rstrip() for name, version in self.packages])
        return f"the lock has no file for {self.target} of {names}"

    @property
    def hint(self) -> str:
        return (
            "add it to `required-environments` in pypm-workspace.toml and run `pypm lock`: there it chooses "
            "versions that have one"
        )


def narrowed(lock: Lock, target: str, region: Diagram, roots: Sequence[Root]) -> Lock:
    """*lock* for the environments in *region* alone, which messages call *target*: with that marker, and of
    what *roots* need there only the files that can be used there.

    Where nothing is built, only wheels can. Raises `TargetNotCovered` and `NoFileForTarget`.
    """
    pythons = requires_python(lock.requires_python)
    inside = both(covered(lock), region)
    if inside == FALSE:
        raise TargetNotCovered(target, lock.requires_python, lock.environments)
    packages = list(lock.packages)
    lacking = []
    for position, where in reach(lock, roots).items():
        here = both(where, inside)
        if here == FALSE:
            continue
        package = packages[position]
        files = _usable(package, here)
        if files is None:
            lacking.append((package.name, package.version))
        else:
            packages[position] = replace(package, files=files)
    if lacking:
        raise NoFileForTarget(target, tuple(sorted(lacking)))
    marker = text(inside, pythons)
    return replace(lock, environments=(marker,) if marker else (), packages=tuple(packages))


def _usable(package: LockedPackage, where: Diagram) -> tuple[Artifact, ...] | None:
    """The files of *package* that can be used in *where*; None if there are none and some are needed."""
    usable = WheelsFor(where)

    def fits(filename: str) -> bool:
        return filename in usable if filename.endswith(".whl") else usable.is_built

    match package.source:
        case IndexSource():
            return tuple([file for file in package.files if fits(file.filename)]) or None
        case UrlSource(url=address):
            return package.files if fits(_filename(re.split(r"[?#]", address)[0])) else None
        case PathSource(path=path, sha256=digest) if digest:
            return package.files if fits(_filename(path)) else None
        case GitSource() if not usable.is_built:
            return None
        case _:
            return package.files


def _filename(path: str) -> str:
    return path.rpartition("/")[2]
