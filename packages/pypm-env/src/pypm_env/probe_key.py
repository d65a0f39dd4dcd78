"""What an interpreter's remembered answer hangs on, for `pypm_env.probe`."""

from __future__ import annotations

import os
import sys

from pypm_model.later import later

TYPE_CHECKING = False  # as in `typing`, which a sync that only links does not load
if TYPE_CHECKING:
    import platform
else:
    platform = later("platform")

_FORMAT = "1"
"""Raised whenever what is asked or remembered changes."""


def probe_key(path: str) -> str:
    """A text that changes with the executable at *path* and with what the machine's system can change under
    it (kernel, C library). Raises OSError if there is none."""
    state = os.stat(path)
    seen = (_FORMAT, path, os.path.realpath(path), str(state.st_size), str(state.st_mtime_ns))
    return "\n".join((*seen, *_machine()))


def _machine() -> tuple[str, ...]:
    libc = ""
    if sys.platform == "linux":
        try:
            libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
        except (ValueError, OSError):
            libc = ""
    if os.name == "nt":
        uname = platform.uname()
        return uname.system, uname.release, uname.machine, uname.version, libc
    system = os.uname()
    return system.sysname, system.release, system.machine, system.version, libc
