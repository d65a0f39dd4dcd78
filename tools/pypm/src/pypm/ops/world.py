"""What a verb is given of the outside: folder, environment variables, who listens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pypm_model.events import Listener, ignore


@dataclass(frozen=True, slots=True)
class World:
    """Everything a verb may know of the process it runs in; a test makes its own."""

    cwd: Path
    environ: Mapping[str, str]
    listener: Listener = ignore
    offline: bool = False
    refresh: bool = False
