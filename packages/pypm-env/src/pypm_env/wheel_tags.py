"""Wheel tags of an interpreter from facts about it: values in, values out.

`packaging.tags.sys_tags` answers for the process it runs in. pypm asks about interpreters it does not
run in, so the platform part that packaging reads from its own process (libc, ELF header, operating
system version) is given here as `TagFacts`; the rest is packaging's. For every interpreter the answer
must be what ``sys_tags()`` says inside it, in the same order (PEP 425, 600, 656, 703, 730, 738, 803).
"""

from __future__ import annotations

from collections.abc import Iterator

from packaging import tags

from pypm_model.records import record

_LEGACY_MANYLINUX = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
_MANYLINUX_ARCHITECTURES = frozenset(
    {"x86_64", "aarch64", "ppc64", "ppc64le", "s390x", "loongarch64", "riscv64"}
)
_LAST_MINOR_OF_OLD_GLIBC = 50
"""What packaging assumes as the last minor version of a glibc series once a newer series exists."""


@record
class Libc:
    """The C library an interpreter is linked against: *name* is ``glibc`` or ``musl``."""

    name: str
    major: int
    minor: int


@record
class TagFacts:
    """What decides the tags of one interpreter."""

    implementation: str
    """``sys.implementation.name``: ``cpython``, ``pypy``..."""
    python: tuple[int, int]
    version_nodot: str
    """``py_version_nodot``: ``312``."""
    system: str
    """``platform.system()``: ``Linux``, ``Darwin``, ``Windows``..."""
    platform: str
    """``sysconfig.get_platform()``: ``linux-x86_64``, ``macosx-11.0-arm64``, ``win-amd64``..."""
    extension_suffix: str
    is_32bit: bool = False
    debug: bool = False
    free_threaded: bool = False
    libc: Libc | None = None
    hard_float: bool = False
    """ELF: 32-bit Arm, EABI 5, hard float."""
    is_i386: bool = False
    """ELF: 32-bit little-endian x86."""
    refused_manylinux: frozenset[str] = frozenset()
    """Versions the interpreter's own ``_manylinux`` module refuses (PEP 600), ``2_17``."""
    system_version: tuple[int, int] = (0, 0)
    """macOS and iOS version."""
    machine: str = ""
    """macOS: the processor, ``arm64``; iOS: ``sys.implementation._multiarch``."""
    api_level: int = 0
    """Android."""
    pyemscripten: str = ""
    """``PYEMSCRIPTEN_PLATFORM_VERSION``."""


def wheel_tags(facts: TagFacts) -> tuple[str, ...]:
    """All tags the interpreter supports, best first: ``cp312-cp312-manylinux_2_17_x86_64``..."""
    short = tags.INTERPRETER_SHORT_NAMES.get(facts.implementation, facts.implementation)
    places = list(platform_tags(facts))
    found: list[tags.Tag] = []
    any_tag: str | None = None
    if short == "cp":
        found += tags.cpython_tags(facts.python, _cpython_abis(facts), places)
        any_tag = "cp" + facts.version_nodot
    else:
        found += tags.generic_tags(short + facts.version_nodot, _generic_abis(facts), places)
        if short == "pp":
            any_tag = "pp3"
    found += tags.compatible_tags(facts.python, any_tag, places)
    return tuple(map(str, found))


def platform_tags(facts: TagFacts) -> Iterator[str]:
    """The third parts of the tags, best first."""
    match facts.system:
        case "Darwin":
            yield from tags.mac_platforms(facts.system_version, _mac_machine(facts))
        case "iOS":
            yield from tags.ios_platforms(facts.system_version, facts.machine)
        case "Android":
            yield from tags.android_platforms(facts.api_level, facts.platform.split("-")[-1])
        case "Linux":
            yield from _linux_platforms(facts)
        case "Emscripten":
            if facts.pyemscripten:
                yield f"pyemscripten_{facts.pyemscripten}_wasm32"
            yield _plain(facts.platform)
        case _:
            yield _plain(facts.platform)


def _mac_machine(facts: TagFacts) -> str:
    if not facts.is_32bit:
        return facts.machine
    return "ppc" if facts.machine.startswith("ppc") else "i386"


def _linux_platforms(facts: TagFacts) -> Iterator[str]:
    linux = _plain(facts.platform)
    if not linux.startswith("linux_"):
        yield linux
        return
    if facts.is_32bit:
        # A 32-bit interpreter on a 64-bit kernel calls itself by the kernel's name.
        linux = {"linux_x86_64": "linux_i686", "linux_aarch64": "linux_armv8l"}.get(linux, linux)
    machine = linux.removeprefix("linux_")
    machines = ["armv8l", "armv7l"] if machine == "armv8l" else [machine]
    for name in machines:
        yield f"linux_{name}"
    if facts.libc is None:
        return
    if facts.libc.name == "musl":
        for name in machines:
            for minor in range(facts.libc.minor, -1, -1):
                yield f"musllinux_{facts.libc.major}_{minor}_{name}"
    elif _manylinux_abi(facts, machines):
        for name in machines:
            yield from _manylinux(facts.libc, name, facts.refused_manylinux)


def _manylinux_abi(facts: TagFacts, machines: list[str]) -> bool:
    if "armv7l" in machines:
        return facts.hard_float
    if "i686" in machines:
        return facts.is_i386
    return any(machine in _MANYLINUX_ARCHITECTURES for machine in machines)


def _manylinux(libc: Libc, machine: str, refused: frozenset[str]) -> Iterator[str]:
    oldest = (2, 5) if machine in ("x86_64", "i686") else (2, 17)
    for major in range(libc.major, 1, -1):
        newest = libc.minor if major == libc.major else _LAST_MINOR_OF_OLD_GLIBC
        for minor in range(newest, (oldest[1] if major == oldest[0] else 0) - 1, -1):
            if f"{major}_{minor}" in refused:
                continue
            yield f"manylinux_{major}_{minor}_{machine}"
            if legacy := _LEGACY_MANYLINUX.get((major, minor)):
                yield f"{legacy}_{machine}"


def _cpython_abis(facts: TagFacts) -> list[str]:
    base = f"cp{facts.python[0]}{facts.python[1]}" + ("t" if facts.free_threaded else "")
    # A debug build also loads extension modules of a plain one (3.8 and later).
    return [base + "d", base] if facts.debug else [base]


def _generic_abis(facts: TagFacts) -> list[str]:
    parts = facts.extension_suffix.split(".")
    if len(parts) < 3:
        return _cpython_abis(facts)
    pieces = parts[1].split("-")
    match parts[1]:
        case name if name.startswith("cpython"):
            return [_plain("cp" + pieces[1])] if len(pieces) > 1 else []
        case name if name.startswith("cp"):
            return [_plain(pieces[0])]
        case name if name.startswith("pypy"):
            return [_plain("-".join(pieces[:2]))]
        case name if name.startswith("graalpy"):
            return [_plain("-".join(pieces[:3]))]
        case name:
            return [_plain(name)] if name else []


def _plain(text: str) -> str:
    return text.replace(".", "_").replace("-", "_").replace(" ", "_")
