"""What Poetry's projects say beside a [project] of their own, and what their builds need: it stays."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from pypm.ops.importing.manifest import converted
from pypm.ops.importing.poetry import read_poetry
from pypm.ops.importing.records import Lost


def imported(text: str) -> tuple[dict[str, Any], list[str]]:
    """The manifest that *text* becomes, and the keys of what is told."""
    draft = read_poetry(tomllib.loads(text))
    result, lost = converted(text, draft, name="folder", requires_python="")
    told: tuple[Lost, ...] = (*draft.lost, *lost)
    return tomllib.loads(result), [each.key.removeprefix("tool.poetry.") for each in told]


def built_with(requires: list[str], backend: str) -> dict[str, Any]:
    text = f'[tool.poetry]\nname = "a"\n[build-system]\nrequires = {requires}\nbuild-backend = "{backend}"\n'
    return dict(imported(text)[0]["build-system"])


CORE, BACKEND = "poetry-core>=2.0,<3", "poetry.core.masonry.api"


@pytest.mark.parametrize(
    ("requires", "backend", "then", "backend_then"),
    [
        (["poetry>=0.12"], "poetry.masonry.api", [CORE], BACKEND),
        (["poetry-core"], BACKEND, [CORE], BACKEND),
        (
            ["poetry-core>=1.9", "setuptools", "Cython>=3"],
            BACKEND,
            [CORE, "setuptools", "Cython>=3"],
            BACKEND,
        ),
        (["poetry_core>=2.1,<3.0"], BACKEND, ["poetry_core>=2.1,<3.0"], BACKEND),
        (
            ["poetry-core>=1.0.0,<2", "poetry-dynamic-versioning>=1.0"],
            "poetry_dynamic_versioning.backend",
            [CORE, "poetry-dynamic-versioning>=1.0"],
            "poetry_dynamic_versioning.backend",
        ),
        (["hatchling"], "hatchling.build", ["hatchling"], "hatchling.build"),
    ],
)
def test_what_the_build_needs_stays(
    requires: list[str], backend: str, then: list[str], backend_then: str
) -> None:
    assert built_with(requires, backend) == {"requires": then, "build-backend": backend_then}


def test_a_project_without_a_build_system_gets_the_one_that_poetry_takes() -> None:
    document, _ = imported('[tool.poetry]\nname = "a"\n')
    assert document["build-system"] == {"requires": [CORE], "build-backend": BACKEND}
    document, _ = imported('[tool.poetry]\nname = "a"\npackage-mode = false\n')
    assert "build-system" not in document


def test_what_the_project_calls_dynamic_stays_where_the_backend_reads_it() -> None:
    document, told = imported(
        """
[project]
name = "a"
dynamic = ["version", "readme", "classifiers"]
requires-python = ">=3.11"
dependencies = []
[tool.poetry]
version = "0.0.0"
readme = ["README.md", "MORE.md"]
classifiers = ["Private :: Do Not Upload"]
"""
    )
    assert document["project"]["dynamic"] == ["version", "readme", "classifiers"]
    assert document["tool"]["poetry"] == {
        "version": "0.0.0",
        "readme": ["README.md", "MORE.md"],
        "classifiers": ["Private :: Do Not Upload"],
    }
    assert set(document["project"]) == {"name", "dynamic", "requires-python", "dependencies"}
    assert told == []


def test_dynamic_dependencies_are_written_down() -> None:
    document, told = imported(
        """
[project]
name = "a"
dynamic = ["dependencies", "version", "requires-python", "optional-dependencies"]
[tool.poetry]
version = "1.0"
[tool.poetry.dependencies]
python = "^3.11"
b = "^1.2"
c = { version = "2", optional = true }
[tool.poetry.extras]
x = ["c"]
"""
    )
    assert document["project"] == {
        "name": "a",
        "dynamic": ["version"],
        "requires-python": ">=3.11,<4.0",
        "dependencies": ["b>=1.2,<2.0"],
        "optional-dependencies": {"x": ["c==2"]},
    }
    assert document["tool"]["poetry"] == {"version": "1.0"} and told == []
    alone, _ = imported(
        '[project]\nname = "a"\nversion = "1"\ndynamic = ["dependencies"]\n'
        '[tool.poetry.dependencies]\npython = ">=3.11"\nb = "1"\n'
    )
    assert alone["project"] == {
        "name": "a",
        "version": "1",
        "requires-python": ">=3.11",
        "dependencies": ["b==1"],
    }


def test_what_only_poetrys_table_says_is_written_into_the_project() -> None:
    text = """\
