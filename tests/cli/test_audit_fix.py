"""``pypm audit --fix`` with a service, with a cooldown, and where a version was yanked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

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
dependencies = ["acme"]
"""


def days_ago(days: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def record(identity: str, *versions: str) -> dict[str, Any]:
    affected = {"package": {"ecosystem": "PyPI", "name": "acme"}, "versions": list(versions)}
    return {"id": identity, "affected": [affected]}


@pytest.fixture
def osv() -> Iterator[OsvServer]:
    with OsvServer() as running:
        yield running


@pytest.fixture
def stage(tmp_path: Path, osv: OsvServer) -> Iterator[Stage]:
    """With acme 1.0 locked, of 1.0 (old), 2.0 to 4.0 (young)."""
    with Stage(tmp_path / "stage") as made:
        assert made.server.folder is not None
        for version, age in (("1.0", 90), ("2.0", 2), ("3.0", 2), ("4.0", 1)):
            wheel = make_wheel(made.server.folder, "acme", version)
            made.server.files[wheel.name] = FileFacts(uploaded=days_ago(age))
        (made.root / "pyproject.toml").write_text(PROJECT)
        (made.root / "pypm-workspace.toml").write_text(
            '[workspace]\nmembers = ["."]\n[resolution]\ncooldown = "30 days"\n'
        )
        made.environ["PYPM_OSV_URL"] = osv.url
        assert made.run("pypm lock -q") == (0, "")
        yield made


def fixed(stage: Stage, arguments: str = "") -> tuple[int, dict[str, Any]]:
    code, output = stage.run(f"pypm audit --fix --json {arguments}")
    found: dict[str, Any] = json.loads(output)["fix"]
    return code, found


def changes(fix: dict[str, Any]) -> list[tuple[str, list[str], list[str]]]:
    return [(each["name"], each["old"], each["new"]) for each in fix["lock-diff"]["changed"]]


def test_what_ends_a_finding_is_exempt_from_the_cooldown_and_nothing_newer(
    stage: Stage, osv: OsvServer
) -> None:
    osv.records["GHSA-1"] = record("GHSA-1", "1.0", "2.0")
    code, fix = fixed(stage)
    assert (code, changes(fix)) == (0, [("acme", ["1.0"], ["3.0"])])
    assert fix["younger-than-cooldown"] == ["acme 3.0"]
    assert stage.run("pypm lock --check -q")[0] == 0
    assert fixed(stage)[1]["lock-diff"]["changed"] == []


def test_an_ignored_finding_moves_nothing(stage: Stage, osv: OsvServer) -> None:
    osv.records["GHSA-1"] = record("GHSA-1", "1.0")
    text = (stage.root / "pypm-workspace.toml").read_text()
    entry = '[[audit.ignore]]\nid = "GHSA-1"\nreason = "known"\nexpires = 2999-01-01\n'
    (stage.root / "pypm-workspace.toml").write_text(text + entry)
    before = (stage.root / "pypm.lock").read_bytes()
    code, fix = fixed(stage)
    assert (code, changes(fix)) == (0, [])
    assert (stage.root / "pypm.lock").read_bytes() == before


def test_a_yanked_version_is_left(stage: Stage) -> None:
    (stage.root / "pypm-workspace.toml").write_text('[workspace]\nmembers = ["."]\n')
    assert stage.run("pypm lock -q --upgrade")[0] == 0
    stage.server.files["acme-4.0-py3-none-any.whl"] = FileFacts(yanked="broken")
    code, fix = fixed(stage, "--refresh")
    assert (code, changes(fix)) == (0, [("acme", ["4.0"], ["3.0"])])


def test_what_cannot_be_cleared_is_told_and_nothing_is_written(stage: Stage, osv: OsvServer) -> None:
    osv.records["GHSA-1"] = record("GHSA-1", "1.0", "2.0", "3.0", "4.0")
    before = (stage.root / "pypm.lock").read_bytes()
    code, fix = fixed(stage)
    assert (code, [each["package"] for each in fix["not-cleared"]]) == (1, ["acme"])
    assert (stage.root / "pypm.lock").read_bytes() == before
