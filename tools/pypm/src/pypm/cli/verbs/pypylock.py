"""``pypm pypylock``."""

from __future__ import annotations

import json
import re
import sys

from pypm.cli.arguments import Gathered, UsageError, option, verb
from pypm.cli.options import COMMON, SELECTION, Common, world
from pypm.cli.render.report import say
from pypm.ops.bundle import DEFAULT, BundleOptions, BundleReport, bundle
from pypm.ops.bundle_parts import Kind
from pypm.ops.bundle_target import Target, target_of
from pypm.ops.counting import count, size_text
from pypm.ops.selection import Selection
from pypm.ops.world import World

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
    option(
        "--platform",
        metavar="PLATFORM",
        help="For another machine (linux-aarch64), from wheels alone; --python says its Python.",
    ),
    option(
        "--interpreter",
        metavar="PATH",
        help="With --platform: a folder or archive with the interpreter for that machine.",
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
    platform: str | None,
    interpreter: str | None,
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
    glibc = glibc_option(target_glibc)
    with world(common) as here:
        target = _target(here, kind, platform, interpreter, glibc)
        options = BundleOptions(
            output, selection, frozen, level, kind, _bytes(max_size), glibc, target, interpreter or ""
        )
        report = bundle(here, options)
    if common.json:
        sys.stdout.write(json.dumps(report.to_json(), sort_keys=True) + "\n")
    elif not common.quiet:
        say(f"Wrote {output}: {size_text(report.summary.size)}, {_contents(report)}")
        say(f"sha256 {report.summary.sha256}")
        if report.kind == "tree" and not report.time_zones:
            say("Without time zones: where the machine has none, zoneinfo needs tzdata in the lock")
    return 0


def _contents(report: BundleReport) -> str:
    packages = count(report.packages, "package")
    if report.kind == "tree":
        packages = f"Python {report.python} and {packages}"
    needs = f"{report.platform}{f', glibc {report.glibc} or newer' if report.glibc else ''}"
    return f"{packages} for {needs}" + ("" if report.kind == "tree" else f", Python {report.python}")


def _target(
    here: World, kind: Kind, platform: str | None, interpreter: str | None, glibc: tuple[int, int] | None
) -> Target | None:
    if platform is None:
        if interpreter is not None:
            raise UsageError("--interpreter goes with --platform; for this machine there is --python")
        return None
    if (kind == "tree") == (interpreter is None):
        raise UsageError(
            "--platform goes with one of --interpreter PATH, --no-interpreter and --only-wheels:"
            " no interpreter of this machine runs there"
        )
    python = here.environ.get("PYPM_PYTHON", "")
    if not re.fullmatch(r"3\.\d{1,2}(\.\d{1,3})?", python):
        raise UsageError(
            f"--platform needs --python 3.N or 3.N.M of that machine{f', not {python!r}' * bool(python)}"
        )
    target = target_of(platform, python, glibc)
    if kind == "tree" and target.system != "linux":
        raise UsageError("interpreters are put into bundles for Linux only: use --only-wheels")
    return target


def glibc_option(text: str | None) -> tuple[int, int] | None:
    """The value of ``--target-glibc``. Raises `UsageError`."""
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
