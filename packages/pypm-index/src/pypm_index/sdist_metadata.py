"""What a source tree says of its dependencies without a build: PKG-INFO (PEP 643) or pyproject.toml.

Trusted are PKG-INFO of metadata 2.2 or later with no dependency field in ``Dynamic``, and a
``[project]`` table with dependencies, extras and Requires-Python all static (PEP 621: the backend may
not change them); a dynamic version is then taken from PKG-INFO, whatever its own version. Where both are
usable PKG-INFO counts: the backend wrote it. ``requires.txt`` of eggs is never trusted: it is
what one machine came to.
"""

from __future__ import annotations

import io
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any, TypeVar

from pypm_index.metadata_text import Headers, read
from pypm_model.zip_damage import ZIP_DAMAGE

_T = TypeVar("_T")

_MAX_TEXT = 16 << 20
_FIELDS = ("dependencies", "optional-dependencies", "requires-python")
_DAMAGE: tuple[type[Exception], ...] = (tarfile.TarError, *ZIP_DAMAGE)


class NotAnSdist(ValueError):
    """The file is no readable archive of a source tree; the text is one clause."""


def of_sdist(path: Path) -> Headers | None:
    """The static metadata in the sdist at *path*; None if only a build would tell.

    Only PKG-INFO and pyproject.toml of the top folder are read, nothing is unpacked. Raises
    `NotAnSdist`.
    """
    texts = _texts_of(path)
    return _best(texts.get("PKG-INFO"), texts.get("pyproject.toml"))


def text_of_sdist(path: Path) -> bytes:
    """PKG-INFO of the sdist at *path*, static or not; empty if it has none. Raises `NotAnSdist`."""
    return _texts_of(path).get("PKG-INFO", b"")


def of_beginning(data: bytes) -> Headers | None:
    """The static metadata in the sdist that begins with *data*; None if that is not enough to tell."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            _collect(archive, found)
    except _DAMAGE:
        pass  # the archive goes on where the bytes end
    return _best(found.get("PKG-INFO"), found.get("pyproject.toml"))


def of_folder(folder: Path) -> Headers | None:
    """The static metadata of the source tree in *folder*; None if only a build would tell.

    PKG-INFO is left aside: in a user's working tree it is an old copy.
    """
    try:
        text = (folder / "pyproject.toml").read_bytes()
    except OSError:
        return None
    return of_pyproject(text)


def of_unpacked(folder: Path) -> Headers | None:
    """The static metadata of an unpacked sdist or a checkout of one."""

    def text(name: str) -> bytes | None:
        try:
            return (folder / name).read_bytes()
        except OSError:
            return None

    return _best(text("PKG-INFO"), text("pyproject.toml"))


def of_pyproject(text: bytes, version: str = "") -> Headers | None:
    """The metadata that the ``[project]`` table fixes; None if it leaves any of it to the backend.

    *version* is taken for one that is dynamic, if it is known otherwise.
    """
    try:
        data = tomllib.loads(text.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None
    project = data.get("project")
    if not isinstance(project, dict):
        return None
    dynamic = project.get("dynamic", [])
    if not isinstance(dynamic, list) or any(field in dynamic for field in _FIELDS):
        return None
    return _headers(project, version)


def _headers(project: dict[str, Any], known_version: str) -> Headers | None:
    name, version = project.get("name"), project.get("version", known_version)
    requires_python = project.get("requires-python", "")
    dependencies = project.get("dependencies", [])
    extras = project.get("optional-dependencies", {})
    if not isinstance(name, str) or not isinstance(version, str) or not isinstance(requires_python, str):
        return None
    if not version:
        return None
    if not _texts(dependencies) or not isinstance(extras, dict):
        return None
    lines = list(dependencies)
    for extra, wanted in extras.items():
        if not _texts(wanted):
            return None
        lines += [_with_extra(line, extra) for line in wanted]
    return Headers("2.2", name, version, requires_python, tuple(lines), tuple(extras))


def _with_extra(line: str, extra: str) -> str:
    """*line* for the case that *extra* is asked for, as a backend writes it into Requires-Dist."""
    requirement, _, marker = line.partition(";")
    if " @ " in f" {requirement} ":
        # An address may hold a semicolon; a marker after one needs a blank before it.
        requirement, _, marker = line.partition(" ;")
    condition = f'extra == "{extra}"'
    marker = marker.strip()
    return f"{requirement.strip()} ; " + (f"({marker}) and {condition}" if marker else condition)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _best(pkg_info: bytes | None, pyproject: bytes | None) -> Headers | None:
    headers = read(pkg_info) if pkg_info is not None else None
    if headers is not None and headers.is_static:
        return headers
    if pyproject is None:
        return None
    return of_pyproject(pyproject, headers.version if headers is not None else "")


def _texts_of(path: Path) -> dict[str, bytes]:
    try:
        return _from_zip(path) if zipfile.is_zipfile(path) else _from_tar(path)
    except _DAMAGE as error:
        raise NotAnSdist(f"it cannot be read: {error}") from error


def _from_tar(path: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with tarfile.open(path) as archive:
        _collect(archive, found)
    return found


def _collect(archive: tarfile.TarFile, found: dict[str, bytes]) -> None:
    """Puts the two files into *found*, if they are regular ones directly below the top folder."""
    for member in archive:
        name = _wanted(member.name)
        if name and member.isreg() and name not in found:
            stream = archive.extractfile(_bounded(member, member.size))
            found[name] = stream.read() if stream is not None else b""
        if len(found) == 2:
            break


def _from_zip(path: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            name = _wanted(entry.filename)
            if name and name not in found:
                found[name] = archive.read(_bounded(entry, entry.file_size))
    return found


def _wanted(name: str) -> str:
    parts = name.removeprefix("./").split("/")
    return parts[1] if len(parts) == 2 and parts[1] in ("PKG-INFO", "pyproject.toml") else ""


def _bounded(member: _T, size: int) -> _T:
    if size > _MAX_TEXT:
        raise ValueError("its metadata is too large")
    return member
