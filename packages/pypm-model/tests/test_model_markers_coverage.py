"""Wheel tags to environments, compared with the tags that `packaging` says an interpreter accepts."""

from __future__ import annotations

import pytest
from packaging.tags import compatible_tags, cpython_tags, mac_platforms, parse_tag

from pypm_model.markers import (
    FALSE,
    TRUE,
    Diagram,
    atoms,
    both,
    coverage,
    disjoint,
    either,
    evaluate,
    implies,
    minus,
    parse,
    requires_python,
)
from pypm_model.markers.coverage import WheelsFor
from pypm_model.pyemscripten import PLATFORMS as PLATFORMS_OF_PYODIDE


def marker_environment(python: str, platform: str, machine: str) -> dict[str, str]:
    return {
        "python_full_version": f"{python}.1",
        "sys_platform": platform,
        "os_name": "nt" if platform == "win32" else "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }


TARGETS = {
    ("linux", "x86_64"): [
        "manylinux_2_28_x86_64",
        "manylinux_2_17_x86_64",
        "manylinux1_x86_64",
        "linux_x86_64",
    ],
    ("linux", "aarch64"): ["musllinux_1_2_aarch64", "linux_aarch64"],
    ("darwin", "arm64"): list(mac_platforms((14, 0), "arm64")),
    ("darwin", "x86_64"): list(mac_platforms((11, 0), "x86_64")),
    ("win32", "AMD64"): ["win_amd64"],
    ("win32", "x86"): ["win32"],
    ("win32", "ARM64"): ["win_arm64"],
    ("android", "aarch64"): ["android_30_arm64_v8a"],
    ("wasi", "wasm32"): [],
}
PLATFORMS = [
    *("any", "linux_x86_64", "manylinux1_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64"),
    *("musllinux_1_2_aarch64", "win32", "win_amd64", "win_arm64", "win_ia64", "macosx_10_9_x86_64"),
    *("macosx_11_0_arm64", "macosx_11_0_universal2", "macosx_10_9_intel", "android_30_arm64_v8a"),
    *("pyodide_2024_0_wasm32", "emscripten_3_1_58_wasm32", "wasi_0_0_0_wasm32", "solaris_sparc", "nonsense"),
]
PYTHON_ABI = [
    *(
        "py3-none",
        "py2-none",
        "py2.py3-none",
        "py310-none",
        "py313-none",
        "cp310-none",
        "cp3-none",
        "py3-abi3",
    ),
    *(
        "cp311-cp311",
        "cp311-none",
        "cp38-abi3",
        "cp313-abi3",
        "cp311-abi3.cp311",
        "cp313-cp313t",
        "cp27-cp27mu",
    ),
    *(
        "cp37-cp37m",
        "pp310-pypy310_pp73",
        "pp3-none",
        "cp311-cp310",
        "cp311-cp311d",
        "py3-cp311",
        "jy27-none",
    ),
]


@pytest.mark.parametrize("python", ["3.7", "3.9", "3.11", "3.13"])
def test_a_wheel_covers_the_environments_that_accept_its_tags(python: str) -> None:
    version = tuple(int(n) for n in python.split("."))
    abi = f"cp{version[0]}{version[1]}" + ("m" if version < (3, 8) else "")
    for (platform, machine), tags in TARGETS.items():
        # For no tags at all packaging would take those of this machine.
        names = tags or ["no_tags"]
        accepted = {*cpython_tags(version, [abi], names), *compatible_tags(version, abi.rstrip("m"), names)}
        here = marker_environment(python, platform, machine)
        for head in PYTHON_ABI:
            for tail in PLATFORMS:
                tag = f"{head}-{tail}"
                expected = not accepted.isdisjoint(parse_tag(tag))
                region = coverage(atoms([tag]))
                assert evaluate(region, here) == expected, (tag, here)


@pytest.mark.parametrize("platform", PLATFORMS_OF_PYODIDE)
def test_a_wheel_covers_the_platform_of_pyodide_that_it_is_for(platform: str) -> None:
    (x, y), emscripten = PLATFORMS_OF_PYODIDE[platform]
    names = [f"{platform}_wasm32", f"pyodide_{platform[13:]}_wasm32", f"emscripten_{emscripten}_wasm32"]
    abi = f"cp{x}{y}"
    accepted = {*cpython_tags((x, y), [abi], names), *compatible_tags((x, y), abi, names)}
    here = marker_environment(f"{x}.{y}", "emscripten", "wasm32")
    tails = [*names, "any", "wasi_0_0_0_wasm32", "manylinux_2_17_x86_64", "pyemscripten_2024_1_wasm32"]
    for other, (_, version) in PLATFORMS_OF_PYODIDE.items():
        tails += [f"{other}_wasm32", f"pyodide_{other[13:]}_wasm32", f"emscripten_{version}_wasm32"]
    tails += ["pyemscripten_2031_0_wasm32", "pyodide_314_0_wasm32", "emscripten_3_1_46_wasm32", "wasm32"]
    heads = [*PYTHON_ABI, f"{abi}-{abi}", "cp312-cp312", "cp314-cp314", "cp310-abi3", f"py{x}{y}-none"]
    for tag in (f"{head}-{tail}" for head in heads for tail in tails):
        expected = not accepted.isdisjoint(parse_tag(tag))
        assert evaluate(coverage(atoms([tag])), here) == expected, (tag, platform)
        only = both(requires_python(f"=={x}.{y}.*"), parse("sys_platform == 'emscripten'"))
        assert (f"a-1-{tag}.whl" in WheelsFor(only)) == (expected or bool(_on_others(tag, only))), tag


def _on_others(tag: str, only: Diagram) -> bool:
    """Whether the wheel is one of another implementation, which the region does not leave out."""
    return tag.startswith(("pp", "graalpy")) and both(coverage(atoms([tag])), only) != FALSE


def test_platforms_of_pyodide_that_are_not_known_are_for_other_pythons() -> None:
    def covers(tag: str, python: str) -> bool:
        return evaluate(coverage(atoms([tag])), marker_environment(python, "emscripten", "wasm32"))

    assert covers("cp310-abi3-pyemscripten_2031_0_wasm32", "3.19")
    assert not covers("cp310-abi3-pyemscripten_2031_0_wasm32", "3.14")
    assert covers("cp311-cp311-emscripten_3_1_46_wasm32", "3.11")
    assert not covers("cp310-abi3-emscripten_3_1_46_wasm32", "3.13")


def test_a_lock_for_some_pythons_takes_no_wheels_of_other_platforms_of_pyodide() -> None:
    usable = WheelsFor(requires_python(">=3.14"))
    assert "a-1-cp310-abi3-pyodide_2026_0_wasm32.whl" in usable
    assert "a-1-cp310-abi3-pyodide_2025_0_wasm32.whl" not in usable
    assert usable.is_built
    assert not WheelsFor(parse("sys_platform == 'wasi'")).is_built


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["py3-none-any"], ("py3|*|*",)),
        (["py2.py3-none-any"], ("py3|*|*",)),
        (["py2-none-any"], ()),
        (["py310-none-any"], ("py310+|*|*",)),
        (["cp310-none-any"], ("cp310|*|*",)),
        (["cp38-abi3-macosx_11_0_universal2"], ("cp38+|darwin|arm64", "cp38+|darwin|x86_64")),
        (["cp311-cp311-win_amd64", "cp311-cp311-win32"], ("cp311|win32|AMD64", "cp311|win32|x86")),
        (["cp313-cp313t-manylinux_2_17_x86_64.manylinux2014_x86_64"], ("cp313t|linux|x86_64",)),
        (["pp310-pypy310_pp73-musllinux_1_1_i686"], ("pp310|linux|i686",)),
        (["cp312-cp312-ios_13_0_arm64_iphoneos"], ("cp312|ios|arm64",)),
        (["cp313-cp313-android_21_arm64_v8a"], ("cp313|android|aarch64",)),
        (["cp314-cp314-pyemscripten_2026_0_wasm32"], ("cp314|pyemscripten_2026_0|wasm32",)),
        (["cp313-cp313-pyodide_2025_0_wasm32"], ("cp313|pyemscripten_2025_0|wasm32",)),
        (["py3-none-emscripten_4_0_9_wasm32"], ("py3|emscripten_4_0_9|wasm32",)),
        (["py3-none-wasi_0_0_0_wasm32"], ()),
        (["cp312-cp312-freebsd_14_1_release_amd64"], ("cp312|freebsd14|amd64",)),
        (["cp311-cp311-any"], ()),
        (["nonsense", "a-b-c", "cp311-cp311-", "--", ""], ()),
    ],
)
def test_atoms_of_tags(tags: list[str], expected: tuple[str, ...]) -> None:
    assert atoms(tags) == expected


