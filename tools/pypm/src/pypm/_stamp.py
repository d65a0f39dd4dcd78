"""Whether a ``sync`` has nothing to do, told by stats alone.

After each sync the state it left is written to ``.venv/pypm.stamp``, or, if environments of members
were synced, to ``.pypm/stamps/`` at the workspace's root: a line for every file and
folder the result depends on, with the stat taken *before* that file was read. The next sync with
the same options compares; any difference, or anything unusual, means the long way. Imported on
every no-op, so only ``os``, ``sys`` and ``binascii`` may be imported here.

Lines: ``pypm-stamp VERSION``, ``root PATH``, ``key TEXT``, ``say TEXT``, then
``e PATH`` for an environment that is in step, ``f MTIME_NS SIZE INODE PATH`` for a file,
``d MTIME_NS PATH`` for a folder whose listing counts, ``x PATH`` for a path that must exist,
``n PATH`` for one that must not. Paths are relative to the root where they are below it.
"""

from __future__ import annotations

import os
import sys
from binascii import crc32

from pypm._verbs import VERSION

NAME = "pypm.stamp"
VENV = ".venv"
LOCK = "pypm.lock"
OWN = ".pypm"
"""pypm's own folder at a workspace's root: nothing in it is worth keeping."""
_STAMPS = f"{OWN}/stamps"
_MOST = 64
"""Stamps of members' environments that are kept, one for each way they were asked for."""
_HEAD = f"pypm-stamp 2 {VERSION} {sys.version_info[0]}.{sys.version_info[1]}"
_NO_SETTINGS = ("PYP_DEBUG", "PYP_WORKSPACE_ROOT", "PYPM_HOST_PYTHON", "PYPM_WORKSPACE_ROOT")
"""Variables that choose nothing: a named root is compared itself, the last two are told to plugins."""
_SILENT = frozenset({"-q", "--quiet", "--no-progress", "--offline", "--locked"})
_SELECTION_FLAGS = frozenset(
    {
        "--frozen", "--all-extras", "--all-groups", "--no-default-groups", "--no-dev", "--inexact", "--each",
    }
)  # fmt: skip
_SELECTION_OPTIONS = frozenset(
    {
        "-p", "--member", "--extra", "--group", "--only-group", "--python", "--index-url", "--cache-dir",
        "--link-mode",
    }
)  # fmt: skip


def key_of(arguments: list[str]) -> str | None:
    """A canonical text of the options that choose what is installed, together with pypm's own
    environment variables; None if an option asks for more than a comparison: ``--no-editable`` does, as
    a wheel of a member holds any of its files."""
    chosen: list[str] = []
    i = 0
    while i < len(arguments):
        word = arguments[i]
        if word in _SELECTION_FLAGS:
            chosen.append(word)
        elif word in _SELECTION_OPTIONS and i + 1 < len(arguments):
            chosen.append(("--member" if word == "-p" else word) + "=" + arguments[i + 1])
            i += 1
        elif "=" in word and word.split("=", 1)[0] in _SELECTION_OPTIONS:
            chosen.append(word)
        elif word not in _SILENT:
            return None
        i += 1
    if any(word.partition("=")[2].startswith((".", "!.")) for word in chosen):
        chosen.append(f"in={os.getcwd()}")  # a member named by its folder
    settings = [
        f"{k}={v}" for k, v in os.environ.items() if k.startswith(("PYPM_", "PYP_")) and k not in _NO_SETTINGS
    ]
    text = "\x1f".join(sorted(chosen) + sorted(settings))
    return text.replace("\n", "\x1e")


def key_here(key: str) -> str:
    """The key of what *key* means in the current folder."""
    return f"{key}\x1fhere={os.getcwd()}".replace("\n", "\x1e")


def nothing_to_do(arguments: list[str]) -> str | None:
    """What to say when the stamp above the current folder still holds (empty with ``-q``), else None."""
    found = holding(arguments)
    if found is None:
        return None
    return "" if "-q" in arguments or "--quiet" in arguments else found.say


class Held:
    """What a stamp that holds says."""

    __slots__ = ("environments", "of_members", "root", "say")

    def __init__(self, of_members: bool, root: str, say: str, environments: list[str]) -> None:
        self.of_members = of_members
        """Whether it is for environments of members."""
        self.root = root
        """The workspace's folder."""
        self.say = say
        self.environments = environments
        """Absolute paths of the environments that are in step."""


def holding(arguments: list[str]) -> Held | None:
    """The stamp above the current folder, if it still holds."""
    key = key_of(arguments)
    return None if key is None else held(key)


def held(key: str, name: str = NAME) -> Held | None:
    """As `holding`, by the key of the stamp; of another kind of stamp by its file's *name*."""
    try:
        found = _find(key, name)
        if found is None:
            return None
        of_members, root, lines, passed = found
        environments = _compare(root, lines, passed, key)
    except (OSError, ValueError, IndexError):
        return None
    return None if environments is None else Held(of_members, root, lines[3][4:], environments)


def held_here(key: str) -> Held | None:
    """As `held`, for what *key* means in the current folder, where that decides which member is meant."""
    try:
        return held(key_here(key))
    except OSError:
        return None  # the folder is gone


def also_under(key: str, other: str) -> None:
    """Leaves the members' stamp under *key* once more, under the key *other*: both mean the same."""
    try:
        found = _find(key)
        if found is not None and found[0]:
            _, root, lines, _ = found
            lines[2] = f"key {other}"
            _put(f"{root}/{_name_for(other)}", lines)
    except (OSError, ValueError, IndexError):
        pass  # it costs the short cut, nothing else


