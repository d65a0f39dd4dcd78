"""``pypm pypylock``: interpreter, distributions and lock as one archive for machines without a network."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from pypm._verbs import VERSION
from pypm.ops.bundle_parts import Chosen, Gathered, Kind, Parts, bill_of, dotted, gathered, time_of
from pypm.ops.bundle_sbom import SBOM
from pypm.ops.bundle_target import Target
from pypm.ops.selection import Selection
from pypm.ops.world import LOCK, World
from pypm_bundle import assembling
from pypm_bundle.archives import HARDEST, LEVELS, format_of
from pypm_bundle.bundle_errors import BundleFormat, BundleTooLarge
from pypm_bundle.contents import Entry, Packed, Written, in_order
from pypm_bundle.verifying import Verified, verify
from pypm_bundle.writing import Packing, Summary, write
from pypm_model.errors import PypmError
from pypm_model.names import ROOT
from pypm_model.records import record

DEFAULT = "dist/venv.tar.gz"


class BadLevel(PypmError):
    """There is no such level of compression."""

    code: ClassVar[str] = "bad-level"
    exit: ClassVar[int] = 2
    level: int
    form: str
    hardest: int

    def __str__(self) -> str:
        return f"{self.form} is packed with a level from 1 to {self.hardest}, not {self.level}"


_SHOWN = 5
"""Parts that are told of a bundle which is too large."""


@record
class BundleOptions:
    """What to put into which archive."""

    output: str = DEFAULT
    """Relative to the current folder."""
    selection: Selection = Selection()
    frozen: bool = False
    level: int | None = None
    """How hard to pack; None: what wheels have packed is taken over."""
    kind: Kind = "tree"
    """``tree`` runs where it is unpacked; ``no-interpreter`` is installed for one of the machine; ``wheels``
    is a folder for installers."""
    most: int | None = None
    """Bytes that the archive may have."""
    glibc: tuple[int, int] | None = None
    """The oldest glibc it must run with; None: of this machine."""
    target: Target | None = None
    """The machine it is for; None: one like this."""
    interpreter: str = ""
    """Folder or archive (relative to the current folder) with the target's interpreter."""


@record
class BundleReport:
    """What was made."""

    summary: Summary
    kind: Kind
    python: str
    platform: str
    glibc: str
    members: tuple[str, ...]
    packages: int
    libraries: tuple[str, ...]
    time_zones: str
    """The version of tzdata that comes along; empty: zones are those of the machine it runs on."""

    def to_json(self) -> dict[str, Any]:
        """The report as JSON-ready data."""
        return {
            "file": self.summary.file,
            "sha256": self.summary.sha256,
            "size": self.summary.size,
            "unpacked": self.summary.unpacked,
            "files": self.summary.files,
            "kind": self.kind,
            "python": self.python,
            "platform": self.platform,
            "glibc": self.glibc or None,
            "members": list(self.members),
            "packages": self.packages,
            "libraries": list(self.libraries),
            "time-zones": self.time_zones or None,
        }


def bundle(world: World, options: BundleOptions) -> BundleReport:
    """Locks unless *frozen*, then writes the archive. Raises what locking, providing and writing raise."""
    packing = _packing(world, options)
    chosen = Chosen(
        options.selection, options.frozen, options.kind, options.glibc, options.target, options.interpreter,
        packing.time,
    )  # fmt: skip
    with gathered(world, chosen) as found:
        return _written(found, options, packing)


def verified(world: World, file: str) -> Verified:
    """The bundle *file*, an archive or a folder, if it is as it was written. Raises what
    `pypm_bundle.verifying.verify` raises."""
    return verify(world.cwd / file, file)


def _packing(world: World, options: BundleOptions) -> Packing:
    form = format_of(options.output)
    if form is None:
        raise BundleFormat(options.output)
    hardest = HARDEST[form]
    if options.level is not None and not 1 <= options.level <= hardest:
        raise BadLevel(options.level, form, hardest)
    level = options.level if options.level is not None else LEVELS[form]
    return Packing(form, level, options.level is None, time_of(world), max(2, min(4, os.cpu_count() or 2)))


def _written(found: Gathered, options: BundleOptions, packing: Packing) -> BundleReport:
    tools, parts = found.tools, found.parts
    newest = parts.needed_glibc
    members = tuple(sorted(root.member for root in found.roots if root.project and root.member != ROOT))
    facts = assembling.facts(
        kind=options.kind,
        name=found.workspace.title,
        members=members,
        python=parts.python,
        platform=parts.platform,
        glibc=newest,
        lock=LOCK,
        sbom=SBOM,
        distributions=parts.distributions,
        pinned=parts.pinned,
        libraries=parts.libraries,
        left_out=parts.left_out,
        pypm=VERSION,
    )
    own = list(parts.own)
    if options.kind != "wheels":
        own += assembling.tools(parts.executable, inside=options.kind == "tree")
        own = assembling.assembled(own, parts.distributions, tools.world.listener)
    bill = bill_of(found)
    items = in_order(
        [*own, Entry(LOCK, Written(found.locked.text.encode())), Entry(SBOM, Written(bill.encode()))]
    )
    target = tools.world.cwd / options.output
    try:
        summary = write(target, items, facts, packing, tools.world.listener, most=options.most)
    except BundleTooLarge as error:
        raise BundleTooLarge(options.output, error.most, _largest(parts)) from None
    version = str(parts.python["version"])
    glibc = dotted(newest) if newest != (0, 0) else ""
    count = len(parts.distributions)
    return BundleReport(
        summary,
        options.kind,
        version,
        parts.platform,
        glibc,
        members,
        count,
        parts.libraries,
        parts.time_zones,
    )


def _largest(parts: Parts) -> tuple[tuple[str, int], ...]:
    """The distributions that take most, as they are packed in their wheels."""
    sizes = [
        (
            f"{one.name} {one.version}",
            sum(
                i.content.packed for i in one.items if isinstance(i, Entry) and isinstance(i.content, Packed)
            ),
        )
        for one in parts.distributions
    ]
    return tuple(sorted(sizes, key=lambda one: (-one[1], one[0]))[:_SHOWN])
