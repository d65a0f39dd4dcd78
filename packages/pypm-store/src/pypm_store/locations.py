"""Where the store is on this machine."""

from __future__ import annotations

import os
import sys

from pypm_model.later import later

TYPE_CHECKING = False  # as in `typing`, which a sync that only links does not load
if TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping
    from pathlib import Path
else:
    pathlib = later("pathlib")

LAYOUT = 1
"""Of the store's folders: a store written by a newer pypm has another, and is left alone."""


def layout_folder(root: Path) -> Path:
    """This layout's part of the store at *root*."""
    return root / layout_name()


def layout_name() -> str:
    """The name of this layout's folder in a store."""
    return f"v{LAYOUT}"


def default_root(environ: Mapping[str, str], platform: str = sys.platform) -> Path:
    """As `default_folder`."""
    return pathlib.Path(default_folder(environ, platform))


def default_folder(environ: Mapping[str, str], platform: str = sys.platform) -> str:
    """``PYPM_CACHE_DIR``, else the platform's folder for caches: ``$XDG_CACHE_HOME/pypm`` or
    ``~/.cache/pypm`` on Linux, ``~/Library/Caches/pypm`` on macOS, ``%LOCALAPPDATA%\\pypm\\Cache`` on
    Windows. Absolute.

    Own code rather than `platformdirs`: for these three lines that library costs 14 ms, in every command.
    """
    home, join = os.path.expanduser("~"), os.path.join
    chosen = environ.get("PYPM_CACHE_DIR", "")
    if chosen:
        folder = os.path.expanduser(chosen)
        return folder if os.path.isabs(folder) else join(os.getcwd(), folder)
    if platform == "win32":
        return join(environ.get("LOCALAPPDATA", "") or join(home, "AppData", "Local"), "pypm", "Cache")
    if platform == "darwin":
        return join(home, "Library", "Caches", "pypm")
    # A relative path there has no meaning, says the XDG base directory specification.
    base = environ.get("XDG_CACHE_HOME", "")
    return join(base if base.startswith("/") else join(home, ".cache"), "pypm")
