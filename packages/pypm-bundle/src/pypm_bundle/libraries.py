"""The shared libraries that programs and modules need on a Linux machine, and what they need in turn.

What belongs to the C library is never among them: it comes with the system a bundle runs on, as does what
belongs to a driver of the machine's hardware.
"""

from __future__ import annotations

import glob
import mmap
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pypm_bundle.elf_image import ElfImage, NotElf, is_elf, read_image
from pypm_model.records import record

_SYSTEM = re.compile(
    r"(ld-linux.*|ld64|ld|ld-musl-.*|libc\.musl-.*|linux-vdso|libc|libm|libmvec|libpthread|libdl|librt"
    r"|libutil|libresolv|libanl|libnss_.*|libthread_db|libBrokenLocale|libc_malloc_debug)\.so(\.\d+)*"
    r"|libnsl\.so\.1"
)
"""Names of the C library's parts: glibc's, and musl's."""
_DRIVERS = re.compile(r"(libcuda|libnvidia-.*|libnvcuvid|libnvoptix|libcudadebugger|libhsa-runtime64)\.so.*")
"""Names of libraries that come with a driver and fit only its kernel module."""
RUNTIMES = re.compile(r"(libstdc\+\+|libgcc_s|libatomic|libgomp|libgfortran|libquadmath)\.so.*")
"""Names of compilers' own libraries: a newer one serves all, so the system's is taken where there is one."""
_VERSION = re.compile(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?")
_CONFIG = "/etc/ld.so.conf"
_TRUSTED = ("/lib", "/usr/lib", "/lib64", "/usr/lib64")
_DEPTH = 8
"""Files of the loader's configuration that include each other, at most."""


def is_of_the_system(name: str) -> bool:
    """Whether the library called *name* belongs to the C library."""
    return _SYSTEM.fullmatch(name) is not None


def is_of_a_driver(name: str) -> bool:
    """Whether the library called *name* comes with a driver."""
    return _DRIVERS.fullmatch(name) is not None


@record
class Library:
    """One shared library of this machine."""

    name: str
    """By which it is asked for."""
    path: str
    """Links followed."""
    image: ElfImage


@record
class Closure:
    """What some files need."""

    libraries: tuple[Library, ...]
    """Sorted by name; each once."""
    missing: tuple[tuple[str, str], ...]
    """(who needs it, name) of what this machine has not."""
    drivers: tuple[tuple[str, str], ...]
    """The same of what comes with drivers."""


@contextmanager
def opened(path: str | Path) -> Iterator[mmap.mmap | None]:
    """The bytes of the ELF file *path*; None if it is no ELF file."""
    with open(path, "rb") as file:
        if not is_elf(file.read(4)):
            yield None
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def image_of(path: str | Path) -> ElfImage | None:
    """What the loader would read of the file *path*; None if it is no dynamic ELF file."""
    try:
        with opened(path) as data:
            if data is None:
                return None
            with memoryview(data) as view:
                return read_image(view)
    except (NotElf, ValueError):
        return None


def glibc_of(image: ElfImage) -> tuple[int, int]:
    """The oldest glibc that has all versions of symbols *image* asks for; (0, 0) if it asks for none."""
    found = (0, 0)
    for _, version in image.versions:
        if match := _VERSION.fullmatch(version):
            found = max(found, (int(match[1]), int(match[2])))
    return found


def closure(files: Iterable[tuple[str, ElfImage]], folders: Sequence[str] | None = None) -> Closure:
    """The libraries that *files* (where each is, and what it says) need, and those that these need.

    They are looked for where each file says, then in *folders* (default: where this machine's loader looks).
    The first of a name counts for all, as in a process.
    """
    known = system_folders() if folders is None else tuple(folders)
    found: dict[str, Library] = {}
    missing: list[tuple[str, str]] = []
    drivers: list[tuple[str, str]] = []
    waiting: list[tuple[str, ElfImage, tuple[str, ...]]] = [(path, image, ()) for path, image in files]
    asked: set[str] = set()
    while waiting:
        path, image, inherited = waiting.pop(0)
        own = [folder.replace("$ORIGIN", os.path.dirname(path)) for folder in _braceless(image.search)]
        search = (*own, *inherited)
        for name in image.needed:
            if name in asked or is_of_the_system(name):
                continue
            if is_of_a_driver(name):
                drivers.append((path, name))
                continue
            library = _find(name, image, (*search, *known))
            if library is None:
                missing.append((path, name))
                continue
            asked.add(name)
            found[name] = library
            waiting.append((library.path, library.image, search))
    return Closure(tuple(found[name] for name in sorted(found)), tuple(missing), tuple(drivers))


def system_folders() -> tuple[str, ...]:
    """Where this machine's loader looks, in order (ld.so.conf, then the trusted folders)."""
    multiarch = sorted(glob.glob("/lib/*-linux-*")) + sorted(glob.glob("/usr/lib/*-linux-*"))
    folders = [*_configured(_CONFIG, 0), *multiarch, *_TRUSTED]
    return tuple(dict.fromkeys(folder for folder in folders if os.path.isdir(folder)))


def _configured(file: str, depth: int) -> Iterator[str]:
    try:
        lines = Path(file).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        words = line.partition("#")[0].split()
        if words[:1] == ["include"] and depth < _DEPTH:
            for pattern in words[1:]:
                for inner in sorted(glob.glob(os.path.join(os.path.dirname(file), pattern))):
                    yield from _configured(inner, depth + 1)
        elif len(words) == 1:
            yield words[0]


def _find(name: str, asker: ElfImage, folders: Iterable[str]) -> Library | None:
    candidates = [name] if "/" in name else [os.path.join(folder, name) for folder in folders]
    for candidate in candidates:
        if os.path.isfile(candidate):
            image = image_of(candidate)
            if image is not None and image.machine == asker.machine:
                return Library(name, os.path.realpath(candidate), image)
    return None


def _braceless(folders: Iterable[str]) -> list[str]:
    return [folder.replace("${ORIGIN}", "$ORIGIN") for folder in folders]
