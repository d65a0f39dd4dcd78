"""Publishers in the lock (PEP 740), and what an audit says when an index names another."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.pylock import Pylock

from kit.osv_server import OsvServer
from kit.transcripts import Stage
from kit.wheels import make_wheel
from pypm.ops.auditing.provenance import InvalidAttestation, library, verified
from pypm.ops.opening import open_workspace
from pypm.ops.toolbox import open_tools
from pypm.ops.world import World
from pypm_model.lock_text import read

pytestmark = pytest.mark.slow
PROJECT = """[project]
name = "web"
version = "1"
requires-python = ">=3.11"
dependencies = ["acme", "other"]
"""
ACME = {"kind": "GitHub", "repository": "acme/acme", "workflow": "publish.yml", "environment": None}
EVIL = {"kind": "GitHub", "repository": "evil/acme", "workflow": "publish.yml", "claims": {"x": "y"}}
ROW = '    { kind = "GitHub", repository = "acme/acme", workflow = "publish.yml" },'


def wheel(version: str) -> str:
    return f"acme-{version}-py3-none-any.whl"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made, OsvServer() as osv:
        assert made.server.folder is not None
        for name in ("acme", "other"):
            make_wheel(made.server.folder, name, "1.0")
        (made.root / "pyproject.toml").write_text(PROJECT)
        (made.root / "db").mkdir()
        (made.root / "db/x.json").write_text(
            '{"id": "X", "affected": [{"package": {"ecosystem": "PyPI", "name": "x"}, "versions": ["1"]}]}'
        )
        made.environ["PYPM_OSV_URL"] = osv.url
        yield made


def lock(stage: Stage, arguments: str = "") -> tuple[str, str]:
    """The text of the lock, and what was said."""
    code, output = stage.run(f"pypm lock {arguments}")
    assert code == 0, output
    said = [line for line in output.splitlines() if line.startswith("warning")]
    return (stage.root / "pypm.lock").read_text(), "\n".join(said)


def audit(stage: Stage, arguments: str = "", exit: int = 0) -> dict[str, Any]:
    code, output = stage.run(f"pypm audit --json {arguments}")
    assert code == exit, output
    report: dict[str, Any] = json.loads(output[output.index("{") :])
    return report


def test_a_lock_says_who_published_where_the_index_does(stage: Stage) -> None:
    without, _ = lock(stage)
    assert "publishers" not in without
    (stage.root / "pypm.lock").unlink()
    stage.server.publish(wheel("1.0"), ACME)
    found, said = lock(stage, "--refresh")
    assert (found.replace(f"publishers = [\n{ROW}\n]\n", ""), said) == (without, "")
    assert ROW in found
    stage.server.forget()
    assert stage.run("pypm lock --check")[0] == 0
    assert lock(stage, "--upgrade --refresh")[0] == found
    assert stage.server.count("/integrity/") == 0, "what is known of a release is not asked again"


def test_a_pylock_file_has_the_identities(stage: Stage) -> None:
    stage.server.publish(wheel("1.0"), ACME)
    lock(stage)
    assert stage.run("pypm export -o pylock.toml")[0] == 0
    found = Pylock.from_dict(tomllib.loads((stage.root / "pylock.toml").read_text()))
    told = {str(package.name): package.attestation_identities for package in found.packages}
    assert told["acme"] == [{"kind": "GitHub", "repository": "acme/acme", "workflow": "publish.yml"}]
    assert told["other"] is None


@pytest.mark.parametrize("format", ["json", "html"])
def test_pages_of_both_kinds_say_where_attestations_are(stage: Stage, format: str) -> None:
    stage.server.format = format
    stage.server.publish(wheel("1.0"), ACME)
    assert ROW in lock(stage)[0]


def test_an_old_lock_learns_and_a_mirror_takes_nothing_away(stage: Stage) -> None:
    lock(stage)
    stage.server.publish(wheel("1.0"), ACME)
    known, _ = lock(stage, "--upgrade --refresh")
    assert ROW in known
    stage.server.publish(wheel("1.0"), None)
    assert lock(stage, "--upgrade --refresh")[0] == known
    assert lock(stage, "--upgrade --offline")[0] == known


def test_what_cannot_be_read_is_left_out_and_told(stage: Stage) -> None:
    stage.server.publish(wheel("1.0"), ACME)
    stage.server.fail("/integrity/", "status", status=404)
    text, said = lock(stage)
    assert ("publishers" in text, "warning[provenance-unread]" in said) == (False, True)
    stage.server.heal()
    path = next(path for path in stage.server.pages if path.startswith("/integrity/"))
    stage.server.pages[path] = ("application/json", b"[1]")
    text, said = lock(stage, "--upgrade")
    assert ("publishers" in text, "cannot be read: it has no list" in said) == (False, True)


def test_another_publisher_of_a_newer_version_is_warned_of(stage: Stage) -> None:
    stage.server.publish(wheel("1.0"), ACME)
    lock(stage)
    assert stage.server.folder is not None
    make_wheel(stage.server.folder, "acme", "2.0")
    make_wheel(stage.server.folder, "acme", "3.0")
    stage.server.publish(wheel("2.0"), ACME)
    stage.server.publish(wheel("3.0"), EVIL)
    _, said = lock(stage, "--upgrade --refresh")
    assert "warning[publisher-changed]: acme 3.0 was published by GitHub evil/acme" in said
    (stage.root / "pypm.lock").unlink()
    (stage.root / "pyproject.toml").write_text(PROJECT.replace('"acme"', '"acme<2"'))
    lock(stage)
    (stage.root / "pyproject.toml").write_text(PROJECT.replace('"acme"', '"acme<3"'))
    text, said = lock(stage, "--upgrade")
    assert ROW in text and "publisher-changed" not in said


def test_a_publisher_that_is_not_the_locked_one_is_a_finding(stage: Stage) -> None:
    stage.server.publish(wheel("1.0"), ACME)
    lock(stage)
    assert audit(stage)["findings"] == []
    asked = stage.server.count("/integrity/")
    audit(stage)
    assert stage.server.count("/integrity/") == asked, "what was said lately is not asked again"
    stage.server.publish(wheel("1.0"), EVIL)
    (found,) = audit(stage, "--refresh", exit=1)["findings"]
    assert (found["kind"], found["package"], found["paths"][0]["line"]) == ("publisher-changed", "acme", 5)
    assert "GitHub evil/acme (publish.yml) published it, the lock GitHub acme/acme" in found["summary"]
    assert audit(stage, "--offline --db db")["findings"] == [], "nobody was asked"
    ignore = 'ignore = [{ id = "publisher-changed", package = "acme", reason = "ok", expires = 2999-01-01 }]'
    (stage.root / "pypm-workspace.toml").write_text(f'[workspace]\nmembers = ["."]\n[audit]\n{ignore}\n')
    assert audit(stage)["findings"] == []


def test_signatures_that_are_not_right_are_findings(stage: Stage) -> None:
    """With the roots of trust that the library brings: bringing them up to date takes a network."""
    pytest.importorskip("pypi_attestations")
    stage.server.publish(wheel("1.0"), ACME)
    lock(stage)
    world = World(stage.root, stage.environ)
    workspace = open_workspace(world)
    packages = read(lock(stage)[0]).packages
    with open_tools(world, workspace) as tools:
        report = verified(tools, packages, library(offline=True))
        (found,) = report.findings
        assert (found.kind, found.severity.rating, report.verified) == ("provenance-invalid", "critical", 0)
        assert found.summary.startswith(f"its attestation is not right: {wheel('1.0')}: ")
        seen = []
        report = verified(tools, packages, lambda *asked: seen.append(asked))
        (asked,) = seen
        (file,) = (file for package in packages for file in package.files if file.filename == wheel("1.0"))
        assert asked[1:] == (file.filename, file.sha256) and b"attestation_bundles" in asked[0]
        assert (report.findings, report.verified, report.unattested) == ((), 1, 1)


GOOD = {
    "version": 1,
    "envelope": {"statement": "e30=", "signature": "AA=="},
    "verification_material": {"certificate": "AA==", "transparency_entries": [{}]},
}


@pytest.mark.parametrize(
    ("bundles", "said"),
    [
        ([{"publisher": ACME, "attestations": []}], "a publisher is named, and there is no attestation"),
        ([{"publisher": ACME}], "it is none: attestation_bundles.0.attestations: field required"),
        ([{"attestations": [GOOD]}], "it is none: attestation_bundles.0.publisher: field required"),
        ([{"publisher": None, "attestations": []}], "it is none: attestation_bundles.0.publisher: "),
        ([], "there is no attestation"),
    ],
)
def test_a_publisher_without_an_attestation_is_not_believed(
    stage: Stage, bundles: list[Any], said: str
) -> None:
    pytest.importorskip("pypi_attestations")
    stage.server.publish(wheel("1.0"), ACME)
    lock(stage)
    path = next(path for path in stage.server.pages if path.startswith("/integrity/"))
    body = json.dumps({"version": 1, "attestation_bundles": bundles}).encode()
    stage.server.pages[path] = ("application/json", body)
    report = audit(stage, "--provenance", exit=1)
    summaries = [each["summary"] for each in report["findings"] if each["kind"] == "provenance-invalid"]
    assert report["provenance"] == {"verified": 0, "unattested": 1}
    assert len(summaries) == 1, summaries
    assert summaries[0].startswith(f"its attestation is not right: {wheel('1.0')}: {said}")


@pytest.mark.parametrize(
    ("name", "sha256", "said"),
    [
        (wheel("1.0"), "a" * 64, None),
        (wheel("2.0"), "a" * 64, "subject does not match distribution name"),
        (wheel("1.0"), "b" * 64, "subject does not match distribution digest"),
    ],
)
def test_an_attestation_of_another_file_vouches_for_nothing(
    monkeypatch: pytest.MonkeyPatch, name: str, sha256: str, said: str | None
) -> None:
    """Where the signature is right."""
    found = pytest.importorskip("pypi_attestations")
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": sha256}}],
        "predicateType": found.AttestationType.PYPI_PUBLISH_V1.value,
        "predicate": None,
    }

    class Signed:
        def verify_dsse(self, *_: object) -> tuple[str, bytes]:
            return "application/vnd.in-toto+json", json.dumps(statement).encode()

    monkeypatch.setattr("sigstore.verify.Verifier.production", lambda **_: Signed())
    monkeypatch.setattr(found.Attestation, "to_bundle", lambda _: None)
    document = {"version": 1, "attestation_bundles": [{"publisher": ACME, "attestations": [GOOD]}]}
    verify = library(offline=True)
    if said is None:
        verify(json.dumps(document).encode(), wheel("1.0"), "a" * 64)
        return
    with pytest.raises(InvalidAttestation, match=said):
        verify(json.dumps(document).encode(), wheel("1.0"), "a" * 64)


def test_without_attestations_there_is_nothing_to_verify(stage: Stage) -> None:
    pytest.importorskip("pypi_attestations")
    lock(stage)
    assert audit(stage, "--provenance")["provenance"] == {"verified": 0, "unattested": 2}
    assert "attestations were verified, 2 files without" in stage.run("pypm audit --provenance")[1]


def test_it_says_when_signatures_cannot_be_verified(stage: Stage) -> None:
    lock(stage)
    code, output = stage.run("pypm audit --provenance --offline --db db")
    assert (code, "error[provenance-unavailable]" in output) == (2, True)
    hidden = stage.home / "hidden"
    hidden.mkdir()
    (hidden / "pypi_attestations.py").write_text("raise ImportError\n")
    stage.environ["PYTHONPATH"] = str(hidden)
    code, output = stage.run("pypm audit --provenance")
    assert (code, "install `pypm[provenance]`" in output) == (2, True)
