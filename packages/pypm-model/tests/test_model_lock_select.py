"""What an environment needs of a lock."""

from __future__ import annotations

from typing import Any

import pytest
from packaging import tags

from pypm_model.artifacts import Artifact
from pypm_model.environments import Environment
from pypm_model.lock_select import (
    EnvironmentNotCovered,
    LockUnsound,
    NoFileFits,
    NotLocked,
    PythonNotCovered,
    select,
)
from pypm_model.locks import Edge, Lock, LockedPackage, Manifest, Pin, Root
from pypm_model.names import ROOT, NormalizedName, normalize
from pypm_model.records import replace
from pypm_model.requests import BuildPolicy
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, UrlSource


def environment(python: str = "3.12.1", platform: str = "linux") -> Environment:
    """CPython *python* on ``linux`` (glibc 2.28, x86_64) or ``win32`` (AMD64)."""
    major, minor = map(int, python.split(".")[:2])
    linux = platform == "linux"
    platforms = (
        [f"manylinux_2_{n}_x86_64" for n in range(28, 16, -1)] + ["linux_x86_64"] if linux else ["win_amd64"]
    )
    version = (major, minor)
    found = [
        *tags.cpython_tags(version, [f"cp{major}{minor}"], platforms),
        *tags.compatible_tags(version, f"cp{major}{minor}", platforms),
    ]
    markers = {
        "python_version": f"{major}.{minor}",
        "python_full_version": python,
        "os_name": "posix" if linux else "nt",
        "sys_platform": platform,
        "platform_release": "6.1",
        "platform_system": "Linux" if linux else "Windows",
        "platform_version": "#1",
        "platform_machine": "x86_64" if linux else "AMD64",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "implementation_version": python,
    }
    return Environment(markers, tuple(map(str, found)))


LINUX, WINDOWS = environment(), environment(platform="win32")


def edge(text: str, marker: str = "", version: str = "", **more: Any) -> Edge:
    name, _, extras = text.rstrip("]").partition("[")
    return Edge(
        normalize(name), tuple(NormalizedName(e) for e in extras.split(",") if e), marker, version, **more
    )


def table(**items: tuple[Edge, ...]) -> tuple[tuple[NormalizedName, tuple[Edge, ...]], ...]:
    return tuple((NormalizedName(name), edges) for name, edges in sorted(items.items()))


def package(
    name: str, *edges: Edge, version: str = "1.0", files: tuple[str, ...] = (), **more: Any
) -> LockedPackage:
    names = files or (f"{name}-{version}-py3-none-any.whl",)
    source = more.pop("source", IndexSource("pypi"))
    artifacts = tuple(Artifact(n, "ab" * 32) for n in names) if isinstance(source, IndexSource) else ()
    return LockedPackage(NormalizedName(name), version, source, dependencies=edges, files=artifacts, **more)


def member(name: str, *edges: Edge, **more: Any) -> LockedPackage:
    more.setdefault("manifest", Manifest())
    return package(name, *edges, source=MemberSource(name), **more)


def root(text: str, *groups: str, project: bool = True) -> Root:
    asked = edge(text)
    return Root(asked.name, asked.extras, tuple(map(NormalizedName, groups)), project)


def names(pins: tuple[Pin, ...]) -> list[str]:
    return [f"{p.package.name}[{','.join(p.extras)}]" if p.extras else p.package.name for p in pins]


def chosen(pins: tuple[Pin, ...]) -> dict[str, str]:
    return {p.package.name: p.file.filename for p in pins if p.file}


WORKSPACE = Lock(
    packages=(
        member(
            "api",
            edge("core"),
            edge("httpx[http2]"),
            edge("colorama", "sys_platform == 'win32'"),
            extras=table(fast=(edge("uvloop"),)),
            groups=table(dev=(edge("pytest"), edge("api[fast]")), empty=()),
        ),
        package("colorama"),
        member("core", edge("attrs"), groups=table(dev=(edge("mypy"),))),
        package("attrs"),
        package("h2", edge("httpx")),
        package("httpx", edge("idna"), extras=table(http2=(edge("h2"),), socks=(edge("socksio"),))),
        package("idna"),
        package("mypy"),
        package("pytest"),
        package("socksio"),
        package("uvloop"),
        member("(root)", groups=table(lint=(edge("ruff"),))),
        package("ruff"),
    )
)


