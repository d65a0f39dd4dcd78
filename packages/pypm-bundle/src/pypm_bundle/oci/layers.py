"""Layers of an image: files below one folder as a ``.tar.gz``, with the digests that an image calls it by.

What wheels have packed is taken over (`pypm_bundle.archives`), so a layer is a series of gzip members. Every
folder on the way to a file has an entry, with the same owner, mode and time in all layers.

Source: OCI image specification 1.1, "Image Layer Filesystem Changeset".
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, cast

from pypm_bundle.archives import TarGzArchive
from pypm_bundle.contents import Item, Link
from pypm_bundle.oci.image_errors import WhiteoutName
from pypm_bundle.writing import Packing, new_file, passing_of
from pypm_model.events import Advanced, Finished, Listener, Started, ignore
from pypm_model.records import record

MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
_PIECE = 1 << 20


@record
class Layer:
    """What a layer is to hold."""

    about: str
    """For the image's history."""
    items: tuple[Item, ...]
    """In order."""
    folder: str = ""
    """Where all of it is put, from the root, without a slash at either end; empty: the root."""
    shared: tuple[str, ...] = ()
    """Folders that everybody may write (``tmp``)."""


@record
class Blob:
    """A part of an image, as others refer to it."""

    media_type: str
    digest: str
    """``sha256:...``"""
    size: int

    @property
    def hexadecimal(self) -> str:
        return self.digest.partition(":")[2]

    @property
    def place(self) -> str:
        """Where it lies in a layout."""
        return f"blobs/{self.digest.replace(':', '/')}"

    def to_json(self) -> dict[str, object]:
        """Its descriptor."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@record
class Stacked:
    """A layer that is there."""

    blob: Blob
    diff_id: str
    """``sha256:...`` of the layer before it was packed."""
    about: str = ""


def write_layer(blobs: Path, layer: Layer, packing: Packing, listener: Listener = ignore) -> Stacked:
    """Writes *layer* into the folder *blobs*, named by its digest. Raises `BundleUnwritable`,
    `UnsafeArchive`, `WhiteoutName`, OSError of what is read."""
    for item in layer.items:
        if "/.wh." in f"/{item.path}":
            raise WhiteoutName(item.path)
    written = blobs / ".layer"
    listener(Started("pack", total=len(layer.items)))
    with new_file(written) as out, ThreadPoolExecutor(packing.workers, "pack") as pool:
        archive = TarGzArchive(cast("IO[bytes]", out), packing.level, packing.time)
        known: set[str] = set()
        for path in layer.shared:
            archive.folder(path, 0o1777)
            known.add(path)
        for item, passing in passing_of(layer.items, packing.level, packing.splice, pool):
            path = f"{layer.folder}/{item.path}" if layer.folder else item.path
            for folder in _folders(path):
                if folder not in known:
                    known.add(folder)
                    archive.folder(folder)
            if isinstance(item, Link):
                archive.link(path, item.target)
            else:
                assert passing is not None
                archive.file(path, item.executable, passing)
            listener(Advanced("pack"))
        archive.close()
    listener(Finished("pack"))
    with written.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    blob = Blob(MEDIA_TYPE, f"sha256:{digest}", written.stat().st_size)
    diff_id = f"sha256:{unpacked_digest(written)}"
    written.rename(blobs / digest)
    return Stacked(blob, diff_id, layer.about)


def unpacked_digest(path: Path) -> str:
    """The sha256 of what is packed in the gzip file *path*: measured by unpacking what was written."""
    digest = hashlib.sha256()
    with gzip.open(path) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _folders(path: str) -> Iterator[str]:
    """Every folder above *path*, the outermost first."""
    at = path.find("/")
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)
