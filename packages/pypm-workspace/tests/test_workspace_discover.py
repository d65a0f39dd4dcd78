"""Finding the root and the members, with real folders; and a snapshot that changes nothing but the time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pypm_model.errors import PypmError
from pypm_workspace.discover import UnreadableManifest, discover, find_root
from pypm_workspace.errors import (
    ConflictingIndexes,
    DuplicateMember,
    InvalidWorkspace,
    MemberOutsideRoot,
    MemberWithoutManifest,
    NarrowerSibling,
    NoWorkspace,
)
from pypm_workspace.faults import InvalidManifest
from pypm_workspace.snapshot import members_from_snapshot
from pypm_workspace.workspace import Workspace

Make = Callable[[Mapping[str, str]], Path]
ALWAYS = 1 << 62


def project(name: str, *dependencies: str, python: str = ">=3.11", more: str = "") -> str:
    """A manifest with requires-python on line 4 and one dependency a line from line 6 on."""
    listed = "".join(f'    "{item}",\n' for item in dependencies)
    stated = f'requires-python = "{python}"\n' if python else "# any python\n"
    return f'[project]\nname = "{name}"\nversion = "1.0"\n{stated}dependencies = [\n{listed}]\n{more}'


def workspace_file(*members: str, more: str = "") -> str:
    return f"[workspace]\nmembers = {list(members)}\n{more}".replace("'", '"')


def names(workspace: Workspace) -> list[str]:
    return [member.name for member in workspace.members]


# the root


def test_root_is_the_nearest_workspace_file_from_any_folder_of_a_member(make: Make) -> None:
    root = make(
        {
            "pypm-workspace.toml": workspace_file("packages/*"),
            "packages/a/pyproject.toml": project("a"),
            "packages/a/src/a/deep/x.py": "",
            "docs/pyproject.toml": "[tool.ruff]\n",
            "docs/more/x.md": "",
        }
    )
    for folder in (".", "packages", "packages/a", "packages/a/src/a/deep", "docs/more", "docs"):
        found = find_root(root / folder, {})
        assert (found.root, found.kind, found.reason) == (str(root), "pypm", "workspace-file"), folder


def test_a_project_that_the_patterns_leave_out_is_alone(make: Make) -> None:
    root = make(
        {
            "pypm-workspace.toml": workspace_file("packages/*", more='exclude = ["packages/attic-*"]\n'),
            "packages/attic-x/pyproject.toml": project("x"),
            "other/pyproject.toml": project("other"),
        }
    )
    for folder in ("packages/attic-x", "other"):
        found = find_root(root / folder, {})
        assert (found.root, found.kind, found.reason) == (str(root / folder), "project", "not-a-member")
        assert len(discover(found.root).members) == 1


def test_a_uv_workspace_above_counts_if_it_lists_the_project(make: Make) -> None:
    root = make(
        {
            "pyproject.toml": '[tool.uv.workspace]\nmembers = ["p/*"]\nexclude = ["p/no"]\n',
            "p/yes/pyproject.toml": project("yes"),
            "p/no/pyproject.toml": project("no"),
        }
    )
    assert find_root(root / "p/yes", {}).root == str(root)
    assert find_root(root, {}).kind == "uv"
    assert find_root(root / "p/no", {}).root == str(root / "p/no")


def test_the_variable_wins_and_must_name_a_workspace(make: Make) -> None:
    root = make({"a/pyproject.toml": project("a"), "b/pyproject.toml": project("b"), "empty/x": ""})
    assert find_root(root / "a", {"PYP_WORKSPACE_ROOT": str(root / "b")}).root == str(root / "b")
    assert find_root(root / "a", {"PYP_WORKSPACE_ROOT": "../b"}).root == str(root / "b")
    with pytest.raises(NoWorkspace, match="PYP_WORKSPACE_ROOT"):
        find_root(root / "a", {"PYP_WORKSPACE_ROOT": str(root / "empty")})


def test_no_workspace_anywhere(tmp_path: Path) -> None:
    with pytest.raises(NoWorkspace) as caught:
        find_root(tmp_path, {})
    assert "pypm init" in str(caught.value.hint)
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\n")
    (tmp_path / "below").mkdir()
    for folder in (tmp_path, tmp_path / "below"):
        with pytest.raises(NoWorkspace) as caught:
            find_root(folder, {})
        assert str(caught.value) == f"{tmp_path}/pyproject.toml is no project: it has no [project]"


def test_nearest_of_nested_workspaces_wins_unless_the_project_is_not_in_it(make: Make) -> None:
    root = make(
        {
            "pypm-workspace.toml": workspace_file("inner/own/*"),
            "inner/pypm-workspace.toml": workspace_file("packages/*"),
            "inner/packages/a/pyproject.toml": project("a"),
            "inner/own/b/pyproject.toml": project("b"),
        }
    )
    assert find_root(root / "inner/packages/a", {}).root == str(root / "inner")
    assert find_root(root / "inner/own/b", {}).root == str(root)


# members


def test_members_by_glob_exclude_and_literal_sorted_by_name(make: Make) -> None:
    root = make(
        {
            "pypm-workspace.toml": workspace_file(
                "packages/*", "./tools/pypm/", "libs/**", "!packages/old", more='exclude = ["libs/attic"]\n'
            ),
            "pyproject.toml": "[dependency-groups]\ndev = ['x']\n",
            "packages/Zeta/pyproject.toml": project("z_eta"),
            "packages/old/pyproject.toml": project("old"),
            "packages/README.md": "",
            "packages/.hidden/x": "",
            "tools/pypm/pyproject.toml": project("Pypm"),
            "libs/pyproject.toml": project("libs"),
            "libs/deep/er/pyproject.toml": project("deeper"),
            "libs/deep/er/src/x.py": "",
            "libs/attic/one/pyproject.toml": project("one"),
            "libs/.venv/lib/pyproject.toml": project("no"),
        }
    )
    workspace = discover(root)
    assert names(workspace) == ["(root)", "deeper", "libs", "pypm", "z-eta"]
    assert [m.path for m in workspace.members] == [".", "libs/deep/er", "libs", "tools/pypm", "packages/Zeta"]
    assert workspace.warnings == ()


def test_the_root_is_a_member_if_it_is_a_project_and_else_only_has_groups(make: Make) -> None:
    files = {"pypm-workspace.toml": workspace_file("a"), "a/pyproject.toml": project("a")}
    assert names(discover(make(files))) == ["a"]
    assert names(discover(make({**files, "pyproject.toml": "[tool.ruff]\n"}))) == ["a"]
    assert names(discover(make({**files, "pyproject.toml": "[dependency-groups]\nd = ['x']\n"}))) == [
        "(root)",
        "a",
    ]
    assert names(discover(make({**files, "pyproject.toml": project("top")}))) == ["a", "top"]
    dotted = {**files, "pypm-workspace.toml": workspace_file(".", "a"), "pyproject.toml": project("top")}
    assert names(discover(make(dotted))) == ["a", "top"]


def test_two_members_of_one_name_names_both_places(make: Make) -> None:
    root = make(
        {
            "pypm-workspace.toml": workspace_file("p/*"),
            "p/x/pyproject.toml": project("same-name"),
            "p/y/pyproject.toml": "\n" + project("Same_Name"),
        }
    )
    with pytest.raises(DuplicateMember) as caught:
        discover(root)
    assert [str(place) for place in caught.value.places] == [
        "p/x/pyproject.toml:2:1",
        "p/y/pyproject.toml:3:1",
    ]
    assert "p/x/pyproject.toml" in str(caught.value) and "p/y/pyproject.toml" in str(caught.value)


def test_a_match_without_manifest_names_folder_and_pattern(make: Make) -> None:
    root = make(
        {"pypm-workspace.toml": workspace_file("p/*"), "p/a/pyproject.toml": project("a"), "p/b/x.py": ""}
    )
    (root / "p/empty").mkdir()
    with pytest.raises(InvalidWorkspace) as caught:
        discover(root)
    assert [type(error) for error in caught.value.errors] == [MemberWithoutManifest] * 2
    assert "p/b has no pyproject.toml" in str(caught.value)
    assert [str(place) for place in caught.value.places][:2] == [
        "p/b/pyproject.toml",
        "pypm-workspace.toml:2:12",
    ]


def test_a_folder_that_does_not_exist(make: Make) -> None:
    with pytest.raises(MemberWithoutManifest, match="packages/gone does not exist"):
        discover(make({"pypm-workspace.toml": workspace_file("packages/gone")}))


def test_what_git_leaves_behind_is_passed_over_with_a_warning(make: Make) -> None:
    root = make(
        {
            "pypm-workspace.toml": workspace_file("p/*"),
            "p/a/pyproject.toml": project("a"),
            "p/b/src/__pycache__/x.pyc": "",
        }
    )
    workspace = discover(root)
    assert names(workspace) == ["a"] and [w.code for w in workspace.warnings] == ["leftover-folder"]


def test_a_pattern_that_matches_nothing_is_a_warning_with_its_line(make: Make) -> None:
    workspace = discover(make({"pypm-workspace.toml": workspace_file("p/*"), "pyproject.toml": project("a")}))
    (warning,) = workspace.warnings
    assert warning.code == "empty-pattern" and warning.message.startswith("pypm-workspace.toml:2:12: `p/*`")


@pytest.mark.parametrize("how", ["dots", "link", "link-by-name"])
def test_a_member_outside_the_root(make: Make, tmp_path: Path, how: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "pyproject.toml").write_text(project("out"))
    pattern = {"dots": "../outside", "link": "p/*", "link-by-name": "p/way"}[how]
    root = make({"pypm-workspace.toml": workspace_file(pattern), "p/a/pyproject.toml": project("a")})
    if how != "dots":
        (root / "p/way").symlink_to(outside)
    with pytest.raises(MemberOutsideRoot) as caught:
        discover(root)
    assert str(caught.value.places[0]) == "pypm-workspace.toml:2:12"
    assert "outside" in str(caught.value)


@pytest.mark.parametrize("pattern", ["/somewhere/*", "C:\\\\x"])
def test_patterns_are_relative(make: Make, pattern: str) -> None:
    with pytest.raises(InvalidManifest, match=r"pypm-workspace.toml:2:12: .* is an absolute path"):
        discover(make({"pypm-workspace.toml": f'[workspace]\nmembers = ["{pattern}"]\n'}))


def test_patterns_are_tidied(make: Make) -> None:
    root = make(
        {"pypm-workspace.toml": workspace_file("p/../p//a/", "./p/a"), "p/a/pyproject.toml": project("a")}
    )
    assert [member.path for member in discover(root).members] == ["p/a"]


def test_a_manifest_that_is_a_folder_is_an_error(make: Make) -> None:
    root = make({"pypm-workspace.toml": workspace_file("p/*"), "p/a/pyproject.toml/x": ""})
    with pytest.raises(UnreadableManifest, match=r"cannot read p/a/pyproject.toml"):
        discover(root)


def test_a_link_inside_the_root_is_no_second_member(make: Make) -> None:
    root = make({"pypm-workspace.toml": workspace_file("p/*"), "p/b/pyproject.toml": project("b")})
    (root / "p/a").symlink_to("b")
    (root / "p/c").symlink_to("b")
    assert [member.path for member in discover(root).members] == ["p/b"]


def test_a_member_must_be_a_project(make: Make) -> None:
    root = make(
        {
            "pypm-workspace.toml": workspace_file("p/*"),
            "p/a/pyproject.toml": '[tool.poetry]\nname = "a"\n',
        }
    )
    with pytest.raises(InvalidManifest, match=r"needs a `\[project\]` table \(it uses Poetry"):
        discover(root)


# what must hold between members


def test_a_narrower_sibling_names_both_members_and_places(make: Make) -> None:
    root = make(
        {
            "pypm-workspace.toml": workspace_file("p/*"),
            "p/a/pyproject.toml": project("a", "b", python=">=3.11"),
            "p/b/pyproject.toml": project("b", python=">=3.12"),
        }
    )
    with pytest.raises(NarrowerSibling) as caught:
        discover(root)
    assert [str(place) for place in caught.value.places] == [
        "p/a/pyproject.toml:6:5",
        "p/b/pyproject.toml:4:1",
        "p/a/pyproject.toml:4:1",
    ]
    assert "`a`" in str(caught.value) and "`b`" in str(caught.value) and ">=3.12" in str(caught.value)


@pytest.mark.parametrize(
    ("mine", "dependency", "theirs", "fine"),
    [
        (">=3.11", "b", ">=3.11", True),
        (">=3.12", "b", ">=3.11", True),
        (">=3.11", "b", ">=3.11,<4", False),
        (">=3.11", "b; python_version >= '3.12'", ">=3.12", True),
        (">=3.11", "b; python_version >= '3.12'", ">=3.13", False),
        (">=3.11,!=3.12.*", "b", "!=3.12.*", True),
        ("", "b", ">=3.12", True),
        (">=3.11", "b", "", True),
    ],
)
def test_ranges_are_compared_as_sets(make: Make, mine: str, dependency: str, theirs: str, fine: bool) -> None:
    root = make(
        {
            "pypm-workspace.toml": workspace_file("p/*"),
            "p/a/pyproject.toml": project("a", dependency, python=mine),
            "p/b/pyproject.toml": project("b", python=theirs),
        }
    )
    if fine:
        discover(root)
    else:
        with pytest.raises(NarrowerSibling):
            discover(root)


def test_a_uv_workspace_is_for_the_pythons_all_members_share(make: Make) -> None:
    root = make(
        {
            "pyproject.toml": '[tool.uv.workspace]\nmembers = ["p/*"]\n'
            '[dependency-groups]\ndev = ["pytest"]\n',
            "p/a/pyproject.toml": project("a", "b", python=">=3.9"),
            "p/b/pyproject.toml": project("b", "c", python=">=3.10"),
            "p/c/pyproject.toml": project("c", python=">=3.11,<3.14"),
        }
    )
    workspace = discover(root)
    assert dict(workspace.pythons) == {
        "(root)": "<3.14,>=3.11",
        "a": "<3.14,>=3.11",
        "b": "<3.14,>=3.11",
        "c": "<3.14,>=3.11",
    }
    assert workspace.warnings == ()


def test_where_uv_members_share_no_python_a_narrower_sibling_narrows_its_dependents(make: Make) -> None:
    root = make(
        {
            "pyproject.toml": '[tool.uv.workspace]\nmembers = ["p/*"]\n',
            "p/a/pyproject.toml": project("a", "b", python=">=3.9"),
            "p/b/pyproject.toml": project("b", python=">=3.11"),
            "p/c/pyproject.toml": project("c", python="<3.10"),
        }
    )
    workspace = discover(root)
    assert dict(workspace.pythons) == {"a": ">=3.11", "b": ">=3.11", "c": "<3.10"}
    assert {w.code for w in workspace.warnings} == {"narrower-sibling"}


def test_runtime_circles_warn_and_others_are_silent(make: Make) -> None:
    root = make(
        {
            "pypm-workspace.toml": workspace_file("p/*"),
            "p/a/pyproject.toml": project("a", "b"),
            "p/b/pyproject.toml": project("b", "c", "a"),
            "p/c/pyproject.toml": project("c", "a"),
            "p/d/pyproject.toml": project("d", more='optional-dependencies = {x = ["e", "d[y]"], y = []}\n'),
            "p/e/pyproject.toml": project("e", more='[dependency-groups]\ndev = ["d"]\n'),
        }
    )
    found = [w for w in discover(root).warnings if w.code == "member-cycle"]
    told = sorted(w.message.split("circle: ")[1] for w in found)
    assert told == [
        "a (p/a/pyproject.toml:6:5) -> b (p/b/pyproject.toml:6:5) -> c (p/c/pyproject.toml:6:5) -> a",
        "a (p/a/pyproject.toml:6:5) -> b (p/b/pyproject.toml:7:5) -> a",
    ]


def test_a_siblings_version_that_does_not_fit_is_a_warning(make: Make) -> None:
    root = make(
        {
            "pypm-workspace.toml": workspace_file("p/*"),
            "p/a/pyproject.toml": project("a", "b>=1", "b<1"),
            "p/b/pyproject.toml": project("b"),
        }
    )
    (warning,) = discover(root).warnings
    assert warning.code == "sibling-version" and warning.message.startswith(
        "p/a/pyproject.toml:7:5: `a` asks"
    )


def test_indexes_of_members_are_explicit_and_must_not_contradict(make: Make) -> None:
    index = '[[tool.uv.index]]\nname = "torch"\nurl = "https://{}.example.test/simple"\n'
    sources = '[tool.uv.sources]\ntorch = { index = "torch" }\n'
    files = {
        "pypm-workspace.toml": workspace_file("p/*"),
        "p/a/pyproject.toml": project("a", "torch", more=index.format("one") + sources),
        "p/b/pyproject.toml": project("b", "torch", more=index.format("one") + sources),
    }
    workspace = discover(make(files))
    assert [(i.name, i.explicit) for i in workspace.indexes] == [("torch", True)]
    files["p/b/pyproject.toml"] = project("b", "torch", more=index.format("two") + sources)
    with pytest.raises(ConflictingIndexes) as caught:
        discover(make(files))
    assert [place.file for place in caught.value.places] == ["p/a/pyproject.toml", "p/b/pyproject.toml"]
    assert "example.test" not in str(caught.value)


def test_a_source_that_names_no_member_is_a_fault_where_it_is_used(make: Make) -> None:
    source = "[tool.uv.sources]\nlibary = { workspace = true }\n"
    files = {"pypm-workspace.toml": workspace_file("p/*"), "p/b/pyproject.toml": project("library")}
    discover(make({**files, "p/a/pyproject.toml": project("a", more=source)}))
    with pytest.raises(InvalidManifest) as caught:
        discover(make({**files, "p/a/pyproject.toml": project("a", "libary", more=source)}))
    assert "p/a/pyproject.toml:9:1" in str(caught.value) and "did you mean `library`?" in str(caught.value)


# the snapshot


@pytest.fixture
def many(make: Make) -> Path:
    return make(
        {
            "pypm-workspace.toml": workspace_file(
                "p/*", "q/*", more='[tasks]\ntest = "t"\n[catalog]\nx = ">1"\n[check]\ntests = ["t"]\n'
            ),
            "pyproject.toml": "[dependency-groups]\ndev = ['x', 'y']\n"
            "[tool.uv]\nconstraint-dependencies = ['z<2']\n",
            "p/a/pyproject.toml": project(
                "a",
                "b",
                "x",
                "y>1; sys_platform == 'linux'",
                more='[project.optional-dependencies]\nE = ["b[x]"]\n'
                '[dependency-groups]\ni=["q"]\nd = ["r", {include-group="i"}, "s"]\n',
            ),
            "p/b/pyproject.toml": project(
                "b",
                "a",
                "g @ git+https://h.example.test/g@main#subdirectory=x",
                more='[tool.pypm]\ntags = ["t"]\ncheck = {ignore = ["x*"], imports = {cv2 = "y"}}\n'
                "[tool.uv.sources]\na = {workspace = true}\n"
                'B_c = {path = "../z", marker = "os_name == \'nt\'"}\n'
                '[build-system]\nrequires = ["flit_core"]\n',
            ),
            "p/c/pyproject.toml": project("c", "odd-key-is-a-warning", more="").replace(
                "version", "versions = 1\nversion"
            ),
        }
    )


def test_a_snapshot_brings_back_the_same_workspace(many: Path) -> None:
    fresh = discover(many)
    data = fresh.snapshot()
    for written in (0, ALWAYS):
        again = discover(many, snapshot=members_from_snapshot(data, written_ns=written))
        assert again == fresh
        assert again.request() == fresh.request() and again.inputs == fresh.inputs
        assert again.snapshot() == data
        assert [str(again.place(e.origin)) for e in again.edges] == [
            str(fresh.place(e.origin)) for e in fresh.edges
        ]
    assert len(fresh.warnings) == 3


@pytest.mark.parametrize("written", [0, ALWAYS])
def test_changes_are_seen_through_a_snapshot(many: Path, written: int) -> None:
    data = discover(many).snapshot()
    (many / "p/a/pyproject.toml").write_text(project("a", "fresh"))
    (many / "p/d").mkdir()
    (many / "p/d/pyproject.toml").write_text(project("d"))
    (many / "p/c/pyproject.toml").unlink()
    (many / "p/c").rmdir()
    again = discover(many, snapshot=members_from_snapshot(data, written_ns=written))
    assert again == discover(many)
    assert names(again) == ["(root)", "a", "b", "d"]


def test_a_change_within_the_clocks_tick_is_seen(many: Path) -> None:
    path = many / "p/a/pyproject.toml"
    stat = path.stat()
    data = discover(many).snapshot()
    path.write_text(path.read_text().replace('"x"', '"w"'))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    again = discover(many, snapshot=members_from_snapshot(data, written_ns=stat.st_mtime_ns + 1000))
    assert again == discover(many)


def sealed(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).hexdigest().encode() + b"\n" + body


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"\xff", b'{"format": 99}', b'{"format":1,"root":"x"}', b"null"]
)
def test_what_is_no_snapshot_of_ours_is_none(body: bytes) -> None:
    assert members_from_snapshot(body) is None
    assert members_from_snapshot(sealed(body)) is None


def test_a_damaged_snapshot_is_none(many: Path) -> None:
    data = discover(many).snapshot()
    assert members_from_snapshot(data) is not None
    for at in range(0, len(data), 97):
        assert members_from_snapshot(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]) is None
        assert members_from_snapshot(data[:at]) is None


def test_a_snapshot_of_another_root_is_passed_over(many: Path) -> None:
    fresh = discover(many)
    moved = sealed(fresh.snapshot().partition(b"\n")[2].replace(str(many).encode(), b"/elsewhere"))
    snapshot = members_from_snapshot(moved, written_ns=ALWAYS)
    assert snapshot is not None and snapshot.root == "/elsewhere"
    assert discover(many, snapshot=snapshot) == fresh


def test_inputs_name_all_that_was_looked_at(many: Path) -> None:
    inputs = discover(many).inputs
    assert [seen.path for seen in inputs.files] == [
        "p/a/pyproject.toml",
        "p/b/pyproject.toml",
        "p/c/pyproject.toml",
        "pypm-workspace.toml",
        "pyproject.toml",
        "uv.toml",
    ]
    assert [(seen.path, seen.mtime_ns == -1) for seen in inputs.folders] == [("p", False), ("q", True)]
    stat = (many / "p/a/pyproject.toml").stat()
    assert inputs.files[0][1:] == (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def test_a_run_on_a_snapshot_loads_no_heavy_library(many: Path, tmp_path: Path) -> None:
    (tmp_path / "snapshot").write_bytes(discover(many).snapshot())
    script = (
        "import sys\n"
        "from pypm_workspace.discover import UnreadableManifest, discover, find_root\n"
        "from pypm_workspace.snapshot import members_from_snapshot\n"
        "snapshot = members_from_snapshot(open(sys.argv[2], 'rb').read())\n"
        "workspace = discover(find_root(sys.argv[1], {}).root, snapshot=snapshot)\n"
        "workspace.request(); workspace.edges\n"
        "assert len(workspace.members) == 4\n"
        "heavy = {'pydantic', 'networkx', 'tomlkit', 'packaging', 'httpx', 'asyncio'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(many), str(tmp_path / "snapshot")], check=True, timeout=60
    )


def test_errors_are_records(make: Make) -> None:
    with pytest.raises(PypmError) as caught:
        discover(make({"pypm-workspace.toml": workspace_file("p/*"), "p/a/x": ""}))
    data = caught.value.to_json()
    assert data["code"] == "member-without-manifest" and data["folder"] == "p/a" and data["pattern"] == "p/*"
    assert data["hint"] and data["places"][1] == {"file": "pypm-workspace.toml", "line": 2, "column": 12}
