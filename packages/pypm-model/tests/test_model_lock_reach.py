"""Where packages are needed, and the lists (PEP 751, requirements files) that are made from it."""

from __future__ import annotations

import tomllib
from collections.abc import Collection

from hypothesis import given
from hypothesis import strategies as st
from packaging.pylock import Pylock

from pypm_model.artifacts import Artifact
from pypm_model.lock_apart import Side, clashing, sides
from pypm_model.lock_reach import everything, reach
from pypm_model.locks import Edge, Lock, LockedPackage, Manifest, Root
from pypm_model.markers import disjoint, evaluate, parse, requires_python, text
from pypm_model.names import ROOT, NormalizedName
from pypm_model.pylock import member_names, to_pylock, workspace_names
from pypm_model.records import replace
from pypm_model.requirements_file import to_requirements
from pypm_model.sources import IndexSource, MemberSource

LINUX = {"sys_platform": "linux", "python_full_version": "3.12.1", "platform_machine": "x86_64"}
WINDOWS = {"sys_platform": "win32", "python_full_version": "3.11.4", "platform_machine": "AMD64"}
MARKERS = ["", "sys_platform == 'win32'", "sys_platform == 'linux'", "python_version >= '3.12'"]


def name(value: str) -> NormalizedName:
    return NormalizedName(value)


def package(title: str, *edges: Edge, version: str = "1.0") -> LockedPackage:
    wheel = Artifact(f"{title}-{version}-py3-none-any.whl", "0" * 64, 10)
    return LockedPackage(name(title), version, IndexSource("pypi"), dependencies=edges, files=(wheel,))


def member(
    title: str, *edges: Edge, extras: dict[str, tuple[Edge, ...]] | None = None, **groups: tuple[Edge, ...]
) -> LockedPackage:
    return LockedPackage(
        name(title),
        "1.0",
        MemberSource(title),
        dependencies=edges,
        extras=tuple((name(e), found) for e, found in (extras or {}).items()),
        groups=tuple((name(g), found) for g, found in groups.items()),
        manifest=Manifest(">=3.11"),
    )


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    titles = [f"p{i}" for i in range(draw(st.integers(1, 5)))]

    def edges() -> tuple[Edge, ...]:
        picks = draw(st.lists(st.sampled_from(titles), max_size=3, unique=True))
        return tuple(Edge(name(t), (), draw(st.sampled_from(MARKERS))) for t in picks)

    packages = [package(t, *edges()) for t in titles]
    packages += [member(m, *edges(), extras={"x": edges()}, g=edges()) for m in ("m1", "m2")]
    return Lock(requires_python=">=3.11", packages=tuple(sorted(packages, key=lambda p: p.name)))


def walked(lock: Lock, roots: Collection[Root], environment: dict[str, str]) -> set[str]:
    """What a plain walk in one environment meets."""
    by_name = {p.name: p for p in lock.packages}
    waiting: list[tuple[Edge, ...]] = []
    met = set()
    for root in roots:
        package = by_name[root.member]
        if root.project:
            met.add(str(root.member))
            waiting.append(package.dependencies)
            waiting += [edges for extra, edges in package.extras if extra in root.extras]
        waiting += [edges for group, edges in package.groups if group in root.groups]
    while waiting:
        for edge in waiting.pop():
            if evaluate(parse(edge.marker), environment) and edge.name not in met:
                met.add(str(edge.name))
                waiting.append(by_name[edge.name].dependencies)
    return met


@given(locks(), st.sets(st.sampled_from(["m1", "m2"])), st.booleans(), st.booleans())
def test_reach_is_what_a_walk_meets_in_every_environment(
    lock: Lock, members: set[str], extra: bool, group: bool
) -> None:
    roots = [
        Root(name(m), (name("x"),) if extra else (), (name("g"),) if group else ()) for m in sorted(members)
    ]
    flags = set(members)
    flags |= {f"{m}[x]" for m in members if extra} | {f"{m}:g" for m in members if group}
    for environment in (LINUX, WINDOWS):
        expected = walked(lock, roots, environment)
        chosen = {
            str(lock.packages[i].name) for i, d in reach(lock, roots).items() if evaluate(d, environment)
        }
        by_flags = {
            str(lock.packages[i].name) for i, d in reach(lock).items() if evaluate(d, environment, flags)
        }
        assert chosen == by_flags == expected


@given(locks())
def test_an_exported_lock_selects_what_the_walk_meets(lock: Lock) -> None:
    data = tomllib.loads(
        to_pylock(lock, workspace_names(lock), lambda p, a: f"https://example.test/{a.filename}")
    )
    pylock = Pylock.from_dict(data)
    environment = {**LINUX, "implementation_name": "cpython", "os_name": "posix", "platform_system": "Linux"}
    environment |= {"platform_python_implementation": "CPython", "python_version": "3.12"}
    environment |= {"implementation_version": "3.12.1", "platform_release": "6", "platform_version": "1"}
    for groups, root in (
        (["m1"], Root(name("m1"))),
        (["m2", "m2-x"], Root(name("m2"), (name("x"),))),
        (["m1-g"], Root(name("m1"), (), (name("g"),), project=False)),
    ):
        selected = pylock.select(environment=environment, dependency_groups=groups, extras=[])  # type: ignore[arg-type]
        assert {package.name for package, _ in selected} == walked(lock, [root], LINUX)