@pytest.mark.parametrize(
    ("roots", "expected"),
    [
        ([root("core")], "attrs core"),
        ([root("api")], "api attrs core h2 httpx[http2] idna"),
        ([root("api[fast]")], "api[fast] attrs core h2 httpx[http2] idna uvloop"),
        ([root("api", "dev")], "api[fast] attrs core h2 httpx[http2] idna pytest uvloop"),
        ([root("core", "dev", project=False)], "mypy"),
        ([root("api", "empty", project=False)], ""),
        ([root("(root)", "lint", project=False)], "ruff"),
        ([root("core"), root("(root)", "lint", project=False)], "attrs core ruff"),
        ([], ""),
    ],
)
def test_roots_lead_to_what_they_need_and_no_more(roots: list[Root], expected: str) -> None:
    assert names(select(WORKSPACE, LINUX, roots)) == expected.split()
    assert names(select(WORKSPACE, LINUX, roots[::-1])) == expected.split()


def test_an_edge_is_followed_where_its_marker_holds() -> None:
    assert "colorama" in names(select(WORKSPACE, WINDOWS, [root("api")]))
    assert "colorama" not in names(select(WORKSPACE, LINUX, [root("api")]))


def test_versions_may_hang_on_what_is_installed() -> None:
    """Two members that cannot meet, and a third whose edge depends on which of them is there."""
    is_old, is_new = "'old' in dependency_groups", "'new' in dependency_groups"
    lock = Lock(
        packages=(
            member("old", edge("lib", version="1.0"), edge("shared")),
            member("new", edge("lib", version="2.0"), edge("shared")),
            member("both", edge("lib", "'both[x]' in dependency_groups", "2.0"), extras=table(x=())),
            package("lib"),
            package("lib", version="2.0"),
            package("shared", edge("lib", is_old, "1.0"), edge("lib", is_new, "2.0")),
        )
    )

    def lib(*roots: Root) -> list[str]:
        return [p.package.version for p in select(lock, LINUX, roots) if p.package.name == "lib"]

    assert lib(root("old")) == ["1.0"]
    assert lib(root("new")) == ["2.0"]
    assert lib(root("both")) == []
    assert lib(root("both[x]")) == ["2.0"]
    with pytest.raises(LockUnsound, match="several versions"):
        select(lock, LINUX, [root("old"), root("new")])


def test_edges_by_source() -> None:
    a, b = IndexSource("a"), IndexSource("b")
    windows = "sys_platform == 'win32'"
    lock = Lock(
        packages=(
            member(
                "m",
                edge("x", windows, "1.0", source=a),
                edge("x", "sys_platform != 'win32'", "1.0", source=b),
            ),
            package("x", source=a),
            package("x", source=b),
        )
    )
    assert select(lock, WINDOWS, [root("m")])[1].package.source == a
    assert select(lock, LINUX, [root("m")])[1].package.source == b


def test_cycles_and_extras_that_are_not_locked() -> None:
    lock = Lock(
        packages=(
            member("m", edge("a[all,missing]")),
            package("a", edge("b"), extras=table(all=(edge("a[more]"),), more=(edge("c"),))),
            package("b", edge("a")),
            package("c"),
        )
    )
    assert names(select(lock, LINUX, [root("m")])) == ["a[all,missing,more]", "b", "c", "m"]


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (root("web"), "no member web"),
        (root("httpx"), "no member httpx"),
        (root("api[slow]"), "no extra 'slow' of api"),
        (root("api", "docs"), "no group 'docs' of api"),
    ],
)
def test_what_is_not_locked_is_said(asked: Root, text: str) -> None:
    with pytest.raises(NotLocked) as caught:
        select(WORKSPACE, LINUX, [asked])
    assert text in str(caught.value)


