"""What a user wants to add: from words on a command line to a requirement and where it comes from."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from pypm.ops.world import World
from pypm_index.filenames import project_names
from pypm_model import requirement_text
from pypm_model.errors import Place, PypmError
from pypm_model.names import NormalizedName, is_valid
from pypm_model.records import record, replace
from pypm_model.requirement_text import InvalidRequirement
from pypm_model.requirements import Requirement
from pypm_model.sources import GitSource, PathSource, UrlSource, without_credentials
from pypm_workspace.direct_reference import direct_reference
from pypm_workspace.faults import Fault, InvalidManifest, nearest
from pypm_workspace.source_edit import Source
from pypm_workspace.toml_reading import read_toml
from pypm_workspace.workspace import Workspace

FILES = (".whl", ".tar.gz")
"""How the names of wheels and sdists end."""


class NotARequirement(PypmError):
    """What was to be added is no requirement."""

    code: ClassVar[str] = "not-a-requirement"
    exit: ClassVar[int] = 2
    text: str
    reason: str

    def __str__(self) -> str:
        return f"{self.text!r} is no requirement: {self.reason}"

    @property
    def hint(self) -> str:
        return (
            "write it like httpx, 'httpx>=0.28', 'name @ git+https://...' or ./folder; "
            "a member is added by its name"
        )


class NotASource(PypmError):
    """The place a requirement is said to come from cannot be used."""

    code: ClassVar[str] = "not-a-source"
    exit: ClassVar[int] = 2
    text: str
    reason: str
    remedy: str | None = None

    def __str__(self) -> str:
        return f"{self.text}: {self.reason}"

    @property
    def hint(self) -> str | None:
        return self.remedy


@record
class Origin:
    """Where the things to add come from, as options say it; empty: from wherever they come."""

    git: str = ""
    ref: tuple[str, str] | None = None
    """``branch``, ``tag`` or ``rev``, and which."""
    subdirectory: str = ""
    path: str = ""
    url: str = ""
    index: str = ""
    editable: bool = False


@record
class Wanted:
    """One requirement to add."""

    text: str
    """As it will be written, but for a bound."""
    requirement: Requirement
    source: Source | None = None
    """The entry of a table of sources; None: none is written."""
    folder: Path | None = None
    """Absolute: what the source's path is relative to the manifest for."""
    editable: bool = False

    @property
    def name(self) -> NormalizedName:
        """Of the project."""
        return self.requirement.name

    def source_in(self, folder: Path) -> Source | None:
        """The source as a manifest in *folder* (absolute) states it."""
        if self.folder is None:
            return self.source
        path = _relative(self.folder, folder)
        return {"path": path, "editable": True} if self.editable else {"path": path}


def wanted(
    world: World,
    workspace: Workspace,
    text: str,
    origin: Origin,
    *,
    raw: bool = False,
    targets: Collection[str] = (),
) -> Wanted:
    """What *text* means for the members named *targets*: a requirement; ``name @ address``; a folder,
    wheel or sdist; an address that ends in a file's name. The folder of a member is that member.

    With *raw* an address stays in the requirement. Raises `NotARequirement`, `NotASource`,
    `InvalidManifest` for a folder whose manifest cannot be used.
    """
    told = origin != Origin(editable=origin.editable)
    if _is_path(text) or _is_address(text):
        found = _from_path(world, workspace, text, text, origin) if _is_path(text) else _from_address(text)
    else:
        asked = parsed(text)
        if asked.url and not raw:
            found = _from_reference(world, workspace, text, asked, origin)
        elif origin.path:
            found = _from_path(world, workspace, origin.path, text, origin)
        else:
            return _checked_member(workspace, Wanted(text, asked, _table(workspace, origin)), targets)
        told = told and bool(asked.url)
    if told:
        raise NotASource(text, "it says where it comes from, and so do the options", "leave one of them out")
    return _checked_member(workspace, found, targets)


def _checked_member(workspace: Workspace, found: Wanted, targets: Collection[str]) -> Wanted:
    """*found*; a member's name means the member, so it has no other source."""
    if found.name not in workspace.by_name:
        return found
    if not found.requirement.extras and found.name in targets:
        raise NotASource(found.text, f"`{found.name}` would depend on itself")
    if found.source is not None:
        remedy = f"leave the source out: `pypm add {found.name}`"
        raise NotASource(found.text, f"`{found.name}` is a member of this workspace", remedy)
    # uv wants it said; pypm knows its members.
    return replace(found, source={"workspace": True}) if workspace.kind == "uv" else found


def parsed(text: str) -> Requirement:
    """The requirement *text* spells; raises `NotARequirement`."""
    try:
        return requirement_text.parse(text)
    except InvalidRequirement as error:
        raise NotARequirement(text, error.reason) from None


def _table(workspace: Workspace, origin: Origin) -> Source | None:
    """The source the options describe; None if they say nothing."""
    if origin.index:
        known = [index.name for index in workspace.indexes]
        if origin.index not in known:
            near = nearest(origin.index, known)
            file = workspace.settings.file or "pyproject.toml"
            raise NotASource(f"the index {origin.index!r}", f"{file} defines none of that name", near)
        return {"index": origin.index}
    if origin.git:
        found: dict[str, str | bool] = {"git": without_credentials(origin.git.removeprefix("git+"))}
        if origin.ref:
            found[origin.ref[0]] = origin.ref[1]
    elif origin.url:
        _check_address(origin.url)
        found = {"url": without_credentials(origin.url)}
    else:
        return None
    if origin.subdirectory:
        found["subdirectory"] = origin.subdirectory
    return found


