"""sdists unpacked safely: regular files and folders only, inside their own root, sizes bounded.

The members are checked here and written by plain file calls; `tarfile`'s own extraction and its
filters, which older patch releases can be talked around, are not used. A link to a file of the same
archive, which some old sdists have, is unpacked as a copy of that file; no link is ever made.
"""

from __future__ import annotations

import os
import posixpath
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from lzma import LZMAError
from pathlib import Path
from typing import IO

from pypm_store.archive_rules import (
    DEFAULT_LIMITS,
    Limits,
    UnsafeArchive,
    check_collisions,
    check_path,
)
from pypm_store.zip_reader import ZipReader

_CHUNK = 1 << 20
_FORMS = {
    ".tar.gz": "r:gz", ".tgz": "r:gz", ".tar.bz2": "r:bz2", ".tbz": "r:bz2", ".tar.xz": "r:xz", ".tar": "r:",
}  # fmt: skip


def unpack_sdist(
    path: Path, folder: Path, *, filename: str | None = None, limits: Limits = DEFAULT_LIMITS
) -> Path:
    """Unpacks the sdist at *path* into *folder* (made if missing, else empty); the folder of its one
    root (``folder/name-version``).

    *filename* (default: the path's own name) tells its form: ``.tar.gz``, ``.tgz``, ``.tar.bz2``,
    ``.tar.xz``, ``.tar`` or ``.zip``. Nothing is written unless all of its members are sound, except
    that broken compressed data is only found on the way. Raises `UnsafeArchive` or OSError.
    """
    name = path.name if filename is None else filename
    if name.endswith(".zip"):
        return _unpack_zip(path, folder, name, limits)
    for ending, mode in _FORMS.items():
        if name.endswith(ending):
            return _unpack_tar(path, folder, name, mode, limits)
    raise UnsafeArchive(name, "file-name", detail="it is not named like an sdist")


def _unpack_zip(path: Path, folder: Path, name: str, limits: Limits) -> Path:
    with ZipReader(path, name=name, limits=limits) as archive:
        root = _root(name, [entry.path for entry in archive.entries])
        for entry in archive.entries:
            _write(folder, entry.path, iter((archive.read(entry),)), entry.executable)
    return folder / root


def _unpack_tar(path: Path, folder: Path, name: str, mode: str, limits: Limits) -> Path:
    allowed = limits.allowed(path.stat().st_size)
    try:
        with tarfile.open(path, mode, encoding="utf-8", errors="surrogateescape") as archive:  # type: ignore[call-overload]
            members: list[tarfile.TarInfo] = []
            total = 0
            # One by one: a bomb is noticed before its table has been read to the end.
            for member in archive:
                _check_member(name, member)
                total += member.size
                if len(members) >= limits.entries:
                    raise UnsafeArchive(name, "too-many-entries", member.name)
                if total > allowed:
                    raise UnsafeArchive(
                        name, "too-large", member.name, "it unpacks to more than can be right"
                    )
                members.append(member)
            paths = [_plain(member.name) for member in members]
            regular = {one: member for one, member in zip(paths, members, strict=True) if member.isreg()}
            contents = [
                _content(name, one, member, regular) for one, member in zip(paths, members, strict=True)
            ]
            if sum(content.size for content in contents if content is not None) > allowed:
                raise UnsafeArchive(name, "too-large", detail="it unpacks to more than can be right")
            root = _root(name, [one for one, content in zip(paths, contents, strict=True) if content])
            for one, member in zip(paths, members, strict=True):
                if one and one.partition("/")[0] != root:
                    raise UnsafeArchive(
                        name, "several-roots", member.name, "it lies outside the one root folder"
                    )
            for one, content in zip(paths, contents, strict=True):
                if content is not None:
                    source = archive.extractfile(content)
                    assert source is not None
                    _write(folder, one, _read(source), bool(content.mode & 0o111))
    except (tarfile.TarError, EOFError, zlib.error, LZMAError) as error:
        raise UnsafeArchive(name, "bad-data", detail=f"it cannot be read: {error}") from error
    except OSError as error:
        # gzip and bz2 report broken data as an OSError without a number.
        if error.errno is None:
            raise UnsafeArchive(name, "bad-data", detail=f"it cannot be read: {error}") from error
        raise
    return folder / root


def _content(
    file: str, path: str, member: tarfile.TarInfo, regular: Mapping[str, tarfile.TarInfo]
) -> tarfile.TarInfo | None:
    """The regular file whose content is written at *path*: the member itself, or what a link leads to;
    None for a folder."""
    if member.isreg():
        return member
    if member.isdir():
        return None
    target = member.linkname
    if member.issym():
        target = posixpath.join(posixpath.dirname(path), target)
    found = regular.get(posixpath.normpath(_plain(target)))
    if found is None or target.startswith("/"):
        raise UnsafeArchive(file, "symlink", member.name, f"it is a link to {member.linkname!r}")
    return found


def _check_member(file: str, member: tarfile.TarInfo) -> None:
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise UnsafeArchive(file, "special-file", member.name, "it is no regular file or folder")
    if member.issparse():
        raise UnsafeArchive(file, "special-file", member.name, "it is a sparse file")
    try:
        member.name.encode()
    except UnicodeEncodeError as error:
        raise UnsafeArchive(file, "bad-name", repr(member.name), "its name is not UTF-8") from error
    plain = _plain(member.name)
    if plain or not member.isdir():
        check_path(file, plain)


def _plain(name: str) -> str:
    """*name* without the ``./`` that tar puts before everything when it is told to pack ``.``."""
    while name.startswith("./"):
        name = name[2:]
    return "" if name == "." else name


def _root(file: str, paths: list[str]) -> str:
    """The one folder all files lie in."""
    check_collisions(file, paths)
    roots = {path.partition("/")[0] for path in paths if "/" in path}
    loose = [path for path in paths if "/" not in path]
    if loose or len(roots) != 1:
        detail = (
            "it has files outside a root folder" if loose else f"it has {len(roots)} root folders, not one"
        )
        raise UnsafeArchive(file, "several-roots", loose[0] if loose else "", detail)
    return roots.pop()


def _read(source: IO[bytes]) -> Iterator[bytes]:
    while chunk := source.read(_CHUNK):
        yield chunk


def _write(folder: Path, path: str, content: Iterator[bytes], executable: bool) -> None:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    # O_EXCL: what is there already, also a link, is never written through.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(target, flags, 0o777 if executable else 0o666)
    with open(handle, "wb", closefd=True) as out:
        for chunk in content:
            out.write(chunk)
