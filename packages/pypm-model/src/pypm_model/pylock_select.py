"""What one environment takes from a `pylock.toml`: PEP 751's installation steps, up to the files."""

from __future__ import annotations

from collections.abc import Collection

from pypm_model import markers, specifiers
from pypm_model.environments import Environment
from pypm_model.lock_select import PythonNotCovered, python_release
from pypm_model.names import NormalizedName
from pypm_model.pylock_records import (
    Pylock,
    PylockAmbiguous,
    PylockChoice,
    PylockInvalid,
    PylockNotCovered,
    PylockPackage,
)


def choose(
    lock: Pylock,
    environment: Environment,
    *,
    extras: Collection[NormalizedName] = (),
    groups: Collection[NormalizedName] = (),
) -> tuple[PylockPackage, ...]:
    """The entries that hold in *environment* with *extras* and *groups*, one of a name, by name.

    Raises `PythonNotCovered`, `PylockNotCovered`, `PylockChoice`, `PylockAmbiguous`, and
    `PylockInvalid` for an entry that holds and names no source.
    """
    for kind, asked, offered in (
        ("extra", extras, lock.extras),
        # A default group need not be listed: the file itself asks for it.
        ("dependency group", groups, (*lock.groups, *lock.default_groups)),
    ):
        for name in sorted(set(asked) - set(offered)):
            raise PylockChoice(lock.file, kind, name, tuple(sorted(set(offered))))
    python = python_release(environment)
    if lock.requires_python and not specifiers.contains(lock.requires_python, python):
        raise PythonNotCovered(lock.file, lock.requires_python, environment.python)
    if lock.environments and not any(_holds(each, environment, (), ()) for each in lock.environments):
        raise PylockNotCovered(lock.file, lock.environments)
    found: dict[NormalizedName, PylockPackage] = {}
    for package in lock.packages:
        if not _holds(package.marker, environment, groups, extras):
            continue
        if package.requires_python and not specifiers.contains(package.requires_python, python):
            raise PythonNotCovered(package.name, package.requires_python, environment.python)
        other = found.setdefault(package.name, package)
        if other is not package:
            raise PylockAmbiguous(lock.file, package.name, (other.version, package.version))
        if not (package.commit or package.folder or package.archive or package.sdist or package.wheels):
            raise PylockInvalid(lock.file, f"{package.name}: no source is given")
    return tuple(found[name] for name in sorted(found))


def _holds(
    marker: str,
    environment: Environment,
    groups: Collection[NormalizedName],
    extras: Collection[NormalizedName],
) -> bool:
    return markers.evaluate(markers.parse(marker), environment.markers, groups, extras)
