"""What a workspace asks the resolver: sources, catalog, siblings, uv's tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pypm_model.names import normalize
from pypm_model.requests import Ask, Conflict
from pypm_model.requirement_text import parse, to_text
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, UrlSource
from pypm_workspace.asks import Backend
from pypm_workspace.direct_reference import direct_reference, git_url, relative_path
from pypm_workspace.discover import discover
from pypm_workspace.faults import InvalidManifest
from pypm_workspace.snapshot import members_from_snapshot

Make = Callable[[Mapping[str, str]], Path]


def project(name: str, *dependencies: str, more: str = "") -> str:
    listed = "".join(f"    {item!r},\n" if '"' in item else f'    "{item}",\n' for item in dependencies)
    return f'[project]\nname = "{name}"\nversion = "1.0"\ndependencies = [\n{listed}]\n{more}'


def said(asks: tuple[Ask, ...]) -> list[tuple[str, object]]:
    return [(to_text(ask.requirement).replace(" ", ""), ask.source) for ask in asks]


def test_a_members_name_is_that_member_whatever_else_is_said(make: Make) -> None:
    root = make(
        {
            "pypm-workspace.toml": '[workspace]\nmembers = ["p/*"]\n[catalog]\nb = ">9"\n'
            '[sources]\nb = { path = "x" }\n',
            "p/a/pyproject.toml": project(
                "a",
                "B",
                "b[x]>=1",
                "b @ https://evil.example.test/b.whl",
                "a[y]",
                more='[project.optional-dependencies]\ny = ["b==2"]\n'
                '[tool.uv.sources]\nb = { git = "https://g.example.test/b" }\n',
            ),
            "p/b/pyproject.toml": project("b"),
        }
    )
    a = discover(root).request().members[0]
    sibling = MemberSource("p/b")
    assert said(a.dependencies) == [
        ("b", sibling),
        ("b[x]>=1", sibling),
        ("b", sibling),
        ("a[y]", MemberSource("p/a")),
    ]
    assert said(a.extras[0][1]) == [("b==2", sibling)]


def test_an_extra_in_a_marker_is_carried_out(make: Make) -> None:
    extra, other = "extra == 'x'", "extra == 'gone'"
    more = (
        f'[project.optional-dependencies]\nx = ["f ; {extra}", "g ; {other}", "a[y] ; {extra}"]\ny = ["h"]\n'
        f'[dependency-groups]\ndev = ["i ; {extra}", "j ; extra != \'x\'"]\n'
    )
    linux = "sys_platform == 'linux'"
    asks = ("b", f"c ; {extra}", f"d ; {other}", f"e ; {extra} or {linux}")
    root = make({"pyproject.toml": project("a", *asks, more=more)})
    a = discover(root).request().members[0]
    here = MemberSource(".")
    assert said(a.dependencies) == [("b", None), ("e;sys_platform=='linux'", None)]
    assert [(name, said(found)) for name, found in a.extras] == [
        ("x", [("f", None), ("a[y]", here), ("c", None), ("e;sys_platform!='linux'", None)]),
        ("y", [("h", None)]),
    ]
    assert [(name, said(found)) for name, found in a.groups] == [("dev", [("j", None)])]


def test_members_are_sorted_and_equal_however_the_globs_are_listed(make: Make) -> None:
    files = {f"{folder}/pyproject.toml": project(folder[-1]) for folder in ("x/c", "x/a", "y/b")}
    one = discover(
        make({**files, "pypm-workspace.toml": '[workspace]\nmembers = ["x/*", "y/*"]\n'})
    ).request()
    two = discover(
        make({**files, "pypm-workspace.toml": '[workspace]\nmembers = ["y/b", "x/c", "x/a"]\n'})
    ).request()
    assert one == two and [m.name for m in one.members] == ["a", "b", "c"]


def test_the_catalog_is_for_bare_names_only(make: Make) -> None:
    root = make(
        {
            "pypm-workspace.toml": '[workspace]\nmembers = ["a"]\n[catalog]\nHttpx = ">=0.28,<1"\n'
            '[sources]\nz = {path="z"}\n',
            "a/pyproject.toml": project(
                "a",
                "httpx",
                "httpx[http2]; os_name == 'nt'",
                "httpx>1",
                "other",
                more="[dependency-groups]\nd = ['HTTPX']\n",
            ),
        }
    )
    request = discover(root).request().members[0]
    assert [text for text, _ in said(request.dependencies)] == [
        "httpx<1,>=0.28",
        "httpx[http2]<1,>=0.28;os_name=='nt'",
        "httpx>1",
        "other",
    ]
    assert [text for text, _ in said(request.groups[0][1])] == ["httpx<1,>=0.28"]


def test_sources_by_marker_leave_the_rest_to_the_default_index(make: Make) -> None:
    sources = """
