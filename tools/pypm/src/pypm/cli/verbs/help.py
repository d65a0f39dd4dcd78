"""``pypm help``: its own options; the list and other commands' options come from `pypm._entry`."""

from __future__ import annotations

from pypm.cli.arguments import UsageError, argument, verb


@verb(argument("name", required=False))
def command(name: str | None) -> int:
    """Print the list of commands, or the options of the command NAME."""
    raise UsageError(f"no such command: {name}")
