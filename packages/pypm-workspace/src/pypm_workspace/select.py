"""Members chosen by what a user spells, the same in every command.

====================  =========================================================
``NAME``, ``core-*``  the member, or all whose names match
``a/path``, ``.``     the member in that folder, or all below it
``NAME...``           with everything it depends on
``...NAME``           with everything that depends on it
``NAME^...``          only what it depends on; ``...^NAME`` likewise
``!NAME``             not this one (after all others)
====================  =========================================================
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from fnmatch import translate

from pypm_model import names
from pypm_model.names import NormalizedName
from pypm_workspace.configuration import Member
from pypm_workspace.errors import UnknownMember
from pypm_workspace.faults import nearest
from pypm_workspace.globs import has_magic, matches, segments
from pypm_workspace.workspace import Workspace


def select(workspace: Workspace, spellings: Sequence[str], *, folder: str = ".") -> tuple[Member, ...]:
    """The members that *spellings* choose together, sorted by name; all if there are none.

    *folder* is the current folder relative to the root: paths are relative to it. Edges of every
    kind count as dependence. Raises `UnknownMember`.
    """
    if not spellings:
        return workspace.members
    wanted = [text for text in spellings if not text.startswith("!")]
    chosen = {member.name for member in workspace.members} if not wanted else set()
    for text in wanted:
        chosen |= _one(workspace, text, folder)
    for text in spellings:
        if text.startswith("!"):
            chosen -= _one(workspace, text[1:], folder)
    return tuple(member for member in workspace.members if member.name in chosen)


def member_at(workspace: Workspace, folder: str) -> Member | None:
    """The member whose folder holds *folder* (relative to the root), the innermost one."""
    path = posixpath.normpath(folder)
    while path not in workspace.by_path:
        if path in (".", "", "/") or path.startswith(".."):
            return None
        path = posixpath.dirname(path) or "."
    return workspace.by_path[path]


def _one(workspace: Workspace, spelling: str, folder: str) -> set[NormalizedName]:
    text = spelling
    up = text.startswith("...")
    text = text.removeprefix("...")
    down = text.endswith("...")
    text = text.removesuffix("...")
    others_only = (up and text.startswith("^")) or (down and text.endswith("^"))
    text = text.strip("^")
    start = _named(workspace, text, folder)
    if not start:
        known = [member.name for member in workspace.members]
        near = nearest(names.normalize(text), known)
        raise UnknownMember(spelling, near.split("`")[1] if near else None)
    found = set(start)
    if down:
        found |= reach(start, ((edge.parent, edge.child) for edge in workspace.edges))
    if up:
        found |= reach(start, ((edge.child, edge.parent) for edge in workspace.edges))
    return found - start if others_only else found


def reach(
    start: Iterable[NormalizedName], pairs: Iterable[tuple[NormalizedName, NormalizedName]]
) -> set[NormalizedName]:
    """*start* and everything that can be reached from it along *pairs*."""
    following: dict[NormalizedName, list[NormalizedName]] = {}
    for one, other in pairs:
        following.setdefault(one, []).append(other)
    found = set(start)
    waiting = list(found)
    while waiting:
        for name in following.get(waiting.pop(), ()):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def _named(workspace: Workspace, text: str, folder: str) -> set[NormalizedName]:
    text = text.replace("\\", "/")
    if text in (".", "..") or "/" in text:  # as no name has one
        path = posixpath.normpath(posixpath.join(folder, text))
        if path in workspace.by_path:
            return {workspace.by_path[path].name}
        pattern = segments(path)
        below = "" if path == "." else path + "/"
        return {
            member.name
            for member in workspace.members
            if (
                member.path.startswith(below)
                if not has_magic(path)
                else matches(pattern, segments(member.path))
            )
        }
    if has_magic(text):
        pattern_text = re.compile(translate(re.sub(r"[-_.]+", "-", text.lower())))
        return {member.name for member in workspace.members if pattern_text.match(member.name)}
    name = names.normalize(text) if text != "(root)" else names.ROOT
    return {name} if name in workspace.by_name else set()
