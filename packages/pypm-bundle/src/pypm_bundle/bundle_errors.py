"""What can be wrong with a bundle, or with what one should be made of."""

from __future__ import annotations

from typing import ClassVar

from pypm_model.errors import PypmError


class BundleUnwritable(PypmError):
    """The archive cannot be written where it should be."""

    code: ClassVar[str] = "bundle-unwritable"
    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file} cannot be written: {self.reason}"


class BundleFormat(PypmError):
    """The archive's name ends in nothing that says how it is packed."""

    code: ClassVar[str] = "bundle-format"
    exit: ClassVar[int] = 2
    file: str

    def __str__(self) -> str:
        return f"{self.file}: a bundle is named *.tar.gz, *.tgz, *.tar.zst or *.zip"


class InterpreterNotMovable(PypmError):
    """The interpreter cannot be taken to another machine."""

    code: ClassVar[str] = "interpreter-not-movable"
    path: str
    reason: str

    def __str__(self) -> str:
        return f"the interpreter {self.path} cannot be put into a bundle: {self.reason}"

    @property
    def hint(self) -> str:
        return "choose another one with --python"


class BundleConflict(PypmError):
    """Two distributions have different files in one place."""

    code: ClassVar[str] = "bundle-conflict"
    path: str
    distributions: tuple[str, str]

    def __str__(self) -> str:
        first, second = self.distributions
        return f"{first} and {second} both have {self.path}, with different content"


class BundleDamaged(PypmError):
    """The bundle is not what was written: *files* are those that differ."""

    code: ClassVar[str] = "bundle-damaged"
    file: str
    faults: tuple[tuple[str, str], ...]
    """(path in the bundle, what is wrong with it)."""

    def __str__(self) -> str:
        path, reason = self.faults[0]
        if len(self.faults) == 1:
            return f"{self.file}: {path} {reason}"
        return f"{self.file} is damaged in {len(self.faults)} places"

    @property
    def story(self) -> tuple[tuple[str, tuple[()]], ...]:
        if len(self.faults) == 1:
            return ()
        shown = [(f"{path} {reason}", ()) for path, reason in self.faults[:20]]
        more = len(self.faults) - len(shown)
        return (*shown, *(((f"... and {more} more", ()),) if more else ()))


class NotABundle(PypmError):
    """The file is no bundle of pypm's."""

    code: ClassVar[str] = "not-a-bundle"
    exit: ClassVar[int] = 2
    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file} is no bundle: {self.reason}"
