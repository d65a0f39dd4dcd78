"""Targets by name, and what of a set of environments asks for a system without builds."""

from __future__ import annotations

import pytest

from pypm_model.markers import (
    FALSE,
    WHEELS_ONLY,
    InvalidMarker,
    both,
    evaluate,
    implies,
    parse,
    requires_python,
    text,
)
from pypm_model.pyemscripten import PLATFORMS
from pypm_model.targets import (
    WASM,
    UnknownTarget,
    environment_marker,
    points,
    target,
    wheels_only,
    words,
)

PYODIDE_314 = (
    "python_version == '3.14' and sys_platform == 'emscripten'"
    " and platform_python_implementation == 'CPython'"
)


@pytest.mark.parametrize(
    "name",
    [
        "pyemscripten_2026_0",
        "pyodide-2026_0",
        "pyodide-2026-0",
        "Pyodide_2026_0_wasm32",
        "pyemscripten_2026_0_wasm32",
    ],
)
def test_a_platform_of_pyodide_has_one_python(name: str) -> None:
    found = target(name)
    assert (found.name, found.marker) == ("pyemscripten_2026_0", PYODIDE_314)
    assert environment_marker(f" {name} ") == PYODIDE_314


def test_every_platform_is_a_target() -> None:
    pythons = {evaluated(target(platform).marker) for platform in PLATFORMS}
    assert pythons == {"3.12", "3.13", "3.14", "3.15"}


def evaluated(marker: str) -> str:
    (python,) = [
        f"3.{minor}"
        for minor in range(8, 20)
        if evaluate(
            parse(marker),
            {
                "python_full_version": f"3.{minor}.1",
                "python_version": f"3.{minor}",
                "sys_platform": "emscripten",
                "os_name": "posix",
                "platform_system": "Emscripten",
                "platform_machine": "wasm32",
                "platform_python_implementation": "CPython",
                "implementation_name": "cpython",
            },
        )
    ]
    return python


def test_a_system_without_a_version_is_all_of_its_pythons() -> None:
    assert target("pyodide") == target("pyemscripten")
    assert implies(parse(target("pyodide").marker), WASM[0])
    assert both(parse(target("pyodide").marker), requires_python("==3.11.*")) != FALSE
    assert target("WASI").name == "wasi"
    assert target("wasi-3.13").name == "wasi_3.13"
    assert implies(parse(target("wasi_3.13").marker), both(WASM[1], requires_python("==3.13.*")))


@pytest.mark.parametrize("name", ["pyodide_2027_0", "pyodide_314_0", "wasi_x", "linux", "emscripten"])
def test_other_words_are_no_target(name: str) -> None:
    with pytest.raises(UnknownTarget, match=rf"`{name}` is neither .*pyemscripten_2026_0.*wasi"):
        environment_marker(name)


def test_markers_are_environments_too() -> None:
    assert environment_marker("sys_platform == 'linux'") == "sys_platform == 'linux'"
    with pytest.raises(InvalidMarker):
        environment_marker("sys_platform ==")


def test_what_is_known_of_these_systems() -> None:
    for system in ("emscripten", "wasi"):
        known = parse(f"sys_platform == '{system}'")
        assert implies(known, parse("os_name == 'posix' and platform_machine == 'wasm32'"))
        assert both(known, parse("platform_machine == 'x86_64'")) == FALSE
    assert parse("platform_system == 'wasi'") == WASM[1]
    assert parse("platform_system == 'Emscripten'") == WASM[0]


@pytest.mark.parametrize(
    ("marker", "parts"),
    [
        ("sys_platform == 'emscripten'", ["sys_platform == 'emscripten'"]),
        ("platform_system == 'Emscripten'", ["sys_platform == 'emscripten'"]),
        (PYODIDE_314, [PYODIDE_314]),
        ("sys_platform == 'linux' or sys_platform == 'wasi'", ["sys_platform == 'wasi'"]),
        ("platform_machine == 'wasm32'", ["sys_platform == 'emscripten'", "sys_platform == 'wasi'"]),
        ("sys_platform == 'linux'", []),
        ("sys_platform != 'win32'", []),
        ("os_name == 'posix'", []),
        ("python_version >= '3.12'", []),
        ("", []),
    ],
)
def test_only_who_names_a_system_asks_for_it(marker: str, parts: list[str]) -> None:
    assert [text(part) for part, _ in wheels_only([parse(marker)])] == parts


def test_points_are_the_known_platforms_in_a_region() -> None:
    assert len(points(parse("python_version >= '3.13'"))) == len(PLATFORMS) - 1
    assert points(parse("sys_platform == 'wasi'")) == ()


def test_targets_in_words() -> None:
    pyodide, wasi = parse(target("pyodide").marker), parse(target("wasi").marker)
    everywhere = parse("")
    assert words(parse(PYODIDE_314), everywhere) == "pyemscripten_2026_0 (Pyodide on Python 3.14)"
    assert words(pyodide, pyodide) == "Pyodide"
    assert words(both(pyodide, requires_python("<3.12")), everywhere) == "Pyodide on Python before 3.12"
    assert words(wasi, everywhere) == "WASI, which takes pure wheels only"
    assert words(WHEELS_ONLY, everywhere) == "WebAssembly"
