"""Wheels opened safely: everything is checked before a byte of them is written.

sdists have a module of their own (`pypm_store.sdist_archive`), which installing wheels never loads.

The rules, each with a name that `UnsafeArchive.rule` carries, are listed in this member's README.
"""

from __future__ import annotations

import re
from hashlib import new as new_hash
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from pypm_model.names import normalize
from pypm_model.patterns import pattern
from pypm_model.records import NamedTuple, record
from pypm_model.versions import InvalidVersion, sort_key
from pypm_store.archive_rules import (
    DEFAULT_LIMITS,
    Limits,
    UnsafeArchive,
    check_collisions,
    check_script_name,
)
from pypm_store.entry_points import EntryPoint, read_entry_points
from pypm_store.wheel_record import Recorded, read_record
from pypm_store.zip_reader import ZipEntry, ZipReader

__all__ = [
    "DEFAULT_LIMITS",
    "Limits",
    "Placed",
    "UnsafeArchive",
    "WheelArchive",
    "WheelName",
    "read_wheel_name",
]

_dist_info = pattern(r"(?P<name>[^/]+?)-(?P<version>[^/-]+)\.dist-info")
_SIGNATURES = ("RECORD.jws", "RECORD.p7s")
_ROOMS = {"purelib": "site", "platlib": "site", "scripts": "scripts", "headers": "headers", "data": "data"}


@record
class WheelName:
    """What a wheel's file name says: ``name-version(-build)?-python-abi-platform(-anything)?.whl``."""

    name: str
    version: str
    tag: str
    """``py3-none-any``, as written."""


def read_wheel_name(filename: str) -> WheelName:
    """The parts of a wheel's file name. Raises `UnsafeArchive` if it is none.

    A part after the platform (PEP 817's variants) is skipped: nothing here depends on it.
    """
    parts = filename.removesuffix(".whl").split("-")
    if not filename.endswith(".whl") or not 5 <= len(parts) <= 7 or "" in parts:
        raise UnsafeArchive(filename, "file-name", detail="it is not named like a wheel")
    first = 3 if len(parts) > 5 and parts[2][0].isdigit() else 2
    if len(parts) < first + 3:
        raise UnsafeArchive(filename, "file-name", detail="it is not named like a wheel")
    return WheelName(parts[0], parts[1], "-".join(parts[first : first + 3]))


class Placed(NamedTuple):
    """One file of a wheel and where in a tree it goes."""

    room: str
    """``site``, ``scripts``, ``data`` or ``headers``."""
    path: str
    """Below the room."""
    entry: ZipEntry
    recorded: Recorded | None
    """Digest and size by RECORD; None for RECORD itself and its signatures."""


