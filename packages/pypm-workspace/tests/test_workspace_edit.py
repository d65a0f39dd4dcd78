"""Manifests edited in place: the bytes that were not meant stay."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.laws import examples
from pypm_model.names import normalize
from pypm_model.requirement_text import parse
from pypm_workspace.discover import discover
from pypm_workspace.edit import (
    NotAsked,
    NotEditable,
    Target,
    add,
    read_manifest,
    remove,
    where,
)
from pypm_workspace.faults import InvalidManifest
from pypm_workspace.templates import new_project, new_workspace, workspace_file

HEAD = '[project]\nname = "a"\nversion = "1"\n'


def deps(body: str) -> str:
    return f"{HEAD}dependencies = {body}\n\n[tool.x]\ny = 1\n"


@pytest.mark.parametrize(
    ("before", "requirement", "after"),
    [
        ("[]", "b>1", '[\n    "b>1",\n]'),
        ('["a", "c"]', "b>1", '["a", "b>1", "c"]'),
        ('["a", "c"]', "d", '["a", "c", "d"]'),
        ('["c", "a"]', "b", '["c", "a", "b"]'),
        ('["a", "c",]', "d", '["a", "c", "d",]'),
        ("['a']", "b", "['a', 'b']"),
        ('["b>1", "c"]', "B>=2", '["B>=2", "c"]'),
        ("[\n]", "b", '[\n    "b",\n]'),
        ("[\n    # none yet\n]", "b", '[\n    # none yet\n    "b",\n]'),
        ('[\n  "a",\n  "c",\n]', "b", '[\n  "a",\n  "b",\n  "c",\n]'),
        ('[\n  "a",\n  "c"\n]', "d", '[\n  "a",\n  "c",\n  "d"\n]'),
        (
            '[\n\t"a",  # first\n\t"c"  # last, [x]\n]',
            "d",
            '[\n\t"a",  # first\n\t"c",  # last, [x]\n\t"d"\n]',
        ),
        ('[\n    "a",\n    # about c\n    "c",\n]', "b", '[\n    "a",\n    "b",\n    # about c\n    "c",\n]'),
        ('[\n    # core\n    "b",\n]', "a", '[\n    # core\n    "a",\n    "b",\n]'),
        ('[\n    "a", "c",\n    "d",\n]', "b", '[\n    "a", "b", "c",\n    "d",\n]'),
        ('["a",\n "c"]', "d", '["a",\n "c",\n "d"]'),
        ('[ "a"\n, "c"\n]', "d", None),
        ("[\n    \"a>1; os_name == 'nt'\",\n]", "a>2", '[\n    "a>1; os_name == \'nt\'",\n    "a>2",\n]'),
        (
            "[\n    'q; os_name == \"nt\"',\n]",
            "r; os_name == 'nt'",
            "[\n    'q; os_name == \"nt\"',\n    \"r; os_name == 'nt'\",\n]",
        ),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_adding(before: str, requirement: str, after: str | None, end: str) -> None:
    text = deps(before).replace("\n", end)
    changed = add(text, requirement)
    if after is not None:
        assert changed == deps(after).replace("\n", end)
    assert parse(requirement) in [parse(item) for item in tomllib.loads(changed)["project"]["dependencies"]]
    assert add("\ufeff" + text, requirement) == "\ufeff" + changed


@pytest.mark.parametrize(
    ("before", "name", "after"),
    [
        ('["b"]', "B", "[]"),
        ('["a", "b>1", "c"]', "b", '["a", "c"]'),
        ('["a", "b"]', "b", '["a"]'),
        ('["a", "b",]', "b", '["a",]'),
        ('["b", "a"]', "b", '["a"]'),
        ('[\n    "b",\n]', "b", "[]"),
        ('[\n    # why\n    "b",\n]', "b", "[\n    # why\n]"),
        (
            '[\n    "a",\n    "b",  # gone\n    # stays\n    "c",\n]',
            "b",
            '[\n    "a",\n    # stays\n    "c",\n]',
        ),
        ('[\n    "a",  # x\n    "b"\n]', "b", '[\n    "a"  # x\n]'),
        ('[\n    "a", "b",\n    "c",\n]', "b", '[\n    "a",\n    "c",\n]'),
        ('[\n    "b", "a",\n]', "b", '[\n    "a",\n]'),
        ('["b>1; os_name == \'nt\'", "a", "b<1"]', "b", '["a"]'),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_removing(before: str, name: str, after: str, end: str) -> None:
    assert remove(deps(before).replace("\n", end), name) == deps(after).replace("\n", end)


def test_lists_that_do_not_exist_yet() -> None:
    text = HEAD + "\n[tool.x]\ny = 1\n"
    assert add(text, "b") == HEAD + 'dependencies = [\n    "b",\n]\n\n[tool.x]\ny = 1\n'
    assert add(text, "b", Target("extra", "Fast")) == (
        HEAD + '\n[project.optional-dependencies]\nFast = [\n    "b",\n]\n\n[tool.x]\ny = 1\n'
    )
    grouped = add(text, "b", Target("group", "dev"))
    assert grouped == HEAD + '\n[dependency-groups]\ndev = [\n    "b",\n]\n\n[tool.x]\ny = 1\n'
    assert add(grouped, "c", Target("group", "lint")) == grouped.replace(
        "]\n\n[tool", ']\nlint = [\n    "c",\n]\n\n[tool'
    )
    assert add("", "b", Target("group", "dev")).strip() == '[dependency-groups]\ndev = [\n    "b",\n]'
    assert add(HEAD.rstrip(), "b") == HEAD + 'dependencies = [\n    "b",\n]\n'


@pytest.mark.parametrize(
    "text",
    [
        'project = {name = "a", version = "1"}\n',
        'project.name = "a"\nproject.version = "1"\n',
        HEAD + 'optional-dependencies = {web = ["x"]}\n[tool.y]\n',
        HEAD + 'optional-dependencies.web = ["x"]\n[tool.y]\n',
        HEAD + "[project.scripts]\na = 'b'\n[tool]\nz = 1\n",
        "dependency-groups = {}\n" + HEAD,
        HEAD + "# the end without newline",
    ],
)
@pytest.mark.parametrize("target", [Target(), Target("extra", "new"), Target("group", "dev")])
def test_every_way_to_write_tables(text: str, target: Target) -> None:
    before = tomllib.loads(text)
    changed = add(text, "b>=1", target)
    after = tomllib.loads(changed)
    holder: Any = after
    for key in target.parent:
        holder = holder[key]
    key = target.name or "dependencies"
    assert holder.pop(key) == ["b>=1"]

    def bare(value: Any) -> Any:
        return {k: bare(v) for k, v in value.items() if v != {}} if isinstance(value, dict) else value

    assert bare(after) == bare(before)
    assert where(changed, "B") == (target,)
    assert "# the end" not in text or "# the end" in changed
    assert tomllib.loads(remove(changed, "b", target)) is not None


def test_names_are_matched_normalised() -> None:
    text = HEAD + '[dependency-groups]\nDev_Tools = ["x"]\n'
    assert 'Dev_Tools = ["x", "y"]' in add(text, "y", Target("group", "dev-tools"))
    assert "Dev_Tools = []" in remove(text, "X", Target("group", "dev.tools"))


def test_includes_in_groups_stay_where_they_are() -> None:
    text = '[dependency-groups]\nlint = []\ndev = [\n    {include-group = "lint"},\n    "b",\n]\n'
    assert add(text, "a", Target("group", "dev")) == text.replace('    "b"', '    "a",\n    "b"')


def test_what_cannot_be_edited_says_why() -> None:
    with pytest.raises(NotAsked) as caught:
        remove(HEAD + '[dependency-groups]\ndev = ["b"]\n', "b")
    assert caught.value.hint == "it is in group `dev`"
    with pytest.raises(NotEditable, match="dynamic"):
        add(HEAD + 'dynamic = ["dependencies"]\n', "b")
    with pytest.raises(NotEditable, match=r"no \[project\] table"):
        add("[tool.x]\n", "b")
    with pytest.raises(NotEditable, match="no array"):
        add(HEAD + 'dependencies = "x"\n', "b")
    with pytest.raises(InvalidManifest):
        add("[project\n", "b")


lines = st.lists(st.sampled_from(["", "# note", '# [x], "y"']), max_size=2)
words = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=5)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A dependencies list in some layout, and its items."""
    items = draw(words)
    if draw(st.booleans()):
        items = sorted(items)
    if draw(st.booleans()):
        return "[" + ", ".join(f'"{item}"' for item in items) + draw(
            st.sampled_from(["", ","] if items else [""])
        ) + "]", items
    text = "["
    for number, item in enumerate(items):
        for line in draw(lines):
            text += f"\n    {line}".rstrip(" ")
        joined = draw(st.booleans()) and number and not text.rstrip().endswith(('y"', "note"))
        text += f' "{item}"' if joined else f'\n    "{item}"'
        if number < len(items) - 1 or draw(st.booleans()):
            text += ","
            if draw(st.booleans()) and draw(st.booleans()):
                text += "  # note"
    return text + "\n]", items


