"""What pip has been told about its one index: variables and configuration files, in pip's own order.

Only ``index-url`` and ``cert`` are read; why no more, see `pypm_index.settings`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from pypm_index.settings import PipConfig
from pypm_model.later import later

if TYPE_CHECKING:
    import configparser
else:
    configparser = later("configparser")


def read(environ: Mapping[str, str], platform: str = sys.platform) -> PipConfig:
    """The settings that hold on this machine; later files win over earlier ones, ``[install]`` over
    ``[global]``, and the variables of pip over all files. A file that cannot be read or parsed is
    passed over: it is pip's, and pip will say so."""
    found: dict[str, str] = {}
    for file in files(environ, platform):
        found.update(_read_file(file))
    return PipConfig(
        index_url=environ.get("PIP_INDEX_URL", "") or found.get("index-url", ""),
        cert=environ.get("PIP_CERT", "") or found.get("cert", ""),
    )


def reader(environ: Mapping[str, str]) -> Callable[[], PipConfig]:
    """`read`, done when it is first called, and once."""
    return cache(partial(read, environ))


def files(environ: Mapping[str, str], platform: str = sys.platform) -> tuple[Path, ...]:
    """pip's configuration files, weakest first, whether they exist or not: global, user, and the one
    ``PIP_CONFIG_FILE`` names (the null device there: none at all)."""
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return ()
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or Path.home())
    places: list[Path]
    if platform == "win32":
        places = [
            Path(environ.get("PROGRAMDATA", r"C:\ProgramData")) / "pip" / "pip.ini",
            home / "pip" / "pip.ini",
            Path(environ.get("APPDATA") or home / "AppData" / "Roaming") / "pip" / "pip.ini",
        ]
    elif platform == "darwin":
        support = home / "Library" / "Application Support" / "pip"
        xdg = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip"
        places = [
            Path("/Library/Application Support/pip/pip.conf"),
            home / ".pip" / "pip.conf",
            (support if support.is_dir() else xdg) / "pip.conf",
        ]
    else:
        shared = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        places = [
            *(Path(folder) / "pip" / "pip.conf" for folder in shared.split(":") if folder),
            Path("/etc/pip.conf"),
            home / ".pip" / "pip.conf",
            Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf",
        ]
    return (*places, Path(named)) if named else tuple(places)


def _read_file(file: Path) -> dict[str, str]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}
    found: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            for key, value in parser.items(section):
                found[key.replace("_", "-")] = value.strip()
    return found
