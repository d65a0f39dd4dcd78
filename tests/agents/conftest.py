"""One server over HTTP for most tests, on a workspace of two members."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from kit.agents import HttpServer
from kit.osv_server import OsvServer
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

ADVISORY = {
    "id": "GHSA-1",
    "modified": "2026-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "sniffio"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2"}]}],
        }
    ],
}


def furnish(stage: Stage) -> None:
    """Fills a stage with the workspace, locked. Its index wants to be asked each time."""
    stage.server.max_age = 0
    for word, rest, body in (
        ("index", "", RELEASES),
        ("file", "pypm-workspace.toml", WORKSPACE),
        ("file", "packages/a/pyproject.toml", A),
        ("file", "packages/b/pyproject.toml", B),
    ):
        stage.do(Block(word, rest, body, 0))
    assert stage.run("pypm lock -q") == (0, "")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """A server that may do everything, for all tests that need none of their own: one takes two seconds to
    start."""
    with Stage(tmp_path_factory.mktemp("shared") / "stage") as made:
        furnish(made)
        with OsvServer([ADVISORY]) as osv, HttpServer(made, "--allow-write", PYPM_OSV_URL=osv.url) as server:
            yield server


@pytest.fixture
def stage(shared: HttpServer) -> Iterator[Stage]:
    """The workspace of the shared server; what a test changes of it is as it was afterwards."""
    made = shared.stage
    files = {path: path.read_bytes() for path in made.root.rglob("*") if path.is_file()}
    yield made
    made.server.heal()
    made.server.latency = 0.0
    shutil.rmtree(made.root)
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
