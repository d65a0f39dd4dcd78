"""The machine that a bundle is for, where it is another than this one: its wheels, and its interpreter.

Nothing of it is started: what there is to know of it is said, or read from an interpreter's files.
"""

from __future__ import annotations

import os
import re
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, ClassVar, Self, cast

from pypm.ops.provisioning import File
from pypm_bundle.libraries import image_of
from pypm_env.interpreters import Interpreter, Layout
from pypm_env.wheel_tags import Libc, TagFacts, wheel_tags
from pypm_model.environments import Environment
from pypm_model.errors import PypmError
from pypm_model.records import record
from pypm_model.wheel_tags import parse_wheel_filename
from pypm_model.zip_damage import ZIP_DAMAGE

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_SAFELY: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
"""Python 3.11.4 and later want to be told (PEP 706)."""
_DAMAGE: tuple[type[Exception], ...] = (*ZIP_DAMAGE, tarfile.TarError, zstd.ZstdError)
USUAL_GLIBC = (2, 28)
"""Of a foreign Linux of which nothing is said: that of the oldest systems still served (RHEL 8)."""
_MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_")
_OLD = {"manylinux1_": (2, 5), "manylinux2010_": (2, 12), "manylinux2014_": (2, 17)}
_MACHINES = {"x86_64": 62, "aarch64": 183, "ppc64le": 21, "s390x": 22, "riscv64": 243}
"""Processors as Linux calls them → as ELF numbers them (e_machine)."""
_SYSTEMS = {"linux": "Linux", "macos": "Darwin", "windows": "Windows"}
_PATCHLEVEL = re.compile(r'#define\s+PY_VERSION\s+"(\d+\.\d+\.\d+)')


class BadPlatform(PypmError):
    """The platform is none that bundles are made for."""

    code: ClassVar[str] = "bad-platform"
    exit: ClassVar[int] = 2
    platform: str

    def __str__(self) -> str:
        return f"{self.platform!r} is no platform that pypm makes bundles for"

    @property
    def hint(self) -> str:
        known = ", ".join(f"linux-{machine}" for machine in _MACHINES)
        return f"{known}; with --only-wheels also macos-arm64, macos-x86_64, windows-amd64, windows-arm64"


class NoInterpreterFor(PypmError):
    """The folder or archive holds no interpreter for the platform."""

    code: ClassVar[str] = "no-interpreter-for"
    exit: ClassVar[int] = 2
    source: str
    platform: str
    reason: str

    def __str__(self) -> str:
        return f"{self.source} is no interpreter for {self.platform}: {self.reason}"


class NotForPlatform(PypmError):
    """What was built here runs only on machines like this one."""

    code: ClassVar[str] = "not-for-platform"
    platform: str
    packages: tuple[tuple[str, str], ...]
    """(name, the wheel's file name)."""

    def __str__(self) -> str:
        name, wheel = self.packages[0]
        more = f" (and {len(self.packages) - 1} more)" if len(self.packages) > 1 else ""
        return f"{name} is built for this machine only: {wheel} does not fit {self.platform}{more}"

    @property
    def story(self) -> tuple[tuple[str, tuple[()]], ...]:
        return tuple((f"{name}: {wheel}", ()) for name, wheel in self.packages[1:])


@record
class Target:
    """A machine that is not this one."""

    platform: str
    """``linux-aarch64``."""
    python: str
    """``3.12.4``."""
    glibc: tuple[int, int] = USUAL_GLIBC

    @property
    def release(self) -> tuple[int, int]:
        major, minor = self.python.split(".")[:2]
        return int(major), int(minor)

    @property
    def system(self) -> str:
        return self.platform.partition("-")[0]

    @property
    def machine(self) -> str:
        return self.platform.partition("-")[2]


def target_of(platform: str, python: str, glibc: tuple[int, int] | None) -> Target:
    """The machine *platform* (``linux-aarch64``) with *python* (``3.12`` or ``3.12.4``).

    Raises `BadPlatform`."""
    system, _, machine = platform.lower().partition("-")
    known = {"linux": set(_MACHINES), "macos": {"arm64", "x86_64"}, "windows": {"amd64", "arm64"}}
    if machine not in known.get(system, ()):
        raise BadPlatform(platform)
    version = python if python.count(".") > 1 else f"{python}.0"
    return Target(f"{system}-{machine}", version, glibc or USUAL_GLIBC)


def environment_of(target: Target) -> Environment:
    """What to install for *target*."""
    major, minor = target.release
    machine = target.machine.upper() if target.system == "windows" else target.machine
    system = _SYSTEMS[target.system]
    names = {"linux": "linux", "macos": "darwin", "windows": "win32"}
    markers = {
        "implementation_name": "cpython",
        "implementation_version": target.python,
        "os_name": "nt" if target.system == "windows" else "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": system,
        "platform_version": "",
        "python_full_version": target.python,
        "python_version": f"{major}.{minor}",
        "sys_platform": names[target.system],
    }
    places = {
        "linux": f"linux-{machine}",
        "macos": f"macosx-{'11.0' if machine == 'arm64' else '10.13'}-{machine}",
        "windows": f"win-{target.machine}",
    }
    facts = TagFacts(
        implementation="cpython",
        python=(major, minor),
        version_nodot=f"{major}{minor}",
        system=system,
        platform=places[target.system],
        extension_suffix=f".cpython-{major}{minor}-x.so",
        libc=Libc("glibc", *target.glibc) if target.system == "linux" else None,
        system_version=(14, 0) if target.system == "macos" else (0, 0),
        machine=machine,
    )
    return Environment(markers, wheel_tags(facts))


