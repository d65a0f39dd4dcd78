"""T11: where a version that is locked has no file, in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypm_model.markers import FALSE, atoms, both, coverage, implies, minus, parse, requires_python
from pypm_resolver.files import expected
from pypm_resolver.gaps import gap

WINDOWS = "win_amd64"
LINUX = "manylinux_2_17_x86_64"
LINUX_ARM = "manylinux_2_17_aarch64"
MACOS = "macosx_11_0_arm64"
ALL = (LINUX, LINUX_ARM, MACOS, WINDOWS)


def tags(pythons: str, *platforms: str) -> tuple[str, ...]:
    return tuple(f"{p}-{'none' if p == 'py3' else p}-{at}" for p in pythons.split() for at in platforms)


def said(files: tuple[str, ...], scope: str = "", pythons: str = ">=3.11") -> str:
    whole = requires_python(pythons)
    where = both(whole, parse(scope)) if scope else whole
    return gap(expected(whole, (), ()), coverage(atoms(files)), where)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (tags("py3", "any"), ""),
        (tags("py3", *ALL), ""),
        (tags("py3", WINDOWS), "on macOS or Linux"),
        (tags("py3", LINUX, MACOS, WINDOWS), "on Linux on aarch64 machines"),
        (tags("py3", LINUX, MACOS), "on Linux on aarch64 machines, or on Windows"),
        (tags("cp311 cp312", *ALL), "on Python 3.13 and later"),
        (tags("cp312 cp313", *ALL), "on Python before 3.12"),
        (tags("cp314", *ALL), "on Python 3.11 to 3.13"),
        # Of Pythons nobody can expect files for yet nothing is said.
        (tags("cp311 cp312 cp313", *ALL), ""),
        (tags("cp311", WINDOWS), "on Linux, or on macOS, or on Python 3.12 and later"),
        # A wheel of Windows on ARM makes "on Windows" untrue.
        (tags("py3", LINUX, LINUX_ARM, MACOS, "win_arm64"), "on Windows on AMD64 machines"),
    ],
)
def test_where_files_lack(files: tuple[str, ...], words: str) -> None:
    assert said(files) == words


def test_only_where_it_is_needed_counts() -> None:
    assert said(tags("py3", WINDOWS), "sys_platform == 'win32'") == ""
    assert said(tags("py3", "win32"), "sys_platform == 'win32'") == "on Windows on AMD64 machines"
    assert said(tags("py3", LINUX), "platform_machine == 'aarch64'") == "where it is needed"
    assert said(tags("py3", LINUX), "'a:dev' in dependency_groups and sys_platform == 'linux'") == (
        "on Linux on aarch64 machines"
    )


@given(
    st.lists(st.sampled_from([t for p in ("cp311", "cp312", "cp313", "py3") for t in tags(p, *ALL)])),
    st.sampled_from(["", "sys_platform == 'linux'", "python_version >= '3.12'", "'x' in dependency_groups"]),
)
def test_something_is_said_where_a_platform_people_install_on_lacks_a_file(
    files: list[str], scope: str
) -> None:
    whole = requires_python(">=3.11")
    where = both(whole, parse(scope)) if scope else whole
    there = coverage(atoms(files))
    asked = expected(whole, (), ())
    lacks = any(minus(both(where, place.where), there) != FALSE for place in asked.platforms)
    words = gap(asked, there, where)
    assert bool(words) == lacks
    assert not lacks or not implies(where, there)