def test_a_group_that_asks_for_nothing_may_be_only_in_the_manifest() -> None:
    manifest = Manifest(groups=((NormalizedName("empty"), ()),), extras=((NormalizedName("x"), ()),))
    lock = Lock(packages=(member("m", manifest=manifest),))
    assert names(select(lock, LINUX, [root("m[x]", "empty")])) == ["m[x]"]


@pytest.mark.parametrize(
    ("packages", "text"),
    [
        ((member("m", edge("gone")),), "gone is missing"),
        ((member("m", edge("x", version="2.0")), package("x")), "missing (x 2.0)"),
        ((member("m", edge("x")), package("x"), package("x", version="2.0")), "locked 2 times"),
    ],
)
def test_a_lock_that_contradicts_itself_is_refused(packages: tuple[LockedPackage, ...], text: str) -> None:
    with pytest.raises(LockUnsound) as caught:
        select(Lock(packages=packages), LINUX, [root("m")])
    assert text in str(caught.value)


def pick(files: tuple[str, ...], where: Environment = LINUX, **policy: Any) -> str:
    lock = Lock(packages=(member("m", edge("x")), package("x", files=files)))
    build = BuildPolicy(**{"default": True, **policy})
    return chosen(select(lock, where, [root("m")], build=build))["x"]


SDIST, PURE = "x-1.0.tar.gz", "x-1.0-py3-none-any.whl"
NATIVE = "x-1.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
NEWER = "x-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"
ABI3 = "x-1.0-cp39-abi3-manylinux_2_17_x86_64.whl"


@pytest.mark.parametrize(
    ("files", "best"),
    [
        ((PURE, SDIST), PURE),
        ((PURE, NATIVE, ABI3, SDIST), NATIVE),
        ((NATIVE, NEWER), NEWER),
        ((PURE, ABI3), ABI3),
        (("x-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", "x-1.0-cp312-cp312-win_amd64.whl", SDIST), SDIST),
        (
            (PURE, "x-1.0-1-py3-none-any.whl", "x-1.0-10-py3-none-any.whl", "x-1.0-9b-py3-none-any.whl"),
            "x-1.0-10-py3-none-any.whl",
        ),
        (
            ("x-1.0-1a-py3-none-any.whl", "x-1.0-1b-py3-none-any.whl", "x-1.0-1-py3-none-any.whl"),
            "x-1.0-1b-py3-none-any.whl",
        ),
        (("x-1.0-py3-none-any-x8664v3.whl", "x-1.0-PY3-none-any.whl"), "x-1.0-PY3-none-any.whl"),
        (("x-1.0.zip", "x-1.0.tar.gz"), "x-1.0.tar.gz"),
        (("broken.whl", "x-1.0-py2.py3-none-any.whl"), "x-1.0-py2.py3-none-any.whl"),
    ],
)
def test_the_best_file(files: tuple[str, ...], best: str) -> None:
    assert pick(files) == pick(files[::-1]) == best


def test_policies_limit_the_choice() -> None:
    x = NormalizedName("x")
    assert pick((PURE, SDIST), no_binary=frozenset({x})) == SDIST
    assert pick((PURE, SDIST), no_binary=frozenset({NormalizedName("*")})) == SDIST
    assert pick((PURE, SDIST), no_binary=frozenset({NormalizedName("y")})) == PURE
    for policy in (
        {"default": False},
        {"no_build": frozenset({x})},
        {"no_build": frozenset({NormalizedName("*")})},
    ):
        with pytest.raises(NoFileFits, match="may not be built"):
            pick((SDIST,), **policy)
    assert pick((SDIST,), default=False, allow=frozenset({x})) == SDIST