[tool.uv.sources]
torch = [
    { index = "cpu", marker = "sys_platform == 'darwin'" },
    { index = "cu", marker = "sys_platform == 'linux'" },
]
[[tool.uv.index]]
name = "cpu"
url = "https://cpu.example.test/simple"
explicit = true
[[tool.uv.index]]
name = "cu"
url = "https://cu.example.test/simple"
"""
    root = make(
        {
            "pyproject.toml": project(
                "a", "torch>2; os_name == 'posix'", "torch; sys_platform == 'linux'", more=sources
            )
        }
    )
    asks = discover(root).request().members[0].dependencies
    assert [(ask.requirement.marker, ask.source) for ask in asks[:2]] == [
        ("sys_platform == 'darwin'", IndexSource("cpu")),
        ("sys_platform == 'linux'", IndexSource("cu")),
    ]
    assert asks[2].source is None and "sys_platform" in asks[2].requirement.marker
    assert said(asks[3:]) == [("torch;sys_platform=='linux'", IndexSource("cu"))]


def test_sources_for_an_extra_or_group_do_not_leak(make: Make) -> None:
    more = """
[project.optional-dependencies]
gpu = ["torch"]
cpu = ["torch"]
[dependency-groups]
dev = ["torch"]
[tool.uv.sources]
torch = [{ path = "wheels/gpu", extra = "gpu" }, { path = "wheels/dev", group = "dev" }]
"""
    member = discover(make({"pyproject.toml": project("a", "torch", more=more)})).request().members[0]
    assert said(member.dependencies) == [("torch", None)]
    assert {name: said(asks)[0][1] for name, asks in member.extras} == {
        "gpu": PathSource("wheels/gpu"),
        "cpu": None,
    }
    assert said(member.groups[0][1]) == [("torch", PathSource("wheels/dev"))]


def test_a_uv_workspace_as_it_stands(make: Make) -> None:
    root = make(
        {
            "pyproject.toml": """