[project]
name = "a"  # ours
version = "1"

[project.scripts]
run = "a:b"

[tool.poetry]
description = "d"
authors = ["Ada <ada@example.test>"]
homepage = "https://example.test"

[tool.poetry.dependencies]
python = ">=3.11"
"""
    document, told = imported(text)
    assert told == []
    assert document["project"] == {
        "name": "a",
        "version": "1",
        "description": "d",
        "authors": [{"name": "Ada", "email": "ada@example.test"}],
        "urls": {"Homepage": "https://example.test"},
        "requires-python": ">=3.11",
        "scripts": {"run": "a:b"},
    }
    assert "tool" not in document
    result, _ = converted(text, read_poetry(tomllib.loads(text)), name="x", requires_python="")
    assert 'name = "a"  # ours\n' in result


def test_scripts_that_are_files_stay_with_poetry() -> None:
    document, told = imported(
        """
[tool.poetry]
name = "a"
version = "1"
[tool.poetry.scripts]
one = "a:one"
two = { reference = "a:two", type = "console", extras = ["x"] }
old = { reference = "bin/old.sh", type = "file" }
odd = { type = "console" }
"""
    )
    assert document["project"]["scripts"] == {"one": "a:one", "two": "a:two"}
    assert document["tool"]["poetry"]["scripts"] == {"old": {"reference": "bin/old.sh", "type": "file"}}
    assert told == ["scripts.two", "scripts.odd"]


@pytest.mark.parametrize(
    ("name", "then"),
    [("Web_Site", "Web_Site"), ("zope.thing", "zope.thing"), ("My Site (2)", "my-site-2"), ("", "folder")],
)
def test_a_name_stays_as_it_is_spelled(name: str, then: str) -> None:
    """A wheel is called by it, and poetry-core finds the module by it."""
    assert imported(f'[tool.poetry]\nname = "{name}"\n')[0]["project"]["name"] == then


def test_groups_of_both_kinds_are_installed_as_poetry_does() -> None:
    document, _ = imported(
        """
[project]
name = "a"
version = "1"
requires-python = ">=3.11"
dependencies = []
[dependency-groups]
dev = ["b"]
docs = ["c"]
[tool.poetry.group.docs]
optional = true
[tool.poetry.group.test.dependencies]
d = "^1"
"""
    )
    assert document["tool"]["pypm"]["default-groups"] == ["dev", "test"]
    assert document["dependency-groups"] == {"dev": ["b"], "docs": ["c"], "test": ["d>=1,<2"]}


def test_what_the_project_does_not_ask_for_is_told() -> None:
    _, told = imported(
        """
[project]
name = "a"
version = "1"
dependencies = ["B[x] (>=1)"]
[project.optional-dependencies]
more = ["c_c"]
[tool.poetry.dependencies]
b = { path = "../b" }
c-c = { path = "../c" }
d = "^1"
"""
    )
    assert told == ["dependencies.d"]


def test_a_second_import_finds_nothing_that_is_poetrys() -> None:
    text = '[dependency-groups]\ndocs = ["c"]\n[project]\nname = "a"\n[tool.poetry]\npackages = []\n'
    document = tomllib.loads(text)
    assert read_poetry(document).default_groups == ("docs",)
    assert read_poetry(document, imported=True).default_groups is None


def test_classifiers_that_poetry_would_add_are_told() -> None:
    document, told = imported('[tool.poetry]\nname = "a"\nversion = "1"\nclassifiers = ["Typing :: Typed"]\n')
    assert document["project"]["classifiers"] == ["Typing :: Typed"] and told == ["classifiers"]


@pytest.mark.parametrize(
    ("more", "version", "told"),
    [("", "0.1.0", ["version"]), ('version = "2"\n', "2", []), ("package-mode = false\n", "0.1.0", [])],
)
def test_a_version_that_is_not_given_is_told(more: str, version: str, told: list[str]) -> None:
    document, lost = imported(f'[tool.poetry]\nname = "a"\n{more}')
    assert (document["project"]["version"], lost) == (version, told)
