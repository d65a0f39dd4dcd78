"""``pypm sbom``: a bill of materials of what is locked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pypm._verbs import VERSION
from pypm.ops.describing import Descriptions, Unreadable, described
from pypm.ops.epoch import epoch_of, moment_of
from pypm.ops.locking import Locking, lock_workspace
from pypm.ops.opening import open_workspace
from pypm.ops.roots import roots_of
from pypm.ops.selection import Selection
from pypm.ops.toolbox import open_tools
from pypm.ops.world import World
from pypm_audit import cyclonedx, spdx
from pypm_audit.bill import Bill
from pypm_audit.bill_of_lock import Subject, bill_of_lock, newest_upload
from pypm_model.lock_reach import reach
from pypm_model.names import ROOT
from pypm_model.records import record, replace
from pypm_store.atomic import write_atomically

CYCLONEDX, SPDX = "cyclonedx", "spdx"
FORMS = {CYCLONEDX: cyclonedx.write, SPDX: spdx.write}


@record
class SbomOptions:
    """What to write, and of what."""

    form: str = CYCLONEDX
    """One of `FORMS`."""
    selection: Selection = Selection()
    """Of groups only those that are named: what a member is developed with is no part of it."""
    output: str | None = None
    """A file, relative to the current folder; None for the text alone."""
    frozen: bool = False
    lock_only: bool = False
    """Say what the lock says, and nothing that hangs on what is at hand here."""


@record
class SbomReport:
    """What was written."""

    text: str
    form: str
    file: str
    """Empty: to no file."""
    components: int
    """Packages and members; what is inside of wheels not counted."""
    embedded: int
    """Components that bills inside of wheels name."""
    missing: tuple[str, ...] = ()
    """Packages (``name version``) of which no metadata are at hand."""
    unreadable: tuple[Unreadable, ...] = ()
    reasons: tuple[str, ...] = ()
    """Why metadata could not be fetched."""

    def to_json(self) -> dict[str, Any]:
        return {
            "file": self.file or None,
            "format": self.form,
            "components": self.components,
            "embedded": self.embedded,
            "missing": list(self.missing),
            "unreadable": [str(each) for each in self.unreadable],
            "reasons": list(self.reasons),
        }


def form_of(file: str) -> str:
    """The form that a file of this name has."""
    return SPDX if file.endswith(".spdx.json") or file.endswith(".spdx") else CYCLONEDX


def sbom(world: World, options: SbomOptions) -> SbomReport:
    """The bill of what the lock has for the selection. The lock must be what the manifests give, unless
    *frozen*; it is not changed. Raises what locking raises, `UnknownChoice`, `BadEpoch`."""
    epoch = epoch_of(world)
    workspace = open_workspace(world)
    with open_tools(world, workspace) as tools:
        how = Locking(frozen=options.frozen, locked=not options.frozen)
        lock = lock_workspace(tools, workspace, how).lock
        roots = roots_of(world, workspace, lock, replace(options.selection, no_default_groups=True))
        positions = sorted(at for at in reach(lock, roots) if lock.packages[at].name != ROOT)
        if options.lock_only:
            said = Descriptions({})
        else:
            with tools.store.using():
                said = described(tools, lock, positions)
    missing = [lock.packages[at] for at in said.missing]
    moment = moment_of(epoch) or newest_upload(lock, positions)
    subject = Subject(workspace.title, VERSION, moment)
    bill = bill_of_lock(lock, roots, said.found, subject)
    text = FORMS[options.form](bill)
    if options.output is not None:
        target = Path(world.cwd) / options.output
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, text)
    return SbomReport(
        text,
        options.form,
        options.output or "",
        len(bill.components) + (not bill.subject.ref.startswith("workspace:")),
        _inside(bill),
        tuple(f"{package.name} {package.version}".rstrip() for package in missing),
        said.unreadable,
        said.reasons,
    )


def _inside(bill: Bill) -> int:
    return sum(1 for _ in bill.every()) - len(bill.components) - 1
