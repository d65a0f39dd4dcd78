"""Walls by macOS' ``sandbox-exec``: a profile, as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pypm_env.sandbox.walls import Refused, Walls

PROGRAM = "/usr/bin/sandbox-exec"
_TEMPORARY = ("/private/tmp", "/private/var/tmp", "/private/var/folders")


def seatbelt(walls: Walls, argv: Sequence[str]) -> tuple[str, ...]:
    """The command line that runs *argv* behind *walls*. Raises `Refused` for ``cow``, which is a copy."""
    if walls.fs == "cow":
        raise Refused("sandbox-exec: no copy-on-write views")
    return (PROGRAM, "-p", profile(walls), *argv)


def profile(walls: Walls) -> str:
    """The rules; of two that fit, the later one counts."""
    rules = ["(version 1)", "(allow default)"]
    if walls.isolate:
        rules.append('(deny file-write* (subpath "/"))')
        rules.append(f"(deny file-read* {_paths((*walls.homes, *_TEMPORARY))})")
        rules.append("(deny signal (target others))")
        rules.append("(deny process-info* (target others))")
        seen = (*walls.readable, *([walls.project] if walls.project else []))
        rules.append(f"(allow file-read* {_paths((*seen, *walls.writable))})")
        rules.append('(allow file-write* (subpath "/dev"))')
    elif walls.fs == "ro" and walls.project:
        rules.append(f"(deny file-write* {_paths((walls.project,))})")
    if walls.isolate or walls.fs == "ro":
        rules.append(f"(allow file-write* {_paths(walls.writable)})")
    if walls.no_net or walls.isolate:
        rules.append("(deny network*)")
        rules.append('(allow network* (local ip "localhost:*"))')
    return "\n".join(rules)


def _paths(paths: Iterable[str]) -> str:
    return " ".join(f"(subpath {_quoted(path)})" for path in dict.fromkeys(paths))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
