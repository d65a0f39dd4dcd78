"""Versions and requirements in words, true of the versions that are known."""

from __future__ import annotations

from pypm_model.requirements import Requirement
from pypm_resolver.package import Package

RUNS = 3
"""More runs of neighbouring versions than this are counted instead of listed."""


def of_versions(package: Package, mask: int, extra: str | None = None) -> str:
    """Which candidates *mask* holds: ``a 1.0``, ``a 1.0 to 1.9``, ``a 2.0 and later``, ``every version
    of a``; with *extra*, ``a[extra] 1.0`` and so on."""
    name = f"{package.name}[{extra}]" if extra else package.name
    mask &= package.every
    if not mask:
        return f"no version of {name}"
    if mask == package.every:
        if mask == 1:
            return f"{name} {package.versions[0]} (the only version)"
        return f"every version of {name}"
    runs = _runs(mask)
    if len(runs) > RUNS:
        lowest, highest = package.versions[runs[0][0]], package.versions[runs[-1][1]]
        return f"{mask.bit_count()} versions of {name} from {lowest} to {highest}"
    last = len(package.versions) - 1
    return f"{name} " + ", ".join(_run(package, first, end, last) for first, end in runs)


def _run(package: Package, first: int, end: int, last: int) -> str:
    if first == end:
        return package.versions[first]
    if end == last:
        return f"{package.versions[first]} and later"
    if first == 0:
        return f"{package.versions[end]} and earlier"
    return f"{package.versions[first]} to {package.versions[end]}"


def _runs(mask: int) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    bit = 0
    while mask >> bit:
        if mask >> bit & 1:
            if runs and runs[-1][1] == bit - 1:
                runs[-1] = (runs[-1][0], bit)
            else:
                runs.append((bit, bit))
        bit += 1
    return runs


def of_requirement(requirement: Requirement) -> str:
    """The requirement as one would write it, without its ``extra ==`` marker."""
    extras = f"[{','.join(requirement.extras)}]" if requirement.extras else ""
    clauses = sorted(
        requirement.specifier.split(","), key=lambda clause: (clause[:1] in "<!", clause[:1] == "!")
    )
    text = f"{requirement.name}{extras}{','.join(clauses)}"
    if requirement.url:
        text += f" @ {_plain(requirement.url)}"
    if requirement.marker and "extra" not in requirement.marker:
        text += f"; {requirement.marker}"
    return text


def _plain(url: str) -> str:
    """The address without user name and password."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
