"""Reading markers: what is accepted, and where it is said to be wrong."""

from __future__ import annotations

import pytest

from pypm_model.errors import PypmError
from pypm_model.markers import FALSE, TRUE, InvalidMarker, both, diagram, negate, parse, text


@pytest.mark.parametrize(
    ("marker", "same"),
    [
        ("", ""),
        ("  \t", ""),
        ("os.name=='nt'", "sys_platform == 'win32'"),
        ("python_implementation == 'PyPy'", "implementation_name == 'pypy'"),
        ("platform.python_implementation=='PyPy'", "implementation_name == 'pypy'"),
        ('"linux"in sys.platform', "'linux' in sys_platform"),
        ("( ( sys_platform=='linux' ) )", "sys_platform == 'linux'"),
        ("sys_platform not  in 'linux'", "sys_platform != 'linux'"),
        ("extra == 'Foo_Bar.baz'", "extra == 'foo-bar-baz'"),
        ("'A.B' in dependency_groups", "'a-b' in dependency_groups"),
        ('platform_version == "it\'s"', 'platform_version == "it\'s"'),
        ("os_name == 'posix'or sys_platform=='linux'", "os_name == 'posix'"),
    ],
)
def test_spellings(marker: str, same: str) -> None:
    assert parse(marker) == parse(same)


def test_or_binds_less_than_and() -> None:
    a, b, c = "os_name == 'java'", "platform_machine == 'arm64'", "extra == 'x'"
    assert parse(f"{a} or {b} and {c}") == parse(f"{a} or ({b} and {c})") != parse(f"({a} or {b}) and {c}")


@pytest.mark.parametrize(
    ("marker", "position", "reason"),
    [
        ("python_version", 14, "expected a comparison"),
        ("python_version >=", 17, "expected a variable"),
        ("python_version >= 3.8", 18, "expected a variable"),
        ("python_version >= '3.8", 18, "expected a variable"),
        ("python_version > '3' extra == 'x'", 21, "'and', 'or' or the end"),
        ("(python_version > '3'", 21, "'and', 'or' or ')'"),
        ("python_version > '3')", 20, "'and', 'or' or the end"),
        ("python_version > '3' and", 24, "expected a variable"),
        ("python_version > '3' AND extra == 'x'", 21, "'and', 'or' or the end"),
        ("()", 1, "expected a variable"),
        ("snake == 'x'", 0, "'snake' is no marker variable"),
        ("'x' in snake", 7, "'snake' is no marker variable"),
        ("'a' == 'b'", 0, "two texts"),
        ("os_name == sys_platform", 0, "compared with a text"),
        ("os_name == 'a\\b'", 11, "backslash"),
        ("extra == 'a' and sys_platform ~= 'linux'", 17, "is no version"),
        ("python_version ~= '3'", 0, "needs a version"),
        ("extra ~= 'a'", 0, "cannot be used with extra"),
        ("extras == 'a'", 0, "cannot be used with extras"),
        ("dependency_groups in 'a'", 0, "is a set"),
        ("platform_release === 'a b'", 0, "needs a word"),
    ],
)
def test_faults_are_placed(marker: str, position: int, reason: str) -> None:
    with pytest.raises(InvalidMarker) as caught:
        parse(marker)
    assert (caught.value.marker, caught.value.position) == (marker, position)
    assert reason in caught.value.reason
    assert isinstance(caught.value, PypmError) and isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value) and f"column {position + 1}" in str(caught.value)


@pytest.mark.slow
def test_deep_and_long_markers_need_no_stack() -> None:
    assert parse("(" * 20_000 + "os_name == 'nt'" + ")" * 20_000) == parse("os_name == 'nt'")
    names = [f"p{i}" for i in range(1100)]
    none_of = parse(" and ".join(f"sys_platform != '{name}'" for name in names))
    assert none_of == negate(parse(" or ".join(f"sys_platform == '{name}'" for name in names)))
    flags = parse(" or ".join(f"'{name}' in dependency_groups" for name in names))
    assert parse(text(flags)) == flags
    assert parse(text(negate(flags))) == negate(flags)
    assert both(flags, parse("python_version < '3'")) not in (TRUE, FALSE)


def test_hostile_combinations_are_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagram, "STEP_LIMIT", 5_000)
    pairs = [(i, (i * 7 + 3) % 60) for i in range(60)]
    with pytest.raises(InvalidMarker, match="too many conditions"):
        parse(" or ".join(f"extra == 'a{i}' and extra == 'z{j}'" for i, j in pairs))
