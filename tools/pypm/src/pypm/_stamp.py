"""Whether a ``sync`` has nothing to do, told by stats alone.

After each sync the state it left is written to ``.venv/pypm.stamp``: a line for every file and
folder the result depends on, with the stat taken *before* that file was read. The next sync with
the same options compares; any difference, or anything unusual, means the long way. Imported on
every no-op, so only ``os`` and ``sys`` may be imported here.

Lines: ``pypm-stamp VERSION``, ``root PATH``, ``key TEXT``, ``say TEXT``, then
``f MTIME_NS SIZE INODE PATH`` for a file, ``d MTIME_NS PATH`` for a folder whose listing counts,
``n PATH`` for a path that must not exist. Paths are relative to the root where they are below it.
"""

from __future__ import annotations

import os
import sys

from pypm._verbs import VERSION

NAME = "pypm.stamp"
_HEAD = f"pypm-stamp 1 {VERSION} {sys.version_info[0]}.{sys.version_info[1]}"
_SILENT = frozenset({"-q", "--quiet", "--no-progress", "--offline", "--locked"})
_SELECTION_FLAGS = frozenset(
    {"--frozen", "--all-extras", "--all-groups", "--no-default-groups", "--inexact", "--no-editable"}
)
_SELECTION_OPTIONS = frozenset(
    {"-p", "--member", "--extra", "--group", "--only-group", "--python", "--index-url", "--cache-dir"}
)


def key_of(arguments: list[str]) -> str | None:
    """A canonical text of the options that choose what is installed, together with pypm's own
    environment variables; None if an option asks for more than a comparison."""
    chosen: list[str] = []
    i = 0
    while i < len(arguments):
        word = arguments[i]
        if word in _SELECTION_FLAGS:
            chosen.append(word)
        elif word in _SELECTION_OPTIONS and i + 1 < len(arguments):
            chosen.append(word + "=" + arguments[i + 1])
            i += 1
        elif "=" in word and word.split("=", 1)[0] in _SELECTION_OPTIONS:
            chosen.append(word)
        elif word not in _SILENT:
            return None
        i += 1
    settings = [
        f"{k}={v}" for k, v in os.environ.items() if k.startswith(("PYPM_", "PYP_")) and k != "PYP_DEBUG"
    ]
    text = "\x1f".join(sorted(chosen) + sorted(settings))
    return text.replace("\n", "\x1e")


def nothing_to_do(arguments: list[str]) -> str | None:
    """What to say when the stamp above the current folder still holds (empty with ``-q``), else None."""
    key = key_of(arguments)
    if key is None:
        return None
    try:
        found = _find()
        if found is None:
            return None
        root, lines, passed = found
        message = _compare(root, lines, passed, key)
    except (OSError, ValueError, IndexError):
        return None
    if message is None or "-q" in arguments or "--quiet" in arguments:
        return message if message is None else ""
    return message


def _find() -> tuple[str, list[str], list[str]] | None:
    """(root, the stamp's lines, manifests passed on the way up) of the nearest stamp."""
    fixed = os.environ.get("PYP_WORKSPACE_ROOT")
    folder = os.path.abspath(fixed) if fixed else os.getcwd()
    passed: list[str] = []
    while True:
        try:
            with open(f"{folder}/.venv/{NAME}", encoding="utf-8", errors="surrogateescape") as file:
                return folder, file.read().split("\n"), passed
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


def _compare(root: str, lines: list[str], passed: list[str], key: str) -> str | None:
    if lines[0] != _HEAD or lines[1] != f"root {root}" or lines[2] != f"key {key}" or lines[-1] != "end":
        return None
    say = lines[3][4:]
    stat = os.stat
    prefix = root + "/"
    files = set()
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
        elif kind == "n":
            if os.path.lexists(_at(prefix, line[2:])):
                return None
        else:
            return None
    for manifest in passed:
        if manifest[len(prefix) :] not in files:
            return None
    return say


def _at(prefix: str, path: str) -> str:
    return path if path[:1] in ("/", "\\") or path[1:2] == ":" else prefix + path


def write(
    root: str,
    key: str,
    say: str,
    files: list[tuple[str, int, int, int]],
    folders: list[tuple[str, int]],
    missing: list[str],
) -> None:
    """Leaves a stamp in the environment of the workspace at *root*.

    *files* are (path, mtime in ns, size, inode), *folders* (path, mtime in ns); paths absolute or
    relative to *root*. Written beside and renamed.
    """

    def below(path: str) -> str:
        return path[len(root) + 1 :] if path.startswith(root + os.sep) else path

    lines = [_HEAD, f"root {root}", f"key {key}", f"say {say}"]
    lines += [f"f {mtime} {size} {inode} {below(path)}" for path, mtime, size, inode in files]
    lines += [f"d {mtime} {below(path)}" for path, mtime in folders]
    lines += [f"n {below(path)}" for path in missing]
    lines.append("end")
    if any("\n" in line for line in lines):
        return  # a path with a line break is legal and rare: it costs the short cut, nothing else
    target = f"{root}/.venv/{NAME}"
    beside = f"{target}.{os.getpid()}"
    with open(beside, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        file.write("\n".join(lines))
    os.replace(beside, target)


def remove(root: str) -> None:
    """Forgets the state: done before an environment is changed."""
    if os.path.lexists(f"{root}/.venv/{NAME}"):
        os.unlink(f"{root}/.venv/{NAME}")
