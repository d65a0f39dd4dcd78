"""What `pypm audit` finds is what pip-audit finds, of the same versions and the same records.

The records are made up anew from a seed: intervals, lists, aliases, several records about one version,
withdrawn ones. The service answers by an independent reading of them (`kit.osv_server`); pypm also has to
find the same in a snapshot, where nobody tells it what is affected.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from kit.osv_server import OsvServer, affects
from kit.transcripts import Stage
from kit.wheels import make_wheel

pytestmark = [pytest.mark.slow, pytest.mark.network]

PACKAGES = ("acme", "base-lib", "crypt", "data-io", "easy", "free")
VERSIONS = ("0.9", "1.0", "1.0.1", "1.1", "1.2rc1", "1.2", "1.2.post1", "1.10", "2.0", "2.1")
Found = list[tuple[str, frozenset[str], frozenset[str]]]
"""(package, all ids of one vulnerability, later versions that fix it)."""


@pytest.fixture(scope="module")
def pip_audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pip-audit in an environment of its own."""
    folder = tmp_path_factory.mktemp("oracle")
    venv.create(folder, with_pip=True)
    scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
    subprocess.run([scripts / "python", "-m", "pip", "install", "-q", "pip-audit>=2.10"], check=True)
    return scripts / "pip-audit"


def made_up(seed: int) -> list[dict[str, Any]]:
    """Records about PACKAGES."""
    chance = random.Random(seed)
    records = []
    for number in range(40):
        name = chance.choice(PACKAGES[:-1])
        bounds = sorted(chance.sample(VERSIONS, chance.choice((2, 2, 4))), key=Version)
        if chance.random() < 0.3:
            bounds[0] = "0"
        events = [{("introduced", "fixed")[n % 2]: bound} for n, bound in enumerate(bounds)]
        if chance.random() < 0.2:
            events[-1] = {"last_affected": bounds[-1]}
        affected: dict[str, Any] = {
            "package": {"ecosystem": "PyPI", "name": name},
            "ranges": [{"type": "ECOSYSTEM", "events": events}] if chance.random() < 0.8 else [],
            "versions": chance.sample(VERSIONS, 2) if chance.random() < 0.4 else [],
        }
        record: dict[str, Any] = {
            "id": f"{chance.choice(('GHSA', 'PYSEC', 'OSV'))}-{number}",
            "modified": "2026-01-01T00:00:00Z",
            "published": "2026-01-01T00:00:00Z",
            "schema_version": "1.6.0",
            "summary": f"number {number}",
            "details": f"number {number}",
            "affected": [affected],
        }
        if chance.random() < 0.5:
            record["aliases"] = [f"CVE-{chance.randrange(12)}"]
        if chance.random() < 0.1:
            record["withdrawn"] = "2026-01-02T00:00:00Z"
        records.append(record)
    return records


Locked = tuple[Stage, OsvServer, dict[str, str]]


@pytest.fixture(params=range(3))
def locked(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Locked]:
    """A locked project, a service with the records of one seed, and the versions by package."""
    chance = random.Random(f"versions {request.param}")
    versions = {name: chance.choice(VERSIONS) for name in PACKAGES}
    with Stage(tmp_path / "stage") as stage, OsvServer(made_up(request.param)) as osv:
        assert stage.server.folder is not None
        for name, version in versions.items():
            make_wheel(stage.server.folder, name, version)
        pins = json.dumps([f"{name}=={version}" for name, version in versions.items()])
        head = '[project]\nname = "web"\nversion = "1"\nrequires-python = ">=3.11"\n'
        (stage.root / "pyproject.toml").write_text(f"{head}dependencies = {pins}\n")
        assert stage.run("pypm lock -q") == (0, "")
        yield stage, osv, versions


def by_pip_audit(program: Path, stage: Stage, osv: OsvServer, versions: dict[str, str]) -> Found:
    pins = stage.folder / "requirements.txt"
    pins.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()))
    command = [str(program), "-r", str(pins), "--no-deps", "--disable-pip", "--progress-spinner", "off"]
    command += ["-s", "osv", "--osv-url", f"{osv.url}/v1/query", "-f", "json"]
    done = subprocess.run(command, cwd=stage.folder, capture_output=True, text=True)
    assert done.returncode in (0, 1) and done.stdout, done.stderr
    return [
        (
            package["name"],
            frozenset({each["id"], *each["aliases"]}),
            later(each["fix_versions"], package["version"]),
        )
        for package in json.loads(done.stdout)["dependencies"]
        for each in package["vulns"]
    ]


def later(found: list[str], version: str) -> frozenset[str]:
    return frozenset(each for each in found if Version(each) > Version(version))


def by_pypm(stage: Stage, arguments: str) -> Found:
    code, output = stage.run(f"pypm audit --json {arguments}")
    findings = json.loads(output)["findings"]
    assert code == (1 if findings else 0)
    return [(f["package"], frozenset({f["id"], *f["aliases"]}), frozenset(f["fixed"])) for f in findings]


def test_the_same_is_found(locked: Locked, pip_audit: Path) -> None:
    stage, osv, versions = locked
    theirs = by_pip_audit(pip_audit, stage, osv, versions)
    assert len(theirs) > 4
    (stage.root / "records.json").write_text(json.dumps(list(osv.records.values())))
    for source in (f"--osv-url {osv.url}", "--db records.json"):
        ours = by_pypm(stage, source)
        # One vulnerability is one finding: pip-audit shows the first record of those that name each other.
        shared = [sum(name == n and bool(ids & i) for n, i, _ in ours) for name, ids, _ in theirs]
        assert shared == [1] * len(theirs)
        assert all(any(name == n and ids & i for n, i, _ in theirs) for name, ids, _ in ours)
        for name, ids, fixed in ours:
            group = [osv.records[each] for each in sorted(ids & osv.records.keys())]
            shown = {v for n, i, found in theirs if n == name and i & ids for v in found}
            assert {v for v in shown if not any(affects(each, name, v) for each in group)} <= fixed
            events = [e for each in group for r in each["affected"][0]["ranges"] for e in r["events"]]
            assert fixed <= {event["fixed"] for event in events if "fixed" in event}
