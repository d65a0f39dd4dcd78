"""``pypm audit`` on what indexes say themselves: yanked versions, and the status of projects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.index_server import FileFacts
from kit.osv_server import OsvServer
from kit.transcripts import Stage
from kit.wheels import make_wheel

pytestmark = pytest.mark.slow
PROJECT = """[project]
name = "web"
version = "1"
requires-python = ">=3.11"
dependencies = ["acme", "other==1.0"]
"""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made, OsvServer() as osv:
        assert made.server.folder is not None
        for name in ("acme", "other"):
            for version in ("1.0", "2.0"):
                make_wheel(made.server.folder, name, version)
        (made.root / "pyproject.toml").write_text(PROJECT)
        made.environ["PYPM_OSV_URL"] = osv.url
        assert made.run("pypm lock -q") == (0, "")
        yield made


def found(stage: Stage, arguments: str = "") -> list[str]:
    code, output = stage.run(f"pypm audit --json {arguments}")
    report = json.loads(output[output.index("{") :])
    assert code == (1 if report["findings"] else 0)
    assert all(each["paths"] for each in report["findings"])
    return [f"{each['package']} {each['version']} {each['kind']}" for each in report["findings"]]


def test_a_version_that_was_yanked_since_it_was_locked(stage: Stage) -> None:
    assert found(stage) == []
    stage.server.files["acme-2.0-py3-none-any.whl"] = FileFacts(yanked="leaks\x1b keys")
    stage.server.files["other-2.0-py3-none-any.whl"] = FileFacts(yanked="another")
    assert found(stage, "--offline") == [], "the cache does not know of it yet"
    assert found(stage, "--refresh") == ["acme 2.0 yanked"]
    assert found(stage, "--offline") == ["acme 2.0 yanked"]
    code, output = stage.run("pypm audit")
    assert (code, "yanked: its publisher has withdrawn it: leaks  keys" in output) == (1, True)
    assert "web -> acme  pyproject.toml:5:17" in output
    assert "::error" not in output
    stage.environ["GITHUB_ACTIONS"] = "true"
    annotation = "::error file=pyproject.toml,line=5,col=17,title=pypm%3A yanked::acme 2.0: yanked"
    assert annotation in stage.run("pypm audit")[1]


@pytest.mark.parametrize("status", ["archived", "deprecated", "quarantined"])
def test_the_status_of_a_project(stage: Stage, status: str) -> None:
    stage.server.status["other"] = status
    assert found(stage, "--refresh") == [f"other 1.0 {status}"]
    ignore = f'ignore = [{{ id = "{status}", package = "other", reason = "known", expires = 2999-01-01 }}]'
    (stage.root / "pypm-workspace.toml").write_text(f'[workspace]\nmembers = ["."]\n[audit]\n{ignore}\n')
    assert found(stage) == []


def test_an_index_that_cannot_be_asked_is_warned_of(stage: Stage) -> None:
    stage.server.files["acme-2.0-py3-none-any.whl"] = FileFacts(yanked="broken")
    assert found(stage, "--refresh") == ["acme 2.0 yanked"]
    stage.server.fail("/simple/", "status", status=403)
    code, output = stage.run("pypm audit --refresh")
    assert (code, "warning[index-not-asked]" in output, "acme 2.0" in output) == (1, True, True)


def test_what_no_index_has_told_is_said_to_be_unknown(stage: Stage) -> None:
    stage.environ["PYPM_CACHE_DIR"] = str(stage.home / "another-cache")
    (stage.root / "one.json").write_text(
        '{"id": "A", "affected": [{"package": {"ecosystem": "PyPI", "name": "x"}}]}'
    )
    stage.server.forget()
    code, output = stage.run("pypm audit --db one.json")
    assert code == 0
    assert "of 2 packages it is not known whether they are yanked" in output
    assert stage.server.requests == []
