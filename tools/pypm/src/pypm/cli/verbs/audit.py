"""``pypm audit``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pypm.cli.arguments import UsageError, option, verb
from pypm.cli.looking import COULD_NOT_LOOK, looked
from pypm.cli.options import COMMON, Common, file_of, world
from pypm.cli.render.report import say
from pypm.ops.audit import AuditOptions, AuditReport, audit
from pypm.ops.world import truth
from pypm_store.atomic import write_atomically

if TYPE_CHECKING:
    from pypm.ops.audit_fix import FixReport
    from pypm.ops.world import World


@verb(
    option("-p", "--member", name="members", metavar="NAME", many=True, help="Only what this member needs."),
    option("--no-groups", help="Without what only dependency groups ask for."),
    option(
        "--db",
        name="database",
        metavar="PATH",
        default="",
        help="Take in this snapshot of OSV records, a zip file or a folder, and ask no network. "
        "[PYPM_AUDIT_DB]",
    ),
    option("--osv-url", metavar="URL", default="", help="Ask this service of OSV's kind. [PYPM_OSV_URL]"),
    option(
        "--provenance",
        help="Verify the signatures of attestations (PEP 740). Needs the extra pypm[provenance].",
    ),
    option("--fix", help="Lock again without the versions that have findings, moving as little as possible."),
    option("--dry-run", help="With --fix: write nothing, say what would change."),
    option("--format", name="form", choices=("text", "json", "sarif"), help="How to tell it (text)."),
    option("-o", "--output", metavar="FILE", help="Write it to FILE rather than to stdout."),
    COMMON,
)
def command(
    common: Common,
    members: tuple[str, ...],
    no_groups: bool,
    database: str,
    osv_url: str,
    provenance: bool,
    fix: bool,
    dry_run: bool,
    form: str | None,
    output: str | None,
) -> int:
    """Look up every locked version among the known vulnerabilities and malicious releases.

    Each finding is told with its severity, the versions that fix it, and how the package comes into each
    member. With --fix the lock is written anew first, and what is found then is what could not be cleared.
    What is listed under [[audit.ignore]] is passed over until it expires. A package of which its index names
    another publisher than the lock is a finding, too. Exit 1 if there are findings, 2 if
    it could not be looked.
    """
    if dry_run and not fix:
        raise UsageError("--dry-run goes with --fix")
    if database and osv_url:
        raise UsageError("--db asks no service: it does not go with --osv-url")
    if common.json and form not in (None, "json"):
        raise UsageError(f"--json goes with no --format {form}")
    form, output = "json" if common.json else form or "text", file_of(output)
    options = AuditOptions(members, not no_groups, database, osv_url, provenance)

    def look() -> int:
        with world(common) as here:
            fixed = _fixed(here, options, dry_run=dry_run) if fix else None
            report = fixed.after if fixed is not None else audit(here, options)
            _tell(here, common, report, fixed, form, output)
        return 1 if report.findings else 0

    code = looked(common, look)
    return COULD_NOT_LOOK if code is None else code


def _fixed(here: World, options: AuditOptions, *, dry_run: bool) -> FixReport:
    from pypm.ops.audit_fix import fix

    return fix(here, options, dry_run=dry_run)


def _tell(
    here: World,
    common: Common,
    report: AuditReport,
    fixed: FixReport | None,
    form: str,
    output: str | None,
) -> None:
    from pypm.cli.render.audit import annotation_lines, finding_lines, fix_lines, note_lines

    match form:
        case "json":
            text = json.dumps((fixed or report).to_json(), sort_keys=True) + "\n"
        case "sarif":
            from pypm.cli.render.sarif import sarif

            text = json.dumps(sarif(report), indent=2) + "\n"
        case _:
            lines = list(finding_lines(report, verbose=common.verbose))
            if output is None and truth(here.environ.get("GITHUB_ACTIONS", "")):
                lines = [*annotation_lines(report, here.environ), *lines]
            text = "".join(f"{line}\n" for line in lines)
    if output is None:
        sys.stdout.write(text)
    else:
        write_atomically(here.cwd / Path(output), text)
    sys.stdout.flush()
    if form == "text" or output is not None:
        if fixed is not None and not common.quiet:
            for line in fix_lines(fixed):
                say(line)
        for line in note_lines(report, quiet=common.quiet):
            say(line)
