"""Wheels as files of a bundle: what `pypm sync` would make of them in an environment, without making it."""

from __future__ import annotations

import mmap
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from pypm_bundle.contents import Entry, Item, Packed, Written
from pypm_bundle.elf_image import ElfImage, NotElf, is_elf, read_image
from pypm_bundle.packing import unpacked
from pypm_env.launchers import LauncherKit, launcher, script_with_interpreter
from pypm_env.placing import WRITTEN, info_files
from pypm_env.record_file import Row, row_of, write_rows
from pypm_model.records import record
from pypm_store.archive import Placed, WheelArchive

WHEEL = "WHEEL"
_GENERATOR = re.compile(rb"^(Generator:[ \t]*[^\s(]+)[^\r\n]*", re.MULTILINE)
_BY_INSTALLER = ("RECORD", *WRITTEN)
_IN_MEMORY = 64 << 20
"""Bytes of a library up to which it is unpacked in memory to be looked at; larger ones into a file."""


@record
class WheelFile:
    """One wheel to be put in."""

    path: Path
    filename: str
    sha256: str
    version: str
    requested: bool = False
    """A member asks for it itself."""
    direct_url: str = ""
    """Text of `direct_url.json`; empty: it has none."""
    built: bool = False
    """It was built on this machine: which release of the backend did it is not to be seen."""


@record
class Place:
    """Where the parts of wheels go in a bundle."""

    python: str
    """Name of the interpreter in ``bin``."""
    site_packages: str
    include: str


@record
class Distribution:
    """One wheel, seen as what it becomes."""

    name: str
    version: str
    filename: str
    sha256: str
    tags: tuple[str, ...]
    items: tuple[Item, ...]
    libraries: tuple[tuple[str, ElfImage], ...]
    """(path in the bundle, what it says) of its shared libraries and programs."""
    metadata: bytes = b""
    """Its METADATA."""
    bills: tuple[tuple[str, bytes], ...] = ()
    """(path below the .dist-info folder, content) of the bills of materials inside (PEP 770), sorted."""


def read_distribution(wheel: WheelFile, place: Place) -> Distribution:
    """What *wheel* becomes. Raises `UnsafeArchive`, `InvalidEntryPoint`, OSError."""
    with WheelArchive(wheel.path, filename=wheel.filename) as archive:
        kit = LauncherKit(place.python, beside=True)
        up = "/".join([".."] * (place.site_packages.count("/") + 1))
        items: dict[str, Item] = {}
        rows: dict[str, Row] = {}

        def put(path: str, item: Item, row: Row) -> None:
            items[path], rows[path] = item, row

        for one in archive.placed:
            if one.room == "site":
                if one.path in {f"{archive.info}/{name}" for name in _BY_INSTALLER}:
                    continue
                target, recorded = f"{place.site_packages}/{one.path}", one.path
                if wheel.built and one.path == f"{archive.info}/{WHEEL}":
                    named = anonymous(archive.read(one))
                    put(recorded, Entry(target, Written(named)), row_of(recorded, named))
                    continue
            elif one.room == "scripts":
                target, recorded = f"bin/{one.path}", f"{up}/bin/{one.path}"
                content = (
                    script_with_interpreter(kit, archive.read(one)) if one.entry.size < 1 << 20 else None
                )
                if content is not None:
                    put(recorded, Entry(target, Written(content), executable=True), row_of(recorded, content))
                    continue
            elif one.room == "headers":
                target = f"{place.include}/{archive.name}/{one.path}"
                recorded = f"{up}/{target}"
            else:
                target, recorded = one.path, f"{up}/{one.path}"
            runnable = one.entry.executable or one.room == "scripts"
            text = "" if one.recorded is None else one.recorded.text
            row = Row(recorded, text, str(one.entry.size) if text else "")
            put(recorded, Entry(target, _packed(wheel, one), runnable), row)
        for point in archive.entry_points:
            if point.group in ("console_scripts", "gui_scripts"):
                gui = point.group == "gui_scripts"
                for name, content in launcher(kit, archive.name, point.name, point.value, gui=gui):
                    recorded = f"{up}/bin/{name}"
                    put(
                        recorded,
                        Entry(f"bin/{name}", Written(content), executable=True),
                        row_of(recorded, content),
                    )
        for name, content in info_files(wheel.requested, wheel.direct_url):
            recorded = f"{archive.info}/{name}"
            put(
                recorded,
                Entry(f"{place.site_packages}/{recorded}", Written(content)),
                row_of(recorded, content),
            )
        own = f"{archive.info}/RECORD"
        listed = [rows[path] for path in (sorted(rows) if wheel.built else rows)]
        text = write_rows([*listed, Row(own)])
        items[own] = Entry(f"{place.site_packages}/{own}", Written(text.encode("utf-8", "surrogateescape")))
        libraries = tuple(_libraries(archive, items))
        return Distribution(
            archive.name,
            wheel.version or archive.version,
            wheel.filename,
            wheel.sha256,
            archive.tags,
            tuple(items.values()),
            libraries,
            archive.metadata().encode(),
            tuple(_bills(archive)),
        )


def anonymous(content: bytes) -> bytes:
    """A WHEEL file without the version of the backend that wrote it: of the same sources each release writes
    the same wheel but for its own name, and the lock does not say which it is."""
    return _GENERATOR.sub(rb"\1", content, count=1)


def _bills(archive: WheelArchive) -> Iterator[tuple[str, bytes]]:
    start = f"{archive.info}/"
    inside = [one for one in archive.placed if one.entry.path.startswith(f"{start}sboms/")]
    for one in sorted(inside, key=lambda one: one.entry.path):
        yield one.entry.path[len(start) :], archive.read(one)


def _packed(wheel: WheelFile, one: Placed) -> Packed:
    entry, recorded = one.entry, one.recorded
    return Packed(
        wheel.path, wheel.filename, entry.path, entry.start, entry.packed, entry.size, entry.crc,
        entry.deflated,
        "" if recorded is None else recorded.algorithm,
        b"" if recorded is None else recorded.digest,
        wheel.built,
    )  # fmt: skip


def _libraries(archive: WheelArchive, items: Mapping[str, Item]) -> Iterator[tuple[str, ElfImage]]:
    """Those of *items* that the loader would read."""
    for item in items.values():
        if isinstance(item, Entry) and isinstance(item.content, Packed) and item.content.size >= 64:
            name = item.path.rpartition("/")[2]
            if ".so" in name or item.executable:
                image = _image(item.content)
                if image is not None:
                    yield item.path, image


def _image(packed: Packed) -> ElfImage | None:
    chunks = unpacked(packed)
    first = next(chunks, b"")
    if not is_elf(first):
        return None
    try:
        if packed.size <= _IN_MEMORY:
            return read_image(first + b"".join(chunks))
        with tempfile.TemporaryFile() as file:
            file.write(first)
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
                return read_image(view)
    except NotElf:
        return None
