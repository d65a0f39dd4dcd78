from __future__ import annotations

from pathlib import Path

import pytest

from pypm_env.build.failures import BuildFailed, advice, tail


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("src/x.c:1:10: fatal error: Python.h: No such file or directory\n", "headers of Python 3.12.1"),
        ("x.c:4:10: fatal error: ffi.h: No such file or directory", "header ffi.h"),
        ("x.c:4:10: fatal error: 'openssl/ssl.h' file not found", "header openssl/ssl.h"),
        ("error: command 'gcc' failed: No such file or directory", "C compiler"),
        ("unable to execute 'x86_64-linux-gnu-gcc': No such file or directory", "C compiler"),
        ("../meson.build:1:0: ERROR: Unknown compiler(s): [['cc'], ['gcc']]", "C compiler"),
        ("error: Microsoft Visual C++ 14.0 or greater is required.", "Microsoft C++ Build Tools"),
        ("xcrun: error: invalid active developer path (/Library)", "xcode-select"),
        ("error: can't find Rust compiler", "Rust"),
        ("Cargo, the Rust package manager, is not installed or is not on PATH.", "Rust"),
        ("/usr/bin/ld: cannot find -lpq: No such file", "library pq"),
        ("ld: library not found for -lxml2", "library xml2"),
        ("Error: pg_config executable not found.", "pg_config"),
        ('meson.build:3:0: ERROR: Dependency "openblas" not found, tried pkgconfig', "library openblas"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'cmake'", "program cmake"),
        ("error: Multiple top-level packages discovered in a flat-layout: ['a', 'b'].", "[tool.setuptools]"),
        ("LookupError: setuptools-scm was unable to detect version for /x", "git"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("ModuleNotFoundError: No module named 'numpy.core'", "module `numpy`"),
        ("ModuleNotFoundError: No module named 'distutils'", "since 3.12"),
        ("ModuleNotFoundError: No module named 'imp'", "since 3.12"),
    ],
)
def test_what_would_help(output: str, expected: str) -> None:
    found = advice(f"building\n{output}\nerror: it failed", requires=["setuptools"], python="3.12.1")
    assert found is not None and expected in found
    assert "\n" not in found and "{" not in found


@pytest.mark.parametrize("output", ["", "ValueError: something else", "everything not found yet"])
def test_no_advice_is_better_than_a_wrong_one(output: str) -> None:
    assert advice(output) is None


def test_the_end_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"".join(b"line %d\n" % n for n in range(100_000)) + b"\xff last\n\n\n")
    lines = tail(log).lines(3)
    assert lines == ("line 99998", "line 99999", "\N{REPLACEMENT CHARACTER} last")
    assert tail(tmp_path / "none").lines() == ()


def test_an_error_as_data() -> None:
    error = BuildFailed("acme", "build_wheel", "ValueError: no", "b", ("one", "two"), "do this")
    assert str(error) == "acme: build_wheel of b failed: ValueError: no"
    data = error.to_json()
    assert (data["code"], data["hint"], data["output"]) == ("build-failed", "do this", ["one", "two"])
