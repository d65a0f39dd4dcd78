"""An audit as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from pypm.cli.render.annotations import annotation
from pypm.cli.render.report import diff_lines
from pypm.cli.render.style import style
from pypm.ops.audit import AuditReport
from pypm.ops.audit_fix import FixReport
from pypm.ops.counting import count
from pypm.ops.world import LOCK
from pypm_audit.findings import Finding, Way
from pypm_model.errors import Place

_COLOURS = {"critical": "red", "high": "red", "medium": "yellow", "low": "cyan"}
SHOWN = 5
"""Ways, and records that cannot be read, before the rest is only counted."""


def finding_lines(report: AuditReport, *, verbose: bool = False) -> Iterator[str]:
    """What counts, by package."""
    for (name, version), group in groupby(report.findings, key=lambda each: (each.package, each.version)):
        yield style(f"{name} {version}", "bold")
        findings = list(group)
        for finding in findings:
            yield from _finding(finding)
        yield from way_lines(findings[0].ways, verbose=verbose)


def _finding(finding: Finding) -> Iterator[str]:
    head = finding.kind if finding.kind != "vulnerability" else str(finding.severity)
    colour = "red" if finding.kind == "malware" else _COLOURS.get(finding.severity.rating, "yellow")
    identity = f" {finding.id}" if finding.id != finding.kind else ""
    yield f"  {style(head, colour)}{identity}{f': {finding.summary}' if finding.summary else ''}"
    if finding.aliases:
        yield f"    also {', '.join(finding.aliases)}"
    if finding.fixed:
        yield f"    fixed in {', '.join(finding.fixed)}"
    elif finding.kind == "vulnerability":
        yield "    no release is known that fixes it"
    if finding.url:
        yield f"    {finding.url}"
    for fault in finding.faults:
        yield f"    a part of the advisory cannot be read: {fault}"


def way_lines(ways: Sequence[Way], *, verbose: bool) -> Iterator[str]:
    """How a package comes into members: by direct ways, or all if *verbose*."""
    direct = [way for way in ways if way.chain.is_direct]
    shown = list(ways) if verbose else (direct or list(ways))[:SHOWN]
    for way in shown:
        yield f"  {way.chain}  {style(str(way.place), 'blue')}"
    others = sorted({str(way.chain.member) for way in ways if way not in shown})
    if others:
        names = ", ".join(others[:SHOWN]) + (
            f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        )
        yield f"  and in {names}"


def note_lines(report: AuditReport, *, quiet: bool = False) -> Iterator[str]:
    """What is to be said besides: of ignores and of records that cannot be read; then it all in a line."""
    for bad in report.malformed[:SHOWN]:
        yield f"{style('warning', 'yellow')}[advisory-unreadable]: {bad}"
    if len(report.malformed) > SHOWN:
        yield f"  ... and {len(report.malformed) - SHOWN} more records that cannot be read"
    for ignore in report.sifted.expired:
        when = f"has expired ({_day(ignore.expires)})"
        yield f"{ignore.place}: the ignore of {ignore.id} {when}: {ignore.reason}"
    if quiet:
        return
    for ignore in report.sifted.unused:
        yield f"{ignore.place}: the ignore of {ignore.id} is for nothing that was found"
    for finding, ignore in report.sifted.ignored:
        subject = f"{finding.package} {finding.version} {finding.id}"
        yield f"ignored until {_day(ignore.expires)}: {subject} ({ignore.reason})"
    if report.stateless:
        unknown = count(report.stateless, "package")
        yield f"of {unknown} it is not known whether they are yanked: no page of an index is in the cache"
    if report.verified is not None:
        good, without = report.verified
        files = f"of {count(good, 'file')} the attestations were verified"
        yield f"{files}, {count(without, 'file')} without" if without else files
    yield summary(report)


def _day(moment: str) -> str:
    """The last day that something holds until *moment*."""
    last = datetime.fromisoformat(moment) - timedelta(seconds=1)
    return last.date().isoformat()


def annotation_lines(report: AuditReport, environ: Mapping[str, str]) -> Iterator[str]:
    """What counts, as GitHub Actions shows it beside the lines that ask for it."""
    for finding in report.findings:
        level = "warning" if finding.severity.rating in ("low", "none") else "error"
        direct = [way.place for way in finding.ways if way.chain.is_direct]
        for place in dict.fromkeys(direct or [way.place for way in finding.ways] or [Place(LOCK)]):
            subject = f"{finding.package} {finding.version}: {finding.id}"
            message = f"{subject}: {finding.summary}" if finding.summary else subject
            yield annotation(place, message, finding.id, report.root, environ, level=level)


def fix_lines(report: FixReport) -> Iterator[str]:
    """What became of the lock, and why not more."""
    verb = "Would relock" if report.dry_run else "Relocked"
    if report.diff:
        yield verb
        yield from diff_lines(report.diff)
    else:
        yield "pypm.lock stays as it is"
    for file in report.exports:
        yield f"Wrote {file}"
    for each in report.given_up:
        yield f"{style('not cleared', 'yellow')}: {each.package}: {each.reason}"
        yield from (f"  {line}" for line in each.story)
        yield from (f"  {style('help', 'cyan')}: {line}" for line in each.helps)
    for young in report.young:
        yield (
            f"{young} is younger than the cooldown: `cooldown.except` in [resolution] keeps it when "
            "something else is locked"
        )
    if report.diff and not report.dry_run:
        yield "`pypm sync` brings the environment along"


def summary(report: AuditReport) -> str:
    """It all in a line."""
    hit = len({(each.package, each.version) for each in report.findings})
    looked = f"{count(report.packages, 'package')} looked up in {report.source}"
    if not report.findings:
        return f"nothing found; {looked}"
    return f"{count(len(report.findings), 'finding')} in {count(hit, 'package')}; {looked}"
