"""Evaluation in one environment, and environments found for a set (see also the laws)."""

from __future__ import annotations

import pytest

from pypm_model.markers import FALSE, both, evaluate, negate, parse, sample, witness

LINUX = {
    "python_full_version": "3.12.4",
    "python_version": "3.12",
    "sys_platform": "linux",
    "os_name": "posix",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
    "implementation_version": "3.12.4",
    "platform_release": "5.15.0-76-generic",
    "platform_version": "#83-Ubuntu SMP",
}


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ("python_version > '3.11'", True),
        ("python_version == '3.*'", True),
        ("'3.10' > python_version", False),
        ("'3.9' < python_version", True),
        ("'3.1' in python_version", True),
        ("'3.13' in python_version", False),
        ("'inux' in sys_platform", True),
        ("sys_platform < 'zzz'", False),
        ("sys_platform >= 'linux'", True),
        ("platform_release >= '5'", False),
        ("platform_release != '5'", False),
        ("platform_release == '5.15.0-76-generic'", True),
        ("'generic' in platform_release", True),
        ("platform_version == '#83-Ubuntu SMP'", True),
        ("platform_version != '10'", True),
        ("implementation_version ~= '3.12.1'", True),
        ("platform_release === '5.15.0-76-GENERIC'", True),
    ],
)
def test_one_environment(marker: str, expected: bool) -> None:
    assert evaluate(parse(marker), LINUX) is expected


def test_a_build_from_a_checkout_is_that_version() -> None:
    environment = {**LINUX, "python_full_version": "3.13.0a1+", "python_version": "3.13"}
    assert evaluate(
        parse("python_full_version >= '3.13.0a1' and python_full_version < '3.13.0a2'"), environment
    )


def test_extras_and_flags_are_sets() -> None:
    d = parse("extra == 'a' and extra == 'B_b' and extra != 'c' and 'acme:dev' in dependency_groups")
    assert evaluate(d, LINUX, flags=["acme:dev"], extras=["a", "b.b"])
    assert not evaluate(d, LINUX, flags=["acme:dev"], extras=["a", "b-b", "c"])
    assert not evaluate(d, LINUX, extras=["a", "b-b"])
    assert evaluate(parse("extra == ''"), LINUX) and not evaluate(parse("extra == ''"), LINUX, extras=["a"])


def test_a_missing_variable_is_an_error() -> None:
    with pytest.raises(KeyError):
        evaluate(parse("platform_machine == 'x86_64'"), {"sys_platform": "linux"})


def test_samples_are_usual_and_consistent() -> None:
    found = sample(parse("platform_system == 'Windows'"))
    assert found is not None
    assert (found["sys_platform"], found["os_name"], found["platform_machine"]) == ("win32", "nt", "AMD64")
    assert found["python_full_version"] == "3.12.0"
    other = sample(parse("os_name == 'posix' and sys_platform != 'linux' and sys_platform != 'darwin'"))
    assert other is not None and other["os_name"] == "posix"
    assert sample(FALSE) is None
    early = sample(parse("python_full_version >= '3.14.0a2' and python_full_version < '3.14.0b1'"))
    assert early is not None and early["python_full_version"] == "3.14.0a2"


@pytest.mark.parametrize(
    "marker",
    [
        "platform_release >= '20' and platform_release < '21'",
        "platform_release != '5' and platform_release not in '6 7'",
        "'linux' in sys_platform and sys_platform != 'linux'",
        "'x' in python_version",
        "platform_machine != 'x86_64' and 'x' in platform_machine",
        "python_version < '3.8' and platform_version == 'SMP' and implementation_version > '7'",
        "'a' in dependency_groups and 'b' not in dependency_groups and extra == 'c'",
    ],
)
def test_a_witness_also_of_rare_conditions(marker: str) -> None:
    d = parse(marker)
    found = witness(d)
    if marker == "'x' in python_version":
        assert found is None
        found = witness(negate(d))
        d = negate(d)
    assert found is not None
    assert evaluate(d, found.environment, found.flags, found.extras)
    assert witness(both(d, negate(d))) is None