def test_one_member_keeps_the_names_of_its_extras_and_groups() -> None:
    lock = Lock(
        packages=(
            member("m", extras={"x": (Edge(name("p")),)}, dev=(Edge(name("q")),)),
            package("p"),
            package("q"),
        )
    )
    data = tomllib.loads(
        to_pylock(lock, member_names(lock, name("m")), lambda p, a: "https://example.test/f")
    )
    assert (data["extras"], data["dependency-groups"]) == (["x"], ["dev"])
    assert [p.get("marker") for p in data["packages"]] == [
        None,
        "'x' in extras",
        "'dev' in dependency_groups",
    ]


def test_clashing_names_of_groups_are_told_apart() -> None:
    lock = Lock(packages=(member("a", b=(Edge(name("p")),)), member("a-b"), package("p")))
    assert dict(workspace_names(lock).groups) == {"a": "a", "a-b": "a-b", "a:b": "a-b-group"}


def test_everything_is_every_member_with_all_it_has() -> None:
    root = LockedPackage(ROOT, "", MemberSource("."), groups=((name("dev"), ()),), manifest=Manifest())
    lock = Lock(packages=(root, member("a", extras={"x": ()}, g=()), package("p")))
    assert everything(lock) == (
        Root(ROOT, (), (name("dev"),), project=False),
        Root(name("a"), (name("x"),), (name("g"),)),
    )


def test_a_requirements_file_has_markers_and_hashes() -> None:
    win = Edge(name("p"), (), "sys_platform == 'win32'")
    lock = Lock(
        requires_python=">=3.11", packages=(package("p"), package("q", win), member("z", Edge(name("q"))))
    )
    lines = to_requirements(lock, [Root(name("z"))]).splitlines()
    assert lines == ["p==1.0 ; sys_platform == 'win32'", "q==1.0", "-e ./z"]
    assert text(reach(lock, [Root(name("z"))])[0]) == "sys_platform == 'win32'"


def picks(**markers: str) -> tuple[Edge, ...]:
    """Edges to versions of p: ``picks(v1="sys_platform == 'win32'")``."""
    return tuple(Edge(name("p"), (), marker, version=version[1:]) for version, marker in markers.items())


def test_a_member_is_reached_on_its_own_pythons_alone() -> None:
    older = member("a", *picks(v1="python_version < '3.12'", v2="python_version >= '3.12'"))
    newer = replace(member("b", *picks(v2="")), manifest=Manifest(">=3.12"))
    lock = Lock(
        requires_python=">=3.11",
        packages=(older, newer, package("p", version="1"), package("p", version="2")),
    )
    roots = everything(lock)
    assert reach(lock, roots)[1] == reach(lock, roots)[3] == requires_python(">=3.12")
    assert clashing(lock, roots) == ()
    assert to_requirements(lock, roots, hashes=False).splitlines() == [
        "-e ./a",
        "./b ; python_version >= '3.12'",
        "p==1 ; python_version < '3.12'",
        "p==2 ; python_version >= '3.12'",
    ]
    data = tomllib.loads(to_pylock(lock, workspace_names(lock), lambda p, a: "https://example.test/f"))
    assert data["requires-python"] == ">=3.11"
    assert [(p["name"], p.get("version")) for p in data["packages"]] == [
        ("a", None),
        ("b", None),
        ("p", "1"),
        ("p", "2"),
    ]


def test_entries_of_one_name_are_disjoint_outside_of_what_is_covered() -> None:
    covered = tuple(
        f"sys_platform == '{platform}' and python_version == '{python}'"
        for platform, python in (("linux", "3.11"), ("win32", "3.11"), ("win32", "3.12"))
    )
    edges = picks(**{f"v{i}": marker for i, marker in enumerate(covered)})
    packages = tuple(package("p", version=str(i)) for i in range(3))
    lock = Lock(environments=covered, packages=(member("a", *edges), *packages))
    lines = to_requirements(lock, everything(lock), hashes=False, members=False).splitlines()
    first, second, third = (parse(line.partition(" ; ")[2]) for line in lines)
    assert disjoint(first, second) and disjoint(first, third) and disjoint(second, third)


def test_choices_that_do_not_go_together_are_told_with_who_makes_them() -> None:
    shared = member("c", *picks(v1="'b' in dependency_groups", v2="'b' not in dependency_groups"))
    lock = Lock(
        packages=(
            member("a", *picks(v2=""), extras={"x": picks(v1="")}),
            member("b", *picks(v1="")),
            shared,
            package("p", version="1"),
            package("p", version="2"),
        )
    )
    a, b, c = Root(name("a")), Root(name("b")), Root(name("c"))
    assert clashing(lock, [a, c]) == clashing(lock, [b, c]) == ()
    assert clashing(lock, [a, b, c]) == (3, 4)
    assert sides(lock, [a, b, c], (3, 4)) == (Side("1", ("b", "c")), Side("2", ("a",)))
    both = [Root(name("a"), (name("x"),))]
    assert clashing(lock, both) == (3, 4)
    assert sides(lock, both, (3, 4)) == (Side("1", ("a[x]",)), Side("2", ("a",)))
