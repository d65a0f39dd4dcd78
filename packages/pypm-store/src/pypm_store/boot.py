"""Which run of the machine this is: what was written in it cannot have been lost by a power cut."""

from __future__ import annotations

import sys

from pypm_model.later import later

TYPE_CHECKING = False  # as in `typing`, which a sync that only links does not load
if TYPE_CHECKING:
    import ctypes
else:
    ctypes = later("ctypes")


def boot_id() -> str:
    """A text that changes with every start of the machine; empty where the system has none."""
    return _boot_id


def _read() -> str:
    if sys.platform == "linux":
        try:
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                return file.read().strip()
        except OSError:
            return ""
    if sys.platform == "darwin":
        return _sysctl("kern.bootsessionuuid")
    return ""


def _sysctl(name: str) -> str:
    try:
        library = ctypes.CDLL(None)
        size = ctypes.c_size_t(0)
        if library.sysctlbyname(name.encode(), None, ctypes.byref(size), None, 0) != 0:
            return ""
        value = ctypes.create_string_buffer(size.value)
        if library.sysctlbyname(name.encode(), value, ctypes.byref(size), None, 0) != 0:
            return ""
        return value.value.decode(errors="replace")
    except (OSError, AttributeError):
        return ""


_boot_id = _read()
