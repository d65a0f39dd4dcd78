"""What ``add`` and ``remove`` share: where to write, and how the result is told."""

from __future__ import annotations

import json
import sys

from pypm.cli.arguments import Gathered, UsageError, option
from pypm.cli.options import Common
from pypm.cli.render.report import diff_lines, say, sync_lines
from pypm.ops.edit import EditReport
from pypm.ops.wanted import Origin
from pypm_workspace.edit import Target

EDIT = (
    option("-p", "--member", name="members", metavar="NAME", many=True, help="This member (repeatable)."),
    option("--group", metavar="G", help="In this dependency group."),
    option("-D", "--dev", help="In the group dev."),
    option("--extra", metavar="E", help="In this extra."),
    option("--no-sync", help="Edit and lock only."),
    option("--dry-run", help="Write nothing: say what would change."),
)
"""The options of both verbs."""


def origin_of(
    *,
    git: str,
    branch: str | None,
    tag: str | None,
    rev: str | None,
    subdirectory: str,
    path: str,
    editable: bool,
    url: str,
    index: str,
) -> Origin:
    """The place the options mean. Raises a usage error for options that do not go together."""
    kinds = [
        f"--{name}" for name, given in (("git", git), ("path", path), ("url", url), ("index", index)) if given
    ]
    refs = [(name, given) for name, given in (("branch", branch), ("tag", tag), ("rev", rev)) if given]
    if len(kinds) > 1:
        raise UsageError(f"{' and '.join(kinds)} exclude each other")
    if len(refs) > 1:
        raise UsageError(f"{' and '.join(f'--{name}' for name, _ in refs)} exclude each other")
    if refs and not git:
        raise UsageError(f"--{refs[0][0]} needs --git")
    if subdirectory and not (git or url):
        raise UsageError("--subdirectory needs --git or --url")
    if editable and (git or url or index):
        raise UsageError(f"--editable is for a folder, not for {kinds[0]}")
    return Origin(git, refs[0] if refs else None, subdirectory, path, url, index, editable)


ORIGIN = Gathered(
    "origin",
    origin_of,
    (
        option("--git", default="", metavar="URL", help="From this git repository."),
        option("--branch", metavar="B", help="From this branch of it."),
        option("--tag", metavar="T", help="From this tag of it."),
        option("--rev", metavar="R", help="From this commit of it (or any ref)."),
        option("--subdirectory", default="", metavar="D", help="The folder in the repository or archive."),
        option("--path", default="", metavar="PATH", help="From this folder, wheel or sdist."),
        option("--editable", help="Install the folder editable."),
        option("--url", default="", metavar="URL", help="From this wheel or sdist."),
        option("--index", default="", metavar="NAME", help="From this index of the workspace."),
    ),
)
"""The options that say where a requirement comes from."""


SCRIPT = option("--script", metavar="FILE", help="What this file asks for itself (PEP 723), not a member.")
"""The option for a single file."""


def refuse_with_script(**given: object) -> None:
    """Raises a usage error for options that mean nothing for a script."""
    for name, value in given.items():
        if value:
            raise UsageError(f"--script does not go with --{name.replace('_', '-')}")


def target_of(group: str | None, dev: bool, extra: str | None) -> Target:
    """The list that is meant. Raises a usage error for two at once."""
    chosen = [name for name, given in (("--group", group), ("--dev", dev), ("--extra", extra)) if given]
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} exclude each other")
    if extra:
        return Target("extra", extra)
    if group or dev:
        return Target("group", group or "dev")
    return Target()


def show(common: Common, report: EditReport, sign: str, dry_run: bool) -> None:
    """Tells what was done."""
    if common.json:
        data = {
            "written": [
                {"file": each.file, "requirement": each.requirement}
                | ({"source": each.source} if each.source else {})
                | ({"source-dropped": True} if each.dropped else {})
                for each in report.written
            ],
            "lock-diff": report.diff.to_json(),
            "sync": report.sync.to_json() if report.sync else None,
            "dry-run": dry_run,
        } | ({"exports": list(report.exports)} if report.exports else {})
        sys.stdout.write(json.dumps(data, sort_keys=True) + "\n")
        return
    if common.quiet:
        return
    for each in report.written:
        source = f" from {each.source}" if each.source else " and its source" if each.dropped else ""
        say(f"{each.file}: {sign} {each.requirement}{source}{' (not written)' if dry_run else ''}")
    for line in diff_lines(report.diff):
        say(line)
    for file in report.exports:
        say(f"Wrote {file}")
    if report.sync is not None:
        say(sync_lines(report.sync)[0])
