"""Finds what of another tool is in a folder, and reads it."""

from __future__ import annotations

import posixpath
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pypm.ops.importing.manifest import MANIFEST
from pypm.ops.importing.pdm import read_pdm, read_pdm_lock
from pypm.ops.importing.pipenv import read_pipfile, read_pipfile_lock
from pypm.ops.importing.poetry import read_poetry
from pypm.ops.importing.poetry_lock import read_poetry_lock
from pypm.ops.importing.pylock import read_pylock_pins
from pypm.ops.importing.records import CannotImport, Draft, Lost, Pins, Read, shaped
from pypm.ops.importing.requirements import groups_of, read_requirements
from pypm.ops.importing.uv_lock import read_uv_lock
from pypm.ops.world import LOCK
from pypm_model import requirement_text
from pypm_model.errors import PypmError
from pypm_model.records import record, replace
from pypm_model.requirement_text import InvalidRequirement

PIPFILE = "Pipfile"
REQUIREMENTS = "requirements"
LOCKS: dict[str, Callable[[str, str], Pins]] = {
    "uv.lock": read_uv_lock,
    "poetry.lock": read_poetry_lock,
    "pdm.lock": read_pdm_lock,
    "Pipfile.lock": read_pipfile_lock,
    "pylock.toml": read_pylock_pins,
}
_own = {"poetry": "poetry.lock", "pdm": "pdm.lock", "uv": "uv.lock"}


class NothingToImport(PypmError):
    """The folder has nothing of another tool's."""

    code: ClassVar[str] = "nothing-to-import"
    exit: ClassVar[int] = 2
    manifest: str = ""
    """The one that is here, and is good as it is."""

    def __str__(self) -> str:
        return "there is nothing to import here"

    @property
    def hint(self) -> str:
        if self.manifest:
            return f"{self.manifest} is good as it is: `pypm lock` locks it"
        return f"known are {', '.join(LOCKS)}, Pipfile, requirements.txt, Poetry's and PDM's pyproject.toml"


class NoManifest(PypmError):
    """A lock file has versions, and nothing says what is asked for."""

    code: ClassVar[str] = "no-manifest"
    exit: ClassVar[int] = 2
    file: str

    def __str__(self) -> str:
        return f"{self.file} has versions, but no pyproject.toml beside it says what is asked for"

    @property
    def hint(self) -> str:
        return "start one with `pypm init --no-package` and add what you need; then import the versions"


@record
class Found:
    """What the files of a folder say."""

    read: tuple[str, ...]
    """Files, in the order in which they were read."""
    draft: Draft | None
    """None: the manifest is good as it is."""
    pins: Pins | None
    lost: tuple[Lost, ...]
    is_project: bool = True
    """Whether something says what is asked for."""


@record
class Named:
    """Which files to look at."""

    requirements: tuple[tuple[str, str], ...] = ()
    """(path, group); an empty group is the project's own dependencies."""
    locks: tuple[str, ...] = ()
    """The first is read."""


def find(read: Read, names: Iterable[str], file: str | None) -> Found:
    """What there is to import: from *file*, or from the files *names* of the folder. The manifest is read in
    any case. Raises `NothingToImport`, `CannotImport`, `NoManifest`."""
    found = look(read, names, file)
    if found.draft is None and found.pins is None:
        raise NothingToImport(MANIFEST if found.is_project else "")
    if not found.is_project:
        raise NoManifest(found.pins.file if found.pins is not None else MANIFEST)
    return found


def files_for_import(folder: Path) -> list[str]:
    """The files of *folder* that `find` can be told of, those in a folder ``requirements`` among them."""
    names = [path.name for path in folder.iterdir() if path.is_file()]
    if (folder / REQUIREMENTS).is_dir():
        names += [
            f"{REQUIREMENTS}/{path.name}" for path in (folder / REQUIREMENTS).iterdir() if path.is_file()
        ]
    return names


def look(read: Read, names: Iterable[str], file: str | None) -> Found:
    """What `find` gives, also where that is nothing. Raises `CannotImport`."""
    document = _document(read(MANIFEST))
    there = sorted(names)
    named = shaped(MANIFEST, lambda: _asked_for(read, file) if file is not None else _there(there, document))
    draft, pins, others = shaped(MANIFEST, lambda: _draft(read, document, named))
    used = [each.file for each in (draft, pins) if each is not None]
    used += draft.read if draft is not None else ()
    if pins is None and named.locks:
        lock = named.locks[0]
        reader = LOCKS.get(posixpath.basename(lock), read_pylock_pins)
        pins = shaped(lock, lambda: reader(read(lock) or "", lock))
        used.append(lock)
        others += [Lost(other, "-", "is not read; name it to import it") for other in named.locks[1:]]
    lost = (*(draft.lost if draft else ()), *(pins.lost if pins else ()), *others)
    is_project = draft is not None or _says_what_it_wants(document)
    return Found(tuple(dict.fromkeys(used)), draft, pins, tuple(dict.fromkeys(lost)), is_project)


