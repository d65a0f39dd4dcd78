"""Wheels as they are, for a folder that pip and others can install from (``--find-links``)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pypm_bundle.archives import EPOCH, ZipArchive
from pypm_bundle.contents import Entry, Item, OnDisk, Packed, Written
from pypm_bundle.distributions import WHEEL, WheelFile, anonymous
from pypm_bundle.packing import Passing
from pypm_env.record_file import read_rows, row_of, write_rows
from pypm_store.archive import WheelArchive

REQUIREMENTS = "requirements.txt"
LEVEL = 6
"""Of zlib, for wheels that are written anew."""


def wheelhouse(wheels: Sequence[WheelFile], scratch: Path, time: int = EPOCH) -> list[Item]:
    """The files of *wheels*, and a `REQUIREMENTS` that installs them with their hashes.

    A wheel that was built is written anew into *scratch*: backends note times and the order of a folder.
    """
    items: list[Item] = []
    lines = []
    for wheel in sorted(wheels, key=lambda one: one.filename):
        path = _rewritten(wheel, scratch, time) if wheel.built else wheel.path
        items.append(Entry(wheel.filename, OnDisk(path)))
        with WheelArchive(wheel.path, filename=wheel.filename) as archive, open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            lines.append(f"{archive.name}=={archive.version} --hash=sha256:{digest}\n")
    lines.sort(key=str.lower)
    items.append(Entry(REQUIREMENTS, Written("".join(lines).encode())))
    return items


def _rewritten(wheel: WheelFile, scratch: Path, time: int) -> Path:
    """The same files in a fixed order, RECORD last as is usual, at one time, and packed anew; the backend
    without its version."""
    target = scratch / wheel.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    with WheelArchive(wheel.path, filename=wheel.filename) as archive, target.open("w+b") as out:
        made = ZipArchive(out, LEVEL, time)
        named, own = f"{archive.info}/{WHEEL}", f"{archive.info}/RECORD"
        order = sorted(
            (one.entry for one in archive.placed if one.entry.path != own),
            key=lambda entry: (entry.path.startswith(archive.info), entry.path),
        )
        text = {one.entry.path: archive.read(one) for one in archive.placed if one.entry.path in (named, own)}
        content = anonymous(text[named])
        rows = {row.path: row for row in read_rows(text[own].decode("utf-8", "surrogateescape"))}
        rows[named] = row_of(named, content)
        for entry in order:
            packed = Packed(
                wheel.path, wheel.filename, entry.path, entry.start, entry.packed, entry.size, entry.crc,
                entry.deflated, anew=True,
            )  # fmt: skip
            made.file(
                entry.path,
                entry.executable,
                Passing(Written(content) if entry.path == named else packed, LEVEL),
            )
        record = write_rows([rows[path] for path in sorted(rows)])
        made.file(own, False, Passing(Written(record.encode("utf-8", "surrogateescape")), LEVEL))
        made.close()
    return target
