"""``pypm export``."""

from __future__ import annotations

import sys

from pypm.cli.arguments import option, verb
from pypm.cli.options import COMMON, SELECTION, Common, file_of, world
from pypm.cli.render.report import say
from pypm.ops.export import ExportOptions, export
from pypm.ops.exporting import Form, form_of
from pypm.ops.selection import Selection


@verb(
    option(
        "--format",
        name="form",
        choices=("pylock.toml", "requirements.txt"),
        help="What to write (pylock.toml, or by the name after -o).",
    ),
    option("-o", "--output", metavar="FILE", help="Write to FILE rather than to stdout."),
    option("--no-hashes", help="Leave hashes out of requirements.txt."),
    option("--no-editable", help="Members as ordinary folders."),
    option("--no-members", help="Only what members need from elsewhere."),
    option(
        "--target",
        metavar="TARGET",
        help="Only what TARGET needs: pyemscripten_2026_0 (Pyodide), wasi, or a marker.",
    ),
    option("--frozen", help="Take the lock as it is."),
    SELECTION,
    COMMON,
)
def command(
    common: Common,
    selection: Selection,
    form: str | None,
    output: str | None,
    no_hashes: bool,
    no_editable: bool,
    no_members: bool,
    target: str | None,
    frozen: bool,
) -> int:
    """Write the lock as pylock.toml (PEP 751) or as a requirements file with hashes.

    In a workspace's pylock every member, member extra and member group is a dependency group, so that
    other tools can install one member from it; with -p it is of one member, with its extras and groups.
    """
    output = file_of(output)
    if form is None:
        form = form_of(output or "")
    what = Form(form, selection, not no_hashes, not no_editable, not no_members, target or "")
    with world(common) as here:
        text = export(here, ExportOptions(what, output, frozen))
    if output is None:
        sys.stdout.write(text)
    elif not common.quiet:
        say(f"Wrote {output}")
    return 0
