"""The variables of a marker, their order in a diagram, and what is known about their values.

Three kinds: the Python axis (`PYTHON`), fields that hold a text (``sys_platform``...), and booleans: a
comparison that cannot be told by the field's value alone (``'linux' in sys_platform``,
``platform_release >= '20'``), an extra, a flag of `pypm_model.activation`.

What is known is the set U of possible environments: ``sys_platform`` decides ``os_name`` and
``platform_system`` where `_IMPLIED` says so, and the two names of an implementation decide each other.
`ALIASES` holds the pairs of which each implies the other: only the second is ever in a diagram.

Order is by `Variable`, so it depends on nothing that happened before in the process.
"""

from __future__ import annotations

from pypm_model.records import NamedTuple


class Variable(NamedTuple):
    """One variable; variables are compared as tuples to order them."""

    rank: int
    name: str
    """The PEP 508 name of the field that is asked."""
    operator: str = ""
    """Of a boolean: ``in`` (*literal* is part of the field's value) or a comparison; empty for a name
    that may be in the set ``extra``, ``extras`` or ``dependency_groups``."""
    literal: str = ""
    mirrored: bool = False
    """The literal stands on the left."""


PYTHON_RANK, TEXT_RANK, ATOM_RANK, SET_RANK, END_RANK = 0, 1, 20, 30, 99

TEXT_FIELDS = (
    "sys_platform",
    "os_name",
    "platform_system",
    "platform_machine",
    "platform_python_implementation",
    "implementation_name",
    "platform_version",
)
"""Compared as texts, in the order of a diagram: what decides another field stands before it."""
LOOSE_FIELDS = ("implementation_version", "platform_release")
"""Hold a version or any other text: every comparison is a boolean of its own."""
SETS = ("extra", "extras", "dependency_groups")
FIELDS = frozenset(("python_version", "python_full_version", *TEXT_FIELDS, *LOOSE_FIELDS, *SETS))

ALIASES: dict[tuple[str, str], tuple[str, str]] = {
    ("os_name", "nt"): ("sys_platform", "win32"),
    ("platform_system", "Windows"): ("sys_platform", "win32"),
    ("platform_system", "Linux"): ("sys_platform", "linux"),
    ("platform_system", "Darwin"): ("sys_platform", "darwin"),
    ("platform_system", "Android"): ("sys_platform", "android"),
    ("platform_system", "Emscripten"): ("sys_platform", "emscripten"),
    ("platform_system", "AIX"): ("sys_platform", "aix"),
    ("platform_system", "wasi"): ("sys_platform", "wasi"),
    ("implementation_name", "cpython"): ("platform_python_implementation", "CPython"),
    ("implementation_name", "pypy"): ("platform_python_implementation", "PyPy"),
    ("implementation_name", "graalpy"): ("platform_python_implementation", "GraalVM"),
    ("implementation_name", "jython"): ("platform_python_implementation", "Jython"),
    ("implementation_name", "ironpython"): ("platform_python_implementation", "IronPython"),
}

_IMPLIED: dict[str, dict[str, dict[str, str]]] = {
    "sys_platform": {
        "win32": {"os_name": "nt", "platform_system": "Windows"},
        "linux": {"os_name": "posix", "platform_system": "Linux"},
        "darwin": {"os_name": "posix", "platform_system": "Darwin"},
        "android": {"os_name": "posix", "platform_system": "Android"},
        "emscripten": {"os_name": "posix", "platform_system": "Emscripten", "platform_machine": "wasm32"},
        "aix": {"os_name": "posix", "platform_system": "AIX"},
        # ``platform.system()`` tells an iPhone from an iPad, and carries a version on Cygwin.
        "ios": {"os_name": "posix"},
        "cygwin": {"os_name": "posix"},
        "wasi": {"os_name": "posix", "platform_system": "wasi", "platform_machine": "wasm32"},
    },
    "platform_python_implementation": {
        "CPython": {"implementation_name": "cpython"},
        "PyPy": {"implementation_name": "pypy"},
        "GraalVM": {"implementation_name": "graalpy"},
        "Jython": {"implementation_name": "jython"},
        "IronPython": {"implementation_name": "ironpython"},
    },
}

