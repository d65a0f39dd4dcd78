"""One thing that a check found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pypm.ops.tools import Tools
from pypm_model.errors import Place
from pypm_model.records import record
from pypm_workspace.workspace import Workspace


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
        }


Check = Callable[[Tools, Workspace], Iterable[Finding]]
"""A check: reads, and changes nothing."""
