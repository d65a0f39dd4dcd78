"""``pypm pypylock``."""

from __future__ import annotations

import json
import re
import sys

from pypm.cli.arguments import Gathered, UsageError, option, verb
from pypm.cli.options import COMMON, SELECTION, Common, world
from pypm.cli.render.report import say
from pypm.ops.bundle import DEFAULT, BundleOptions, BundleReport, Kind, bundle
from pypm.ops.counting import count, size_text
from pypm.ops.selection import Selection

_CHOSEN = ("members", "extras", "all_extras", "groups", "all_groups")
_SELECTION = Gathered("selection", Selection, tuple(one for one in SELECTION.options if one.name in _CHOSEN))
_size = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?)b?|b)?", re.IGNORECASE)


@verb(
    option(
        "-o",
        "--output",
        metavar="FILE",
        default=DEFAULT,
        help=f"The archive: *.tar.gz, *.tgz, *.tar.zst or *.zip ({DEFAULT}).",
    ),
    option("--no-interpreter", help="Without an interpreter: install.sh takes python3.N of the machine."),
    option("--only-wheels", help="Only the wheels, as a folder for `pip install --no-index --find-links`."),
    option(
        "--target-glibc",
        metavar="2.N",
        help="Take wheels for this glibc and older, and fail if anything else needs a newer one.",
    ),
    option(
        "--compress-level",
        name="level",
        metavar="N",
        least=1,
        help="Pack everything anew, as hard as this, rather than take over what wheels have packed.",
    ),
    option("--max-size", metavar="SIZE", help="Fail if the archive gets larger: 500MB, 2GiB."),
    option("--frozen", help="Take the lock as it is."),
    _SELECTION,
    COMMON,
)
def command(
    common: Common,
    selection: Selection,
    output: str,
    no_interpreter: bool,
    only_wheels: bool,
    target_glibc: str | None,
    level: int | None,
    max_size: str | None,
    frozen: bool,
) -> int:
    """Put the interpreter, every wheel of the lock and the members into one archive.

    Unpacked on any machine, without a network, bin/python and the members' commands run; ./install.sh DIR
    makes an environment of it, and ./verify.sh or `pypm bundle verify` compares every file with its digest.
    The same lock gives the same bytes. Dependency groups are left out unless --group asks for them.
    """
    if no_interpreter and only_wheels:
        raise UsageError("--no-interpreter does not go with --only-wheels, which has none")
    kind: Kind = "no-interpreter" if no_interpreter else "wheels" if only_wheels else "tree"
    options = BundleOptions(output, selection, frozen, level, kind, _bytes(max_size), _glibc(target_glibc))
    with world(common) as here:
        report = bundle(here, options)
    if common.json:
        sys.stdout.write(json.dumps(report.to_json(), sort_keys=True) + "\n")
    elif not common.quiet:
        say(f"Wrote {output}: {size_text(report.summary.size)}, {_contents(report)}")
        say(f"sha256 {report.summary.sha256}")
    return 0


def _contents(report: BundleReport) -> str:
    packages = count(report.packages, "package")
    if report.kind == "tree":
        packages = f"Python {report.python} and {packages}"
    needs = f"{report.platform}{f', glibc {report.glibc} or newer' if report.glibc else ''}"
    return f"{packages} for {needs}" + ("" if report.kind == "tree" else f", Python {report.python}")


def _glibc(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,3})\.(\d{1,3})", text)
    if match is None:
        raise UsageError(f"--target-glibc takes a version like 2.28, not {text!r}")
    return int(match[1]), int(match[2])


def _bytes(text: str | None) -> int | None:
    if text is None:
        return None
    match = _size.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"--max-size takes a size like 500MB or 2GiB, not {text!r}")
    power = " kmgt".index((match[2] or " ").lower())
    return int(float(match[1]) * (1024 if match[3] else 1000) ** power)
