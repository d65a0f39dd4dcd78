"""A lock narrowed to one target."""

from __future__ import annotations

import pytest

from pypm_model.artifacts import Artifact
from pypm_model.lock_target import NoFileForTarget, TargetNotCovered, narrowed
from pypm_model.locks import Edge, Lock, LockedPackage, Manifest, Root
from pypm_model.markers import parse
from pypm_model.names import NormalizedName
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, Source, UrlSource
from pypm_model.targets import target

PYODIDE = parse(target("pyodide_2026_0").marker)
WASI = parse(target("wasi").marker)
APP = (Root(NormalizedName("app")),)

WHEELS = (
    "a-1-cp310-abi3-pyodide_2026_0_wasm32.whl",
    "a-1-cp310-abi3-pyodide_2025_0_wasm32.whl",
    "a-1-cp314-cp314-manylinux_2_17_x86_64.whl",
    "a-1.tar.gz",
)


def lock(
    *files: str, marker: str = "", source: Source | None = None, environments: tuple[str, ...] = ()
) -> Lock:
    """A member `app` that needs `a` under *marker*, and in its group `dev` `b`, which is for Linux only."""
    app = LockedPackage(
        NormalizedName("app"),
        "1",
        MemberSource("."),
        dependencies=(Edge(NormalizedName("a"), (), marker),),
        groups=((NormalizedName("dev"), (Edge(NormalizedName("b")),)),),
        manifest=Manifest(">=3.11"),
    )
    a = LockedPackage(NormalizedName("a"), "1", source or IndexSource("pypi"), files=_files(files))
    b = LockedPackage(
        NormalizedName("b"),
        "2",
        IndexSource("pypi"),
        files=_files(["b-2-py3-none-manylinux_2_17_x86_64.whl"]),
    )
    return Lock(requires_python=">=3.11", environments=environments, packages=(a, app, b))


def _files(names: tuple[str, ...]) -> tuple[Artifact, ...]:
    return tuple(Artifact(name, "ab" * 32) for name in names)


def kept(found: Lock) -> list[str]:
    return [file.filename for file in found.packages[0].files]


def test_only_the_files_that_can_be_used_there_are_left() -> None:
    found = narrowed(lock(*WHEELS), "pyodide", PYODIDE, APP)
    assert kept(found) == [WHEELS[0]]
    assert [parse(marker) for marker in found.environments] == [PYODIDE]
    linux = narrowed(lock(*WHEELS), "linux", parse("sys_platform == 'linux'"), APP)
    assert kept(linux) == list(WHEELS[2:])
    assert linux.environments == ("sys_platform == 'linux'",)
    assert narrowed(lock(*WHEELS), "all", parse(""), APP).environments == ()


def test_what_has_no_file_there_is_told_all_at_once() -> None:
    with pytest.raises(NoFileForTarget, match=r"no file for wasi of a 1$") as told:
        narrowed(lock(*WHEELS), "wasi", WASI, APP)
    assert told.value.packages == (("a", "1"),)
    assert "required-environments" in told.value.hint
    everything = (Root(NormalizedName("app"), (), (NormalizedName("dev"),)),)
    with pytest.raises(NoFileForTarget, match=r"of a 1, b 2$"):
        narrowed(lock(*WHEELS), "wasi", WASI, everything)


def test_what_is_not_needed_there_needs_no_file() -> None:
    found = narrowed(lock(*WHEELS, marker="sys_platform == 'linux'"), "wasi", WASI, APP)
    assert kept(found) == list(WHEELS)
    assert narrowed(lock("a-1-py3-none-any.whl"), "wasi", WASI, APP)


@pytest.mark.parametrize(
    ("source", "fits"),
    [
        (UrlSource("https://example.test/a-1-py3-none-any.whl", "", "0" * 64), True),
        (UrlSource("https://example.test/a-1-cp314-cp314-win_amd64.whl", "", "0" * 64), False),
        (UrlSource("https://example.test/a-1-py3-none-any.whl?x=/#egg=a", "", "0" * 64), True),
        (UrlSource("https://example.test/a-1.tar.gz", "", "0" * 64), False),
        (PathSource("vendor/a-1.tar.gz", False, "0" * 64), False),
        (PathSource("vendor/a"), True),
        (GitSource("https://example.test/a.git", "", "0" * 40), False),
    ],
)
def test_direct_sources(source: Source, fits: bool) -> None:
    linux = parse("sys_platform == 'linux' and platform_machine == 'x86_64'")
    if fits:
        narrowed(lock(source=source), "wasi", WASI, APP)
    else:
        with pytest.raises(NoFileForTarget):
            narrowed(lock(source=source), "wasi", WASI, APP)
    if "win_amd64" not in str(source):
        narrowed(lock(source=source), "linux", linux, APP)


def test_the_lock_must_be_for_the_target() -> None:
    only = lock(*WHEELS, environments=("sys_platform == 'linux'", "sys_platform == 'win32'"))
    with pytest.raises(TargetNotCovered) as told:
        narrowed(only, "wasi", WASI, APP)
    assert str(told.value) == (
        "the lock does not cover wasi, only: "
        "Python >=3.11 and sys_platform == 'linux' | sys_platform == 'win32'"
    )
    old = parse("python_version == '3.9'")
    with pytest.raises(TargetNotCovered, match=r"only: Python >=3\.11$"):
        narrowed(lock(*WHEELS), "3.9", old, APP)