def for_glibc(environment: Environment, glibc: tuple[int, int] | None) -> Environment:
    """*environment* without the tags of wheels that need a newer *glibc*."""
    if glibc is None:
        return environment
    tags = tuple(tag for tag in environment.tags if _needs(tag.rpartition("-")[2]) <= glibc)
    return Environment(environment.markers, tags)


def _needs(platform: str) -> tuple[int, int]:
    match = _MANYLINUX.match(platform)
    if match:
        return int(match[1]), int(match[2])
    return next((version for start, version in _OLD.items() if platform.startswith(start)), (0, 0))


def check_built(files: Sequence[File], environment: Environment, platform: str) -> None:
    """Raises `NotForPlatform` if one of *files* that was built here does not fit *environment*."""
    tags = set(environment.tags)
    wrong = [
        (str(file.pin.package.name), file.filename)
        for file in files
        if file.built and not tags & set(parse_wheel_filename(file.filename).tags)
    ]
    if wrong:
        raise NotForPlatform(platform, tuple(wrong))


# --- its interpreter -----------------------------------------------------------------------------


def given_interpreter(source: Path, shown: str, target: Target, scratch: Path) -> Interpreter:
    """The interpreter for *target* in the folder or archive *source*, which is unpacked into *scratch*.

    Raises `NoInterpreterFor`.
    """
    if not source.exists():
        raise NoInterpreterFor(shown, target.platform, "there is no such file")
    folder = source if source.is_dir() else _unpacked(source, shown, target, scratch)
    major, minor = target.release
    name = f"python{major}.{minor}"
    inside = sorted(path for path in folder.iterdir() if path.is_dir())
    places = (folder, folder / "install", *inside, *(path / "install" for path in inside))
    prefix = next((place for place in places if (place / "bin" / name).is_file()), None)
    if prefix is None:
        raise NoInterpreterFor(shown, target.platform, f"it has no bin/{name}")
    stdlib = next(
        (p for p in (prefix / "lib" / name, prefix / "lib64" / name) if (p / "os.py").is_file()), None
    )
    if stdlib is None:
        raise NoInterpreterFor(shown, target.platform, f"it has no lib/{name}/os.py")
    program = (prefix / "bin" / name).resolve()
    image = image_of(program)
    if image is None or image.machine != (_MACHINES[target.machine], True, image.machine[2]):
        raise NoInterpreterFor(shown, target.platform, f"bin/{name} is for another machine")
    below = stdlib.relative_to(prefix).as_posix()
    environment = environment_of(target)
    version = _version(prefix / "include" / name / "patchlevel.h") or target.python
    return Interpreter(
        path=str(prefix / "bin" / name),
        real_path=str(program),
        version=version,
        implementation="cpython",
        markers={**environment.markers, "python_full_version": version, "implementation_version": version},
        tags=environment.tags,
        prefix=str(prefix),
        base_prefix=str(prefix),
        is_free_threaded=False,
        cache_tag=f"cpython-{major}{minor}",
        layout=Layout("bin", f"{below}/site-packages", f"include/site/{name}"),
        paths={"stdlib": str(stdlib)},
    )


def _version(header: Path) -> str:
    try:
        match = _PATCHLEVEL.search(header.read_text(encoding="utf-8"))
    except OSError:
        return ""
    return match[1] if match else ""


def _unpacked(source: Path, shown: str, target: Target, scratch: Path) -> Path:
    folder = scratch / "given"
    folder.mkdir(parents=True)
    try:
        with source.open("rb") as file:
            if file.read(4) == b"\x28\xb5\x2f\xfd":
                file.seek(0)
                _extract(zstd.open(file), "r|", folder)
            else:
                file.seek(0)
                _extract(file, "r:*", folder)
    except _DAMAGE as error:
        if isinstance(error, tarfile.ReadError) and "\n" in str(error):  # what each of its readers found
            raise NoInterpreterFor(shown, target.platform, "it is no archive that tar can read") from error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NoInterpreterFor(shown, target.platform, f"it cannot be unpacked ({reason})") from error
    return folder


class _Header(tarfile.TarInfo):
    """A damaged header is an error: tarfile would take it for the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if not any(buf):
                raise
            raise tarfile.ReadError(f"it is damaged: {error}") from error


def _extract(file: Any, mode: str, folder: Path) -> None:
    """Files, folders and links that stay inside. Raises ValueError for others."""
    with tarfile.open(fileobj=cast("IO[bytes]", file), mode=cast("Any", mode), tarinfo=_Header) as archive:
        for info in archive:
            if not (info.isreg() or info.isdir() or info.issym() or info.islnk()):
                raise ValueError(f"{info.name} is no file")
            where = os.path.dirname(info.name) if info.issym() else ""
            for path in (info.name, *([os.path.join(where, info.linkname)] if info.linkname else [])):
                inner = os.path.normpath(path)
                if os.path.isabs(inner) or inner.split(os.sep)[0] == os.pardir:
                    raise ValueError(f"{info.name} leads outside")
            archive.extract(info, folder, **_SAFELY)
        assert archive.fileobj is not None
        while archive.fileobj.read(1 << 20):
            pass  # to the checksum
