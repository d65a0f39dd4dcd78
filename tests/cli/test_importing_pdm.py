"""PDM's projects: what is built, what is in folders of theirs, and their scripts."""

from __future__ import annotations

import tomllib

from pypm.ops.importing.manifest import converted
from pypm.ops.importing.pdm import read_pdm

MANIFEST = """\
[project]
name = "root"
version = "1"
dependencies = [
    "a[x] @ file:///${PROJECT_ROOT}/libs/a ; python_version < '4'",  # ours
    "idna",
]
[project.optional-dependencies]
more = ['b @ file:///${PROJECT_ROOT}/libs/b']

[build-system]
requires = ["pdm-backend"]
build-backend = "pdm.backend"

[tool.pdm]
distribution = false

[tool.pdm.dev-dependencies]
dev = ["-e file:///${PROJECT_ROOT}/libs/c#egg=c", "d @ file:///${PROJECT_ROOT}/libs/d", "pytest"]

[tool.pdm.scripts]
lint = "ruff check ."
_.env_file = ".env"
test = { cmd = "pytest -q", help = "all of them" }
many = { cmd = ["pytest", "-k", "a b"], env = { A = "b" } }
piped = { shell = "a | b" }
call = { call = "a:b" }
all = { composite = ["lint", "test"] }
"""


def test_a_pdm_project_with_folders_of_its_own_and_scripts() -> None:
    draft = read_pdm(tomllib.loads(MANIFEST))
    assert draft is not None
    result, lost = converted(MANIFEST, draft, name="x", requires_python="")
    assert lost == ()
    assert "    \"a[x] ; python_version < '4'\",  # ours\n" in result
    document = tomllib.loads(result)
    assert document["project"]["optional-dependencies"] == {"more": ["b"]}
    assert document["dependency-groups"] == {"dev": ["c", "d", "pytest"]}
    assert document["tool"]["pypm"] == {
        "package": False,
        "sources": {
            "a": {"path": "libs/a"},
            "b": {"path": "libs/b"},
            "c": {"path": "libs/c", "editable": True},
            "d": {"path": "libs/d"},
        },
        "tasks": {"lint": "ruff check .", "test": "pytest -q", "many": "pytest -k 'a b'"},
    }
    # PDM goes on reading its own.
    assert set(document["tool"]["pdm"]) == {"distribution", "scripts"}
    assert [each.key.removeprefix("tool.pdm.scripts.") for each in draft.lost] == [
        "_",
        "many",
        "piped",
        "call",
        "all",
    ]
    again = read_pdm(document)
    assert again is not None
    assert converted(result, again, name="x", requires_python="") == (result, ())


def test_a_project_without_a_build_system_is_not_built_anyway() -> None:
    assert read_pdm({"project": {"name": "a"}, "tool": {"pdm": {"distribution": False}}}) is None
