"""``pypm pypylock``."""

from __future__ import annotations

import json
import sys

from pypm.cli.arguments import Gathered, option, verb
from pypm.cli.options import COMMON, SELECTION, Common, world
from pypm.cli.render.report import say
from pypm.ops.bundle import DEFAULT, BundleOptions, bundle
from pypm.ops.counting import count, size_text
from pypm.ops.selection import Selection

_CHOSEN = ("members", "extras", "all_extras", "groups", "all_groups")
_SELECTION = Gathered("selection", Selection, tuple(one for one in SELECTION.options if one.name in _CHOSEN))


@verb(
    option(
        "-o",
        "--output",
        metavar="FILE",
        default=DEFAULT,
        help=f"The archive: *.tar.gz, *.tgz, *.tar.zst or *.zip ({DEFAULT}).",
    ),
    option(
        "--compress-level",
        name="level",
        metavar="N",
        least=1,
        help="Pack everything anew, as hard as this, rather than take over what wheels have packed.",
    ),
    option("--frozen", help="Take the lock as it is."),
    _SELECTION,
    COMMON,
)
def command(common: Common, selection: Selection, output: str, level: int | None, frozen: bool) -> int:
    """Put the interpreter, every wheel of the lock and the members into one archive.

    Unpacked on any machine, without a network, bin/python and the members' commands run; ./install.sh DIR
    makes an environment of it, and ./verify.sh or `pypm bundle verify` compares every file with its digest.
    The same lock gives the same bytes. Dependency groups are left out unless --group asks for them.
    """
    with world(common) as here:
        report = bundle(here, BundleOptions(output, selection, frozen, level))
    if common.json:
        sys.stdout.write(json.dumps(report.to_json(), sort_keys=True) + "\n")
    elif not common.quiet:
        glibc = f", glibc {report.glibc} or newer" if report.glibc else ""
        say(
            f"Wrote {output}: {size_text(report.summary.size)}, Python {report.python} and "
            f"{count(report.packages, 'package')} for {report.platform}{glibc}"
        )
        say(f"sha256 {report.summary.sha256}")
    return 0
