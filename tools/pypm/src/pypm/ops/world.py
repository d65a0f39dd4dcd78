"""What a verb is given of the outside: folder, environment variables, who listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from pypm import _stamp
from pypm_model.events import Listener, ignore
from pypm_model.records import record

LOCK = _stamp.LOCK
"""At the workspace's root."""
VENV = _stamp.VENV
"""In the folder of a workspace or member."""


@record
class World:
    """Everything a verb may know of the process it runs in; a test makes its own."""

    cwd: Path
    environ: Mapping[str, str]
    listener: Listener = ignore
    offline: bool = False
    refresh: bool = False
    asker: Callable[[str], bool] | None = None
    """Puts a question to the user, who says yes or no; None where nobody could answer."""


def truth(text: str) -> bool:
    """What an environment variable means as a switch: empty, 0, false, no and off are off."""
    return text.strip().lower() not in ("", "0", "false", "no", "off")


def switch(world: World, variable: str, *, default: bool) -> bool:
    """The switch *variable*, or *default* where it is not set."""
    text = world.environ.get(variable)
    return default if text is None else truth(text)
