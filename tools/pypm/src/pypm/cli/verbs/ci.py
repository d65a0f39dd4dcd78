"""``pypm ci``."""

from __future__ import annotations

from pypm._stamp import key_of
from pypm.cli.arguments import UsageError, option, verb
from pypm.cli.options import COMMON, SELECTION, Common, world
from pypm.cli.render.report import show_sync
from pypm.cli.syncing import pylock_options, sync_from
from pypm.ops.installing import InstallOptions
from pypm.ops.locking import Locking
from pypm.ops.malware import allowing
from pypm.ops.selection import Selection, spelled
from pypm.ops.sync import SyncOptions
from pypm.ops.syncing import sync


@verb(
    option("--each", help="For each member an environment of its own, in its folder."),
    option("--dry-run", help="Change nothing: print the plan."),
    option("--force", help="Replace an environment that pypm did not make."),
    option("--allow-malware", help="Install also what is known to be malicious. [PYPM_ALLOW_MALWARE]"),
    option("--lock", name="lock_file", metavar="FILE", help="Install from this pylock.toml."),
    SELECTION,
    COMMON,
)
def command(
    common: Common,
    selection: Selection,
    each: bool,
    dry_run: bool,
    force: bool,
    allow_malware: bool,
    lock_file: str | None,
) -> int:
    """Make .venv exactly what pypm.lock says, or fail if the lock is not what the manifests give."""
    how = InstallOptions(dry_run=dry_run, force=force)
    if lock_file is not None:
        if each:
            raise UsageError("--lock does not go with --each: a pylock file knows no members")
        return sync_from(common, pylock_options(lock_file, selection, how), allow_malware)
    options = SyncOptions(
        selection=selection,
        locking=Locking(locked=True),
        how=how,
        each=each,
        stamp_key=key_of([*spelled(selection, False), *(["--each"] if each else [])]),
    )
    with world(common) as here:
        report = sync(allowing(here) if allow_malware else here, options)
    show_sync(common, report)
    return 0
