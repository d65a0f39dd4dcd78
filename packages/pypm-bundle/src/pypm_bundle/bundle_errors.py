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


class BundleTooLarge(PypmError):
    """The archive would be larger than it may be."""

    code: ClassVar[str] = "bundle-too-large"
    file: str
    most: int
    """Bytes."""
    largest: tuple[tuple[str, int], ...] = ()
    """(what, bytes) of its largest parts."""

    def __str__(self) -> str:
        return f"{self.file} would be larger than {self.most} bytes"

    @property
    def story(self) -> tuple[tuple[str, tuple[()]], ...]:
        return tuple((f"{size:>12,} bytes are {what}", ()) for what, size in self.largest)


class GlibcTooNew(PypmError):
    """Something in the bundle needs a newer C library than the machine it is for has."""

    code: ClassVar[str] = "glibc-too-new"
    target: str
    culprits: tuple[tuple[str, str], ...]
    """(file in the bundle, the version it needs), the newest first."""

    def __str__(self) -> str:
        path, version = self.culprits[0]
        more = f", and {len(self.culprits) - 1} more need a newer one" if len(self.culprits) > 1 else ""
        return f"{path} needs glibc {version}, newer than {self.target}{more}"

    @property
    def story(self) -> tuple[tuple[str, tuple[()]], ...]:
        return tuple((f"{path} needs {version}", ()) for path, version in self.culprits[1:9])

    @property
    def hint(self) -> str:
        return "make the bundle on a system as old as the oldest it is for, or with an interpreter from there"


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
