"""``pypm audit`` against a service of OSV's kind: batches, pages, what is kept, and what goes wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.osv_server import OsvServer
from kit.transcripts import Stage
from kit.wheels import make_wheel

pytestmark = pytest.mark.slow
PROJECT = """[project]
name = "web"
version = "1"
requires-python = ">=3.11"
dependencies = ["acme", "other"]
"""


def record(identity: str, name: str = "acme", **more: Any) -> dict[str, Any]:
    events = [{"introduced": "0"}, {"fixed": "2.0"}]
    affected = {
        "package": {"ecosystem": "PyPI", "name": name},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
    }
    return {"id": identity, "modified": "2026-01-01T00:00:00Z", "affected": [affected], **more}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made:
        assert made.server.folder is not None
        make_wheel(made.server.folder, "acme", "1.0+cpu")
        make_wheel(made.server.folder, "other", "1.0")
        (made.root / "pyproject.toml").write_text(PROJECT)
        assert made.run("pypm lock -q") == (0, "")
        yield made


@pytest.fixture
def osv(stage: Stage) -> Iterator[OsvServer]:
    with OsvServer([record("GHSA-1", aliases=["CVE-1"]), record("GHSA-2", "unrelated")]) as running:
        stage.environ["PYPM_OSV_URL"] = running.url
        yield running


def found(stage: Stage, arguments: str = "") -> list[str]:
    """Runs an audit; ``package id`` of each finding."""
    code, output = stage.run(f"pypm audit --json {arguments}")
    report = json.loads(output)
    assert code == (1 if report["findings"] else 0)
    return [f"{each['package']} {each['id']}" for each in report["findings"]]


def test_versions_are_asked_in_one_batch_and_records_once(stage: Stage, osv: OsvServer) -> None:
    assert found(stage) == ["acme GHSA-1"]
    assert osv.asked == ["POST /v1/querybatch", "GET /v1/vulns/GHSA-1"]
    assert osv.batches == [2]
    assert found(stage) == ["acme GHSA-1"]
    assert len(osv.asked) == 2, "the answer is still fresh"
    assert found(stage, "--refresh") == ["acme GHSA-1"]
    assert osv.asked[2:] == ["POST /v1/querybatch"], "the record is as it was"
    osv.records["GHSA-1"] = record("GHSA-1", modified="2026-02-02T00:00:00Z", summary="changed")
    assert "changed" in stage.run("pypm audit --refresh")[1]
    osv.records["GHSA-1"]["withdrawn"] = "2026-03-03T00:00:00Z"
    assert found(stage, "--refresh") == []


def test_offline_what_was_answered_once_still_holds(stage: Stage, osv: OsvServer) -> None:
    code, output = stage.run("pypm audit --offline")
    assert (code, "error[no-advisories]" in output, osv.asked) == (2, True, [])
    found(stage)
    asked = len(osv.asked)
    assert found(stage, "--offline") == ["acme GHSA-1"]
    assert len(osv.asked) == asked


def test_all_pages_are_read(stage: Stage, osv: OsvServer) -> None:
    osv.page = 2
    for number in range(5):
        osv.records[f"X-{number}"] = record(f"X-{number}", "other")
    assert found(stage) == ["acme GHSA-1", *(f"other X-{number}" for number in range(5))]
    assert osv.batches == [2, 1, 1]


def test_a_record_that_cannot_be_read_hides_no_other_and_is_a_finding(stage: Stage, osv: OsvServer) -> None:
    osv.records["BAD-1"] = "{"
    osv.gone.add("GONE-1")
    wanted = [f"{name} {i}" for name, i in (("acme", "BAD-1"), ("acme", "GHSA-1"), ("acme", "GONE-1"))]
    wanted += ["other BAD-1", "other GONE-1"]
    assert sorted(found(stage)) == wanted
    assert sorted(found(stage)) == wanted, "from what was kept, too"
    code, output = stage.run("pypm audit --refresh")
    assert code == 1
    assert "its record cannot be read: it is no JSON" in output
    assert "warning[advisory-unreadable]: GONE-1: the service does not have it" in output


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"<html>", "the answer is no JSON"),
        (b"[]", "there is no answer for each of 2 versions"),
        (b'{"results": [{}]}', "there is no answer for each of 2 versions"),
        (b'{"results": [{"vulns": {}}, {}]}', "is no list of ids"),
        (b'{"results": [{"vulns": [{}]}, {}]}', "names no id"),
    ],
)
def test_an_answer_that_is_none_is_no_good_news(
    stage: Stage, osv: OsvServer, answer: bytes, why: str
) -> None:
    osv.answer = answer
    code, output = stage.run("pypm audit")
    assert code == 2
    assert "error[advisories-strange]" in output and why in output


def test_a_service_that_fails_or_is_not_there(stage: Stage, osv: OsvServer) -> None:
    osv.status = 403
    code, output = stage.run("pypm audit")
    assert (code, "error[" in output) == (2, True)
    osv.status = 302
    code, output = stage.run("pypm audit")
    assert (code, "HTTP status 302" in output) == (2, True)
    code, output = stage.run("pypm audit --osv-url http://127.0.0.1:9 --json")
    assert (code, json.loads(output)["error"]["code"]) == (2, "index-unreachable")


@pytest.mark.parametrize(
    "url", ["nonsense", "ftp://example.test", "http://", "http://a:b:c", "https://x.test/?a"]
)
def test_an_address_that_is_none(stage: Stage, url: str) -> None:
    code, output = stage.run(f"pypm audit --osv-url {url}")
    assert (code, "error[advisories-address]" in output) == (2, True)


def test_the_address_may_be_a_setting(stage: Stage, osv: OsvServer) -> None:
    del stage.environ["PYPM_OSV_URL"]
    text = f'[workspace]\nmembers = ["."]\n[audit]\nosv-url = "{osv.url}/v1/"\n'
    (stage.root / "pypm-workspace.toml").write_text(text)
    assert found(stage) == ["acme GHSA-1"]


def test_a_snapshot_asks_no_service(stage: Stage, osv: OsvServer) -> None:
    (stage.root / "one.json").write_text(json.dumps(record("GHSA-9", "other")))
    assert found(stage, "--db one.json") == ["other GHSA-9"]
    assert osv.asked == []
    assert stage.run(f"pypm audit --db one.json --osv-url {osv.url}")[0] == 2
