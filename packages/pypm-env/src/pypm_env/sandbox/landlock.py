"""Walls made of Landlock, where there are no namespaces: nothing but some folders can be written, no TCP.

Landlock can only say where something is allowed, not where it is not: ``ro`` is stricter here than of
the project alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from pypm_env.sandbox.linux import Kernel
from pypm_env.sandbox.walls import Refused, Walls

_WRITE_FILE, _REFER, _TRUNCATE = 1 << 1, 1 << 13, 1 << 14
_CHANGES = sum(1 << bit for bit in range(4, 13))
"""Removing, and making of every kind of file."""
_BIND_TCP, _CONNECT_TCP = 1, 2
_WITH_REFER, _WITH_TRUNCATE, _WITH_NET = 2, 3, 4
"""Versions of the interface that brought these."""
_ALWAYS = ("/dev", "/proc")
"""Terminals, /dev/null, and what processes say of themselves: its own permissions protect the rest."""


def enter_landlock(walls: Walls, kernel: Kernel) -> None:
    """Puts this process behind *walls*; ``cow`` and `isolate` are beyond it. Raises `Refused`."""
    if walls.fs == "cow" or walls.isolate:
        raise Refused("Landlock has no views and hides no processes")
    try:
        version = kernel.landlock_version()
    except OSError as error:
        raise Refused(f"Landlock: {(error.strerror or str(error)).lower()}") from error
    if walls.no_net and version < _WITH_NET:
        raise Refused(f"Landlock: version {version} knows no network")
    writes = _write_access(version) if walls.fs == "ro" else 0
    if writes and version < _WITH_TRUNCATE:
        raise Refused(f"Landlock: version {version} lets files be emptied")
    try:
        ruleset = kernel.landlock_ruleset(writes, _BIND_TCP | _CONNECT_TCP if walls.no_net else 0)
        if writes:
            _allow(kernel, ruleset, writes, (*walls.writable, *_ALWAYS))
        kernel.give_up_privileges(is_root=False)
        kernel.landlock_restrict(ruleset)
        os.close(ruleset)
    except OSError as error:
        raise Refused(f"Landlock: {(error.strerror or str(error)).lower()}") from error


def _allow(kernel: Kernel, ruleset: int, access: int, folders: Iterable[str]) -> None:
    for folder in folders:
        handle = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        try:
            kernel.landlock_allow(ruleset, access, handle)
        finally:
            os.close(handle)


def _write_access(version: int) -> int:
    access = _WRITE_FILE | _CHANGES
    if version >= _WITH_REFER:
        access |= _REFER
    if version >= _WITH_TRUNCATE:
        access |= _TRUNCATE
    return access
