"""One thing that a check found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pypm.ops.checks.subject import Subject
from pypm_model.errors import Place
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_workspace.edit import Target


@record
class Remedy:
    """One requirement more, or less, in one list of one manifest."""

    member: NormalizedName
    file: str
    target: Target
    requirement: str
    """Its name, where it is to be taken away."""
    removes: bool = False
    is_open: bool = False
    """Whether it gets a bound, at the version that is locked with it: none is locked yet for all Pythons of
    the member."""

    def to_json(self) -> dict[str, Any]:
        verb = "remove" if self.removes else "add"
        return {verb: self.requirement, "file": self.file, "table": self.table}

    @property
    def table(self) -> str:
        """The list, as a manifest names it."""
        match self.target.kind:
            case "extra":
                return f"project.optional-dependencies.{self.target.name}"
            case "group":
                return f"dependency-groups.{self.target.name}"
            case _:
                return "project.dependencies"


@record
class Finding:
    """What is wrong, and where."""

    code: str
    """The documented kebab-case name of the kind."""
    message: str
    """One line."""
    place: Place
    is_error: bool = True
    """False: worth a look, but nothing fails because of it."""
    remedy: Remedy | None = None
    """What `--fix` does about it."""

    is_open: bool = False
    """Whether something is wrong could not be told."""

    @property
    def level(self) -> str:
        """``error`` or ``warning``."""
        return "error" if self.is_error else "warning"

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "level": self.level,
            "message": self.message,
            "file": self.place.file,
            "line": self.place.line,
            "column": self.place.column,
        } | ({"fix": self.remedy.to_json()} if self.remedy else {})


Check = Callable[[Subject], Iterable[Finding]]
"""A check: reads, and changes nothing."""