class WheelArchive:
    """A wheel that keeps all rules that can be checked without unpacking it.

    Contents are checked while they are read (`read`): CRC, declared size, and RECORD's hash.
    """

    def __init__(self, path: Path, *, filename: str | None = None, limits: Limits = DEFAULT_LIMITS) -> None:
        """Opens the wheel at *path*, whose name as a wheel is *filename* (default: the path's own).

        Raises `UnsafeArchive`, or OSError if the file cannot be read.
        """
        self.filename = path.name if filename is None else filename
        named = read_wheel_name(self.filename)
        self._zip = ZipReader(path, name=self.filename, limits=limits)
        try:
            entries = {entry.path: entry for entry in self._zip.entries}
            check_collisions(self.filename, entries)
            self.info = self._find_info(entries, named)
            """The name of the .dist-info folder."""
            match = _dist_info.fullmatch(self.info)
            assert match is not None
            self.name, self.version = match["name"], match["version"]
            for needed in ("METADATA", "WHEEL", "RECORD"):
                if f"{self.info}/{needed}" not in entries:
                    raise UnsafeArchive(self.filename, "incomplete", f"{self.info}/{needed}", "it is missing")
            self.purelib, self.tags = self._read_wheel(entries)
            self.placed = self._place(entries)
            """All files, in the order of the archive."""
            points = entries.get(f"{self.info}/entry_points.txt")
            text = "" if points is None else self._text(points)
            self.entry_points: tuple[EntryPoint, ...] = read_entry_points(self.filename, text)
        except BaseException:
            self._zip.close()
            raise

    def read(self, placed: Placed) -> bytes:
        """The file's content, checked in every way. May be called from several threads at once."""
        data = self._zip.read(placed.entry)
        recorded = placed.recorded
        if recorded is not None:
            if recorded.algorithm == "sha256":
                digest = sha256(data).digest()
            else:
                digest = new_hash(recorded.algorithm, data).digest()
            if digest != recorded.digest or (recorded.size is not None and recorded.size != len(data)):
                raise UnsafeArchive(
                    self.filename,
                    "record-mismatch",
                    placed.entry.path,
                    "RECORD has another hash or size for it",
                )
        return data

    def metadata(self) -> str:
        """The METADATA file's text; what is not UTF-8 in it is replaced."""
        return next(self._text(one.entry) for one in self.placed if one.entry.path == f"{self.info}/METADATA")

    def close(self) -> None:
        """Lets go of the file."""
        self._zip.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _text(self, entry: ZipEntry) -> str:
        return self._zip.read(entry).decode(errors="replace")

    def _find_info(self, entries: dict[str, ZipEntry], named: WheelName) -> str:
        found = sorted({top for path in entries if (top := path.partition("/")[0]).endswith(".dist-info")})
        if len(found) != 1:
            detail = "it has no .dist-info folder" if not found else f"it has {', '.join(found)}"
            raise UnsafeArchive(self.filename, "dist-info", detail=detail)
        match = _dist_info.fullmatch(found[0])
        if match is None or not _same(match["name"], match["version"], named):
            raise UnsafeArchive(self.filename, "dist-info", found[0], "it does not fit the file name")
        return found[0]

    def _read_wheel(self, entries: dict[str, ZipEntry]) -> tuple[bool, tuple[str, ...]]:
        """Root-Is-Purelib and the tags of the WHEEL file."""
        path = f"{self.info}/WHEEL"
        fields: dict[str, list[str]] = {}
        for line in self._text(entries[path]).splitlines():
            key, colon, value = line.partition(":")
            if colon:
                fields.setdefault(key.strip().lower(), []).append(value.strip())
        version = (fields.get("wheel-version") or [""])[0]
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)+", version):
            raise UnsafeArchive(self.filename, "wheel-version", path, f"{version!r} is no wheel version")
        if int(version.partition(".")[0]) > 1:
            raise UnsafeArchive(
                self.filename, "wheel-version", path, f"wheel version {version} is newer than pypm knows (1)"
            )
        purelib = (fields.get("root-is-purelib") or ["true"])[0].lower() == "true"
        return purelib, tuple(fields.get("tag", ()))

    def _place(self, entries: dict[str, ZipEntry]) -> tuple[Placed, ...]:
        own = f"{self.info}/RECORD"
        recorded = read_record(self.filename, own, self._text(entries[own]))
        unlisted = {own, *(f"{self.info}/{name}" for name in _SIGNATURES)}
        for path in recorded.keys() - entries.keys():
            # Some tools list the signature files, or folders, that are not there: nothing is missing.
            if path not in unlisted and not path.endswith("/"):
                raise UnsafeArchive(
                    self.filename, "record-extra", path, "RECORD lists it, but it is not there"
                )
        data_root = self.info.removesuffix(".dist-info") + ".data/"
        placed: list[Placed] = []
        for path, entry in entries.items():
            row = None
            if path not in unlisted:
                row = recorded.get(path)
                if row is None:
                    raise UnsafeArchive(self.filename, "record-missing", path, "RECORD does not list it")
            if path.startswith(data_root):
                key, slash, below = path[len(data_root) :].partition("/")
                room = _ROOMS.get(key)
                if room is None or not slash:
                    raise UnsafeArchive(self.filename, "data-folder", path, "no place is known for it")
                if room == "scripts":
                    check_script_name(self.filename, below, path)
            else:
                room, below = "site", path
            placed.append(Placed(room, below, entry, row))
        merged = [one for one in placed if one.room == "site" and one.entry.path.startswith(data_root)]
        if merged:
            # What lies in two places in the wheel may meet in the tree.
            check_collisions(self.filename, [one.path for one in placed if one.room == "site"])
        if any(one.path.partition("/")[0] == self.info for one in merged):
            raise UnsafeArchive(
                self.filename, "data-folder", self.info, "its .data folder writes to .dist-info"
            )
        return tuple(placed)


def _same(name: str, version: str, named: WheelName) -> bool:
    if normalize(name) != normalize(named.name):
        return False
    # In file names "-" of a local version is written "_".
    one, other = version.replace("_", "-"), named.version.replace("_", "-")
    if one == other:
        return True
    try:
        return sort_key(one) == sort_key(other)
    except InvalidVersion:
        return False
