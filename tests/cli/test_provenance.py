"""Publishers in the lock (PEP 740), and what an audit says when an index names another."""

from __future__ import annotations

import datetime
import hashlib
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
from pypm.ops.auditing.provenance import InvalidAttestation, Verify, library, verified
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


def signed(
    monkeypatch: pytest.MonkeyPatch, sha256: str, repository: str = "acme/acme", **more: Any
) -> tuple[Verify, dict[str, Any]]:
    """How attestations are verified by a Sigstore of the test's own, and a right one of acme 1.0."""
    pytest.importorskip("pypi_attestations")
    from sigstore.models import TrustedRoot
    from sigstore.verify import Verifier
    from sigstore_models.trustroot.v1 import TrustedRoot as Document

    from kit.attestations import Sigstore, statement

    sigstore = Sigstore()
    root = TrustedRoot(Document.from_json(json.dumps(sigstore.trusted_root())))
    monkeypatch.setattr("sigstore.verify.Verifier.production", lambda **_: Verifier(trusted_root=root))
    said = statement(wheel("1.0"), sha256)
    return library(offline=True), sigstore.attest(said, repository, "publish.yml", **more)


def test_a_signature_that_is_right_is_believed_and_only_of_this_file(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stage.server.folder is not None
    path = stage.server.folder / wheel("1.0")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    verify, attestation = signed(monkeypatch, digest)
    stage.server.publish(wheel("1.0"), ACME, attestation)
    lock(stage)

    def verification() -> tuple[int, list[str]]:
        world = World(stage.root, stage.environ)
        workspace = open_workspace(world)
        packages = read((stage.root / "pypm.lock").read_text()).packages
        with open_tools(world, workspace) as tools:
            report = verified(tools, packages, verify)
        return report.verified, [found.summary for found in report.findings]

    assert verification() == (1, [])
    stage.server.publish(wheel("1.0"), EVIL, attestation)
    (good, (said,)) = verification()
    assert (good, "does not match" in said, "evil/acme" in said) == (0, True, True)
    stage.server.publish(wheel("1.0"), ACME, attestation)
    make_wheel(stage.server.folder, "acme", "1.0", files={"acme.py": "print('another')"})
    (stage.root / "pypm.lock").unlink()
    lock(stage, "--refresh")
    (good, (said,)) = verification()
    assert (good, "subject does not match distribution digest" in said) == (0, True)


DIGEST = "a" * 64
ENTRY = ("verification_material", "transparency_entries", 0)
CHECKPOINT = (*ENTRY, "inclusionProof", "checkpoint", "envelope")


def document(attestation: dict[str, Any], publisher: dict[str, Any] = ACME) -> bytes:
    bundle = {"publisher": publisher, "attestations": [attestation]}
    return json.dumps({"version": 1, "attestation_bundles": [bundle]}).encode()


@pytest.mark.parametrize(
    ("late", "repository", "said"),
    [
        (0, "acme/acme", None),
        (9, "acme/acme", None),
        (11, "acme/acme", "cert is not valid at validation time"),
        (0, "acme/other", "OIDCSourceRepositoryURI does not match"),
    ],
)
def test_a_certificate_counts_while_it_holds_for_whom_it_names(
    monkeypatch: pytest.MonkeyPatch, late: int, repository: str, said: str | None
) -> None:
    verify, attestation = signed(
        monkeypatch, DIGEST, repository, logged_after=datetime.timedelta(minutes=late)
    )
    if said is None:
        verify(document(attestation), wheel("1.0"), DIGEST)
        return
    with pytest.raises(InvalidAttestation, match=said):
        verify(document(attestation), wheel("1.0"), DIGEST)


def test_what_another_authority_signed_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    _, attestation = signed(monkeypatch, DIGEST)
    verify, _ = signed(monkeypatch, DIGEST)
    with pytest.raises(InvalidAttestation, match="signature does not match"):
        verify(document(attestation), wheel("1.0"), DIGEST)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("envelope", "statement"), "e30="),
        (("envelope", "signature"), "AAAA"),
        (("verification_material", "certificate"), "AAAA"),
        ((*ENTRY, "canonicalizedBody"), "AAAA"),
        ((*ENTRY, "inclusionPromise"), None),
        ((*ENTRY, "inclusionPromise", "signedEntryTimestamp"), "AAAA"),
        ((*ENTRY, "inclusionProof", "rootHash"), "AAAA"),
        ((*ENTRY, "inclusionProof", "hashes"), ["AAAA"]),
        ((*ENTRY, "integratedTime"), "1767225601"),
        ((*ENTRY, "integratedTime"), "9999999999999999"),
        ((*ENTRY, "integratedTime"), "18446744073709551615"),
        ((*ENTRY, "kindVersion", "version"), "7"),
        (CHECKPOINT, "a\n\n\u2014 log x\n"),
        (CHECKPOINT, "a\n\n"),
    ],
)
def test_what_was_changed_after_it_was_signed_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, place: tuple[str | int, ...], value: object
) -> None:
    """And is no reason not to look at others."""
    verify, attestation = signed(monkeypatch, DIGEST)
    inner: Any = attestation
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(InvalidAttestation):
        verify(document(attestation), wheel("1.0"), DIGEST)


@pytest.mark.parametrize(
    ("name", "sha256", "said"),
    [
        (wheel("1.0"), DIGEST, None),
        (wheel("2.0"), DIGEST, "subject does not match distribution name"),
        (wheel("1.0"), "b" * 64, "subject does not match distribution digest"),
    ],
)
def test_an_attestation_of_another_file_vouches_for_nothing(
    monkeypatch: pytest.MonkeyPatch, name: str, sha256: str, said: str | None
) -> None:
    """Where the signature is right."""
    verify, attestation = signed(monkeypatch, DIGEST)
    if said is None:
        verify(document(attestation), name, sha256)
        return
    with pytest.raises(InvalidAttestation, match=said):
        verify(document(attestation), name, sha256)


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
