"""Wheels as they are, for a folder that pip and others can install from (``--find-links``)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pypm_bundle.archives import EPOCH, ZipArchive
from pypm_bundle.contents import Entry, Item, OnDisk, Packed, Written
from pypm_bundle.distributions import WheelFile
from pypm_bundle.packing import Passing
from pypm_store.archive import WheelArchive

REQUIREMENTS = "requirements.txt"


def wheelhouse(wheels: Sequence[tuple[WheelFile, bool]], scratch: Path, time: int = EPOCH) -> list[Item]:
    """The files of *wheels* (and whether each was built on this machine), and a `REQUIREMENTS` that installs
    them with their hashes.

    A wheel that was built is written anew into *scratch*: backends note times and the order of a folder.
    """
    items: list[Item] = []
    lines = []
    for wheel, built in sorted(wheels, key=lambda one: one[0].filename):
        path = _rewritten(wheel, scratch, time) if built else wheel.path
        items.append(Entry(wheel.filename, OnDisk(path)))
        with WheelArchive(wheel.path, filename=wheel.filename) as archive, open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            lines.append(f"{archive.name}=={archive.version} --hash=sha256:{digest}\n")
    lines.sort(key=str.lower)
    items.append(Entry(REQUIREMENTS, Written("".join(lines).encode())))
    return items


def _rewritten(wheel: WheelFile, scratch: Path, time: int) -> Path:
    """The same files in a fixed order, RECORD last as is usual, at one time."""
    target = scratch / wheel.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    with WheelArchive(wheel.path, filename=wheel.filename) as archive, target.open("w+b") as out:
        made = ZipArchive(out, 6, time)
        own = f"{archive.info}/RECORD"
        order = sorted(
            archive.placed,
            key=lambda one: (one.entry.path == own, one.entry.path.startswith(archive.info), one.entry.path),
        )
        for one in order:
            entry = one.entry
            packed = Packed(
                wheel.path, wheel.filename, entry.path, entry.start, entry.packed, entry.size, entry.crc,
                entry.deflated,
            )  # fmt: skip
            made.file(entry.path, entry.executable, Passing(packed, 6))
        made.close()
    return target