@settings(max_examples=examples(300), deadline=None)
@given(layouts(), st.sampled_from("abcdefghi"))
def test_adding_then_removing_gives_the_old_items_and_keeps_every_comment(
    layout: tuple[str, list[str]], name: str
) -> None:
    body, items = layout
    text = deps(body)
    changed = add(text, f"{name}>=1")
    wanted = [f"{name}>=1" if item == name else item for item in items]
    found = tomllib.loads(changed)["project"]["dependencies"]
    if name in items:
        assert found == wanted
    else:
        assert [item for item in found if item != f"{name}>=1"] == items and len(found) == len(items) + 1
        if items == sorted(items):
            assert [normalize(item[0]) for item in found] == sorted(item[0] for item in found)
        # every old line is still there, but for commas
        left = [line.strip().replace(",", "") for line in changed.splitlines()]
        if "\n" in body and items:
            for line in text.splitlines():
                known = line.strip().replace(",", "")
                assert known in left or any(known.split('"')[-2] in other for other in left)
    assert changed.count("#") == text.count("#")
    back = remove(changed, name)
    assert tomllib.loads(back)["project"]["dependencies"] == [item for item in items if item != name]
    if name not in items and items:
        assert back == text


# files


def test_a_manifest_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    assert read_manifest(tmp_path / "x.toml") == "\ufeffa = 1\r\n"
    (tmp_path / "x.toml").write_bytes(b"a = 1\nb = '\xe4'\n")
    with pytest.raises(InvalidManifest, match=r"x\.toml:2: not UTF-8 text"):
        read_manifest(tmp_path / "x.toml")