def _draft(
    read: Read, document: Mapping[str, Any], named: Named
) -> tuple[Draft | None, Pins | None, list[Lost]]:
    """The manifest in our words, if it must be converted or made, with the pins of requirements files."""
    tool = document.get("tool", {})
    if "poetry" in tool or "pdm" in tool or _says_what_it_wants(document):
        draft = shaped(MANIFEST, lambda: _converted(document, imported=read(LOCK) is not None))
        unread = [Lost(PIPFILE, "-", "is not read: the manifest says what is asked for")]
        others = unread if read(PIPFILE) is not None else []
        if named.locks or not named.requirements:
            return draft, None, others
        asked, pins = read_requirements(read, named.requirements)
        others += [*asked.lost, *_not_asked(document, asked, draft)]
        return _with_places(draft, asked), pins, others
    own = [
        Lost(name, "-", "tells how the project is built: that is not taken over, see [build-system]")
        for name in ("setup.py", "setup.cfg")
        if read(name) is not None
    ]
    pipfile = read(PIPFILE)
    if pipfile is not None:
        return shaped(PIPFILE, lambda: read_pipfile(pipfile, read=read)), None, own
    if named.requirements:
        return *read_requirements(read, named.requirements), own
    return None, None, []


def _with_places(draft: Draft | None, asked: Draft) -> Draft:
    """*draft* with the indexes, links and constraints that requirements files have beside it."""
    mine = draft or Draft(MANIFEST)
    return replace(
        mine,
        read=asked.read,
        indexes=(*mine.indexes, *asked.indexes),
        constraints=(*mine.constraints, *asked.constraints),
        find_links=(*mine.find_links, *asked.find_links),
    )


def _converted(document: Mapping[str, Any], *, imported: bool) -> Draft | None:
    tool = document.get("tool", {})
    if "poetry" in tool:
        return read_poetry(document, imported=imported)
    return read_pdm(document) if "pdm" in tool else None


def _says_what_it_wants(document: Mapping[str, Any]) -> bool:
    return "project" in document or "dependency-groups" in document or "uv" in document.get("tool", {})


def _asked_for(read: Read, file: str) -> Named:
    """*file* as the user names it."""
    path = posixpath.normpath(file.replace("\\", "/"))
    if read(path) is None:
        raise CannotImport(file, "there is no such file")
    name = posixpath.basename(path)
    if name.endswith((".txt", ".in")):
        return Named(requirements=((path, ""),))
    if name in LOCKS or (name.startswith("pylock.") and name.endswith(".toml")):
        return Named(locks=(path,))
    if path in (MANIFEST, PIPFILE):
        return Named()
    known = f"{', '.join(LOCKS)}, Pipfile, pyproject.toml and requirements files"
    raise CannotImport(file, f"is none of {known}")


def _there(names: list[str], document: Mapping[str, Any]) -> Named:
    """The files *names* that can be imported; of several locks first the one of the manifest's own tool."""
    # Where the manifest says what is asked for, a folder of requirements is somebody else's.
    own_only = _says_what_it_wants(document) or {"poetry", "pdm"} & document.get("tool", {}).keys()
    groups = groups_of(name for name in names if not (own_only and "/" in name))
    own = [lock for tool, lock in _own.items() if tool in document.get("tool", {})]
    locks = [name for name in dict.fromkeys([*own, *LOCKS]) if name in names]
    return Named(groups, tuple(locks))


def _not_asked(document: Mapping[str, Any], asked: Draft, converted: Draft | None) -> Iterator[Lost]:
    """What requirements files ask for and the manifest, which has the last word, does not."""
    project = document.get("project", {})
    lists = [project.get("dependencies", ()), *project.get("optional-dependencies", {}).values()]
    lists += document.get("dependency-groups", {}).values()
    if converted is not None:
        lists += [
            converted.dependencies,
            *(e for _, e in converted.extras),
            *(e for _, e in converted.groups),
        ]
    known = {_name(text) for texts in lists for text in texts if isinstance(text, str)}
    own = () if "dependencies" in project.get("dynamic", ()) else asked.dependencies
    for text in (*own, *(text for _, texts in asked.groups for text in texts)):
        if isinstance(text, str) and _name(text) not in known:
            yield Lost(asked.file, text, "the manifest does not ask for it; add it with `pypm add`")


def _name(text: str) -> str:
    try:
        return requirement_text.parse(text, lenient=True).name
    except InvalidRequirement:
        return text


def _document(text: str | None) -> Mapping[str, Any]:
    try:
        return tomllib.loads((text or "").removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        raise CannotImport(MANIFEST, f"not valid TOML: {error}") from None
