"""The plugin poetry-import: a Poetry project becomes pypm's."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from plugins.conftest import User

from kit.index_server import IndexServer
from kit.plugins import PLUGINS
from kit.wheels import make_wheel

pytestmark = pytest.mark.slow

MANIFEST = """\
# Our web site.
[tool.poetry]
name = "web"
version = "1.2.0"
description = "A site"
authors = ["Ada <ada@example.test>"]

[tool.poetry.dependencies]
python = "^3.11"
idna = "^3.4"
"""
LOCK = """\
[[package]]
name = "idna"
version = "3.6"
description = ""
optional = false
python-versions = ">=3.5"
files = []

[metadata]
lock-version = "2.0"
python-versions = "^3.11"
content-hash = "0"
"""


@pytest.fixture
def poet(user: User) -> Iterator[User]:
    """A user with the plugin, an index, and a Poetry project in ``old``."""
    wheels = user.folder / "wheels"
    wheels.mkdir()
    for version in ("3.6", "3.7"):
        make_wheel(wheels, "idna", version)
    user.has("poetry-import", (PLUGINS / "poetry-import" / "poetry-import.c").read_text(encoding="utf-8"))
    project(user, MANIFEST, LOCK)
    with IndexServer(wheels) as server:
        user.environ["PYPM_INDEX_URL"] = server.url
        yield user


def project(user: User, manifest: str, lock: str = "") -> Path:
    old = user.folder / "old"
    old.mkdir(exist_ok=True)
    (old / "pyproject.toml").write_text(manifest, encoding="utf-8")
    if lock:
        (old / "poetry.lock").write_text(lock, encoding="utf-8")
    return old


def test_manifest_and_lock_become_pypms(poet: User) -> None:
    old = poet.folder / "old"
    dry = json.loads(poet.run("poetry-import", "old", "--dry-run", "--json", check=True).stdout)
    assert dry["dry-run"] and (old / "pyproject.toml").read_text(encoding="utf-8") == MANIFEST
    said = poet.run("poetry-import", "old", check=True).stderr.decode()
    assert "Kept 1 of 1 pinned version" in said
    written = tomllib.loads((old / "pyproject.toml").read_text(encoding="utf-8"))
    assert (written["project"]["name"], written["project"]["version"]) == ("web", "1.2.0")
    assert written["project"]["dependencies"] == ["idna>=3.4,<4.0"]
    lock = tomllib.loads((old / "pypm.lock").read_text(encoding="utf-8"))
    assert {package["name"]: package.get("version") for package in lock["package"]}["idna"] == "3.6"
    poet.run("lock", "--check", cwd=old, check=True)


def test_from_within_the_folder_and_without_a_lock(poet: User) -> None:
    old = poet.folder / "old"
    (old / "poetry.lock").unlink()
    poet.run("poetry-import", cwd=old, check=True)
    lock = tomllib.loads((old / "pypm.lock").read_text(encoding="utf-8"))
    assert {package["name"]: package.get("version") for package in lock["package"]}["idna"] == "3.7"


@pytest.mark.parametrize(
    "header", ["[tool.poetry]", "[ tool . poetry ]", '["tool"."poetry"]', "  [tool.'poetry'.dependencies]"]
)
def test_a_table_of_poetrys_is_known_however_it_is_written(poet: User, header: str) -> None:
    project(poet, f"{header}\nnonsense")
    done = poet.run("poetry-import", "old")
    # It is found to be Poetry's; that it cannot be read pypm says.
    assert done.returncode == 2 and b"error[cannot-import]: pyproject.toml: not valid TOML" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nowhere",), 2, "there is no such folder: nowhere"),
        (("made",), 1, "there is no pyproject.toml in made"),
        (("plain",), 1, "pyproject.toml in plain has no [tool.poetry]"),
        (("old", "--dry-run", "more"), 2, "one folder, then options of pypm import: more"),
        (("old", "--nonsense"), 2, "no such option: --nonsense"),
    ],
)
def test_what_is_no_poetry_project(poet: User, words: tuple[str, ...], code: int, said: str) -> None:
    (poet.folder / "plain").mkdir()
    (poet.folder / "plain" / "pyproject.toml").write_text(
        "[project]\nname = 'x'\n# [tool.poetry]\n[tool.poetry2]\n[tool]\n[tool.other.poetry]\n",
        encoding="utf-8",
    )
    done = poet.run("poetry-import", *words)
    assert done.returncode == code and said in done.stderr.decode(), done.stderr
    assert (poet.folder / "old" / "pyproject.toml").read_text(encoding="utf-8") == MANIFEST


def test_its_help_and_its_description(poet: User) -> None:
    assert poet.run("poetry-import", "--help", check=True).stdout.startswith(b"usage: pypm poetry-import")
    info = json.loads(poet.run("plugin", "info", "poetry-import", "--json", check=True).stdout)
    assert info["description"]["name"] == "poetry-import"
