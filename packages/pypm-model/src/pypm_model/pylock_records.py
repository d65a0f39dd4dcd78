"""Anyone's `pylock.toml` (PEP 751) as records, and what can be wrong with one."""

from __future__ import annotations

from typing import ClassVar

from pypm_model.errors import Place, PypmError
from pypm_model.names import NormalizedName
from pypm_model.records import record


class PylockInvalid(PypmError):
    """The file is no pylock file as PEP 751 has it."""

    code: ClassVar[str] = "pylock-invalid"
    exit: ClassVar[int] = 2
    file: str
    reason: str
    line: int | None = None

    def __str__(self) -> str:
        return f"{Place(self.file, self.line)}: {self.reason}"

    @property
    def places(self) -> tuple[Place, ...]:
        return (Place(self.file, self.line),)


class PylockTooNew(PypmError):
    """The file is of a major version that this pypm does not know."""

    code: ClassVar[str] = "pylock-too-new"
    exit: ClassVar[int] = 2
    file: str
    version: str

    def __str__(self) -> str:
        return f"{self.file} has lock-version {self.version}, this pypm reads 1"


class PylockUnsupported(PypmError):
    """A package comes from where pypm takes none."""

    code: ClassVar[str] = "pylock-unsupported"
    exit: ClassVar[int] = 2
    file: str
    package: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.package} {self.reason}"


class PylockNotCovered(PypmError):
    """The file is for some environments only, and this is none of them."""

    code: ClassVar[str] = "pylock-not-covered"
    file: str
    environments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file} is not for this environment, only for: {' | '.join(self.environments)}"


class PylockAmbiguous(PypmError):
    """Several entries of one package hold in this environment."""

    code: ClassVar[str] = "pylock-ambiguous"
    exit: ClassVar[int] = 2
    file: str
    package: str
    versions: tuple[str, ...]

    def __str__(self) -> str:
        told = ", ".join(version or "no version" for version in self.versions)
        return f"{self.file} has several entries of {self.package} for this environment: {told}"

    @property
    def hint(self) -> str:
        return "make the file again, or choose other extras and groups"


class PylockChoice(PypmError):
    """An extra or dependency group that the file does not offer."""

    code: ClassVar[str] = "pylock-choice"
    exit: ClassVar[int] = 2
    file: str
    kind: str
    name: str
    offered: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file} has no {self.kind} {self.name!r}"

    @property
    def hint(self) -> str:
        return f"it has {', '.join(self.offered)}" if self.offered else "it has none"


@record
class PylockFile:
    """A wheel, sdist or archive. At least one of *url* and *path* is there; *path* goes first."""

    name: str
    url: str
    path: str
    """Relative to the pylock file, with ``/``, or absolute."""
    size: int | None
    sha256: str
    subdirectory: str = ""
    """Of an archive."""


@record
class PylockFolder:
    """A source tree on this machine."""

    path: str
    editable: bool
    subdirectory: str


@record
class PylockCommit:
    """A commit in a git repository."""

    url: str
    path: str
    requested: str
    commit: str
    subdirectory: str


@record
class PylockPackage:
    """One entry: exactly one of *commit*, *folder*, *archive*, or files of a release."""

    name: NormalizedName
    version: str
    marker: str
    requires_python: str
    commit: PylockCommit | None = None
    folder: PylockFolder | None = None
    archive: PylockFile | None = None
    sdist: PylockFile | None = None
    wheels: tuple[PylockFile, ...] = ()


@record
class Pylock:
    """What the file says that an installer must know. What it says for people and for lockers (tool
    tables, indexes, dependencies, attestations, unknown keys) is left out."""

    file: str
    version: str
    environments: tuple[str, ...]
    requires_python: str
    extras: tuple[NormalizedName, ...]
    groups: tuple[NormalizedName, ...]
    default_groups: tuple[NormalizedName, ...]
    packages: tuple[PylockPackage, ...]
