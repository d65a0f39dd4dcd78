"""An image that another is stacked upon, read from a layout or from an archive of `docker save`.

Nothing of it is unpacked: its layers are taken over as they are, each compared with its digest on the way.

Source: OCI image specification 1.1, "Image Layout", "Image Index", "Image Manifest"; Docker's
``manifest.json``.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from pypm_bundle.oci.image_errors import ImageDamaged, NoImageFor, NotAnImage
from pypm_bundle.oci.layers import Blob, Stacked
from pypm_model.records import record

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEXES = {INDEX, "application/vnd.docker.distribution.manifest.list.v2+json"}
_MANIFESTS = {MANIFEST, "application/vnd.docker.distribution.manifest.v2+json"}
_LAYERS = {
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.oci.image.layer.v1.tar",
    **{
        name: name
        for name in (
            "application/vnd.oci.image.layer.v1.tar",
            "application/vnd.oci.image.layer.v1.tar+gzip",
            "application/vnd.oci.image.layer.v1.tar+zstd",
        )
    },
}
"""Media types of layers → OCI's name for the same."""
_TEXT = 8 << 20
"""Bytes of JSON that are read at most."""
_PIECE = 1 << 20
_DEPTH = 4
"""Indexes that lie in each other."""


@record
class Platform:
    """What an image runs on, in Go's words: ``linux``, ``arm64``, ``v8``."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    def to_json(self) -> dict[str, str]:
        """As a descriptor and a configuration have it."""
        found = {"os": self.os, "architecture": self.architecture}
        return found | ({"variant": self.variant} if self.variant else {})


class Files(Protocol):
    """Where the files of an image lie."""

    def open(self, path: str) -> IO[bytes]:
        """The file; KeyError or OSError if it is not there."""


@record
class BaseImage:
    """An image that is there."""

    shown: str
    digest: str
    """Of its manifest; empty: it has none."""
    name: str
    """By which it is known; may be empty."""
    config: Mapping[str, Any]
    layers: tuple[tuple[Stacked, str], ...]
    """Each with its place."""
    files: Files

    def copy(self, blobs: Path) -> None:
        """Puts the layers into the folder *blobs*. Raises `ImageDamaged`, OSError."""
        for layer, place in self.layers:
            target = blobs / layer.blob.hexadecimal
            digest, size = hashlib.sha256(), 0
            with self.files.open(place) as source, target.open("wb") as file:
                while piece := source.read(_PIECE):
                    digest.update(piece)
                    size += len(piece)
                    file.write(piece)
            if (digest.hexdigest(), size) != (layer.blob.hexadecimal, layer.blob.size):
                raise ImageDamaged(self.shown, layer.blob.digest)


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, path: str) -> IO[bytes]:
        if os.path.isabs(path) or os.pardir in Path(path).parts:
            raise KeyError(path)
        return (self._folder / path).open("rb")


class _Tar:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._names = {os.path.normpath(info.name): info for info in archive}

    def open(self, path: str) -> IO[bytes]:
        file = self._archive.extractfile(self._names[os.path.normpath(path)])
        if file is None:
            raise KeyError(path)
        return file


@contextmanager
def base_image(path: Path, shown: str, platform: Platform) -> Iterator[BaseImage]:
    """The image for *platform* in the layout or archive *path*. Raises `NotAnImage`, `NoImageFor`,
    `ImageDamaged`."""
    if path.is_dir():
        yield _read(_Folder(path), shown, platform)
        return
    try:
        archive = tarfile.open(path)  # noqa: SIM115 - closed below
    except FileNotFoundError:
        raise NotAnImage(shown, "it is not there") from None
    except (OSError, tarfile.TarError, EOFError) as error:
        raise NotAnImage(shown, "it is neither a folder nor a tar archive") from error
    with archive:
        try:
            files = _Tar(archive)
        except (OSError, tarfile.TarError, EOFError) as error:
            raise NotAnImage(shown, f"it cannot be read ({error})") from error
        yield _read(files, shown, platform)


def _read(files: Files, shown: str, platform: Platform) -> BaseImage:
    reader = _Reader(files, shown, platform)
    try:
        index = reader.text("index.json")
    except (KeyError, OSError):
        try:
            return reader.of_docker(reader.text("manifest.json"))
        except (KeyError, OSError) as error:
            raise NotAnImage(shown, "it has no index.json") from error
    return reader.of_index(index)


class _Reader:
    """Follows digests from an index to an image. What cannot be followed is `NotAnImage`."""

    def __init__(self, files: Files, shown: str, platform: Platform) -> None:
        self._files, self._shown, self._platform = files, shown, platform

    def text(self, path: str) -> Any:
        """The JSON in *path*."""
        return self._parsed(self._bytes(path), path)

    def of_index(self, index: Any) -> BaseImage:
        found = list(self._images(index, 0))
        wanted = [one for one in found if self._fits(one[1])]
        if len({digest for digest, _, _ in wanted}) != 1:
            told = [" ".join(filter(None, (_platform(config), name))) for _, config, name in found]
            raise NoImageFor(self._shown, str(self._platform), tuple(sorted(told)))
        digest, config, name = wanted[0]
        manifest = self._parsed(self._blob(digest), digest)
        diff_ids = self._diff_ids(config)
        layers = []
        for descriptor, diff_id in zip(self._list(manifest, "layers", len(diff_ids)), diff_ids, strict=True):
            media_type = str(descriptor.get("mediaType"))
            if media_type not in _LAYERS or descriptor.get("urls"):
                raise NotAnImage(self._shown, f"a layer of it is {media_type}, which may not be copied")
            blob = Blob(_LAYERS[media_type], self._digest(descriptor), int(descriptor["size"]))
            layers.append((Stacked(blob, diff_id), blob.place))
        return BaseImage(self._shown, digest, name, config, tuple(layers), self._files)

    def of_docker(self, manifests: Any) -> BaseImage:
        """What `docker save` wrote before it wrote layouts."""
        try:
            found = [(self.text(one["Config"]), one) for one in manifests]
        except (KeyError, TypeError, OSError) as error:
            raise NotAnImage(self._shown, "its manifest.json cannot be read") from error
        wanted = [(config, one) for config, one in found if self._fits(config)]
        if len(wanted) != 1:
            told = sorted(_platform(config) for config, _ in found)
            raise NoImageFor(self._shown, str(self._platform), tuple(told))
        config, one = wanted[0]
        diff_ids = self._diff_ids(config)
        layers = []
        for place, diff_id in zip(self._list(one, "Layers", len(diff_ids)), diff_ids, strict=True):
            layers.append((Stacked(self._measured(str(place)), diff_id), str(place)))
        names = one.get("RepoTags") or [""]
        return BaseImage(self._shown, "", str(names[0]), config, tuple(layers), self._files)

    def _measured(self, place: str) -> Blob:
        digest, size, first = hashlib.sha256(), 0, b""
        try:
            with self._files.open(place) as file:
                while piece := file.read(_PIECE):
                    first = first or piece[:2]
                    digest.update(piece)
                    size += len(piece)
        except (KeyError, OSError) as error:
            raise NotAnImage(self._shown, f"it has no {place}") from error
        packed = "+gzip" if first == b"\x1f\x8b" else ""
        return Blob(f"application/vnd.oci.image.layer.v1.tar{packed}", f"sha256:{digest.hexdigest()}", size)

    def _images(self, index: Any, depth: int) -> Iterator[tuple[str, Any, str]]:
        """(digest of its manifest, its configuration, its name) of every image."""
        for one in self._list(index, "manifests"):
            kind, digest = one.get("mediaType"), self._digest(one)
            notes = one.get("annotations") or {}
            name = notes.get("io.containerd.image.name") or notes.get("org.opencontainers.image.ref.name")
            if kind in _INDEXES and depth < _DEPTH:
                for inner, config, own in self._images(self._parsed(self._blob(digest), digest), depth + 1):
                    yield inner, config, own or str(name or "")
            elif kind in _MANIFESTS and (one.get("platform") or {}).get("os") != "unknown":
                manifest = self._parsed(self._blob(digest), digest)
                config = manifest.get("config") if isinstance(manifest, dict) else None
                yield digest, self._parsed(self._blob(self._digest(config)), digest), str(name or "")

    def _fits(self, config: Any) -> bool:
        if not isinstance(config, dict):
            raise NotAnImage(self._shown, "its configuration is no table")
        own, wanted = config.get("variant") or "", self._platform.variant
        pair = (config.get("os"), config.get("architecture"))
        return pair == (self._platform.os, self._platform.architecture) and (not own or own == wanted)

    def _diff_ids(self, config: Mapping[str, Any]) -> list[str]:
        try:
            found = [str(one) for one in config["rootfs"]["diff_ids"]]
        except (KeyError, TypeError) as error:
            raise NotAnImage(self._shown, "its configuration has no rootfs.diff_ids") from error
        return found

    def _list(self, table: Any, key: str, count: int | None = None) -> list[Any]:
        found = table.get(key) if isinstance(table, dict) else None
        if not isinstance(found, list) or (count is not None and len(found) != count):
            raise NotAnImage(self._shown, f"its {key} are not what they should be")
        return found

    def _digest(self, descriptor: Any) -> str:
        digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
        size = descriptor.get("size") if isinstance(descriptor, dict) else None
        start, _, text = str(digest).partition(":")
        if start != "sha256" or len(text) != 64 or set(text) - set("0123456789abcdef"):
            raise NotAnImage(self._shown, f"{digest!r} is no sha256 digest")
        if not isinstance(size, int):
            raise NotAnImage(self._shown, f"the size of {digest} is missing")
        return str(digest)

    def _blob(self, digest: str) -> bytes:
        place = Blob("", digest, 0).place
        try:
            data = self._bytes(place)
        except (KeyError, OSError) as error:
            raise NotAnImage(self._shown, f"it has no {place}") from error
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            raise ImageDamaged(self._shown, digest)
        return data

    def _bytes(self, path: str) -> bytes:
        with self._files.open(path) as file:
            data = file.read(_TEXT + 1)
        if len(data) > _TEXT:
            raise NotAnImage(self._shown, f"{path} is too large")
        return data

    def _parsed(self, data: bytes, what: str) -> Any:
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise NotAnImage(self._shown, f"{what} is no JSON") from error


def _platform(config: Any) -> str:
    parts = (config.get(key) for key in ("os", "architecture", "variant")) if isinstance(config, dict) else ()
    return "/".join(str(part) for part in parts if part)
