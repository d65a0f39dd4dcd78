"""What sets of environments look like: as markers, in words, as bounds."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from packaging.markers import Marker

from pypm_model import markers
from pypm_model.activation import extra_flag, group_flag
from pypm_model.markers import (
    FALSE,
    NEVER,
    TRUE,
    TooComplex,
    all_of,
    any_of,
    both,
    describe,
    either,
    extra,
    flag,
    minus,
    negate,
    parse,
    python_bounds,
    requires_python,
    simplify,
    text,
)
from pypm_model.names import normalize


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ("python_version > '3.11'", "python_version >= '3.12'"),
        ("python_version >= '3.11.2'", "python_version >= '3.12'"),
        ("python_version <= '3.9' or python_version >= '3.11'", "python_version != '3.10'"),
        ("python_version in '3.8 3.9'", "python_version >= '3.8' and python_version < '3.10'"),
        ("python_version in '3.7 3.9'", "python_version == '3.7' or python_version == '3.9'"),
        ("python_version not in '3.7 3.9'", "python_version != '3.7' and python_version != '3.9'"),
        (
            "python_version == '3.10' or python_version == '3.8'",
            "python_version == '3.8' or python_version == '3.10'",
        ),
        ("python_full_version >= '3.11.3.dev0'", "python_full_version > '3.11.2'"),
        ("python_full_version <= '3.11.2'", "python_full_version < '3.11.3'"),
        ("python_full_version >= '3.12.dev0'", "python_version >= '3.12'"),
        ("python_full_version < '3.13'", "python_version < '3.13'"),
        ("python_full_version == '3.11.2.*'", "python_full_version == '3.11.2.*'"),
        ("python_full_version != '3.11.2'", "python_full_version != '3.11.2'"),
        ("python_full_version == '3.14.0rc1'", "python_full_version == '3.14.0rc1'"),
        ("platform_system == 'Windows' or os_name == 'nt'", "sys_platform == 'win32'"),
        ("implementation_name != 'cpython'", "platform_python_implementation != 'CPython'"),
        ("os_name == 'posix' or sys_platform == 'linux'", "os_name == 'posix'"),
        ("sys_platform == 'linux' and os_name == 'nt'", NEVER),
        ("sys_platform == 'linux' and 'inu' in sys_platform", "sys_platform == 'linux'"),
        (
            "python_version >= '4' and os_name == 'nt' or extra == 'x' and os_name == 'nt'",
            "python_version >= '4' and sys_platform == 'win32' or sys_platform == 'win32' and extra == 'x'",
        ),
        # What one condition covers is not said again by the one before it.
        *(
            (marker, marker)
            for marker in (
                "sys_platform == 'darwin' or sys_platform == 'linux' and platform_machine == 'aarch64'",
                "python_version < '3.12' and sys_platform == 'linux' or python_version >= '3.13'",
            )
        ),
        (
            "sys_platform != 'darwin' and (platform_machine != 'aarch64' or sys_platform != 'linux')",
            "sys_platform == 'linux' and platform_machine != 'aarch64'"
            " or sys_platform != 'darwin' and sys_platform != 'linux'",
        ),
    ],
)
def test_one_text_for_equal_sets(marker: str, expected: str) -> None:
    d = parse(marker)
    assert text(d) == expected
    assert parse(text(d)) == d


def test_the_order_of_a_text_is_that_of_the_variables() -> None:
    d = parse("extra == 'a' or sys_platform == 'win32' or python_version < '3.9'")
    assert text(d) == "python_version < '3.9' or sys_platform == 'win32' or extra == 'a'"


@pytest.mark.parametrize(
    ("marker", "region", "expected"),
    [
        (
            "python_version >= '3.9' and python_version < '3.13'",
            "python_version >= '3.11'",
            "python_version < '3.13'",
        ),
        ("python_version >= '3.9'", "python_version >= '3.11'", ""),
        ("python_version < '3.9'", "python_version >= '3.11'", NEVER),
        ("python_version == '3.12'", "python_version >= '3.12'", "python_version < '3.13'"),
        ("sys_platform == 'win32' and extra == 'x'", "extra == 'x'", "sys_platform == 'win32'"),
        ("os_name == 'nt'", "sys_platform == 'linux' or sys_platform == 'win32'", "sys_platform == 'win32'"),
        (
            "sys_platform != 'win32'",
            "sys_platform == 'linux' or sys_platform == 'darwin' or sys_platform == 'win32'",
            "sys_platform != 'win32'",
        ),
        (
            "python_version >= '3.11' and os_name == 'nt' or python_version < '3.11' and extra == 'x'",
            "python_version < '3.11'",
            "extra == 'x'",
        ),
    ],
)
def test_shorter_where_the_region_is_given(marker: str, region: str, expected: str) -> None:
    d, given = parse(marker), parse(region)
    assert text(d, given) == expected
    assert both(simplify(d, given), given) == both(d, given)


PRERELEASES = ["3.13.9", "3.14.0a1", "3.14.0rc1", "3.14.0", "3.14.1"]


@pytest.mark.parametrize("boundary", ["python_version >= '3.14'", "python_full_version >= '3.14'"])
def test_no_interpreter_falls_between_a_marker_and_its_opposite(boundary: str) -> None:
    d = parse(boundary)
    for python in PRERELEASES:
        environment = {"python_full_version": python, "python_version": python[:4]}
        inside, outside = (Marker(text(each)).evaluate(environment) for each in (d, negate(d)))
        assert inside == Marker(boundary).evaluate(environment)
        assert inside is not outside, python


def test_requires_python_admits_the_prereleases_of_its_lower_bound() -> None:
    d = requires_python(">=3.14")
    assert text(d) == "python_version >= '3.14'"
    assert text(negate(d)) == "python_version < '3.14'"
    assert d == requires_python(">=3.14.0rc2") == requires_python(">=3.14.*")
    assert requires_python("") == TRUE
    assert requires_python("<3.14") == negate(d)
    assert requires_python(">=3.9,<4,!=3.10.*") == parse(
        "python_version >= '3.9' and python_version < '4' and python_version != '3.10'"
    )
    assert requires_python(">3.8") == parse("python_full_version > '3.8.0'")
    assert requires_python("~=3.8") == requires_python(">=3.8,<4")
    assert requires_python(">=4,<3") == FALSE
    with pytest.raises(ValueError):
        requires_python("three")


def test_flags_and_extras_are_written_as_lock_files_write_them() -> None:
    acme = normalize("Acme")
    http, dev = extra_flag(acme, normalize("http")), group_flag(acme, normalize("dev"))
    assert text(flag(http)) == "'acme[http]' in dependency_groups"
    assert text(negate(flag(dev))) == "'acme:dev' not in dependency_groups"
    assert parse(text(any_of([flag(http), flag(dev)]))) == either(flag(http), flag(dev))
    assert text(extra("Foo_Bar")) == "extra == 'foo-bar'"
    assert both(extra("a"), extra("b")) != FALSE


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ("", "everywhere"),
        (NEVER, "nowhere"),
        ("python_version >= '3.13' and sys_platform == 'win32'", "on Python 3.13 and later on Windows"),
        ("python_version < '3.9'", "on Python before 3.9"),
        ("python_version == '3.11'", "on Python 3.11"),
        ("python_version >= '3.11' and python_version < '3.13'", "on Python 3.11 or 3.12"),
        ("python_version >= '3.9' and python_version < '3.13'", "on Python 3.9 to 3.12"),
        ("python_version != '3.10'", "on Python before 3.10 or 3.11 and later"),
        ("python_full_version == '3.11.2'", "on Python 3.11.2"),
        ("python_full_version < '3.11.3'", "on Python before 3.11.3"),
        ("python_full_version >= '3.14'", "on Python 3.14.0 (final) and later"),
        ("python_version >= '3.8' and python_version < '4'", "on Python 3.8 and later but before 4.0"),
        ("sys_platform == 'linux' or sys_platform == 'darwin'", "on macOS or Linux"),
        ("os_name != 'nt'", "except on Windows"),
        (
            "sys_platform == 'darwin' and platform_machine == 'arm64' and implementation_name != 'pypy'",
            "on macOS on arm64 machines not with PyPy",
        ),
        ("'acme:dev' in dependency_groups", "with the group dev of acme"),
        ("'acme[http]' not in dependency_groups", "without the extra http of acme"),
        ("'acme' in dependency_groups and extra == 'x'", "with the extra x with acme"),
        ("os_name == 'posix'", "where os_name is 'posix'"),
        ("platform_release >= '20'", "where platform_release >= '20'"),
        ("python_version < '3.9' or sys_platform == 'linux'", "on Python before 3.9, or on Linux"),
        (
            "python_version < '3.13' or sys_platform != 'darwin' and sys_platform != 'linux'",
            "on Python before 3.13, or not on macOS or Linux",
        ),
        (
            "sys_platform == 'win32' or sys_platform == 'linux' and platform_machine == 'x86_64'",
            "on Linux on x86_64 machines, or on Windows",
        ),
        (
            "python_version != '3.13' or sys_platform != 'win32' or platform_machine != 'AMD64'",
            "except on Python 3.13 on Windows on AMD64 machines",
        ),
        (
            "python_version < '3.12' and ('acme' in dependency_groups or 'b:dev' in dependency_groups)",
            "on Python before 3.12 with acme or the group dev of b",
        ),
        (
            "python_version < '3.9' and os_name == 'nt' or python_version == '3.10' "
            "and sys_platform == 'linux' or python_version == '3.12' and sys_platform == 'darwin' "
            "or platform_machine == 'x'",
            "where python_version < '3.9' and sys_platform == 'win32' or python_version == '3.10' "
            "and sys_platform == 'linux' or python_version == '3.12' and sys_platform == 'darwin' "
            "or platform_machine == 'x'",
        ),
    ],
)
def test_words(marker: str, expected: str) -> None:
    assert describe(parse(marker)) == expected


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ("", ("", "")),
        ("python_version >= '3.9'", ("3.9", "")),
        ("python_full_version >= '3.9' and python_version < '3.13'", ("3.9", "3.13")),
        ("python_full_version > '3.9.1' or python_version == '3.7' and os_name == 'nt'", ("3.7", "")),
        ("python_full_version < '3.11.3'", ("", "3.11.3")),
        ("os_name == 'nt'", ("", "")),
        (NEVER, ("", "")),
    ],
)
def test_bounds(marker: str, expected: tuple[str, str]) -> None:
    assert python_bounds(parse(marker)) == expected


def test_what_is_asked() -> None:
    d = parse("python_version < '3.9' and os_name == 'nt' and ('a' in dependency_groups or extra == 'b')")
    assert markers.variables(d) == {"python_full_version", "sys_platform", "dependency_groups", "extra"}
    assert markers.is_python_only(parse("python_version < '3.9'")) and markers.is_python_only(TRUE)
    assert not markers.is_python_only(d) and not markers.is_python_only(extra("b"))


MARKERS = [
    "'linux' in sys_platform and extra == 'b' or platform_release >= '5' and extra == 'a'",
    "'z' in dependency_groups and 'a' in dependency_groups or python_version == '3.9'",
    "platform_machine in 'arm64 x86_64' and (implementation_name == 'pypy' or os_name == 'posix')",
]


def test_texts_do_not_depend_on_what_was_read_before() -> None:
    """A process that met the variables in another order, with other hashes, writes the same."""
    program = (
        "import sys\nfrom pypm_model.markers import *\nds = {m: parse(m) for m in sys.argv[1:]}\n"
        "ordered = [ds[m] for m in sorted(ds)]\n"
        "print([text(d) for d in ordered], text(any_of(ordered)), text(negate(all_of(ordered))))"
    )
    outputs = set()
    for seed, order in (("1", MARKERS), ("2", MARKERS[::-1]), ("3", [MARKERS[1], MARKERS[0], MARKERS[2]])):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        run = subprocess.run(
            [sys.executable, "-c", program, *order],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.add(run.stdout)
    assert len(outputs) == 1
    ordered = [parse(m) for m in sorted(MARKERS)]
    assert outputs.pop().strip().endswith(text(negate(all_of(ordered))))


def test_nothing_heavy_is_loaded() -> None:
    program = "import sys, pypm_model.markers; print([m for m in sys.modules if m.split('.')[0] in %r])"
    heavy = ("packaging", "networkx", "pydantic", "httpx", "rtoml", "asyncio", "typing_extensions")
    run = subprocess.run(
        [sys.executable, "-c", program % (heavy,)], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


def test_what_many_conditions_share_is_not_written_to_be_measured() -> None:
    """One of the two ways to write it repeats each condition for every path that leads to it."""
    pairs = [(flag(f"m{n:02}[new]"), flag(f"m{n:02}[old]")) for n in range(60)]
    given = all_of(negate(both(new, old)) for new, old in pairs)
    some = both(given, any_of(old for _, old in pairs))
    found = text(some, given)
    assert found == " or ".join(f"'m{n:02}[old]' in dependency_groups" for n in range(60))
    assert both(parse(found), given) == some


def test_a_text_that_would_be_endless_is_refused() -> None:
    odd = FALSE
    for n in range(40):
        this = flag(f"p{n:02}")
        odd = either(minus(odd, this), minus(this, odd))
    with pytest.raises(TooComplex):
        text(odd)
