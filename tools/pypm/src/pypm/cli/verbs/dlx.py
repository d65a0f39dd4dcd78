"""``pypm dlx``."""

from __future__ import annotations

from pypm.cli.arguments import argument, option, verb
from pypm.cli.options import COMMON, Common, world
from pypm.ops.tool_run import ToolOptions, tool_command


@verb(
    option("--from", name="package", default="", metavar="REQ", help="The package that brings COMMAND."),
    option("--with", name="extra", many=True, metavar="REQ", help="Together with this package (repeatable)."),
    option(
        "--allow-build",
        many=True,
        metavar="NAME",
        help="Build the sdist of this package where it has no wheel (repeatable).",
    ),
    argument("command", rest=True),
    COMMON,
)
def command(
    common: Common,
    package: str,
    extra: tuple[str, ...],
    allow_build: tuple[str, ...],
    command: tuple[str, ...],
) -> int:
    """Run COMMAND of the package of that name, without a project.

    COMMAND is NAME, NAME@VERSION, 'NAME>=2', 'NAME @ ADDRESS', or a folder or wheel (./tool). It is
    installed in an environment of its own in the store and found there the next time, until --refresh or
    NAME@latest. Options of pypm stand before COMMAND.
    """
    with world(common) as here:
        process = tool_command(here, ToolOptions(command, package, extra, allow_build))
    return process.become()
