"""``pypm check``: everything that should hold in a workspace and that nothing else enforces."""

from __future__ import annotations

from typing import Any, ClassVar

from pypm.ops.checks.boundaries import boundaries
from pypm.ops.checks.catalog import catalog
from pypm.ops.checks.finding import Check, Finding, Remedy
from pypm.ops.checks.imports import imports
from pypm.ops.checks.lock import lock
from pypm.ops.checks.pythons import pythons
from pypm.ops.checks.subject import Subject
from pypm.ops.checks.unused import unused
from pypm.ops.opening import open_workspace
from pypm.ops.toolbox import open_tools
from pypm.ops.world import World
from pypm_model.errors import PypmError
from pypm_model.records import record
from pypm_workspace.faults import nearest

CHECKS: dict[str, Check] = {
    "boundaries": boundaries,
    "catalog": catalog,
    "imports": imports,
    "lock": lock,
    "pythons": pythons,
    "unused": unused,
}
"""By the name the user says."""


_FEW = 12
"""Checks that are all named in an error."""


class UnknownCheck(PypmError):
    """There is no check of that name."""

    code: ClassVar[str] = "unknown-check"
    exit: ClassVar[int] = 2
    name: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        only = f", only {', '.join(self.known)}" if len(self.known) <= _FEW else ""
        return f"there is no check {self.name!r}{only}"

    @property
    def hint(self) -> str | None:
        near = nearest(self.name, self.known)
        return near or ("`pypm doctor --list` tells them" if len(self.known) > _FEW else None)


@record
class CheckReport:
    """What was found, by check and then in the order of the files."""

    root: str
    """Of the workspace, absolute."""
    checks: tuple[str, ...]
    findings: tuple[tuple[str, Finding], ...]
    """(check, finding)"""
    fixed: tuple[Remedy, ...] = ()
    """What was changed in manifests before this was found."""
    refused: tuple[tuple[Remedy, PypmError], ...] = ()
    """What was not, since it cannot be locked with the rest, and why."""

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(finding.is_error for _, finding in self.findings)

    @property
    def open(self) -> int:
        """How many findings are of what could not be looked into."""
        return sum(finding.is_open for _, finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        fixed = {"fixed": [remedy.to_json() for remedy in self.fixed]} if self.fixed else {}
        refused = [{**remedy.to_json(), "reason": str(error)} for remedy, error in self.refused]
        return {
            "checks": list(self.checks),
            "errors": self.errors,
            "warnings": len(self.findings) - self.errors,
            "open": self.open,
            "findings": [{"check": check, **finding.to_json()} for check, finding in self.findings],
            **fixed,
            **({"not-fixed": refused} if refused else {}),
        }


def check(world: World, names: tuple[str, ...] = ()) -> CheckReport:
    """Runs the checks *names*, or all. Nothing is changed in the workspace; an index is asked only for wheels
    that may have what is imported and that nobody has unpacked here."""
    unknown = next((name for name in names if name not in CHECKS), None)
    if unknown is not None:
        raise UnknownCheck(unknown, tuple(CHECKS))
    chosen = tuple(name for name in CHECKS if not names or name in names)
    workspace = open_workspace(world)
    with open_tools(world, workspace) as tools:
        subject = Subject(tools, workspace)
        # What several have to say is said once.
        found: dict[Finding, str] = {}
        for name in chosen:
            for finding in sorted(CHECKS[name](subject), key=_by_place):
                found.setdefault(finding, name)
    return CheckReport(workspace.root, chosen, tuple((name, finding) for finding, name in found.items()))


def _by_place(finding: Finding) -> tuple[str, int, int, str]:
    place = finding.place
    return place.file, place.line or 0, place.column or 0, finding.message