def _find(key: str, name: str = NAME) -> tuple[bool, str, list[str], list[str]] | None:
    """(whether it is for members, root, its lines, manifests passed on the way up) of the nearest stamp."""
    own = _name_for(key)
    fixed = os.environ.get("PYP_WORKSPACE_ROOT")
    folder = os.path.abspath(fixed) if fixed else os.getcwd()
    passed: list[str] = []
    while True:
        for path in (own, f"{VENV}/{name}") if name == NAME else (f"{VENV}/{name}",):
            try:
                with open(f"{folder}/{path}", encoding="utf-8", errors="surrogateescape") as file:
                    return path is own, folder, file.read().split("\n"), passed
            except OSError:
                pass
        if fixed or os.path.exists(f"{folder}/pypm-workspace.toml"):
            return None
        if os.path.exists(f"{folder}/pyproject.toml"):
            passed.append(f"{folder}/pyproject.toml")
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def _compare(root: str, lines: list[str], passed: list[str], key: str) -> list[str] | None:
    """The environments, absolute, if everything is as the lines say; else None."""
    if lines[0] != _HEAD or lines[1] != f"root {root}" or lines[2] != f"key {key}" or lines[-1] != "end":
        return None
    stat = os.stat
    prefix = root + "/"
    files = set()
    environments = []
    for line in lines[4:-1]:
        kind = line[0]
        if kind == "f":
            _, mtime, size, inode, path = line.split(" ", 4)
            status = stat(_at(prefix, path))
            if status.st_mtime_ns != int(mtime) or status.st_size != int(size) or status.st_ino != int(inode):
                return None
            files.add(path)
        elif kind == "d":
            _, mtime, path = line.split(" ", 2)
            if stat(_at(prefix, path)).st_mtime_ns != int(mtime):
                return None
        elif kind == "e":
            environments.append(_at(prefix, line[2:]))
        elif kind == "x":
            stat(_at(prefix, line[2:]))
        elif kind == "n":
            if os.path.lexists(_at(prefix, line[2:])):
                return None
        else:
            return None
    for manifest in passed:
        if manifest[len(prefix) :] not in files:
            return None
    return environments


def _at(prefix: str, path: str) -> str:
    return path if path[:1] in ("/", "\\") or path[1:2] == ":" else prefix + path


def write(
    root: str,
    key: str,
    say: str,
    files: list[tuple[str, int, int, int]],
    folders: list[tuple[str, int]],
    missing: list[str],
    there: list[str] | None = None,
    *,
    environments: list[str] | None = None,
    of_members: bool = False,
    name: str = NAME,
) -> None:
    """Leaves a stamp in the environment of the workspace at *root*, or one for environments *of_members*.

    *files* are (path, mtime in ns, size, inode), *folders* (path, mtime in ns), *there* are paths that
    are looked for, *environments* those that are in step; paths absolute or relative to *root*. Written
    beside and renamed.
    """

    def below(path: str) -> str:
        return path[len(root) + 1 :] if path.startswith(root + os.sep) else path

    lines = [_HEAD, f"root {root}", f"key {key}", f"say {say}"]
    lines += [f"e {below(path)}" for path in environments or ()]
    lines += [f"f {mtime} {size} {inode} {below(path)}" for path, mtime, size, inode in files]
    lines += [f"d {mtime} {below(path)}" for path, mtime in folders]
    lines += [f"x {below(path)}" for path in there or ()]
    lines += [f"n {below(path)}" for path in missing]
    lines.append("end")
    if any("\n" in line for line in lines):
        return  # a path with a line break is legal and rare: it costs the short cut, nothing else
    target = f"{root}/{VENV}/{name}"
    if of_members:
        target = f"{root}/{_name_for(key)}"
        _make_room(root)
    _put(target, lines)


def _put(target: str, lines: list[str]) -> None:
    beside = f"{target}.{os.getpid()}"
    try:
        with open(beside, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            file.write("\n".join(lines))
        os.replace(beside, target)
    except OSError:
        if os.path.exists(beside):
            os.unlink(beside)
        raise


def _name_for(key: str) -> str:
    """Where the stamp for members' environments is that were asked for in this way, below the root."""
    return f"{_STAMPS}/{crc32(key.encode('utf-8', 'surrogateescape')):08x}"


def _make_room(root: str) -> None:
    """Makes the folder of stamps, out of version control, and lets the oldest of many go."""
    folder = f"{root}/{_STAMPS}"
    if not os.path.isdir(folder):
        os.makedirs(folder, exist_ok=True)
        with open(f"{root}/{OWN}/.gitignore", "w", encoding="utf-8") as file:
            file.write("*\n")
    names = os.listdir(folder)
    if len(names) >= _MOST:
        try:
            names.sort(key=lambda name: os.stat(f"{folder}/{name}").st_mtime_ns)
            for name in names[: len(names) - _MOST + 1]:
                os.unlink(f"{folder}/{name}")
        except FileNotFoundError:
            pass  # another run does the same


def remove(root: str) -> None:
    """Forgets the state: done before an environment is changed."""
    if os.path.lexists(f"{root}/{VENV}/{NAME}"):
        os.unlink(f"{root}/{VENV}/{NAME}")
