"""Tags of platforms this machine is not."""

from __future__ import annotations

from packaging import tags

from pypm_env.wheel_tags import Libc, TagFacts, platform_tags, wheel_tags


def _facts(**more: object) -> TagFacts:
    fields: dict[str, object] = {
        "implementation": "cpython",
        "python": (3, 13),
        "version_nodot": "313",
        "system": "Linux",
        "platform": "linux-x86_64",
        "extension_suffix": ".cpython-313-x86_64-linux-gnu.so",
    }
    return TagFacts(**(fields | more))  # type: ignore[arg-type]


def test_glibc_goes_from_its_version_down_with_the_old_names() -> None:
    found = list(platform_tags(_facts(libc=Libc("glibc", 2, 18))))
    assert found[:4] == [
        "linux_x86_64",
        "manylinux_2_18_x86_64",
        "manylinux_2_17_x86_64",
        "manylinux2014_x86_64",
    ]
    assert found[-2:] == ["manylinux_2_5_x86_64", "manylinux1_x86_64"]


def test_arm_begins_at_2_17_and_a_future_glibc_runs_everything_older() -> None:
    found = list(platform_tags(_facts(platform="linux-aarch64", libc=Libc("glibc", 3, 1))))
    assert found[1:4] == ["manylinux_3_1_aarch64", "manylinux_3_0_aarch64", "manylinux_2_50_aarch64"]
    assert found[-1] == "manylinux2014_aarch64"


def test_musl() -> None:
    found = list(platform_tags(_facts(libc=Libc("musl", 1, 2))))
    assert found == ["linux_x86_64", "musllinux_1_2_x86_64", "musllinux_1_1_x86_64", "musllinux_1_0_x86_64"]


def test_a_32_bit_interpreter_on_a_64_bit_kernel() -> None:
    assert list(platform_tags(_facts(is_32bit=True, libc=Libc("glibc", 2, 5)))) == ["linux_i686"]
    with_elf = list(platform_tags(_facts(is_32bit=True, is_i386=True, libc=Libc("glibc", 2, 5))))
    assert with_elf == ["linux_i686", "manylinux_2_5_i686", "manylinux1_i686"]
    arm = _facts(platform="linux-aarch64", is_32bit=True, hard_float=True, libc=Libc("glibc", 2, 17))
    assert list(platform_tags(arm)) == [
        "linux_armv8l",
        "linux_armv7l",
        "manylinux_2_17_armv8l",
        "manylinux2014_armv8l",
        "manylinux_2_17_armv7l",
        "manylinux2014_armv7l",
    ]


def test_what_a_distributor_refuses_is_left_out() -> None:
    found = list(
        platform_tags(_facts(libc=Libc("glibc", 2, 18), refused_manylinux=frozenset({"2_18", "2_17"})))
    )
    assert found[1] == "manylinux_2_16_x86_64"


def test_free_threaded_and_debug_abis() -> None:
    free = wheel_tags(_facts(free_threaded=True))
    assert free[0] == "cp313-cp313t-linux_x86_64"
    assert "cp313-abi3-linux_x86_64" not in free
    debug = wheel_tags(_facts(debug=True))
    assert debug[:2] == ("cp313-cp313d-linux_x86_64", "cp313-cp313-linux_x86_64")
    assert "cp312-abi3-linux_x86_64" in debug


def test_pypy() -> None:
    found = wheel_tags(
        _facts(
            implementation="pypy",
            python=(3, 10),
            version_nodot="310",
            extension_suffix=".pypy310-pp73-x86_64-linux-gnu.so",
        )
    )
    assert found[0] == "pp310-pypy310_pp73-linux_x86_64"
    assert "pp3-none-any" in found
    assert found[-1] == "py30-none-any"


def test_macos_and_windows() -> None:
    mac = _facts(system="Darwin", platform="macosx-11.0-arm64", system_version=(14, 2), machine="arm64")
    assert list(platform_tags(mac)) == list(tags.mac_platforms((14, 2), "arm64"))
    assert list(platform_tags(_facts(system="Windows", platform="win-amd64"))) == ["win_amd64"]
    wasm = _facts(system="Emscripten", platform="emscripten-4.0.9-wasm32", pyemscripten="2026_0")
    assert list(platform_tags(wasm)) == ["pyemscripten_2026_0_wasm32", "emscripten_4_0_9_wasm32"]
