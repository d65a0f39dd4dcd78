"""What a path in an archive must be like before a byte is written: rules of wheels and sdists alike."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from typing import ClassVar

from pypm_model.errors import PypmError
from pypm_model.patterns import pattern
from pypm_model.records import record

_plain = pattern(r"[\w+-][\w+.-]*(?:/[\w+-][\w+.-]*)*", re.ASCII)
"""Most paths: no need to look closer."""
_control = pattern(r"[\x00-\x1f\x7f]")
_drive = pattern(r"[A-Za-z]:")
_reserved = pattern(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\..*)?", re.IGNORECASE)
_interpreter = pattern(
    r"(?:python|pypy|graalpy|micropython)w?(?:[0-9]+(?:\.[0-9]+)*)?t?d?(?:\.exe)?", re.IGNORECASE
)
WINDOWS = os.name == "nt"


class UnsafeArchive(PypmError):
    """An archive breaks a rule that keeps it inside its own place, or is not what it says it is."""

    file: str
    """The archive's name."""
    rule: str
    """Kebab-case, documented: which rule."""
    entry: str = ""
    """The path in the archive, as it is written there; empty if the archive as a whole is meant."""
    detail: str = ""

    code: ClassVar[str] = "unsafe-archive"
    exit: ClassVar[int] = 1

    def __str__(self) -> str:
        where = f" at {self.entry!r}" if self.entry else ""
        return f"{self.file} is refused{where}: {self.detail or self.rule.replace('-', ' ')} ({self.rule})"

    @property
    def hint(self) -> str | None:
        return "the file may have been tampered with or made by a broken tool; report it to its publisher"


@record
class Limits:
    """How large an archive may become. The defaults leave room for every archive seen in the wild."""

    entries: int = 1_000_000
    total: int = 1 << 36
    """Bytes of all entries, unpacked."""
    ratio: int = 200
    """Unpacked bytes per byte of the archive, counted after *grace*."""
    grace: int = 64 << 20
    """Bytes that may be unpacked from an archive of any size."""

    def allowed(self, packed: int) -> int:
        """Bytes that an archive of *packed* bytes may unpack to."""
        return min(self.total, self.grace + self.ratio * packed)


DEFAULT_LIMITS = Limits()


def check_path(file: str, path: str, *, windows: bool = WINDOWS) -> None:
    """Raises `UnsafeArchive` unless *path* is a plain relative path with ``/`` between its parts.

    On every platform: not absolute, no drive, no backslash, no NUL or control character, no empty,
    ``.`` or ``..`` part. On Windows also no stream (``a:b``), no device name, no part that ends in a
    dot or space (which Windows drops, so that two paths become one).
    """
    if not windows and _plain.fullmatch(path):
        return
    if _control.search(path):
        raise UnsafeArchive(file, "control-character", path, "the path holds a NUL or control character")
    if "\\" in path:
        raise UnsafeArchive(file, "backslash", path, "the path holds a backslash")
    if path.startswith("/"):
        raise UnsafeArchive(file, "absolute-path", path, "the path is absolute")
    if _drive.match(path):
        raise UnsafeArchive(file, "drive", path, "the path names a drive")
    parts = path.split("/")
    if ".." in parts:
        raise UnsafeArchive(file, "parent-path", path, "the path leads out of its folder")
    if "" in parts or "." in parts:
        raise UnsafeArchive(file, "odd-path", path, "the path has an empty or '.' part")
    if windows:
        for part in parts:
            if ":" in part or part[-1] in ". " or _reserved.fullmatch(part):
                raise UnsafeArchive(file, "windows-name", path, f"Windows cannot have a file named {part!r}")


def fold(path: str) -> str:
    """*path* as the most forgiving file system sees it: without case and in one normal form."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def check_collisions(file: str, paths: Iterable[str]) -> None:
    """Raises `UnsafeArchive` if two of *paths* (of files) are one file on some file system, or if
    one is a folder of another."""
    seen: dict[str, str] = {}
    for path in paths:
        key = fold(path)
        if key in seen:
            raise UnsafeArchive(
                file, "collision", path, f"on some file systems it is the same file as {seen[key]!r}"
            )
        seen[key] = path
    folders: set[str] = set()
    for key in seen:
        folder = key.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    for key in folders & seen.keys():
        raise UnsafeArchive(file, "collision", seen[key], "it is a file and a folder at once")


def check_script_name(file: str, name: str, entry: str) -> None:
    """Raises `UnsafeArchive` unless *name* may stand in the folder of an environment's programs:
    one path part, no control characters, and not the name of an interpreter, which it would replace."""
    if not name or name in (".", "..") or "/" in name or "\\" in name or ":" in name or _control.search(name):
        raise UnsafeArchive(file, "script-name", entry, f"{name!r} cannot be the name of a script")
    if _interpreter.fullmatch(name):
        raise UnsafeArchive(
            file, "interpreter-name", entry, f"a script named {name!r} would stand in for the interpreter"
        )
