"""The process environment of a command that runs inside a virtual environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def scripts_folder(venv: Path) -> Path:
    """Where the environment's programs are."""
    return venv / ("Scripts" if sys.platform == "win32" else "bin")


def process_environment(venv: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """*environ* as an activated *venv* changes it: first on PATH, no other interpreter's home."""
    changed = dict(environ)
    changed.pop("PYTHONHOME", None)
    changed["VIRTUAL_ENV"] = str(venv)
    changed["PATH"] = os.pathsep.join(
        filter(None, [str(scripts_folder(venv)), environ.get("PATH", os.defpath)])
    )
    return changed
