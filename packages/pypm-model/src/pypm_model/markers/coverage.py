"""Which environments a wheel is for, as far as markers can tell.

An *atom* is ``python|os|machine`` (see `pypm_model.facts.FileClass`). From the tags of a wheel's file name
to atoms goes what ``packaging.tags`` accepts on each platform: ``cp311`` is CPython 3.11 alone, ``abi3`` all
later CPythons, ``py310`` all Pythons from 3.10 on. How old a system may be (``manylinux_2_17``,
``macosx_11_0``) is nothing a marker knows and is left out; so is the C library (``musllinux`` is Linux).
A platform of Pyodide goes with one Python (`pypm_model.pyemscripten`), and is kept in the atom for that. WASI
has no tags: there only wheels for every platform are of use.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from pypm_model import pyemscripten
from pypm_model.markers import python_axis
from pypm_model.markers.atoms import equal
from pypm_model.markers.diagram import FALSE, TRUE, Diagram, any_of, both, implies, negate
from pypm_model.markers.inquiry import is_python_only
from pypm_model.markers.python_axis import HIGHEST, Cut
from pypm_model.patterns import pattern

_python = pattern(r"(py|cp|pp|graalpy)([0-9])([0-9]*)(t?)(\+?)")
_interpreter = pattern(r"(py|cp|pp|graalpy)([0-9])_?([0-9]*)")

_IMPLEMENTATIONS = {"cp": "CPython", "pp": "PyPy", "graalpy": "GraalVM"}

_platform = pattern(
    r"(?P<linux>(?:many|musl)?linux(?:[0-9]+|_[0-9]+_[0-9]+)?_(?!0-9))"
    r"|(?P<darwin>macosx_[0-9]+_[0-9]+_)"
    r"|(?P<android>android_[0-9]+_)"
    r"|(?P<ios>ios_[0-9]+_[0-9]+_)"
    r"|(?P<freebsd>freebsd_(?P<major>[0-9]+)_(?:[a-z0-9]+_)*)"
)
_MAC_MACHINES = {
    "universal2": ("arm64", "x86_64"),
    "intel": ("i386", "x86_64"),
    "universal": ("i386", "ppc", "ppc64", "x86_64"),
    "fat": ("i386", "ppc"),
    "fat3": ("i386", "ppc", "x86_64"),
    "fat32": ("i386", "ppc", "x86_64"),
    "fat64": ("ppc64", "x86_64"),
}
_WINDOWS_MACHINES = {"win32": "x86", "win_amd64": "AMD64", "win_arm64": "ARM64"}
_ANDROID_MACHINES = {"arm64_v8a": "aarch64", "armeabi_v7a": "armv7l", "x86": "i686", "x86_64": "x86_64"}


WHEELS_ONLY = any_of([equal("sys_platform", "emscripten"), equal("sys_platform", "wasi")])
"""Where nothing is built, not even an sdist that may be."""


@lru_cache(maxsize=8192)
def coverage(tags: tuple[str, ...] | None) -> Diagram:
    """The environments that can use a file whose tags cover the atoms *tags*; None, an sdist: all.

    ``py3`` and ``abi3`` have no ceiling: they are taken to be usable on a Python 4, which nobody has seen.
    Free-threaded builds (``cp313t``) are not told apart by markers: their wheels cover nothing, as ordinary
    interpreters cannot use them. An atom that is not understood covers nothing.
    """
    if tags is None:
        return TRUE
    # Most files are for the same places on all their Pythons: what is joined first is joined once.
    places: dict[str, list[str]] = {}
    for tag in tags:
        python, _, place = tag.partition("|")
        places.setdefault(python, []).append(place)
    pythons: dict[tuple[str, ...], list[str]] = {}
    for python, some in places.items():
        pythons.setdefault(tuple(some), []).append(python)
    return any_of(both(any_of(map(_pythons, some)), _anywhere(where)) for where, some in pythons.items())


@lru_cache(maxsize=4096)
def _anywhere(places: tuple[str, ...]) -> Diagram:
    return any_of(map(_place, places))


@lru_cache(maxsize=1024)
def _place(place: str) -> Diagram:
    """Where ``os|machine`` is."""
    os, _, machine = place.partition("|")
    if not os or not machine:
        return FALSE
    if "emscripten_" in os:
        system = both(equal("sys_platform", "emscripten"), _pythons_of(os))
    else:
        system = TRUE if os == "*" else equal("sys_platform", os)
    return system if machine == "*" else both(system, equal("platform_machine", machine))


@lru_cache(maxsize=256)
def _pythons_of(platform: str) -> Diagram:
    """The Pythons that a platform of Pyodide goes with. One that is not known here is for other Pythons than
    those that are: newer ones, or, where the tag says no more than the compiler, any."""
    known = pyemscripten.pythons(platform)
    if known:
        return any_of(_minor(python) for python in known)
    every = [each.python for each in pyemscripten.PLATFORMS.values()]
    if platform.startswith(pyemscripten.PREFIX):
        return python_axis.diagram([((max(every)[0], max(every)[1] + 1, 0, 0, 0), HIGHEST)])
    return negate(any_of(map(_minor, every)))


def _minor(python: tuple[int, int]) -> Diagram:
    major, minor = python
    return python_axis.diagram([((major, minor, 0, 0, 0), (major, minor + 1, 0, 0, 0))])


class WheelsFor:
    """The wheels that some environment of *region* can use: ``filename in WheelsFor(region)``; and whether
    an sdist is of use in one: ``is_built``.

    A lock asks this of every file of every release; what was answered for a tail of tags, and for an
    atom, is remembered.
    """

    def __init__(self, region: Diagram) -> None:
        self._region = region
        self._names_places = not is_python_only(region)
        self.is_built = not implies(region, WHEELS_ONLY)
        self._tails: dict[str, bool] = {}
        self._atoms: dict[str, bool] = {}

    def __contains__(self, filename: str) -> bool:
        tail = "-".join(filename.removesuffix(".whl").rsplit("-", 3)[1:])
        known = self._tails.get(tail)
        if known is None:
            known = self._tails[tail] = any(map(self._meets, _atoms(tail)))
        return known

    def _meets(self, atom: str) -> bool:
        known = self._atoms.get(atom)
        if known is None:
            python, _, place = atom.partition("|")
            known = both(_pythons(python), self._region) != FALSE
            if known and (self._names_places or "emscripten_" in place):
                known = both(both(_pythons(python), _place(place)), self._region) != FALSE
            self._atoms[atom] = known
        return known


@lru_cache(maxsize=1024)
def _pythons(python: str) -> Diagram:
    match = _python.fullmatch(python)
    if match is None:
        return FALSE
    kind, major, minor, threads, open_end = match.groups()
    if threads:
        return FALSE
    x, y = int(major), int(minor or 0)
    low: Cut = (x, y, 0, 0, 0)
    if kind == "py" or open_end:
        # py3 and py310 are for all that follow; only what is before Python 3 ends with its major version.
        high: Cut = HIGHEST if x >= 3 else (x + 1, 0, 0, 0, 0)
    else:
        high = (x, y + 1, 0, 0, 0) if minor else (x + 1, 0, 0, 0, 0)
    region = python_axis.diagram([(low, high)])
    if kind == "py":
        return region
    return both(region, equal("platform_python_implementation", _IMPLEMENTATIONS[kind]))


def atoms(tags: Iterable[str]) -> tuple[str, ...]:
    """What wheel tags (``cp311-abi3-manylinux_2_17_x86_64``, compressed sets allowed) cover, as atoms:
    sorted, each once. Tags for Python 2 and tags that are not understood give none."""
    found: set[str] = set()
    for tag in tags:
        found |= _atoms(tag)
    return tuple(sorted(found))


@lru_cache(maxsize=8192)
def _atoms(tag: str) -> frozenset[str]:
    parts = tag.lower().split("-")
    if len(parts) != 3:
        return frozenset()
    pythons, places = _python_atoms(parts[0], parts[1]), _all_places(parts[2])
    # An ABI other than "none" goes with a platform.
    return frozenset(
        [
            f"{python.rstrip('!')}|{place}"
            for python in pythons
            for place in places
            if place != "*|*" or python[-1] != "!"
        ]
    )


@lru_cache(maxsize=1024)
def _python_atoms(interpreters: str, abis: str) -> frozenset[str]:
    """The Python parts of compressed tags, as `_python_atom` has them."""
    pairs = [(i, a) for i in interpreters.split(".") for a in abis.split(".")]
    return frozenset([python for i, a in pairs if (python := _python_atom(i, a))])


@lru_cache(maxsize=4096)
def _all_places(platforms: str) -> frozenset[str]:
    """``os|machine`` of compressed platform tags."""
    return frozenset([place for platform in platforms.split(".") for place in _places(platform)])


def _python_atom(interpreter: str, abi: str) -> str:
    """The Python part of the atom, with ``!`` behind it if a platform is needed; empty if nothing fits."""
    match = _interpreter.fullmatch(interpreter)
    if match is None or int(match[2]) < 3:
        return ""
    kind, major, minor = match.groups()
    this = f"{kind}{major}{minor}"
    if abi == "none":
        if kind == "py":
            return f"{this}+" if minor else this
        # No CPython looks for "cp3-none"; a PyPy looks for "pp3-none".
        return this if minor or kind == "pp" else ""
    if kind == "py" or not minor:
        return ""
    if kind != "cp":
        return f"{this}!"
    if abi == "abi3":
        return f"{this}+!"
    # m: with pymalloc, as all ordinary builds before 3.8 were; t: free-threaded; d, u: no ordinary builds.
    flags = abi[len(this) :] if abi.startswith(this) else None
    if flags in ("", "m"):
        return f"{this}!"
    return f"{this}t!" if flags == "t" else ""


def _places(platform: str) -> tuple[str, ...]:
    """``os|machine`` of a platform tag."""
    if platform == "any":
        return ("*|*",)
    if platform in _WINDOWS_MACHINES:
        return (f"win32|{_WINDOWS_MACHINES[platform]}",)
    if pyodide := pyemscripten.canonical(platform):
        return (f"{pyodide}|wasm32",)
    match = _platform.match(platform)
    if match is None:
        return ()
    machine = platform[match.end() :]
    if not machine:
        return ()
    match match.lastgroup:
        case "linux":
            return (f"linux|{machine}",)
        case "darwin":
            return tuple([f"darwin|{m}" for m in _MAC_MACHINES.get(machine, (machine,))])
        case "android":
            known = _ANDROID_MACHINES.get(machine)
            return (f"android|{known}",) if known else ()
        case "ios":
            return (f"ios|{machine.split('_iphone')[0]}",)
        case _:
            return (f"freebsd{match['major']}|{machine}",)