KNOWN: dict[str, tuple[str, ...]] = {
    "sys_platform": (
        *("linux", "darwin", "win32", "android", "ios", "emscripten", "wasi", "cygwin", "aix", "linux2"),
        *("freebsd12", "freebsd13", "freebsd14", "freebsd15", "openbsd7", "netbsd10", "sunos5"),
    ),
    "os_name": ("posix", "nt", "java"),
    "platform_system": (
        *("Linux", "Darwin", "Windows", "Android", "iOS", "iPadOS", "Emscripten", "AIX", "Java", "SunOS"),
        *("FreeBSD", "OpenBSD", "NetBSD", "wasi"),
    ),
    "platform_machine": (
        *("x86_64", "AMD64", "amd64", "aarch64", "arm64", "ARM64", "i386", "i586", "i686", "x86", "arm"),
        *("armv6l", "armv7l", "armv8l", "ppc64le", "ppc64", "ppc", "s390x", "riscv64", "loongarch64"),
        "wasm32",
    ),
    "platform_python_implementation": ("CPython", "PyPy", "GraalVM", "Jython", "IronPython", "Pyston"),
    "implementation_name": ("cpython", "pypy", "graalpy", "jython", "ironpython", "pyston"),
    "platform_version": (),
}
"""Values that occur, most usual first: what ``field in 'text'`` can be true for, and samples."""

ORDER: list[Variable] = []
"""Variables by number; numbers are given in order of first use and mean nothing."""
DEPENDENTS: list[int] = []
"""By number: the bits (``1 << number``) of variables that a value of this one may decide."""
_numbers: dict[Variable, int] = {}


def number(variable: Variable) -> int:
    """The number of *variable*, which is the same whenever it is asked in this process."""
    known = _numbers.get(variable)
    if known is not None:
        return known
    new = len(ORDER)
    _numbers[variable] = new
    ORDER.append(variable)
    DEPENDENTS.append(0)
    if TEXT_RANK <= variable.rank <= ATOM_RANK:
        for field in (variable.name, *_deciders(variable.name)):
            decider = TEXT_NUMBERS.get(field, new)
            if decider != new:
                DEPENDENTS[decider] |= 1 << new
    return new


def _deciders(field: str) -> tuple[str, ...]:
    """Fields a value of which may decide *field*."""
    return tuple([d for d, rows in _IMPLIED.items() if any(field in row for row in rows.values())])


TEXT_NUMBERS: dict[str, int] = {}
END = number(Variable(END_RANK, ""))
"""Stands for "no variable": what TRUE and FALSE test."""
PYTHON = number(Variable(PYTHON_RANK, "python_full_version"))
for _position, _field in enumerate(TEXT_FIELDS):
    TEXT_NUMBERS[_field] = number(Variable(TEXT_RANK + _position, _field))
_LAST_TEXT = len(ORDER) - 1
"""The numbers after it are booleans'."""


def is_text(variable: int) -> bool:
    """Whether the variable of that number is a field that holds a text."""
    return PYTHON < variable <= _LAST_TEXT


def is_boolean(variable: int) -> bool:
    """Whether the variable of that number is true or false."""
    return variable > _LAST_TEXT


def implied(field: str, value: str) -> dict[str, str]:
    """What other fields hold where *field* holds *value*."""
    return _IMPLIED.get(field, {}).get(value, {})


def decisions(field: str, value: str, support: int) -> dict[int, str | bool]:
    """The values of the variables in *support* (bits) that follow from *field* holding *value*."""
    facts = {field: value, **implied(field, value)}
    decided: dict[int, str | bool] = {}
    rest = support & DEPENDENTS[TEXT_NUMBERS[field]]
    while rest:
        bit = rest & -rest
        rest ^= bit
        dependent = bit.bit_length() - 1
        variable = ORDER[dependent]
        if variable.name in facts:
            fact = facts[variable.name]
            if variable.rank < ATOM_RANK:
                decided[dependent] = fact
            elif variable.mirrored:
                decided[dependent] = variable.literal in fact
            else:
                decided[dependent] = fact in variable.literal
    return decided
