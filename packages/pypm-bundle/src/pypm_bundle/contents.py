"""What goes into a bundle, file by file, before anything is written: where to, and where from."""

from __future__ import annotations

from pathlib import Path

from pypm_model.records import record


@record
class Written:
    """Content that is there already."""

    content: bytes


@record
class OnDisk:
    """A file of this machine, as it is."""

    path: Path


@record
class Packed:
    """A file of a wheel, as it lies in it."""

    wheel: Path
    filename: str
    """The wheel's name, for messages."""
    name: str
    """The file's in the wheel."""
    start: int
    """Where its data begins."""
    packed: int
    """Bytes in the wheel."""
    size: int
    """Bytes unpacked."""
    crc: int
    deflated: bool
    algorithm: str = ""
    """Of the digest that the wheel's RECORD has; empty: none."""
    digest: bytes = b""
    anew: bool = False
    """It is packed once more: how it is packed in the wheel hangs on what built it here."""


Content = Written | OnDisk | Packed


@record
class Entry:
    """One file of a bundle."""

    path: str
    """From the bundle's root, with ``/``."""
    content: Content
    executable: bool = False


@record
class Link:
    """A symbolic link of a bundle, to something beside it or below."""

    path: str
    target: str


Item = Entry | Link


def in_order(items: list[Item]) -> list[Item]:
    """*items* by path: the same order on every machine."""
    return sorted(items, key=lambda item: item.path.encode("utf-8", "surrogateescape"))
