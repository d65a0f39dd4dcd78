"""One server over HTTP for tests that only ask, on a workspace of two members."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.agents import HttpServer
from kit.transcripts import Block, Stage

WORKSPACE = """[workspace]
members = ["packages/*"]

[[index]]
name = "extra"
url = "[INDEX]"
explicit = true

[tasks.hello]
command = "echo hello"

[tasks.stay]
command = "sleep 300"
"""
RELEASES = """idna 3.7
idna 3.8
anyio 4.0; requires=idna>=3; requires=sniffio
sniffio 1.3
old 1.0; requires=idna<3.8
"""
A = '[project]\nname = "a"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["b", "anyio"]\n'
B = '[project]\nname = "b"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["idna>=3.8"]\n'


def furnish(stage: Stage) -> None:
    """Fills a stage with the workspace, locked."""
    for word, rest, body in (
        ("index", "", RELEASES),
        ("file", "pypm-workspace.toml", WORKSPACE),
        ("file", "packages/a/pyproject.toml", A),
        ("file", "packages/b/pyproject.toml", B),
    ):
        stage.do(Block(word, rest, body, 0))
    assert stage.run("pypm lock -q") == (0, "")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made:
        furnish(made)
        yield made


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """A server that no test changes anything of; its stage is ``asked.stage``."""
    with Stage(tmp_path_factory.mktemp("asked") / "stage") as made:
        furnish(made)
        with HttpServer(made) as server:
            yield server
