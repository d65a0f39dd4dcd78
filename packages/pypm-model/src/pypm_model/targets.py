"""Environments by name: Pyodide's platforms and WASI, where one installs wheels and builds nothing.

A name stands for a marker, so that a lock holds nothing but markers:

>>> target("pyodide-2026_0").marker
"python_version == '3.14' and sys_platform == 'emscripten' and platform_python_implementation == 'CPython'"

``pyodide`` and ``wasi`` without more are these systems with whatever Python. Nothing here depends on the
interpreter that pypm runs in.
"""

from __future__ import annotations

from collections.abc import Iterable

from pypm_model.markers import (
    FALSE,
    TRUE,
    WHEELS_ONLY,
    Diagram,
    all_of,
    both,
    describe,
    implies,
    parse,
    requires_python,
    simplify,
)
from pypm_model.patterns import pattern
from pypm_model.pyemscripten import PLATFORMS, PREFIX
from pypm_model.records import record

WASM = (parse("sys_platform == 'emscripten'"), parse("sys_platform == 'wasi'"))
"""The systems where nothing is built, each as a region."""
_ELSEWHERE = parse("sys_platform == 'no-such-system' and platform_machine == 'no-such-machine'")

_word = pattern(r"[A-Za-z][A-Za-z0-9._-]*")
_pyodide = pattern(r"(?:pyodide|pyemscripten)(?:_(?P<abi>[0-9]+_[0-9]+))?(?:_wasm32)?")
_wasi = pattern(r"wasi(?:_(?P<python>[0-9]+[._][0-9]+))?(?:_wasm32)?")


class UnknownTarget(ValueError):
    """*name* is no target's."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"`{name}` is neither a marker nor a target that pypm knows ({known()})")


@record
class Target:
    """An environment, or all those of one system."""

    name: str
    """``pyemscripten_2026_0``, ``pyodide``, ``wasi_3.14``, ``wasi``."""
    marker: str


def known() -> str:
    """The names of targets, for messages."""
    return ", ".join([*PLATFORMS, "pyodide", "wasi", "wasi_3.14"])


def target(name: str) -> Target:
    """The target called *name*: in any case, with ``-`` for ``_``, Pyodide's platforms also by their older
    names (``pyodide_2026_0``) and as platform tags (``..._wasm32``). Raises `UnknownTarget`."""
    plain = name.strip().lower().replace("-", "_")
    if match := _pyodide.fullmatch(plain):
        if match["abi"] is None:
            return Target("pyodide", _marker("emscripten"))
        platform = PREFIX + match["abi"]
        if platform in PLATFORMS:
            python = PLATFORMS[platform].python
            return Target(platform, _marker("emscripten", f"{python[0]}.{python[1]}"))
    elif match := _wasi.fullmatch(plain):
        if match["python"] is None:
            return Target("wasi", _marker("wasi"))
        minor = match["python"].replace("_", ".")
        return Target(f"wasi_{minor}", _marker("wasi", minor))
    raise UnknownTarget(name)


def environment_marker(text: str) -> str:
    """The marker that *text*, a marker or the name of a target, stands for. Raises `UnknownTarget` and
    `InvalidMarker`."""
    if _word.fullmatch(text.strip()):
        return target(text).marker
    parse(text)
    return text


def _marker(system: str, python: str = "") -> str:
    parts = [f"python_version == '{python}'"] if python else []
    parts += [f"sys_platform == '{system}'", "platform_python_implementation == 'CPython'"]
    return " and ".join(parts)


def wheels_only(environments: Iterable[Diagram]) -> tuple[tuple[Diagram, Diagram], ...]:
    """Those parts of *environments* that are of a system without builds, each with that system.

    Only of those that name their systems: one that merely leaves out others (``sys_platform != 'win32'``)
    does not ask for WebAssembly.
    """
    found: dict[Diagram, Diagram] = {}
    for environment in environments:
        if both(environment, _ELSEWHERE) != FALSE:
            continue
        for system in WASM:
            part = both(environment, system)
            if part != FALSE:
                found.setdefault(part, system)
    return tuple(found.items())


def points(where: Diagram) -> tuple[Diagram, ...]:
    """The known platforms of Pyodide that the region *where* meets, each as the region of its Python."""
    every = (both(WASM[0], requires_python(f"=={x}.{y}.*")) for (x, y), _ in PLATFORMS.values())
    return tuple([each for each in every if both(each, where) != FALSE])


def words(where: Diagram, within: Diagram) -> str:
    """The target that the region *where* is, all of it without builds, in words that fit behind "a wheel
    for"; what all of *within* has in common need not be said."""
    for point, (platform, (python, _)) in zip(points(TRUE), PLATFORMS.items(), strict=True):
        if implies(where, point):
            return f"{platform} (Pyodide on Python {python[0]}.{python[1]})"
    system, name, more = next(known for known in _NAMES if implies(where, known[0]))
    inside = simplify(where, all_of((system, within, _CPYTHON)))
    region = "" if inside == TRUE else f" {describe(inside)}"
    return name + region + more


_CPYTHON = parse("platform_python_implementation == 'CPython'")
_NAMES = (
    (WASM[0], "Pyodide", ""),
    (WASM[1], "WASI", ", which takes pure wheels only"),
    (WHEELS_ONLY, "WebAssembly", ""),
)