def test_regions_of_atoms() -> None:
    assert coverage(None) == TRUE
    assert coverage(()) == FALSE
    assert coverage(("py3|*|*",)) == requires_python(">=3")
    assert coverage(("cp311|linux|x86_64",)) == parse(
        "python_version == '3.11' and implementation_name == 'cpython' and sys_platform == 'linux'"
        " and platform_machine == 'x86_64'"
    )
    assert coverage(("cp38+|*|*",)) == parse("python_version >= '3.8' and implementation_name == 'cpython'")
    assert coverage(("pp310|*|*",)) == parse("python_version == '3.10' and implementation_name == 'pypy'")
    assert coverage(("cp313t|linux|x86_64",)) == FALSE
    assert coverage(("zz9|linux|x86_64", "py3|linux", "", "py3||")) == FALSE


def test_old_wheels_are_a_ceiling() -> None:
    covered = coverage(tuple(f"cp3{minor}|*|*" for minor in (9, 10, 11)))
    cpython = parse("implementation_name == 'cpython'")
    assert implies(both(requires_python(">=3.9,<3.12"), cpython), covered)
    assert disjoint(covered, requires_python(">=3.12"))


def test_what_is_left_without_a_wheel() -> None:
    wheels = either(coverage(("py3|linux|x86_64",)), coverage(("py3|win32|AMD64",)))
    wanted = parse("python_version >= '3.11' and platform_machine == 'x86_64' and sys_platform != 'linux'")
    assert minus(wanted, wheels) == wanted
    assert minus(both(wanted, parse("platform_system == 'Linux'")), wheels) == FALSE
