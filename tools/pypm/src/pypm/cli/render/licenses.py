"""Licences as people read them."""

from __future__ import annotations

from collections.abc import Iterator

from pypm.cli.render.audit import way_lines
from pypm.cli.render.style import style
from pypm.ops.counting import count
from pypm.ops.licenses import LicensesReport, Row

_WORDS = {
    "denied": "denied",
    "not-allowed": "not among the allowed",
    "unknown": "not known",
}
SHOWN = 5
"""Packages that are named before the rest is only counted."""


def table_lines(report: LicensesReport, *, verbose: bool = False) -> Iterator[str]:
    """Package, version, licence and what it was taken from; with *verbose* how each comes in."""
    names = max((len(row.package) for row in report.rows), default=0)
    versions = max((len(row.version) for row in report.rows), default=0)
    for row in report.rows:
        text = f"{row.package:<{names}}  {row.version:<{versions}}  {license_text(row)}"
        yield style(text, "red") if row.is_finding else text
        if verbose:
            yield from way_lines(row.ways, verbose=True)


def license_text(row: Row) -> str:
    """The licence, and how it is known where the package does not say it in SPDX's words."""
    license = row.license
    if row.exemption is not None:
        return f"{license.expression} (exception: {row.exemption.reason})"
    if not row.at_hand:
        return "? (no metadata at hand)"
    if not license.expression:
        return f"unknown (says {license.said!r})" if license.said else "unknown (says nothing)"
    return license.expression if license.is_stated else f"{license.expression} (by {license.origin})"


def finding_lines(report: LicensesReport, *, verbose: bool = False) -> Iterator[str]:
    """What the rules do not let in, and how it comes into each member."""
    for row in report.findings:
        yield style(f"{row.package} {row.version}", "bold")
        head = style(_WORDS[row.verdict], "red")
        if row.verdict == "unknown":
            yield (
                f"  {head}: it says {row.license.said!r}"
                if row.license.said
                else f"  {head}: it says nothing"
            )
        else:
            yield f"  {head}: {license_text(row)}"
        yield from way_lines(row.ways, verbose=verbose)


def note_lines(report: LicensesReport, *, quiet: bool = False) -> Iterator[str]:
    """What is to be said besides; then it all in a line."""
    if report.missing:
        yield missing_line([f"{row.package} {row.version}" for row in report.missing])
        yield from (f"  {reason}" for reason in report.reasons[:SHOWN])
    if quiet:
        return
    for each in report.unused:
        yield f"{each.place}: the exception for {each.package} is for nothing that was found"
    yield summary(report)


def missing_line(names: list[str]) -> str:
    """Of what no metadata are at hand."""
    shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    return f"{style('warning', 'yellow')}[no-metadata]: no metadata are at hand of {shown}"


def summary(report: LicensesReport) -> str:
    """It all in a line."""
    looked = f"{count(len(report.rows), 'package')} looked at"
    if not report.has_rules:
        return f"{looked}; [licenses] in pypm-workspace.toml says which licences may be used"
    if report.findings:
        return f"{count(len(report.findings), 'finding')}; {looked}"
    if report.missing:
        return f"{looked}, but {count(len(report.missing), 'package')} could not be"
    return f"nothing found; {looked}"
