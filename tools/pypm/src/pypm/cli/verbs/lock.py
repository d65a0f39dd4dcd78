"""``pypm lock``."""

from __future__ import annotations

import json
import sys

from pypm.cli.arguments import UsageError, argument, option, verb
from pypm.cli.options import COMMON, Common, world
from pypm.cli.render.annotations import annotated
from pypm.cli.render.errors import render_error
from pypm.cli.render.report import diff_lines, lock_lines, say, touched_lines
from pypm.cli.render.style import SHOWN
from pypm.ops.lock import CheckOptions, LockOptions, lock
from pypm.ops.lock import check as check_lock
from pypm.ops.world import truth
from pypm_model.lock_changes import LockDiff


@verb(
    argument("files", required=False, many=True),
    option("--check", help="Write nothing: exit 1 unless the lock is what the manifests give."),
    option("--frozen", help="With --check: members that are not in this checkout are as the lock has them."),
    option(
        "-p",
        "--member",
        name="members",
        metavar="NAME",
        many=True,
        help="With --check: judge only what this member asks (repeatable).",
    ),
    option("--diff", name="show_diff", help="Write nothing: print what would change."),
    option(
        "--against",
        metavar="REV|FILE",
        help="With --diff: compare the lock as it is with that of a git revision, or with a file.",
    ),
    option("--dry-run", help="Write nothing: say what would be done."),
    option("-U", "--upgrade", help="Forget all pins: the newest versions that fit."),
    option("--upgrade-package", name="upgrade_packages", many=True, metavar="NAME", help="Forget this pin."),
    option("--explain", metavar="NAME", help="Write nothing: say why NAME is locked at its version."),
    option(
        "--merge-driver",
        help="For git, with FILES base, ours, theirs and the lock's path: merge into ours, or exit 1.",
    ),
    COMMON,
)
def command(
    common: Common,
    files: tuple[str, ...],
    check: bool,
    frozen: bool,
    members: tuple[str, ...],
    show_diff: bool,
    against: str | None,
    dry_run: bool,
    upgrade: bool,
    upgrade_packages: tuple[str, ...],
    explain: str | None,
    merge_driver: bool,
) -> int:
    """Write pypm.lock: one universal lock for all members.

    Pins of the old lock are kept while they fit. The file is touched only if its content changes. After a
    merge in git, with conflict markers or without, the pins of both sides are kept.
    """
    given = {
        "--merge-driver": merge_driver,
        "--explain": explain is not None,
        "--check": check,
        "--diff": show_diff,
        "--dry-run": dry_run,
        "--upgrade": upgrade,
        "--upgrade-package": bool(upgrade_packages),
        "--against": against is not None,
        "--frozen": frozen,
        "--member": bool(members),
    }
    _allow(given, "--merge-driver", ())
    _allow(given, "--explain", ())
    _allow(given, "--check", ("--frozen", "--member"))
    _allow(given, "--against", ("--diff",), needs="--diff")
    _allow(given, "--frozen", ("--check", "--member"), needs="--check")
    _allow(given, "--member", ("--check", "--frozen"), needs="--check")
    if merge_driver:
        return _merge(common, files)
    if files:
        raise UsageError(f"unexpected argument: {files[0]}")
    if explain is not None:
        return _explain(common, explain)
    if check:
        return _check(common, CheckOptions(frozen, members))
    if against is not None:
        return _against(common, against)
    with world(common) as here:
        report = lock(here, LockOptions(dry_run or show_diff, upgrade, upgrade_packages))
    if common.json:
        sys.stdout.write(json.dumps(report.to_json(), sort_keys=True) + "\n")
    elif show_diff:
        _print_diff(common, report.diff, report.members, report.changed)
    elif not common.quiet:
        for line in lock_lines(report, every=common.verbose):
            say(line)
        for file in report.exports:
            say(f"Wrote {file}")
    return 0


def _allow(given: dict[str, bool], flag: str, others: tuple[str, ...], *, needs: str = "") -> None:
    """Raises `UsageError` if *flag* is given with anything but *others*, or without what it needs."""
    if not given[flag]:
        return
    if needs and not given[needs]:
        raise UsageError(f"{flag} goes with {needs} only")
    if any(is_given for each, is_given in given.items() if each not in (flag, *others)):
        allowed = (
            f"no other option of `lock` but {' and '.join(others)}" if others else "no other option of `lock`"
        )
        raise UsageError(f"{flag} goes with {allowed}")


def _print_diff(common: Common, diff: LockDiff, members: int, is_other: bool) -> None:
    lines = [line.strip() for line in diff_lines(diff)]
    if members > 1:
        lines += touched_lines(diff)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    if not lines and not common.quiet:
        say(_same_versions(diff) if is_other else "No difference")


def _same_versions(diff: LockDiff) -> str:
    names = diff.refreshed[:SHOWN]
    more = f" and {len(diff.refreshed) - SHOWN} more" if len(diff.refreshed) > SHOWN else ""
    what = f"what is locked of {', '.join(names)}{more}" if names else "its text"
    return f"The same versions: only {what} is other"


def _against(common: Common, against: str) -> int:
    from pypm.ops.lock_against import compare

    with world(common) as here:
        report = compare(here, against)
    if common.json:
        sys.stdout.write(json.dumps(report.to_json(), sort_keys=True) + "\n")
    else:
        _print_diff(common, report.diff, report.members, bool(report.diff))
    return 0


def _merge(common: Common, files: tuple[str, ...]) -> int:
    from pypm.ops.merge_driver import MergeFiles, merge

    if len(files) not in (3, 4):
        raise UsageError("--merge-driver needs the files base, ours and theirs")
    with world(common) as here:
        report = merge(here, MergeFiles(*files))
    if report.problem is None:
        return 0
    if not common.quiet:
        say(f"{report.lock} is left as a conflict, `pypm lock` heals it: {report.problem}")
    return 1


def _check(common: Common, options: CheckOptions) -> int:
    with world(common) as here:
        report = check_lock(here, options)
    if common.json:
        sys.stdout.write(json.dumps(report.to_json(), sort_keys=True) + "\n")
    elif report.problem is not None:
        if truth(here.environ.get("GITHUB_ACTIONS", "")):
            for line in annotated(report.problem, report.root, here.environ):
                sys.stdout.write(line + "\n")
            sys.stdout.flush()
        sys.stderr.write(render_error(report.problem))
    elif not common.quiet:
        say(f"{report.file} is what the manifests give")
    return 0 if report.problem is None else 1


def _explain(common: Common, name: str) -> int:
    from pypm.cli.render.explanation import explanation_lines
    from pypm.ops.lock_explain import explain_lock

    with world(common) as here:
        explanation = explain_lock(here, name)
    if common.json:
        sys.stdout.write(json.dumps(explanation.to_json(), sort_keys=True) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in explanation_lines(explanation)))
    return 0
