"""What changed in a copy-on-write view, as a patch that ``git apply`` takes."""

from __future__ import annotations

import filecmp
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from pypm.ops.git import GitRefused, git_folder, run_in
from pypm_model.records import record
from pypm_store.atomic import remove_tree

_NOISE = frozenset({".git", ".venv", ".pypm", "__pycache__"})
"""Folders whose content is no one's work."""
_OPAQUE = ("user.overlay.opaque", "trusted.overlay.opaque")


@record
class Change:
    """One file that is not what it was. None: it is not there."""

    path: str
    """Relative, with ``/``."""
    before: str | None
    after: str | None


def changes_above(lower: str, upper: str) -> Iterator[Change]:
    """What an overlay's *upper* folder changes of *lower*: a file is as it is there, a device numbered 0 says
    that there is none, a folder marked opaque hides what was in it."""
    yield from _above(lower, upper, "")


def _above(lower: str, upper: str, inside: str) -> Iterator[Change]:
    with os.scandir(upper) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.name in _NOISE:
            continue
        path, below = inside + entry.name, os.path.join(lower, entry.name)
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            yield from _gone(below, path)
        elif stat.S_ISDIR(status.st_mode):
            if os.path.isdir(below) and not os.path.islink(below):
                if _is_opaque(entry.path):
                    yield from _between(below, entry.path, path + "/")
                else:
                    yield from _above(below, entry.path, path + "/")
            else:
                yield from _gone(below, path)
                yield from _new(entry.path, path)
        else:
            yield from _compared(below, entry.path, path)


def changes_between(before: str, after: str) -> Iterator[Change]:
    """What *after*, a copy of the folder *before*, has become."""
    yield from _between(before, after, "")


def _between(before: str, after: str, inside: str) -> Iterator[Change]:
    old, new = set(os.listdir(before)), set(os.listdir(after))
    for name in sorted((old | new) - _NOISE):
        was, now, path = os.path.join(before, name), os.path.join(after, name), inside + name
        if name not in new:
            yield from _gone(was, path)
        elif name not in old:
            yield from _new(now, path)
        elif _is_folder(was) and _is_folder(now):
            yield from _between(was, now, path + "/")
        else:
            yield from _compared(was, now, path)


def _compared(was: str, now: str, path: str) -> Iterator[Change]:
    if _is_folder(was) or _is_folder(now):
        yield from _gone(was, path)
        yield from _new(now, path)
    elif not _is_content(now):
        yield from _gone(was, path)
    elif not os.path.lexists(was):
        yield Change(path, None, now)
    elif not _same(was, now):
        yield Change(path, was, now)


def _same(was: str, now: str) -> bool:
    if os.path.islink(was) or os.path.islink(now):
        return os.path.islink(was) and os.path.islink(now) and os.readlink(was) == os.readlink(now)
    executable = [bool(os.stat(path).st_mode & stat.S_IXUSR) for path in (was, now)]
    return executable[0] == executable[1] and filecmp.cmp(was, now, shallow=False)


def _gone(was: str, path: str) -> Iterator[Change]:
    for inside, file in _files(was, path):
        yield Change(inside, file, None)


def _new(now: str, path: str) -> Iterator[Change]:
    for inside, file in _files(now, path):
        yield Change(inside, None, file)


def _files(place: str, path: str) -> Iterator[tuple[str, str]]:
    """(relative path, place) of the file at *place*, or of those in the folder."""
    if _is_folder(place):
        for name in sorted(set(os.listdir(place)) - _NOISE):
            yield from _files(os.path.join(place, name), f"{path}/{name}")
    elif os.path.lexists(place) and _is_content(place):
        yield path, place


def _is_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _is_content(path: str) -> bool:
    """Whether it is a file or a link: what a patch can hold."""
    return os.path.islink(path) or os.path.isfile(path)


def _is_opaque(folder: str) -> bool:
    for name in _OPAQUE:
        try:
            if os.getxattr(folder, name, follow_symlinks=False) == b"y":  # type: ignore[attr-defined,unused-ignore]
                return True
        except OSError:
            continue
    return False


def patch_of(changes: Iterator[Change], root: Path, scratch: Path, environ: Mapping[str, str]) -> bytes:
    """The patch, relative to *root*, less what its repository ignores. *scratch* is a new folder's path.
    Raises `GitRefused`."""
    wanted = _not_ignored(list(changes), root, environ)
    for side in ("a", "b"):
        (scratch / side).mkdir(parents=True)
    for change in wanted:
        for side, file in (("a", change.before), ("b", change.after)):
            if file is not None:
                target = scratch / side / change.path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, target, follow_symlinks=False)
    # The folders' names stand for the prefixes of a patch.
    asked = (
        "diff",
        "--no-index",
        "--binary",
        "--no-renames",
        "--no-prefix",
        "--no-color",
        "--no-ext-diff",
        "a",
        "b",
    )
    done = run_in(scratch, environ, *asked)
    remove_tree(scratch)
    if done.returncode not in (0, 1):
        raise GitRefused("compare", done.stderr.decode("utf-8", "replace").strip())
    return done.stdout


def _not_ignored(changes: list[Change], root: Path, environ: Mapping[str, str]) -> list[Change]:
    if not changes or git_folder(root) is None:
        return changes
    given = b"\0".join(os.fsencode(change.path) for change in changes)
    done = run_in(root, environ, "check-ignore", "-z", "--stdin", given=given)
    ignored = {os.fsdecode(path) for path in done.stdout.split(b"\0")}
    return [change for change in changes if change.path not in ignored]
