"""The members' graph, its formats, reasons and selections."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pypm_model.locks import Edge, Lock, LockedPackage
from pypm_model.names import normalize as n
from pypm_model.sources import IndexSource, MemberSource
from pypm_workspace.discover import discover
from pypm_workspace.errors import UnknownMember
from pypm_workspace.graph import graph
from pypm_workspace.graph_formats import render, to_dot, to_json, to_mermaid, to_text
from pypm_workspace.select import member_at, select
from pypm_workspace.why import Step, place_of, why
from pypm_workspace.workspace import Workspace

Make = Callable[[Mapping[str, str]], Path]
WEB = """\
[project]
name = "web"
version = "1"
dependencies = ["core[fast]>=1; os_name == 'posix'", "httpx"]
[project.optional-dependencies]
cli = ["tool"]
[dependency-groups]
dev = ["testkit", "pytest"]
[build-system]
requires = ["builder", "flit_core"]
build-backend = "b"
"""


def plain(name: str, *dependencies: str) -> str:
    return f'[project]\nname = "{name}"\nversion = "1"\ndependencies = {json.dumps(dependencies)}\n'


@pytest.fixture
def workspace(make: Make) -> Workspace:
    return discover(
        make(
            {
                "pypm-workspace.toml": '[workspace]\nname = "acme"\nmembers = ["libs/*", "apps/*"]\n',
                "apps/web/pyproject.toml": WEB,
                "libs/core/pyproject.toml": plain("core", "anyio"),
                "libs/tool/pyproject.toml": plain("tool", "core", "httpx>1"),
                "libs/testkit/pyproject.toml": plain("testkit", "core"),
                "libs/builder/pyproject.toml": plain("builder"),
            }
        )
    )


def test_every_edge_knows_kind_requirement_and_place(workspace: Workspace) -> None:
    found = [
        (e.parent, e.child, e.kind, e.label, str(workspace.place(e.origin))) for e in graph(workspace).edges
    ]
    assert found == [
        ("testkit", "core", "runtime", "", "libs/testkit/pyproject.toml:4:17"),
        ("tool", "core", "runtime", "", "libs/tool/pyproject.toml:4:17"),
        ("web", "core", "runtime", "", "apps/web/pyproject.toml:4:17"),
        ("web", "tool", "extra", "cli", "apps/web/pyproject.toml:6:8"),
        ("web", "testkit", "group", "dev", "apps/web/pyproject.toml:8:8"),
        ("web", "builder", "build", "", "apps/web/pyproject.toml:10:13"),
    ]


def test_order_and_dependencies(workspace: Workspace) -> None:
    found = graph(workspace)
    assert [m.name for m in found.order()] == ["builder", "core", "testkit", "tool", "web"]
    assert found.dependencies([n("web")]) == {"core", "tool", "testkit", "builder"}
    assert graph(workspace, ["runtime"]).dependencies([n("web")]) == {"core"}


def test_order_stands_circles(make: Make) -> None:
    root = make(
        {
            "pypm-workspace.toml": '[workspace]\nmembers = ["*"]\n',
            "a/pyproject.toml": plain("a", "b"),
            "b/pyproject.toml": plain("b", "a", "c"),
            "c/pyproject.toml": plain("c", "c[x]"),
        }
    )
    found = graph(discover(root))
    assert [m.name for m in found.order()] == ["c", "a", "b"]


def test_formats(workspace: Workspace) -> None:
    found = graph(workspace)
    data = json.loads(to_json(found))
    assert [m["name"] for m in data["members"]] == ["builder", "core", "testkit", "tool", "web"]
    assert data["edges"][3] == {
        "from": "web",
        "to": "tool",
        "kind": "extra",
        "label": "cli",
        "requirement": "tool",
        "file": "apps/web/pyproject.toml",
        "line": 6,
    }
    text = to_text(found)
    assert text.startswith("builder (libs/builder)\ncore (libs/core)\ntestkit (libs/testkit)\n  -> core ")
    assert "  -> testkit [group dev] apps/web/pyproject.toml:8:8\n" in text
    assert to_dot(found) == (
        'digraph "acme" {\n  rankdir=LR;\n  node [shape=box];\n'
        '  "builder";\n  "core";\n  "testkit";\n  "tool";\n  "web";\n'
        '  "testkit" -> "core" [style=solid];\n  "tool" -> "core" [style=solid];\n'
        '  "web" -> "core" [style=solid, label="[fast]>=1; os_name == \'posix\'"];\n'
        '  "web" -> "tool" [style=dashed, label="(extra cli)"];\n'
        '  "web" -> "testkit" [style=dotted, label="(group dev)"];\n'
        '  "web" -> "builder" [style=bold, label="(build)"];\n}\n'
    )
    mermaid = to_mermaid(found)
    assert mermaid.startswith('flowchart LR\n  m0["builder"]\n')
    assert '  m4 -.->|"(extra cli)"| m3\n' in mermaid and "m2 --> m1" in mermaid
    assert [render(found, form) for form in ("json", "dot", "mermaid", "text")] == [
        to_json(found),
        to_dot(found),
        mermaid,
        text,
    ]


# why


def path(steps: tuple[Step, ...]) -> str:
    told = steps[0].parent.name
    for step in steps:
        told += f" -{step.kind}{':' + step.label if step.label else ''}-> {step.child.name}"
        told += f"=={step.child.version}" if not step.child.member and step.child.version else ""
    return told


def locked(name: str, version: str, *edges: Edge) -> LockedPackage:
    return LockedPackage(n(name), version, IndexSource("pypi"), dependencies=edges)


LOCK = Lock(
    packages=(
        locked("anyio", "4", Edge(n("idna"))),
        locked("httpx", "1", Edge(n("anyio")), Edge(n("idna"), marker="os_name == 'nt'")),
        locked("idna", "3"),
        locked("pytest", "8"),
        LockedPackage(
            n("web"), "1", MemberSource("apps/web"), dependencies=(Edge(n("core")), Edge(n("httpx")))
        ),
        LockedPackage(n("core"), "1", MemberSource("libs/core"), dependencies=(Edge(n("anyio")),)),
    )
)


def test_why_without_a_lock_knows_what_manifests_say(workspace: Workspace) -> None:
    answer = why(workspace, None, n("httpx"))
    assert [path(p) for p in answer.paths] == [
        "tool -runtime-> httpx",
        "web -runtime-> httpx",
        "web -extra:cli-> tool -runtime-> httpx",
    ]
    assert [step.requirement for step in answer.paths[2]] == ["tool", "httpx>1"]
    assert [str(place_of(workspace, s)) for s in answer.paths[0]] == ["libs/tool/pyproject.toml:4:25"]
    assert why(workspace, None, n("flit-core")).paths[0][0].kind == "build"
    assert why(workspace, None, n("absent")).paths == ()


def test_why_of_a_member(workspace: Workspace) -> None:
    assert [path(p) for p in why(workspace, None, n("core")).paths] == [
        "testkit -runtime-> core",
        "tool -runtime-> core",
        "web -runtime-> core",
        "web -extra:cli-> tool -runtime-> core",
        "web -group:dev-> testkit -runtime-> core",
    ]


def test_why_goes_through_the_lock(workspace: Workspace) -> None:
    answer = why(workspace, LOCK, n("idna"))
    told = [path(p) for p in answer.paths]
    assert told[0] == "core -runtime-> anyio==4 -runtime-> idna==3"
    assert "web -runtime-> httpx==1 -runtime-> anyio==4 -runtime-> idna==3" in told
    assert "web -runtime-> core -runtime-> anyio==4 -runtime-> idna==3" in told
    assert [len(p) for p in answer.paths] == sorted(len(p) for p in answer.paths)
    assert len(set(told)) == len(told) and not answer.more
    marked = next(p for p in answer.paths if path(p) == "web -runtime-> httpx==1 -runtime-> idna==3")
    assert marked[1].requirement == "idna; os_name == 'nt'"
    told_more = why(workspace, LOCK, n("idna"), asked=lambda package, edge: f"{edge.name}>=2")
    assert told_more.paths[0][-1].requirement == "idna>=2"


def test_what_an_extra_asks_for_is_there_for_those_who_ask_for_the_extra(make: Make) -> None:
    httpx = LockedPackage(
        n("httpx"),
        "1",
        IndexSource("pypi"),
        extras=((n("all"), (Edge(n("httpx"), extras=(n("http2"),)),)), (n("http2"), (Edge(n("h2")),))),
    )
    lock = Lock(
        packages=(
            locked("h2", "4"),
            httpx,
            locked("plain", "1", Edge(n("httpx"))),
            locked("rich", "1", Edge(n("httpx"), extras=(n("all"),))),
        )
    )
    core = plain("core") + '[project.optional-dependencies]\nfast = ["h2"]\n'
    root = make(
        {
            "pypm-workspace.toml": '[workspace]\nmembers = ["*"]\n',
            "core/pyproject.toml": core,
            "app/pyproject.toml": plain("app", "plain", "rich", "core"),
            "web/pyproject.toml": plain("web", "core[fast]"),
        }
    )
    assert [path(found) for found in why(discover(root), lock, n("h2")).paths] == [
        "core -extra:fast-> h2==4",
        "web -runtime-> core -extra:fast-> h2==4",
        "app -runtime-> rich==1 -runtime-> httpx==1 -extra:http2-> h2==4",
    ]


def test_why_is_bounded_and_says_so(workspace: Workspace) -> None:
    width, depth = 6, 8
    packages = [
        locked(f"p{level}-{i}", "1", *(Edge(n(f"p{level + 1}-{j}")) for j in range(width)))
        for level in range(depth)
        for i in range(width)
    ]
    packages += [locked(f"p{depth}-{i}", "1", Edge(n("end"))) for i in range(width)]
    packages += [locked("end", "1"), locked("httpx", "1", Edge(n("p0-0")))]
    answer = why(workspace, Lock(packages=tuple(packages)), n("end"), limit=20)
    assert len(answer.paths) == 20 and answer.more
    assert answer == why(workspace, Lock(packages=tuple(reversed(packages))), n("end"), limit=20)


# select


@pytest.mark.parametrize(
    ("spellings", "chosen"),
    [
        ([], "builder core testkit tool web"),
        (["core"], "core"),
        (["Test_Kit", "core"], None),
        (["t*"], "testkit tool"),
        (["web..."], "builder core testkit tool web"),
        (["tool..."], "core tool"),
        (["tool^..."], "core"),
        (["...tool"], "tool web"),
        (["...^core"], "testkit tool web"),
        (["...tool..."], "core tool web"),
        (["./libs/core"], "core"),
        (["./libs"], "builder core testkit tool"),
        (["./*/web"], "web"),
        (["."], "builder core testkit tool web"),
        (["!web"], "builder core testkit tool"),
        (["web...", "!...testkit"], "builder core tool"),
        (["nope"], None),
        (["./nope"], None),
        (["x*"], None),
    ],
)
def test_selection(workspace: Workspace, spellings: list[str], chosen: str | None) -> None:
    if chosen is None:
        with pytest.raises(UnknownMember):
            select(workspace, spellings)
    else:
        assert [m.name for m in select(workspace, spellings)] == chosen.split()


def test_selection_from_a_folder_and_the_nearest_name(workspace: Workspace) -> None:
    assert [m.name for m in select(workspace, ["."], folder="libs/core")] == ["core"]
    assert [m.name for m in select(workspace, ["../../apps/web"], folder="libs/core")] == ["web"]
    with pytest.raises(UnknownMember) as caught:
        select(workspace, ["cor"])
    assert caught.value.hint == "did you mean `core`?"
    assert member_at(workspace, "libs/core/src/x") is workspace.by_name[n("core")]
    assert member_at(workspace, "libs") is None
