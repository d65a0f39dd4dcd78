"""Walls by bubblewrap (``bwrap``), where the system lets it do what it refuses us."""

from __future__ import annotations

from collections.abc import Sequence

from pypm_env.sandbox.walls import Empty, Overlay, ReadOnly, Refused, Seen, Walls, steps_for


def bubblewrap(program: str, walls: Walls, argv: Sequence[str], cwd: str) -> tuple[str, ...]:
    """The command line that runs *argv* behind *walls*. Raises `Refused` for ``cow``: which version can do
    that is not known before."""
    if walls.fs == "cow":
        raise Refused("bubblewrap: no copy-on-write views")
    line = [program, "--die-with-parent", "--cap-drop", "ALL"]
    line += ["--unshare-all"] if walls.isolate else ["--unshare-user-try"]
    if walls.no_net and not walls.isolate:
        line.append("--unshare-net")
    root = "--ro-bind" if walls.isolate else "--dev-bind"
    line += [root, "/", "/"]
    if walls.isolate:
        line += ["--dev-bind", "/dev", "/dev", "--proc", "/proc"]
    for step in steps_for(walls):
        match step:
            case ReadOnly():
                continue  # the root is, from the beginning
            case Empty(path):
                line += ["--tmpfs", path]
            case Seen(path, writable):
                line += ["--bind-try" if writable else "--ro-bind-try", path, path]
            case Overlay(path):
                raise AssertionError(path)
    return (*line, "--chdir", cwd, "--", *argv)
