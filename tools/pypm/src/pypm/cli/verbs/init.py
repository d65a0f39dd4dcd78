"""``pypm init``."""

from __future__ import annotations

import json
import sys

from pypm.cli.arguments import UsageError, argument, option, verb
from pypm.cli.options import COMMON, Common, world
from pypm.cli.render.report import say
from pypm.ops.init import InitOptions, init
from pypm_model.specifiers import InvalidSpecifier, parse


@verb(
    argument("folder", default="."),
    option("--name", metavar="NAME", help="The project's or workspace's name (the folder's)."),
    option("--workspace", help="Make a workspace, also where there is nothing yet."),
    option("--no-package", help="Only a manifest: nothing to build."),
    option("--git", help="Let git merge pypm.lock with pypm: .gitattributes and this repository's config."),
    option("--requires-python", metavar="RANGE", help="The Pythons of the new project (>=3.11)."),
    COMMON,
)
def command(
    common: Common,
    folder: str,
    name: str | None,
    workspace: bool,
    no_package: bool,
    git: bool,
    requires_python: str | None,
) -> int:
    """Start a project in FOLDER, or a workspace around the projects that are below it.

    In a uv workspace the pypm-workspace.toml that says the same is written. No existing file is changed, but
    for a pyproject.toml that holds only the settings of tools: the project's tables are put before them.
    With --git, where there is a project or workspace already, only git is told about it.
    """
    if requires_python is not None:
        try:
            parse(requires_python)
        except InvalidSpecifier as error:
            raise UsageError(f"--requires-python: {error}") from None
    options = InitOptions(folder, name, workspace, not no_package, requires_python, git)
    with world(common) as here:
        report = init(here, options)
    if common.json:
        data = {"folder": report.folder, "kind": report.kind, "files": list(report.files)}
        if git:
            data["git-config"] = list(report.git_config)
        sys.stdout.write(json.dumps(data) + "\n")
    elif not common.quiet:
        shown = "" if folder == "." else folder.rstrip("/") + "/"
        for file in report.files:
            say(f"Wrote {shown}{file}")
        for key in report.git_config:
            say(f"Set {key} in the repository's git config")
        if git and not (report.files or report.git_config):
            say("Nothing to do: git knows how to merge pypm.lock")
    return 0
