"""What can be wrong with a workspace as a whole: each kind names both places."""

from __future__ import annotations

from typing import ClassVar

from pypm_model.errors import Place, PypmError


class NoWorkspace(PypmError):
    """No manifest was found from *folder* upwards, or *variable* names a folder without one."""

    code: ClassVar[str] = "no-workspace"
    exit: ClassVar[int] = 2
    folder: str
    variable: str | None = None
    passed_over: str | None = None
    """The folder of the nearest pyproject.toml, which only holds the settings of some tool."""

    def __str__(self) -> str:
        if self.variable:
            return (
                f"{self.variable} is set to {self.folder}, "
                "where there is no pypm-workspace.toml or pyproject.toml"
            )
        if self.passed_over is not None:
            return f"{self.passed_over}/pyproject.toml is no project: it has no [project]"
        return f"no pypm-workspace.toml or pyproject.toml in {self.folder} or any folder above"

    @property
    def hint(self) -> str:
        return (
            f"unset {self.variable} or point it to a workspace"
            if self.variable
            else "`pypm init` starts a project here"
            if self.passed_over in (None, self.folder)
            else "`pypm init` starts a project in the current folder"
        )


class UnusableFolder(PypmError):
    """A folder has a path that files and variables cannot say: no UTF-8, a line break, what separates the
    entries of PATH."""

    code: ClassVar[str] = "unusable-folder"
    exit: ClassVar[int] = 2
    folder: str
    reason: str
    """One clause about the path."""

    def __str__(self) -> str:
        return f"{self.folder!a} cannot be used: its path {self.reason}"

    @property
    def hint(self) -> str:
        return "rename or move the folder"


class MemberWithoutManifest(PypmError):
    """A `members` entry matched a folder that has no pyproject.toml (or does not exist)."""

    code: ClassVar[str] = "member-without-manifest"
    exit: ClassVar[int] = 2
    folder: str
    pattern: str
    place: Place
    exists: bool = True

    def __str__(self) -> str:
        what = "has no pyproject.toml" if self.exists else "does not exist"
        return f"{self.folder} {what} but is matched by `{self.pattern}` ({self.place})"

    @property
    def hint(self) -> str:
        return f"add {self.folder}/pyproject.toml, or add `{self.folder}` to `exclude`"

    @property
    def places(self) -> tuple[Place, ...]:
        return (Place(f"{self.folder}/pyproject.toml"), self.place)


class MemberOutsideRoot(PypmError):
    """A `members` entry leads out of the workspace's folder, by `..` or through a symbolic link."""

    code: ClassVar[str] = "member-outside-root"
    exit: ClassVar[int] = 2
    folder: str
    target: str
    pattern: str
    place: Place

    def __str__(self) -> str:
        through = f" (a link to {self.target})" if self.target != self.folder else ""
        return (
            f"member {self.folder}{through} is outside the workspace root; "
            f"`{self.pattern}` ({self.place}) leads there"
        )

    @property
    def hint(self) -> str:
        return "move it below the root, or use it as a path source"

    @property
    def places(self) -> tuple[Place, ...]:
        return (self.place, Place(self.folder))


class DuplicateMember(PypmError):
    """Two members bear one name (after normalisation)."""

    code: ClassVar[str] = "duplicate-member"
    exit: ClassVar[int] = 2
    name: str
    first: Place
    second: Place

    def __str__(self) -> str:
        return f"two members are named `{self.name}`: {self.first} and {self.second}"

    @property
    def hint(self) -> str:
        return "rename one of them, or add its folder to `exclude`"

    @property
    def places(self) -> tuple[Place, ...]:
        return (self.first, self.second)


class NarrowerSibling(PypmError):
    """A member depends on a sibling that does not support all of its Pythons."""

    code: ClassVar[str] = "narrower-sibling"
    exit: ClassVar[int] = 2
    member: str
    sibling: str
    requires_python: str
    sibling_requires_python: str
    asked: Place
    stated: Place
    """Where the sibling states its range."""
    own: Place
    """Where the member states its range."""

    def __str__(self) -> str:
        return (
            f"`{self.member}` (requires-python {self.requires_python or 'any'}, {self.own}) depends on "
            f"`{self.sibling}` ({self.asked}), which supports only {self.sibling_requires_python} "
            f"({self.stated})"
        )

    @property
    def hint(self) -> str:
        return (
            f"narrow requires-python of `{self.member}` to {self.sibling_requires_python}, "
            f"widen that of `{self.sibling}`, or put a python_version marker on the dependency"
        )

    @property
    def places(self) -> tuple[Place, ...]:
        return (self.asked, self.stated, self.own)


class ConflictingIndexes(PypmError):
    """Two manifests give one index name different addresses (not shown: they may hold secrets)."""

    code: ClassVar[str] = "conflicting-indexes"
    exit: ClassVar[int] = 2
    name: str
    first: Place
    second: Place

    def __str__(self) -> str:
        return f"index `{self.name}` has two addresses: {self.first} and {self.second}"

    @property
    def hint(self) -> str:
        return "give one of them another name"

    @property
    def places(self) -> tuple[Place, ...]:
        return (self.first, self.second)


class InvalidWorkspace(PypmError):
    """Several of the errors above at once."""

    code: ClassVar[str] = "invalid-workspace"
    exit: ClassVar[int] = 2
    errors: tuple[PypmError, ...]

    def __str__(self) -> str:
        more = len(self.errors) - 1
        return f"{self.errors[0]}; and {more} more error{'s' if more > 1 else ''}"

    @property
    def hint(self) -> str | None:
        return self.errors[0].hint

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(place for error in self.errors for place in error.places)

    @property
    def parts(self) -> tuple[PypmError, ...]:
        return self.errors


class UnknownMember(PypmError):
    """A selection names a member that does not exist."""

    code: ClassVar[str] = "unknown-member"
    exit: ClassVar[int] = 2
    spelling: str
    near: str | None = None

    def __str__(self) -> str:
        return f"no member is selected by `{self.spelling}`"

    @property
    def hint(self) -> str:
        return f"did you mean `{self.near}`?" if self.near else "`pypm ls` lists the members"
