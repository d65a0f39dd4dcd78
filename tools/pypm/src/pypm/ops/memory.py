"""Where the memory of agents is."""

from __future__ import annotations

from pathlib import Path

from pypm.ops.world import World
from pypm_memory.memory import Memory

FILE = "memory.db"
"""In pypm's data folder."""


def open_memory(world: World, db: str | None) -> Memory:
    """The memory in the file *db*, else ``PYPM_MEMORY``, else in pypm's data folder (``PYPM_HOME``,
    ``~/.pypm``); a relative name is meant from the world's folder."""
    chosen = db or world.environ.get("PYPM_MEMORY", "")
    if chosen:
        return Memory(world.cwd / Path(chosen).expanduser())
    home = world.environ.get("PYPM_HOME", "")
    folder = world.cwd / Path(home).expanduser() if home else Path.home() / ".pypm"
    return Memory(folder / FILE)
