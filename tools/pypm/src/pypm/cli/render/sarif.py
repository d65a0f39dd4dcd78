"""An audit as SARIF 2.1.0 (OASIS), the form that code scanning services read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pypm._verbs import VERSION
from pypm.ops.audit import AuditReport
from pypm_audit.findings import Finding, Ignore
from pypm_model.errors import Place

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"critical": "error", "high": "error", "low": "note", "none": "note"}


def sarif(report: AuditReport) -> dict[str, Any]:
    """*report* as a log of one run. What is ignored is in it, and marked as suppressed."""
    every: list[tuple[Finding, Ignore | None]] = [(finding, None) for finding in report.findings]
    every += report.sifted.ignored
    rules: dict[str, dict[str, Any]] = {}
    for finding, _ in every:
        rules.setdefault(finding.id, _rule(finding))
    numbers = {identity: number for number, identity in enumerate(rules)}
    driver = {"name": "pypm", "version": VERSION, "rules": list(rules.values())}
    notes = [
        {"level": "warning", "message": {"text": f"a record cannot be read: {bad}"}}
        for bad in report.malformed
    ]
    run = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notes}],
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "The workspace's folder."}}},
        "results": [_result(finding, ignore, numbers[finding.id]) for finding, ignore in every],
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(finding: Finding) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": finding.id,
        "shortDescription": {"text": finding.summary or finding.id},
        "properties": {"tags": ["security", finding.kind]},
    }
    if finding.url:
        rule["helpUri"] = finding.url
    if finding.severity.score is not None:
        rule["properties"]["security-severity"] = f"{finding.severity.score:.1f}"
    return rule


def _result(finding: Finding, ignore: Ignore | None, number: int) -> dict[str, Any]:
    places = list(dict.fromkeys(way.place for way in finding.ways)) or [Place("pypm.lock")]
    result: dict[str, Any] = {
        "ruleId": finding.id,
        "ruleIndex": number,
        "level": "error"
        if finding.kind in ("malware", "quarantined")
        else _LEVELS.get(finding.severity.rating, "warning"),
        "message": {"text": _message(finding)},
        "locations": [_location(places[0])],
        "relatedLocations": [
            {"id": n, "message": {"text": "asked for here too"}, **_location(place)}
            for n, place in enumerate(places[1:], 1)
        ],
        "partialFingerprints": {"pypm/v1": f"{finding.id}/{finding.package}/{finding.version}"},
        "properties": {"package": finding.package, "version": finding.version, "fixed": list(finding.fixed)},
    }
    if ignore is not None:
        why = f"{ignore.reason} (until {ignore.expires})"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": why}]
    return result


def _level(finding: Finding) -> str:
    if finding.kind in ("malware", "quarantined"):
        return "error"
    return _LEVELS.get(finding.severity.rating, "warning")


def _message(finding: Finding) -> str:
    lines = [f"{finding.package} {finding.version}: {finding.summary or finding.kind}"]
    if finding.fixed:
        lines.append(f"Fixed in {', '.join(finding.fixed)}.")
    lines += _ways(finding)
    return "\n".join(lines)


def _ways(finding: Finding) -> Iterable[str]:
    return (str(way.chain) for way in finding.ways if way.chain.is_direct)


def _location(place: Place) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(place.file), "uriBaseId": "SRCROOT"}}
    if place.line:
        physical["region"] = {"startLine": place.line} | (
            {"startColumn": place.column} if place.column else {}
        )
    return {"physicalLocation": physical}


def _uri(file: str) -> str:
    from urllib.parse import quote

    return quote(file)