[tool.uv]
override-dependencies = ["over>=1", "patched"]
constraint-dependencies = ["con<2"]
exclude-dependencies = ["Not_This"]
environments = "sys_platform == 'linux'"
required-environments = ["sys_platform == 'linux' and platform_machine == 'x86_64'"]
prerelease = "allow"
resolution = "lowest-direct"
fork-strategy = "fewest"
exclude-newer = "2026-01-01"
no-build-package = ["nb"]
no-binary-package = ["bin"]
default-groups = "all"
conflicts = [[{ package = "a", extra = "X_1" }, { package = "b" }], [{ extra = "q" }, { group = "g" }]]
some-future-key = 1
[tool.uv.workspace]
members = ["p/*"]
[tool.uv.sources]
a = { workspace = true }
patched = { git = "ssh://git@g.example.test/p.git", tag = "v1", subdirectory = "sub" }
local = { path = "../local", editable = true }
[[tool.uv.index]]
url = "https://mirror.example.test/simple"
default = true
[[tool.uv.index]]
name = "in"
url = "https://in.example.test/simple"
[dependency-groups]
dev = ["local", "new"]
[tool.uv.dependency-groups]
dev = { requires-python = ">=3.12" }
""",
            "p/a/pyproject.toml": project(
                "a", "b", "patched>1", more="[tool.uv.sources]\nb = { workspace = true }\n"
            ),
            "p/b/pyproject.toml": project(
                "b", "here", more="[tool.uv.sources]\nhere = { path = '../../wheels/h.whl' }\n"
            ),
            "p/c/pyproject.toml": project("c", more="[tool.uv]\nmanaged = false\n"),
        }
    )
    workspace = discover(root)
    request = workspace.request()
    patched = GitSource("ssh://git@g.example.test/p.git", "v1", subdirectory="sub")
    assert (workspace.kind, [m.name for m in request.members]) == ("uv", ["(root)", "a", "b"])
    virtual, a, b = request.members
    assert said(a.dependencies) == [("b", MemberSource("p/b")), ("patched>1", patched)]
    assert said(b.dependencies) == [("here", PathSource("wheels/h.whl"))]
    assert [ask.source for ask in virtual.groups[0][1]] == [PathSource("../local", True), None]
    assert {ask.requirement.marker for ask in virtual.groups[0][1]} == {"python_version >= '3.12'"}
    assert said(request.overrides) == [("over>=1", None), ("patched", patched)]
    assert str(workspace.place(request.constraints[0].origin)) == "pyproject.toml:4:28"
    assert request.excludes == {"not-this"}
    assert (request.environments, len(request.required_environments)) == (("sys_platform == 'linux'",), 1)
    assert (request.prereleases.mode, request.strategy, request.fork_strategy) == (
        "allow",
        "lowest-direct",
        "fewest",
    )
    assert request.exclude_newer == "2026-01-02T00:00:00Z"
    assert request.build.no_build == {"nb"} and request.build.no_binary == {"bin"} and request.build.default
    assert request.conflicts == (
        Conflict(((normalize("a"), "x-1", ""), (normalize("b"), "", ""))),
        Conflict(((workspace.members[0].name, "q", ""), (workspace.members[0].name, "", "g"))),
    )
    assert [(i.name, i.default) for i in workspace.indexes] == [("pypi", True), ("in", False)]
    assert workspace.default_groups(workspace.members[0]) == ("dev",)


def test_a_workspace_file_beside_uvs_tables_counts_first(make: Make) -> None:
    root = make(
        {
            "pypm-workspace.toml": '[workspace]\nmembers = ["a"]\n[[index]]\nname = "lab"\nurl = "https://lab.example.test/s"\n'
            'default = true\n[resolution]\nconstraints = ["x<2"]\n',
            "pyproject.toml": '[tool.uv]\nconstraint-dependencies = ["y<2"]\n'
            'override-dependencies = ["z<2"]\n'
            '[tool.uv.workspace]\nmembers = ["b"]\n'
            '[[tool.uv.index]]\nurl = "https://other.example.test/s"\ndefault = true\n'
            '[[tool.uv.index]]\nname = "t"\nurl = "https://t.example.test/s"\nexplicit = true\n',
            "a/pyproject.toml": project("a"),
            "b/pyproject.toml": project("b"),
        }
    )
    workspace = discover(root)
    request = workspace.request()
    assert [m.name for m in workspace.members] == ["a"]
    assert [i.name for i in workspace.indexes] == ["lab", "t"]
    assert [ask.requirement.name for ask in (*request.constraints, *request.overrides)] == ["x", "z"]
    assert str(workspace.place(request.constraints[0].origin)) == "pypm-workspace.toml:8:16"
    assert str(workspace.place(request.overrides[0].origin)) == "pyproject.toml:3:26"


def test_what_a_build_backend_says_completes_a_dynamic_member(make: Make) -> None:
    fields = '"version", "dependencies", "optional-dependencies", "requires-python"'
    text = f'[project]\nname = "a"\ndynamic = [{fields}]\n'
    workspace = discover(make({"pyproject.toml": text}))
    assert workspace.members[0].unstated == ("dependencies", "optional-dependencies", "requires-python")
    answer = Backend(
        tuple(
            map(
                parse, ("x>1", "y; os_name == 'nt'", "z; extra == 'e'", "w; extra == 'e' and os_name == 'nt'")
            )
        ),
        (normalize("e"), normalize("empty")),
        ">=3.12",
    )
    (member,) = workspace.request(backends={normalize("a"): answer}).members
    assert (member.version, member.requires_python) == (None, ">=3.12")
    assert [text for text, _ in said(member.dependencies)] == ["x>1", "y;os_name=='nt'"]
    assert {name: [t for t, _ in said(asks)] for name, asks in member.extras} == {
        "e": ["z", "w;sys_platform=='win32'"],
        "empty": [],
    }


def test_a_member_without_a_range_takes_the_workspaces(make: Make) -> None:
    root = make(
        {
            "pypm-workspace.toml": '[workspace]\nmembers = ["*"]\n',
            "a/pyproject.toml": project("a"),
            "b/pyproject.toml": project("b").replace("version", 'requires-python = ">=3.12"\nversion'),
        }
    )
    assert [m.requires_python for m in discover(root).request().members] == [">=3.12", ">=3.12"]
    (root / "b/pyproject.toml").write_text(project("b"))
    assert [m.requires_python for m in discover(root).request(default_python=">=3.13").members] == [
        ">=3.13"
    ] * 2


@pytest.mark.parametrize(
    ("url", "source"),
    [
        (
            "https://u:p@h.example.test/x-1.whl#sha256=AB",
            UrlSource("https://h.example.test/x-1.whl", "", "ab"),
        ),
        ("https://h.example.test/x.zip#subdirectory=a/b", UrlSource("https://h.example.test/x.zip", "a/b")),
        (
            "git+https://tok@h.example.test/o/r@v1#subdirectory=s",
            GitSource("https://h.example.test/o/r", "v1", "", "s"),
        ),
        ("git+https://tok:x@h.example.test/o/r", GitSource("https://h.example.test/o/r")),
        ("git+ssh://git@h.example.test/o/r.git@main", GitSource("ssh://git@h.example.test/o/r.git", "main")),
        ("git+https://h.example.test/o/r@feature/x", GitSource("https://h.example.test/o/r", "feature/x")),
        ("file:///ws/wheels/x%20y.whl", PathSource("wheels/x y.whl")),
        ("file:///elsewhere/x", PathSource("../elsewhere/x")),
        ("../x", PathSource("packages/x")),
    ],
)
def test_direct_references(url: str, source: object) -> None:
    assert direct_reference(url, base="packages/a", root="/ws") == source


def test_addresses_and_paths() -> None:
    assert git_url("git@h.example.test:o/r.git") == "ssh://git@h.example.test/o/r.git"
    assert relative_path("..\\b", "packages/a", "C:/ws") == "packages/b"
    assert relative_path("C:\\ws\\x", ".", "C:/ws") == "x"
    assert relative_path("D:\\x", ".", "C:/ws") == "D:/x"
    assert relative_path("/abs/x", ".", "/abs/ws") == "../x"


def test_sdists_are_built_where_uv_is_used(make: Make) -> None:
    """As its users have it from uv: `[tool.uv]` or a uv.lock tells, a workspace file of ours ends it."""

    def policy(**files: str) -> bool:
        return discover(
            make({name.replace("__", "."): text for name, text in files.items()})
        ).build_policy.default

    plain = project("a", "old")
    assert not policy(pyproject__toml=plain)
    assert policy(pyproject__toml=plain + "[tool.uv]\n")
    assert policy(pyproject__toml=plain + "[tool.uv]\ndefault-groups = []\n")
    assert not policy(pyproject__toml=plain + "[tool.uv]\nno-build = true\n")
    assert policy(pyproject__toml=plain, uv__lock="version = 1\n")
    (root := make({"pyproject.toml": plain + "[tool.uv]\n", "pypm-workspace.toml": "[workspace]\n"}))
    assert not discover(root).build_policy.default


def test_uvs_exceptions_from_the_cut_off_may_be_periods(make: Make) -> None:
    table = '[tool.uv]\nexclude-newer = "1 week"\n'
    exceptions = (
        'exclude-newer-package = { b = "2 days", c = "PT12H", d = "2026-01-01", e = false, F_g = "1w" }\n'
    )
    settings = discover(make({"pyproject.toml": project("a") + table + exceptions})).settings
    assert settings.cooldown == 604800
    assert settings.exclude_newer_package == (
        ("b", "172800 seconds"),
        ("c", "43200 seconds"),
        ("d", "2026-01-02T00:00:00Z"),
        ("e", ""),
        ("f-g", "604800 seconds"),
    )


def test_a_uv_toml_beside_the_manifest_has_the_settings(make: Make) -> None:
    """Those that it may have: uv then passes over them in the manifest. The rest is the manifest's."""
    manifest = project(
        "a",
        "b",
        more="""[tool.uv]
exclude-newer = "2020-01-01"
constraint-dependencies = ["c<2"]
[[tool.uv.index]]
name = "own"
url = "https://own.example.test/simple"
default = true
[tool.uv.sources]
b = { index = "own" }
""",
    )
    file = """resolution = "lowest"
no-build-package = ["x"]
[[index]]
name = "ours"
url = "https://ours.example.test/simple"
default = true
"""
    root = make({"pyproject.toml": manifest, "uv.toml": file})
    workspace = discover(root)
    request = workspace.request()
    assert (request.strategy, request.exclude_newer, request.build.no_build) == ("lowest", "", {"x"})
    assert [ask.requirement.name for ask in request.constraints] == ["c"]
    assert [(i.name, i.default, i.explicit) for i in workspace.indexes] == [
        ("ours", True, False),
        ("own", False, True),
    ]
    assert str(workspace.place(workspace.indexes[0].written)) == "uv.toml:3:1"
    again = members_from_snapshot(workspace.snapshot(), root=str(root))
    assert discover(root, snapshot=again) == workspace
    assert discover(make({"pyproject.toml": project("a"), "uv.toml": file})).build_policy.default


