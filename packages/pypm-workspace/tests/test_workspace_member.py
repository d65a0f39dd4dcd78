"""One manifest as a member, and everything that can be wrong in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypm_model.requirement_text import to_text
from pypm_workspace.discover import discover
from pypm_workspace.faults import InvalidManifest
from pypm_workspace.workspace import Workspace


def read(folder: Path, text: str) -> Workspace:
    (folder / "pyproject.toml").write_bytes(text.encode())
    return discover(folder)


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(InvalidManifest) as caught:
        read(folder, text)
    return [str(fault) for fault in caught.value.faults]


def test_everything_a_project_says(tmp_path: Path) -> None:
    workspace = read(
        tmp_path,
        """
[project]
name = "My.Project"
version = "1.0-1"
requires-python = ">= 3.11, <4"
dependencies = ["HTTPX[http2] >= 0.27 ; python_version<'3.13'", "b @ https://h.example.test/b-1.tar.gz"]
dynamic = ["readme"]
[project.optional-dependencies]
All_Of-It = ["x>1"]
[dependency-groups]
test = ["pytest", {include-group = "Lint"}, "ruff"]
lint = ["ruff", {include-group = "types"}]
types = ["mypy"]
[build-system]
requires = ["flit_core>=3"]
build-backend = "flit_core.buildapi"
backend-path = ["."]
""",
    )
    (member,) = workspace.members
    assert (member.name, member.display_name, member.version) == ("my-project", "My.Project", "1.0.post1")
    assert member.requires_python == "<4,>=3.11"
    assert [to_text(asked.requirement).replace(" ", "") for asked in member.dependencies] == [
        "httpx[http2]>=0.27;python_version<'3.13'",
        "b@https://h.example.test/b-1.tar.gz",
    ]
    assert [name for name, _ in member.extras] == ["all-of-it"]
    groups = {name: [asked.requirement.name for asked in items] for name, items in member.groups}
    assert groups == {"lint": ["ruff", "mypy"], "test": ["pytest", "ruff", "mypy", "ruff"], "types": ["mypy"]}
    included = dict(member.groups)["test"][1]
    assert (
        str(workspace.place(workspace.request().members[0].groups[1][1][1].origin)) == "pyproject.toml:12:9"
    )
    assert included.table == "dependency-groups.lint"
    assert member.build is not None and member.build.backend_path == (".",)
    assert member.dynamic == ("readme",) and not member.unstated


def test_all_faults_of_one_file_at_once_with_their_lines(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        """\
[project]
name = "-bad-"
version = "one"
requires-python = "^3.8"
dependencies = [
    "ok",
    "not ok!",
    3,
]
dynamic = ["version", "nonsense"]
optional-dependencies.a_b = "x"
optional-dependencies.A-B = ["y"]

[dependency-groups]
dev = [{include-group = "tset"}, {include = "x"}, 1]
test = [{include-group = "round"}]
round = [{include-group = "test"}]
Test = []
[build-system]
build-backend = 7
requirs = []
""",
    )
    lines = [int(text.split(":")[1]) for text in found]
    assert lines == sorted(lines)
    assert lines == [2, 3, 4, 7, 8, 10, 11, 12, 15, 15, 15, 17, 18, 19, 20, 21]
    told = "\n".join(found)
    for part in (
        "`-bad-` is not a valid name",
        "Poetry",
        "`project.dependencies[2]` must be a requirement string, not an integer",
        "`nonsense` is no field",
        "`version` is both stated and dynamic",
        "extras `a_b` and `A-B` are the same name",
        "did you mean `test`?",
        "only the key `include-group`, not `include`",
        "circle",
        "groups `test` and `Test` are the same name",
        "`requires` is missing in [build-system]",
        "did you mean `requires`?",
    ):
        assert part in told, part


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[project]\nname = 'a'\n", "`version` is neither stated nor listed in `dynamic`"),
        ("[project]\nversion = '1'\n", "`name` is missing"),
        ("[project]\ndynamic = ['name', 'version']\n", "`name` cannot be dynamic"),
        ("project = 3\n", "`project` must be a table, not an integer"),
        ("[project]\nname = 'a'\nversion = '1'\ndependencies = 'x'\n", "must be an array, not a string"),
        ("[project]\nname = 'a'\nversion = '1'\ndependencies = ['b; colour == 1']\n", "invalid"),
        (
            "[project]\nname = 'a'\nversion = '1'\ndependencies = ['b @ ftp://x.example.test/b']\n",
            "no scheme",
        ),
        (
            "[project]\nname = 'a'\nversion = '1'\n[dependency-groups]\na = [{include-group = 'a'}]\n",
            "a -> a",
        ),
        ("[project\n", "pyproject.toml:1"),
        ("a = 1\na = 2\n", "pyproject.toml:2"),
    ],
)
def test_one_fault(tmp_path: Path, text: str, part: str) -> None:
    assert any(part in fault for fault in faults(tmp_path, text))


def test_not_utf8_is_a_fault_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"[project]\nname = '\xff'\n")
    with pytest.raises(InvalidManifest, match=r"pyproject.toml:2: not UTF-8"):
        discover(tmp_path)


def test_byte_order_mark_and_crlf_are_fine(tmp_path: Path) -> None:
    workspace = read(
        tmp_path, "\ufeff[project]\r\nname = 'a'\r\nversion = '1'\r\ndependencies = [\r\n'b'\r\n]\r\n"
    )
    origin = workspace.request().members[0].dependencies[0].origin
    assert str(workspace.place(origin)) == "pyproject.toml:5:1"


def test_unknown_project_key_is_a_warning_with_the_nearest(tmp_path: Path) -> None:
    workspace = read(tmp_path, "[project]\nname = 'a'\nversion = '1'\ndependancies = []\n")
    (warning,) = workspace.warnings
    assert warning.code == "unknown-key"
    assert "pyproject.toml:4" in warning.message and "did you mean `dependencies`?" in warning.message


def test_partly_dynamic_lists_are_a_lower_bound(tmp_path: Path) -> None:
    workspace = read(
        tmp_path, "[project]\nname='a'\nversion='1'\ndependencies=['x']\ndynamic=['dependencies']\n"
    )
    assert workspace.members[0].unstated == ("dependencies",)


def test_legacy_dev_dependencies_join_the_group(tmp_path: Path) -> None:
    workspace = read(
        tmp_path,
        "[project]\nname='a'\nversion='1'\n[dependency-groups]\ndev=['x']\n[tool.uv]\ndev-dependencies=['y']\n",
    )
    ((name, asked),) = workspace.members[0].groups
    assert (name, [a.requirement.name for a in asked]) == ("dev", ["x", "y"])


def test_package_settings_decide_whether_it_is_built(tmp_path: Path) -> None:
    base = "[project]\nname='a'\nversion='1'\n"
    built = base + "[build-system]\nrequires=['flit_core']\n"
    assert read(tmp_path, base).members[0].build is None
    assert read(tmp_path, built).members[0].build is not None
    assert read(tmp_path, built + "[tool.uv]\npackage=false\n").members[0].build is None
    assert read(tmp_path, built + "[tool.pypm]\npackage=false\n").members[0].build is None
    assert read(tmp_path, base + "[tool.uv]\npackage=true\n").members[0].build is not None
