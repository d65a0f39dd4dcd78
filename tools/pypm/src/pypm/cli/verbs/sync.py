"""``pypm sync``."""

from __future__ import annotations

import click

from pypm._stamp import key_of
from pypm.cli.options import Common, common, selection, world
from pypm.cli.syncing import show
from pypm.ops.locking import Locking
from pypm.ops.selection import Selection
from pypm.ops.sync import SyncOptions, sync


@click.command()
@click.option("--frozen", is_flag=True, help="Take the lock as it is: do not look whether it fits.")
@click.option("--locked", is_flag=True, help="Fail unless the lock is what the manifests give.")
@click.option("-U", "--upgrade", is_flag=True, help="Forget all pins before locking.")
@click.option("--upgrade-package", "upgrade_packages", multiple=True, metavar="NAME", help="Forget this pin.")
@click.option("--inexact", is_flag=True, help="Leave what is installed and not in the lock.")
@click.option("--reinstall", is_flag=True, help="Install everything again.")
@click.option(
    "--reinstall-package", "reinstall_packages", multiple=True, metavar="NAME", help="Install this again."
)
@click.option("--no-editable", is_flag=True, help="Install members as ordinary wheels.")
@click.option("--compile", "compile_", is_flag=True, help="Compile bytecode now rather than at first import.")
@click.option("--force", is_flag=True, help="Replace an environment that pypm did not make.")
@click.option("--dry-run", is_flag=True, help="Change nothing: print the plan.")
@selection
@common
@click.pass_context
def command(
    context: click.Context,
    common: Common,
    selection: Selection,
    frozen: bool,
    locked: bool,
    upgrade: bool,
    upgrade_packages: tuple[str, ...],
    inexact: bool,
    reinstall: bool,
    reinstall_packages: tuple[str, ...],
    no_editable: bool,
    compile_: bool,
    force: bool,
    dry_run: bool,
) -> int:
    """Lock if needed, then make .venv match: all members editable, and what they need.

    What is not in the lock is removed. With nothing to do it costs a few stats.
    """
    options = SyncOptions(
        selection=selection,
        locking=Locking(upgrade, upgrade_packages, frozen, locked),
        inexact=inexact,
        reinstall=reinstall_packages,
        reinstall_all=reinstall,
        dry_run=dry_run,
        force=force,
        editable=not no_editable,
        compile=compile_,
        stamp_key=key_of(context.obj),
    )
    with world(common) as here:
        report = sync(here, options)
    show(common, report)
    return 0
