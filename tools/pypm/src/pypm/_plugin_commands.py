"""Plugins that are no libraries: entry points ``pypm.plugins`` of distributions, and programs on PATH.

Looked for when a command is neither pypm's own nor a library's. Nothing is imported for that but built-in
modules: `importlib.metadata` alone takes as long as three starts of Python.
"""

from __future__ import annotations

import sys

from pypm._plugin_search import whole
from pypm_plugins.shelf import exists, system, variable, what_is_wrong_with

GROUP = "pypm.plugins"
_WINDOWS = sys.platform == "win32"


def entry_point(name: str, root: str) -> list[str] | None:
    """The command line that calls the entry point *name*: of the workspace's environment at *root*, else of
    pypm's own."""
    for python, flags, sites in environments(root):
        for site in sites:
            value = entry_points_in(site).get(name)
            if value is not None:
                return [python, *flags, "-c", _script(name, value)]
    return None


def program(name: str) -> list[str] | None:
    """The command line of the first program ``pypm-NAME`` on PATH."""
    for folder in _path():
        for end in _endings():
            path = f"{folder}/pypm-{name}{end}"
            if _is_program(path):
                return [path]
    return None


def environments(root: str) -> list[tuple[str, list[str], list[str]]]:
    """(interpreter, its options, folders of distributions): the workspace's, then pypm's own."""
    found: list[tuple[str, list[str], list[str]]] = []
    if root:
        python, sites = _of_environment(f"{root}/.venv")
        if exists(python):
            found.append((python, [], sites))
    own = sys.executable or ""
    cut = max(own.rfind("/"), own.rfind("\\"))
    prefix = own[: max(own.rfind("/", 0, cut), own.rfind("\\", 0, cut), 0)]
    if not prefix or not exists(f"{prefix}/pyvenv.cfg"):
        prefix = sys.prefix
    _, sites = _of_environment(prefix)
    ends = ("site-packages", "dist-packages")
    sites += [path for path in sys.path if path.endswith(ends) and path not in sites]
    if own:
        found.append((own, ["-I"] if sys.flags.isolated else [], sites))
    return found


def entry_points_in(site: str) -> dict[str, str]:
    """Names and values of the group's entry points in the folder *site*; of two with one name the one of the
    distribution that comes first."""
    found: dict[str, str] = {}
    try:
        listed = sorted(system.listdir(site))
    except OSError:
        return found
    for each in listed:
        if not each.endswith((".dist-info", ".egg-info")):
            continue
        try:
            content = whole(f"{site}/{each}/entry_points.txt")
        except OSError:
            continue
        if GROUP.encode() in content:
            for name, value in _read(content.decode("utf-8", "replace")):
                found.setdefault(name, value)
    return found


def programs() -> dict[str, str]:
    """Names and paths of all programs ``pypm-NAME`` on PATH."""
    found: dict[str, str] = {}
    for folder in _path():
        try:
            listed = sorted(system.listdir(folder))
        except OSError:
            continue
        for each in listed:
            if not each.startswith("pypm-"):
                continue
            ends = [end for end in _endings() if end and each.lower().endswith(end)]
            name = each[5 : len(each) - len(ends[0])] if ends else each[5:]
            path = f"{folder}/{each}"
            if (ends or not _WINDOWS) and not what_is_wrong_with(name) and _is_program(path):
                found.setdefault(name, path)
    return found


def _of_environment(prefix: str) -> tuple[str, list[str]]:
    if _WINDOWS:
        return f"{prefix}/Scripts/python.exe", [f"{prefix}/Lib/site-packages"]
    library = f"{prefix}/lib"
    try:
        versions = [each for each in system.listdir(library) if each.startswith(("python", "pypy"))]
    except OSError:
        versions = []
    return f"{prefix}/bin/python", [f"{library}/{each}/site-packages" for each in sorted(versions)]


def _read(text: str) -> list[tuple[str, str]]:
    found = []
    ours = False
    for raw in text.splitlines():
        line = raw.strip()
        if line[:1] == "[" and line[-1:] == "]":
            ours = line[1:-1].strip() == GROUP
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        value = value.partition("[")[0].strip()
        module, colon, attribute = (part.strip() for part in value.partition(":"))
        parts = [*module.split("."), *attribute.split(".")]
        if ours and equals and colon and not what_is_wrong_with(name) and all(map(str.isidentifier, parts)):
            found.append((name, f"{module}:{attribute}"))
    return found


def _script(name: str, value: str) -> str:
    module, _, attribute = value.partition(":")
    return (
        "import sys\n"
        "if sys.path[:1] == ['']: del sys.path[0]\n"
        f"sys.argv[0] = {name!r}\n"
        f"import {module} as found\n"
        f"sys.exit(found.{attribute}())"
    )


def _path() -> list[str]:
    folders = variable("PATH").split(";" if _WINDOWS else ":")
    # What stands for the current folder would let a checkout choose what is run.
    return [each.rstrip("/\\") for each in folders if each[:1] in ("/", "\\") or each[1:2] == ":"]


def _endings() -> tuple[str, ...]:
    return (".exe", ".cmd", ".bat") if _WINDOWS else ("",)


def _is_program(path: str) -> bool:
    try:
        return system.stat(path).st_mode & 0o170000 == 0o100000 and system.access(path, 1)
    except OSError:
        return False
