"""What may be wrong with a sandbox that is asked for."""

from __future__ import annotations

from typing import ClassVar

from pypm_model.errors import PypmError


class BadPlace(PypmError):
    """A folder or file that was named for a sandbox cannot be used."""

    code: ClassVar[str] = "bad-place"
    exit: ClassVar[int] = 2
    option: str
    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.option} {self.path}: {self.reason}"


class NotExecutable(PypmError):
    """A sandbox's program is there, and cannot be run."""

    code: ClassVar[str] = "not-executable"
    exit: ClassVar[int] = 126
    command: str
    reason: str

    def __str__(self) -> str:
        return f"cannot run {self.command}: {self.reason}"


class NoProject(PypmError):
    """A sandbox is to show a project, and there is none here."""

    code: ClassVar[str] = "no-project"
    exit: ClassVar[int] = 2
    option: str

    def __str__(self) -> str:
        return f"{self.option} is about a workspace's files, and there is no workspace here"

    @property
    def hint(self) -> str:
        return "`pypm init` makes one"
