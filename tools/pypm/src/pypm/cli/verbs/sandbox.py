"""``pypm sandbox``."""

from __future__ import annotations

import sys

from pypm.cli.arguments import UsageError, argument, option, verb
from pypm.cli.options import COMMON, SELECTION, Common, world
from pypm.ops.sandbox import prepare, run
from pypm.ops.sandboxing.records import SandboxOptions
from pypm.ops.selection import Selection, spelled
from pypm_env.sandbox.machine import Machine


@verb(
    option("-d", name="folder", metavar="DIR", help="Begin in this folder, and leave it when all else goes."),
    option("--with", name="extra", many=True, metavar="REQ", help="With this package, too (repeatable)."),
    option("--fs", choices=("ro", "cow"), help="The project read-only, or copy-on-write: begin in it."),
    option("--keep-diff", metavar="FILE", help="Write what changed in the --fs cow view as a patch."),
    option("--checkout", help="Begin in a clean checkout of the last commit."),
    option("--staged", help="Begin in a clean checkout of what is staged."),
    option("--no-net", help="No network."),
    option("--isolate", help="All walls: own /tmp and home, project read-only, no network, own processes."),
    option("--frozen", help="Take the lock as it is."),
    argument("command", required=False, rest=True),
    SELECTION,
    COMMON,
)
def command(
    common: Common,
    selection: Selection,
    folder: str | None,
    extra: tuple[str, ...],
    fs: str | None,
    keep_diff: str | None,
    checkout: bool,
    staged: bool,
    no_net: bool,
    isolate: bool,
    frozen: bool,
    command: tuple[str, ...],
) -> int:
    """Open a shell, or run COMMAND, in a new folder that is gone when it ends.

    With -p, exactly what that member declares can be imported; without, nothing but the standard library.
    Neither PYTHONPATH nor an activated environment reaches it. The lock is read, and never written.

    --fs, --no-net and --isolate are walls of the operating system. Where it has none, pypm says so and exits
    with 2. What is not walled off is told in a line. Options of pypm stand before COMMAND.
    """
    if checkout and staged:
        raise UsageError("--checkout and --staged exclude each other")
    checkout = checkout or staged
    if keep_diff is not None and fs != "cow":
        raise UsageError("--keep-diff goes with --fs cow")
    if checkout and fs == "cow":
        given = "--staged" if staged else "--checkout"
        raise UsageError(f"{given} is a view of its own: it does not go with --fs cow")
    if not selection.members and (chosen := spelled(selection, False)):
        raise UsageError(f"{chosen[0].partition('=')[0]} goes with -p")
    if folder == "":
        raise UsageError("-d needs a value: DIR")
    options = SandboxOptions(
        command=command,
        selection=selection,
        extra=extra,
        folder=folder or "",
        fs=fs or "",
        keep_diff=keep_diff or "",
        checkout=checkout,
        staged=staged,
        no_net=no_net,
        isolate=isolate,
        frozen=frozen,
    )
    machine = Machine()
    with world(common) as here:
        sandbox = prepare(here, options, machine)

    def tell(text: str) -> None:
        if not common.quiet:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    return run(here, sandbox, options, machine, tell)