def _from_reference(
    world: World, workspace: Workspace, text: str, asked: Requirement, origin: Origin
) -> Wanted:
    """``name[extras] @ address; marker``: the address goes to the table of sources."""
    head = text.partition("@")[0]
    marker = f"; {asked.marker}" if asked.marker else ""
    plain = head.strip() + marker
    try:
        source = direct_reference(asked.url, base=".", root="/")
    except ValueError as error:
        raise NotARequirement(text, str(error)) from None
    match source:
        case PathSource():
            path = urlsplit(asked.url).path if asked.url.startswith("file:") else asked.url
            return _from_path(world, workspace, path, plain, origin)
        case GitSource():
            address = without_credentials(asked.url.partition("#")[0])
            if source.ref:
                address = address.rpartition("@")[0]
            table = _git_table(address.removeprefix("git+"), source)
        case UrlSource():
            table = {"url": without_credentials(asked.url.partition("#")[0])}
            if source.sha256:
                table["url"] += f"#sha256={source.sha256}"
            if source.subdirectory:
                table["subdirectory"] = source.subdirectory
    return Wanted(plain, parsed(plain), table)


def _git_table(address: str, source: GitSource) -> dict[str, str]:
    told = {"git": address, "rev": source.ref, "subdirectory": source.subdirectory}
    return {key: value for key, value in told.items() if value}


def _from_address(text: str) -> Wanted:
    """An address alone: the file's name says the project's."""
    if text.startswith("git+"):
        raise NotARequirement(text, "the project's name is missing")
    _check_address(text)
    names = project_names(urlsplit(text).path.rpartition("/")[2])
    if len(names) != 1 or not is_valid(names[0]):
        raise NotARequirement(text, "the project's name is missing, and the address does not end in a file's")
    return Wanted(names[0], parsed(names[0]), {"url": without_credentials(text)})


def _from_path(world: World, workspace: Workspace, path: str, text: str, origin: Origin) -> Wanted:
    """A folder with a manifest, a wheel or an sdist; *text* is the requirement, or the path itself."""
    place, name = project_at(world, path)
    if not name and _is_path(text):
        raise _unnamed(path)
    asked = text if not _is_path(text) else name
    requirement = parsed(asked)
    if name and requirement.name != parsed(name).name:
        raise NotASource(path, f"that is the project {name!r}, not {str(requirement.name)!r}")
    member = _member_in(workspace, place)
    if member is not None:
        return Wanted(asked, requirement)
    return Wanted(asked, requirement, {"path": str(place)}, place, origin.editable)


def project_at(world: World, path: str) -> tuple[Path, str]:
    """(absolute path, project's name) of the folder with a manifest, the wheel or the sdist at *path*; the
    name is empty if a file's name does not say it. Raises `NotASource` and `InvalidManifest`."""
    place = Path(os.path.normpath(world.cwd / os.path.expanduser(path)))
    if place.is_dir():
        return place, _name_in(place, path)
    if not place.is_file():
        raise NotASource(path, "there is no such file or folder")
    names = project_names(place.name)
    return place, names[0] if len(names) == 1 else ""


def as_reference(world: World, text: str) -> str:
    """*text*, with the name of its project before it if it is a path or an address alone: ``name @ ...``.
    Raises what `wanted` raises."""
    if _is_path(text):
        place, name = project_at(world, text)
        if not name:
            raise _unnamed(text)
        return f"{name} @ {place.as_uri()}"
    return f"{_from_address(text).name} @ {text}" if _is_address(text) else text


def _unnamed(path: str) -> NotASource:
    return NotASource(path, "its name does not say which project it is", "write 'NAME @ PATH'")


def _name_in(folder: Path, shown: str) -> str:
    """The project's name in the manifest of *folder*; empty if only its build backend knows it."""
    file = folder / "pyproject.toml"
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise NotASource(shown, "there is no pyproject.toml in this folder") from None
    _, found = read_toml(data, f"{shown.rstrip('/')}/pyproject.toml")
    if isinstance(found, Fault):
        raise InvalidManifest((found,))
    project = found.get("project")
    name = project.get("name") if isinstance(project, Mapping) else None
    if not isinstance(name, str) or not is_valid(name):
        place = Place(f"{shown.rstrip('/')}/pyproject.toml")
        raise InvalidManifest((Fault(place, "there is no `name` in a [project] table"),))
    return name


def _member_in(workspace: Workspace, place: Path) -> NormalizedName | None:
    """The member whose folder *place* is."""
    root = os.path.realpath(workspace.root)
    path = os.path.relpath(os.path.realpath(place), root).replace(os.sep, "/")
    member = workspace.by_path.get(path)
    return None if member is None or member.is_virtual else member.name


def _is_path(text: str) -> bool:
    """Whether *text* is spelled as a path, or names a file."""
    is_file = text.endswith(FILES) and "://" not in text and "@" not in text
    return is_spelled_as_path(text) or is_file


def is_spelled_as_path(text: str) -> bool:
    """Whether *text* begins as paths do: ``.``, ``../x``, ``~/x``, ``C:\\x``."""
    return (
        text in (".", "..")
        or text.startswith(("./", "../", "~/", "/", ".\\", "..\\"))
        or text[1:3] in (":\\", ":/")
    )


def _relative(place: Path, folder: Path) -> str:
    try:
        return os.path.relpath(place, folder).replace(os.sep, "/")
    except ValueError:  # on another drive
        return place.as_posix()


def _is_address(text: str) -> bool:
    """Whether *text* is an address alone."""
    return "://" in text.partition(" ")[0] and "@" not in text.partition("://")[0]


def _check_address(url: str) -> None:
    if urlsplit(url).scheme not in ("http", "https"):
        raise NotASource(url, "it is no http or https address")
