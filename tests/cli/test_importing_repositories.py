"""Several projects imported together, the bytes of their files, and the comments in them."""

from __future__ import annotations

import tomllib

import pytest

from pypm.ops.importing.comparing import compared
from pypm.ops.importing.decoding import decoded
from pypm.ops.importing.manifest import converted
from pypm.ops.importing.poetry import read_poetry
from pypm.ops.importing.records import CannotImport, Draft, Pins
from pypm.ops.importing.repository import Project, below, of_workspace, pins_of_all
from pypm_model.locks import Lock, LockedPackage, Manifest
from pypm_model.names import normalize
from pypm_model.requests import Preference
from pypm_model.sources import IndexSource, MemberSource

POETRY = '[tool.poetry]\nname = "{}"\n[tool.poetry.dependencies]\n{}\n'


def projects(files: dict[str, str], root: str) -> tuple[Project, ...]:
    def names(folder: str) -> list[str]:
        return [path.rpartition("/")[2] for path in files if path.rpartition("/")[0] == folder]

    return below(files.get, names, read_poetry(tomllib.loads(root)), ())


def test_projects_below_are_found_through_each_other() -> None:
    files = {
        "a/pyproject.toml": POETRY.format("a", 'b = { path = "../libs/b" }\nroot = { path = ".." }'),
        "libs/b/pyproject.toml": POETRY.format(
            "b", 'a = { path = "../../a" }\nout = { path = "../../../out" }'
        ),
        "tools/pyproject.toml": "[tool.ruff]\n",
    }
    found = projects(
        files,
        POETRY.format(
            "root",
            'a = { path = "./a" }\nx = { path = "tools" }\ny = { path = "/srv/y" }\nz = { path = "z.whl" }',
        ),
    )
    assert [each.folder for each in found] == ["a", "libs/b"]
    assert found[1].file("poetry.lock") == "libs/b/poetry.lock"


def test_what_the_projects_of_a_repository_say_together() -> None:
    source = '[[tool.poetry.source]]\nname = "mine"\nurl = "https://example.test/simple/"\n'
    lock = '[[package]]\nname = "c"\nversion = "{}"\nfiles = [{{ file = "c.tar.gz", hash = "sha256:{}" }}]\n'
    files = {
        "a/pyproject.toml": POETRY.format("a", "") + source,
        "a/poetry.lock": lock.format(1, "aa"),
        "b/pyproject.toml": POETRY.format("b", "") + source,
        "b/poetry.lock": lock.format(2, "bb"),
    }
    found = projects(files, POETRY.format("root", 'a = { path = "a" }\nb = { path = "b" }'))
    assert [(index.name, index.url) for index in of_workspace(found).indexes] == [
        ("mine", "https://example.test/simple/")
    ]
    pins = pins_of_all(found)
    assert pins.file == "a/poetry.lock, b/poetry.lock"
    assert pins.versions == (("c", (Preference("1"), Preference("2"))),)
    assert pins.digests == (("c", frozenset({"aa", "bb"})),) and pins.sdists == ("c",)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_text_is_read_by_the_mark_it_begins_with(encoding: str) -> None:
    assert decoded("a==1  # ü\r\n".encode(encoding), "requirements.txt") == "a==1  # ü\r\n"


def test_a_requirements_file_may_name_its_encoding() -> None:
    text = "#!/x\n# -*- coding: latin-1 -*-\na==1  # ü\n"
    assert decoded(text.encode("latin-1"), "requirements.txt") == text
    for data, file, reason in (
        (text.encode("latin-1"), "pyproject.toml", "not UTF-8 text"),
        (b"\n\n# coding: latin-1\n\xfc", "requirements.txt", "not UTF-8 text"),
        (b"# coding: klingon\n", "requirements.txt", "klingon, which is none"),
        (b"\xff\xfea", "requirements.txt", "not UTF-16-LE text"),
    ):
        with pytest.raises(CannotImport, match=reason):
            decoded(data, file)


def test_comments_beside_dependencies_stay_beside_them() -> None:
    text = """\
# What this is.
[tool.poetry]
name = "a"

[tool.poetry.dependencies]
python = "^3.11"  # no older ones
# Held back, see #636
b = "<4"  # soon
c = [  # both
    { version = "1", python = "<3.13" },
    { version = "2", python = ">=3.13" },
]
d = { version = "*", optional = true }  # for x
e = "*"

[tool.poetry.extras]
x = ["d"]

[tool.poetry.group.dev.dependencies]
f = "1"  # exactly

[tool.poetry.group.docs.dependencies]
g = "*"
"""
    result, lost = converted(text, read_poetry(tomllib.loads(text)), name="", requires_python="")
    assert lost == ()
    assert (
        result
        == """\
# What this is.
[project]
name = "a"
version = "0.1.0"
requires-python = ">=3.11,<4.0"
dependencies = [
    # Held back, see #636
    "b<4", # soon
    "c==1; python_version < '3.13'",
    "c==2; python_version >= '3.13'",
    "e",
]

[project.optional-dependencies]
x = [
    "d", # for x
]

[dependency-groups]
dev = [
    "f==1", # exactly
]
docs = ["g"]

[tool.pypm]
default-groups = [
    "dev",
    "docs",
]

[build-system]
requires = ["poetry-core>=2.0,<3"]
build-backend = "poetry.core.masonry.api"
"""
    )


def locked(name: str, version: str) -> LockedPackage:
    return LockedPackage(normalize(name), version, IndexSource("pypi"))


def test_why_a_version_is_not_the_one_that_was_pinned() -> None:
    member = LockedPackage(
        normalize("app"),
        "1",
        MemberSource("."),
        manifest=Manifest(">=3.9", ("a<2",), (), ((normalize("dev"), ("b[x]>=1; python_version < '4'",)),)),
    )
    lock = Lock(packages=(member, *(locked(name, "1") for name in "abcde"), locked("d", "2")))
    pinned = {"a": "2", "b": "0.5", "c": "3", "d": "2", "e": "1", "gone": "1"}
    pins = Pins(
        "x.lock",
        tuple((normalize(name), (Preference(version),)) for name, version in pinned.items()),
        sdists=(normalize("c"),),
    )
    kept, moved = compared(pins, lock)
    assert kept == 1
    assert {each.name: each.reason for each in moved} == {
        "a": "app asks for <2",
        "b": "app asks for >=1",
        "c": "it has no wheel",
        "d": "kept where it can be had",
    }


def test_line_ends_are_kept() -> None:
    text = POETRY.format("a", 'b = "1"  # why').replace("\n", "\r\n")
    result, _ = converted(text, read_poetry(tomllib.loads(text)), name="", requires_python="")
    assert result.count("\r\n") == result.count("\n") > 5 and '    "b==1", # why\r\n' in result
    same = "[project]\r\nname = 'a'\n"
    assert converted(same, Draft("pyproject.toml"), name="", requires_python="") == (same, ())