# templates


def test_a_new_project_is_one(tmp_path: Path) -> None:
    for package in (True, False):
        for name, text in new_project("My.App", package=package).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        (member,) = discover(tmp_path).members
        assert (member.name, member.built if hasattr(member, "built") else member.build is not None) == (
            "my-app",
            package,
        )
    assert (tmp_path / "src/my_app/__init__.py").exists()


def test_a_new_workspace_is_one(tmp_path: Path) -> None:
    (tmp_path / "pypm-workspace.toml").write_text(new_workspace("acme"))
    workspace = discover(tmp_path)
    assert (workspace.name, workspace.settings.members) == ("acme", ("packages/*",))


def test_the_workspace_file_of_a_uv_workspace_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        """
[dependency-groups]
dev = ["lib", "g", "u", "b"]
[tool.uv]
override-dependencies = ["o>=1; sys_platform == 'linux'"]
constraint-dependencies = ["c<2", "d<2", "e<2"]
environments = ["sys_platform == 'linux'"]
exclude-newer = "2026-01-01T00:00:00Z"
exclude-newer-package = { o = false, p = "2 days" }
no-build-package = ["nb"]
no-build = false
dependency-metadata = [{ name = "o", version = "1.0", requires-dist = ["p"], provides-extra = ["q"] }]
default-groups = "all"
conflicts = [[{ package = "a", extra = "x" }, { package = "a", extra = "y" }]]
[tool.uv.workspace]
members = ["p/*"]
exclude = ["p/x"]
[tool.uv.sources]
lib = { path = "lib", editable = true }
g = { git = "https://g.example.test/g", branch = "main", subdirectory = "s" }
u = { url = "https://u.example.test/u.whl" }
b = [{ index = "two", marker = "os_name == 'nt'" }, { path = "w", marker = "os_name == 'posix'" }]
[[tool.uv.index]]
name = "two"
url = "https://two.example.test/s"
explicit = true
"""
    )
    (tmp_path / "p/a").mkdir(parents=True)
    (tmp_path / "p/a/pyproject.toml").write_text(
        '[project]\nname = "a"\nversion = "1"\n[project.optional-dependencies]\nx = []\ny = []\n'
    )
    before = discover(tmp_path)
    assert before.kind == "uv"
    (tmp_path / "pypm-workspace.toml").write_text(workspace_file(before.settings))
    manifest = tmp_path / "pyproject.toml"
    manifest.write_text(manifest.read_text().split("[tool.uv]")[0])  # uv's tables may go
    after = discover(tmp_path)
    assert after.kind == "pypm"

    def plain(workspace: Any) -> Any:
        request = workspace.request()
        asks = [
            [(a.requirement, a.source) for a in asked] for asked in (request.constraints, request.overrides)
        ]
        groups = [(a.requirement, a.source) for a in request.members[0].groups[0][1]]
        rest = (request.environments, request.build, request.conflicts, request.exclude_newer)
        return asks, groups, rest, [(i.name, i.url, i.explicit) for i in workspace.indexes]

    assert plain(after) == plain(before)
    assert after.settings.exclude_newer_package == before.settings.exclude_newer_package
    plainly = [
        (s.name, s.version, [a.requirement for a in s.requires], s.extras) for s in after.settings.stated
    ]
    assert plainly == [("o", "1.0", [parse("p")], ("q",))]
