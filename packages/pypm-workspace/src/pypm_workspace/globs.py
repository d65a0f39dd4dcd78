"""Patterns of ``members`` and ``exclude``, matched against folders relative to the root.

``*``, ``?`` and ``[...]`` stay within one folder name, ``**`` is any number of folders. A name that
starts with a dot is matched only by a pattern that does.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from fnmatch import translate
from functools import cache

from pypm_model.patterns import pattern

Segments = tuple[str, ...]
_magic = pattern(r"[*?\[]")
_absolute = pattern(r"[/\\]|[A-Za-z]:")


def segments(pattern: str) -> Segments:
    """The folder names of *pattern*; ``.`` and ``./`` are the root itself: no names."""
    text = posixpath.normpath(pattern.replace("\\", "/"))
    return tuple(part for part in text.split("/") if part not in ("", "."))


def is_absolute(pattern: str) -> bool:
    """Whether *pattern* starts at the file system's root or a drive."""
    return _absolute.match(pattern) is not None


def has_magic(segment: str) -> bool:
    """Whether *segment* stands for more than its own name."""
    return _magic.search(segment) is not None


@cache
def _compiled(segment: str) -> re.Pattern[str]:
    return re.compile(translate(segment))


def name_matches(segment: str, name: str) -> bool:
    """Whether one folder *name* fits one *segment* (not ``**``)."""
    if name.startswith(".") and not segment.startswith("."):
        return False
    return _compiled(segment).match(name) is not None


def matches(pattern: Segments, path: Segments) -> bool:
    """Whether *pattern* matches the whole *path*."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(
            matches(pattern[1:], path[n:])
            for n in range(len(path) + 1)
            if not any(name.startswith(".") for name in path[:n])
        )
    return bool(path) and name_matches(pattern[0], path[0]) and matches(pattern[1:], path[1:])


def covers(patterns: Iterable[Segments], path: Segments) -> bool:
    """Whether a pattern matches *path* or a folder above it: how ``exclude`` is meant."""
    return any(matches(pattern, path[:n]) for pattern in patterns for n in range(1, len(path) + 1))


def split(
    members: Iterable[str], exclude: Iterable[str]
) -> tuple[list[tuple[str, Segments]], list[Segments]]:
    """Patterns to include (as written, and parsed) and to exclude; ``!x`` among members excludes."""
    include = [(text, segments(text)) for text in members if not text.startswith("!")]
    out = [segments(text) for text in exclude]
    out += [segments(text[1:]) for text in members if text.startswith("!")]
    return include, out


def includes(members: Iterable[str], exclude: Iterable[str], path: str) -> bool:
    """Whether the folder *path* (relative, ``/``) is a member by these patterns."""
    include, out = split(members, exclude)
    folder = segments(path)
    return any(matches(pattern, folder) for _, pattern in include) and not covers(out, folder)