def test_faults_in_a_uv_toml_have_their_lines(make: Make) -> None:
    text = 'exclude-newer = "x"\nsources = {}\nno-build = 1\n[[index]]\nname = "a"\n'
    with pytest.raises(InvalidManifest) as caught:
        discover(make({"pyproject.toml": project("a"), "uv.toml": text}))
    assert [str(fault.place) for fault in caught.value.faults] == [f"uv.toml:{n}:1" for n in range(1, 5)]


def test_what_of_uvs_indexes_is_not_had_is_told_with_its_line(make: Make) -> None:
    text = """[tool.uv]
find-links = ["wheels", "https://user:secret@links.example.test/all.html"]
[[tool.uv.index]]
name = "flat"
url = "https://flat.example.test/whl"
format = "flat"
[[tool.uv.index]]
name = "folder"
url = "wheels"
format = "flat"
"""
    with pytest.raises(InvalidManifest) as caught:
        discover(make({"pyproject.toml": project("a", more=text)}))
    assert [str(fault.place) for fault in caught.value.faults] == [
        "pyproject.toml:7:25",
        "pyproject.toml:11:1",
    ]
    assert "secret" not in str(caught.value.faults[0])


def test_a_strategy_for_indexes_that_is_not_followed_is_told(make: Make) -> None:
    unsafe = '[tool.uv]\nindex-strategy = "unsafe-best-match"\n'
    more = '[[tool.uv.index]]\nname = "in"\nurl = "https://in.example.test/simple"\n'
    (told,) = discover(make({"pyproject.toml": project("a", more=unsafe + more)})).warnings
    assert told.code == "index-strategy" and told.message.startswith(
        "pyproject.toml:7:1: `unsafe-best-match`"
    )
    for text in (
        unsafe,
        unsafe + more + "explicit = true\n",
        unsafe.replace("unsafe-best-match", "first-index") + more,
    ):
        assert not discover(make({"pyproject.toml": project("a", more=text)})).warnings