def test_where_nothing_is_built_an_sdist_is_no_file() -> None:
    wasi = replace(LINUX, markers={**LINUX.markers, "sys_platform": "wasi", "platform_system": "wasi"})
    assert pick(("a-1.0.tar.gz", "a-1.0-py3-none-any.whl"), wasi) == "a-1.0-py3-none-any.whl"
    for files in (("a-1.0.tar.gz",), ("a-1.0.tar.gz", "a-1.0-cp312-cp312-win_amd64.whl")):
        assert pick(files) == "a-1.0.tar.gz"
        with pytest.raises(NoFileFits, match="and nothing is built there"):
            pick(files, wasi)


def test_all_packages_without_a_file_are_told_at_once() -> None:
    win = "{}-1.0-cp312-cp312-win_amd64.whl".format
    lock = Lock(
        packages=(member("m", edge("a"), edge("b"), edge("c")), *(package(n, files=(win(n),)) for n in "abc"))
    )
    assert len(select(lock, WINDOWS, [root("m")])) == 4
    with pytest.raises(NoFileFits) as caught:
        select(lock, LINUX, [root("m")])
    assert [misfit.name for misfit in caught.value.packages] == ["a", "b", "c"]
    assert "3.12.1" in str(caught.value)
    assert "a 1.0 has no wheel for it and no sdist (and 2 more packages)" in str(caught.value)


def test_direct_sources_have_no_file_to_choose_but_must_fit() -> None:
    wheel = "https://example.test/x-1.0-cp312-cp312-win_amd64.whl?q=1#frag"
    for source in (UrlSource(wheel), PathSource("libs/x-1.0-cp312-cp312-win_amd64.whl")):
        lock = Lock(packages=(member("m", edge("x")), package("x", source=source)))
        assert chosen(select(lock, WINDOWS, [root("m")])) == {}
        with pytest.raises(NoFileFits):
            select(lock, LINUX, [root("m")])
    git = GitSource("https://example.test/x", commit="a" * 40)
    for source in (UrlSource("https://example.test/x-1.0.tar.gz"), PathSource("x", editable=True), git):
        lock = Lock(packages=(member("m", edge("x")), package("x", source=source)))
        assert names(select(lock, LINUX, [root("m")])) == ["m", "x"]


@pytest.mark.parametrize(
    ("requires", "python", "is_member", "fits"),
    [
        (">=3.12", "3.12.1", False, True),
        (">=3.13", "3.12.1", False, False),
        (">=3.8,<3.12", "3.12.1", False, True),
        (">=3.8,<3.12", "3.12.1", True, False),
        ("~=3.10", "3.12.1", False, True),
        ("==3.11.*", "3.12.1", False, True),
        ("==3.13.*", "3.12.1", False, False),
        (">=3.14", "3.14.0rc1", False, True),
        (">=3.14", "3.14.0rc1", True, True),
        (">=3.12", "3.12.0+", True, True),
        ("!=3.12.1", "3.12.1", False, False),
    ],
)
def test_requires_python(requires: str, python: str, is_member: bool, fits: bool) -> None:
    where = environment(python)
    this = member("m", edge("x"), requires_python=requires if is_member else "")
    other = package("x", requires_python="" if is_member else requires)
    lock = Lock(packages=(this, other))
    if fits:
        assert names(select(lock, where, [root("m")])) == ["m", "x"]
    else:
        with pytest.raises(PythonNotCovered) as caught:
            select(lock, where, [root("m")])
        assert caught.value.package == ("m" if is_member else "x")
        assert requires in str(caught.value)


def test_the_lock_as_a_whole_must_cover_the_environment() -> None:
    with pytest.raises(PythonNotCovered, match=r"the lock requires Python >=3\.13"):
        select(replace(WORKSPACE, requires_python=">=3.13"), LINUX, [root("core")])
    narrow = replace(WORKSPACE, environments=("sys_platform == 'win32'", "sys_platform == 'darwin'"))
    assert select(narrow, WINDOWS, [root("core")])
    with pytest.raises(EnvironmentNotCovered, match="win32"):
        select(narrow, LINUX, [root("core")])


def test_the_virtual_root_is_no_package() -> None:
    pins = select(WORKSPACE, LINUX, [Root(ROOT, (), (NormalizedName("lint"),))])
    assert names(pins) == ["ruff"]
