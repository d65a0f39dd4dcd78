"""The format of a file by its first bytes, and what this machine runs."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Collection
from mmap import ACCESS_READ, mmap

from pypm_model.records import record
from pypm_plugins.images import elf, macho, pe
from pypm_plugins.images.image import BadImage, Image

_FORMATS = {"darwin": "Mach-O", "win32": "PE", "cygwin": "PE"}
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "x86": "i386", "i686": "i386"}
_OTHERS = {
    b"#!": "a script",
    b"pk": "a zip archive",
    b"\x1f\x8b": "a gzip file",
    b"!<": "an archive of object files (.a): link it as a shared library",
    b"<!": "a web page",
    b"<h": "a web page",
}


@record
class Machine:
    """What can be loaded into a process here."""

    format: str
    architecture: str


def this_machine() -> Machine:
    """What the running interpreter can load. Its own file tells the architecture: a 32-bit interpreter on a
    64-bit kernel would be told wrong by the kernel."""
    form = _FORMATS.get(sys.platform, "ELF")
    architecture = platform.machine().lower()
    architecture = _MACHINES.get(architecture, architecture)
    try:
        own = read_image(os.path.realpath(sys.executable), (), architecture)
    except (OSError, BadImage):
        return Machine(form, architecture)
    if own.format == form and len(own.machines) == 1:
        architecture = own.machines[0]
    return Machine(form, architecture)


def read_image(path: str, wanted: Collection[str], architecture: str) -> Image:
    """What the file at *path* is, and which of the functions *wanted* it exports; of a universal file those
    of the part for *architecture*. Nothing of it is run. Raises `BadImage`, OSError."""
    with open(path, "rb") as file:
        head = file.read(8)
        if len(head) < 8:
            raise BadImage("it is empty" if not head else f"it is cut short: {len(head)} bytes")
        with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            if head[:4] == elf.MAGIC:
                return elf.read_elf(data, wanted)
            if macho.is_macho(head):
                return macho.read_macho(data, wanted, architecture)
            if head[:2] == pe.MAGIC:
                return pe.read_pe(data, wanted)
    what = _OTHERS.get(head[:2].lower())
    raise BadImage(f"it is {what}" if what else "it is no library of any system")
