"""``pypm sync``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypm._stamp import key_of
from pypm.cli.arguments import UsageError, Words, option, verb
from pypm.cli.options import COMMON, SELECTION, Common, world
from pypm.cli.render.report import show_sync
from pypm.ops.malware import allowing
from pypm.ops.recipes import follow
from pypm.ops.selection import Selection
from pypm_env.dists import LINK_MODES
from pypm_model.later import later

if TYPE_CHECKING:
    from pypm.cli import syncing
    from pypm.ops import installing, locking
    from pypm.ops import sync as ops_sync
    from pypm.ops import syncing as ops_syncing
    from pypm.ops.synced import MembersReport, SyncReport
else:
    # What a sync needs that was not done before in the same way.
    syncing = later("pypm.cli.syncing")
    installing = later("pypm.ops.installing")
    locking = later("pypm.ops.locking")
    ops_sync = later("pypm.ops.sync")
    ops_syncing = later("pypm.ops.syncing")


@verb(
    option("--each", help="For each member an environment of its own, in its folder."),
    option("--frozen", help="Take the lock as it is: do not look whether it fits."),
    option("--locked", help="Fail unless the lock is what the manifests give."),
    option("-U", "--upgrade", help="Forget all pins before locking."),
    option("--upgrade-package", name="upgrade_packages", many=True, metavar="NAME", help="Forget this pin."),
    option("--inexact", help="Leave what is installed and not in the lock."),
    option("--reinstall", help="Install everything again."),
    option(
        "--reinstall-package",
        name="reinstall_packages",
        many=True,
        metavar="NAME",
        help="Install this again.",
    ),
    option("--lock", name="lock_file", metavar="FILE", help="Install from this pylock.toml."),
    option("--no-editable", help="Install members as ordinary wheels."),
    option(
        "--link-mode", choices=LINK_MODES, default="", help="How files come from the store. [PYPM_LINK_MODE]"
    ),
    option("--compile", name="compile_", help="Compile bytecode now rather than at first import."),
    option("--force", help="Replace an environment that pypm did not make."),
    option("--allow-malware", help="Install also what is known to be malicious. [PYPM_ALLOW_MALWARE]"),
    option("--dry-run", help="Change nothing: print the plan."),
    SELECTION,
    COMMON,
    Words("words"),
)
def command(
    words: list[str],
    common: Common,
    selection: Selection,
    each: bool,
    frozen: bool,
    locked: bool,
    upgrade: bool,
    upgrade_packages: tuple[str, ...],
    inexact: bool,
    reinstall: bool,
    reinstall_packages: tuple[str, ...],
    lock_file: str | None,
    no_editable: bool,
    link_mode: str,
    compile_: bool,
    force: bool,
    allow_malware: bool,
    dry_run: bool,
) -> int:
    """Lock if needed, then make .venv match: all members editable, and what they need.

    With -p or --each, and where members share no environment, each member has a .venv in its folder, with
    what it declares and the members it depends on. What is not in the lock is removed. With nothing to do
    it costs a few stats.
    """
    if frozen and locked:
        raise UsageError("--frozen and --locked exclude each other")
    if (frozen or locked) and (upgrade or upgrade_packages):
        raise UsageError(f"{'--frozen' if frozen else '--locked'} goes with no option that changes the lock")

    def how() -> installing.InstallOptions:
        return installing.InstallOptions(
            inexact=inexact,
            reinstall=reinstall_packages,
            reinstall_all=reinstall,
            dry_run=dry_run,
            force=force,
            editable=not no_editable,
            compile=compile_,
            link_mode=link_mode,
        )

    if lock_file is not None:
        if frozen or locked or upgrade or upgrade_packages:
            raise UsageError("--lock goes with no option about pypm.lock")
        if each:
            raise UsageError("--lock does not go with --each: a pylock file knows no members")
        return syncing.sync_from(common, syncing.pylock_options(lock_file, selection, how()), allow_malware)
    key = key_of(words)
    with world(common) as here:
        here = allowing(here) if allow_malware else here
        report: SyncReport | MembersReport | None = None if key is None else follow(here, key)
        if report is None:
            options = ops_sync.SyncOptions(
                selection=selection,
                locking=locking.Locking(upgrade, upgrade_packages, frozen=frozen, locked=locked),
                how=how(),
                each=each,
                stamp_key=key,
            )
            report = ops_syncing.sync(here, options)
    show_sync(common, report)
    return 0
