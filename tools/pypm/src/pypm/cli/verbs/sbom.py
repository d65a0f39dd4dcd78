"""``pypm sbom``."""

from __future__ import annotations

import json
import sys

from pypm.cli.arguments import UsageError, option, verb
from pypm.cli.options import COMMON, SELECTION, Common, file_of, world
from pypm.cli.render.report import say
from pypm.ops.sbom import FORMS, SbomOptions, SbomReport, form_of, sbom
from pypm.ops.selection import Selection


@verb(
    option(
        "--format",
        name="form",
        choices=tuple(FORMS),
        help="CycloneDX 1.6 or SPDX 2.3, both JSON (cyclonedx, or by the name after -o: *.spdx.json).",
    ),
    option("-o", "--output", metavar="FILE", help="Write to FILE rather than to stdout."),
    option("--lock-only", help="Only what the lock says: the same bytes wherever there is the same lock."),
    option("--frozen", help="Take the lock as it is."),
    SELECTION,
    COMMON,
)
def command(
    common: Common,
    selection: Selection,
    form: str | None,
    output: str | None,
    lock_only: bool,
    frozen: bool,
) -> int:
    """Write a bill of materials of what is locked, for the workspace or for members, as CycloneDX or SPDX.

    Every package with its package URL, hashes and who needs it, in all environments that the lock is for;
    dependency groups only where they are named. Licences, authors and addresses are read from the packages'
    METADATA: from wheels in the store, else from the index. Bills inside of wheels (PEP 770) are merged, of
    the wheels that are in the store. SOURCE_DATE_EPOCH is its time, else the upload of the newest file.
    """
    output = file_of(output)
    if output is not None and output.lower().endswith((".xml", ".rdf", ".yaml", ".yml")):
        raise UsageError(f"bills are written as JSON (*.cdx.json, *.spdx.json), not as {output} says")
    if form is None:
        form = form_of(output or "")
    with world(common) as here:
        report = sbom(here, SbomOptions(form, selection, output, frozen, lock_only))
    if output is None:
        sys.stdout.write(report.text)
    elif common.json:
        sys.stdout.write(json.dumps(report.to_json(), sort_keys=True) + "\n")
    sys.stdout.flush()
    if not common.json:
        _tell(common, report)
    return 0


def _tell(common: Common, report: SbomReport) -> None:
    from pypm.cli.render.licenses import SHOWN, missing_line

    if report.missing:
        say(missing_line(list(report.missing)))
        for reason in report.reasons[:SHOWN]:
            say(f"  {reason}")
    for each in report.unreadable:
        say(f"warning[sbom-unreadable]: {each}")
    if report.file and not common.quiet:
        inside = f", {report.embedded} inside of wheels" if report.embedded else ""
        say(f"Wrote {report.file}: {report.components} components{inside}")
