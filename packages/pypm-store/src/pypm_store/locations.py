"""Where the store is on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import platformdirs


def default_root(environ: Mapping[str, str]) -> Path:
    """``PYPM_CACHE_DIR``, else the platform's folder for caches (``~/.cache/pypm`` on Linux,
    ``~/Library/Caches/pypm`` on macOS, ``%LOCALAPPDATA%\\\\pypm\\\\Cache`` on Windows). Absolute."""
    chosen = environ.get("PYPM_CACHE_DIR", "")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_cache_path("pypm", appauthor=False)
