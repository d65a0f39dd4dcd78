"""An image written as an OCI image layout: a folder, or an archive that ``docker load`` takes, too.

A folder that is new comes into being in one step. In one that holds a layout already, blobs come first, then
the index is exchanged, and what nothing refers to any more goes last: it is whole at any moment.

Source: OCI image specification 1.1, "Image Layout", "Image Configuration"; Docker's ``manifest.json``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pypm_bundle.bundle_errors import BundleUnwritable
from pypm_bundle.oci.base_image import INDEX, MANIFEST, BaseImage, Platform
from pypm_bundle.oci.image_errors import ImageFormat, NotAnImageFolder
from pypm_bundle.oci.layers import Blob, Layer, Stacked, write_layer
from pypm_bundle.writing import Packing, new_file
from pypm_model.events import Listener, ignore
from pypm_model.records import record
from pypm_store.atomic import beside_name, write_atomically

CONFIG = "application/vnd.oci.image.config.v1+json"
MARK = "oci-layout"
_MARK_TEXT = b'{"imageLayoutVersion":"1.0.0"}'
_PACKED = (".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2", ".zip")
_PIECE = 1 << 20


@record
class Image:
    """What an image is."""

    platform: Platform
    layers: tuple[Layer, ...]
    """The lowest first."""
    config: Mapping[str, Any]
    """``Env``, ``Entrypoint``, ``Labels``...; of a base's what is not said here stays (None: it goes), and
    variables and labels are put together."""
    tag: str
    """``name:tag``."""
    author: str = "pypm"


@record
class ImageSummary:
    """What was written."""

    file: str
    manifest: Blob
    config: Blob
    layers: tuple[Stacked, ...]
    """The base's first."""

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return self.manifest.size + self.config.size + sum(layer.blob.size for layer in self.layers)


def is_archive(name: str) -> bool:
    """Whether an image called *name* is an archive, and no folder. Raises `ImageFormat`."""
    if name.lower().endswith(_PACKED):
        raise ImageFormat(name)
    return name.lower().endswith(".tar")


def write_image(
    target: Path,
    shown: str,
    image: Image,
    packing: Packing,
    base: BaseImage | None = None,
    listener: Listener = ignore,
) -> ImageSummary:
    """Makes *target* an image, upon *base*. What was there stays as it was if anything is raised:
    `ImageFormat`, `NotAnImageFolder`, `BundleUnwritable`, `ImageDamaged`, `UnsafeArchive`, OSError of what is
    read."""
    archive = is_archive(shown)
    if not archive:
        _check_folder(target, shown)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        made = Path(beside_name(target))
        blobs = made / "blobs" / "sha256"
        blobs.mkdir(parents=True)
    except OSError as error:
        raise BundleUnwritable(shown, (error.strerror or str(error)).lower()) from error
    try:
        summary = _fill(made, blobs, shown, image, packing, base, listener)
        try:
            if archive:
                _pack(made, target, image, summary)
            else:
                _put_in_place(made, target)
        except OSError as error:
            raise BundleUnwritable(shown, (error.strerror or str(error)).lower()) from error
        return summary
    except BundleUnwritable as error:
        # Which of its parts it was is of no use to anybody.
        raise BundleUnwritable(shown, error.reason) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _check_folder(target: Path, shown: str) -> None:
    """Raises `NotAnImageFolder` for something that is neither a layout nor an empty folder."""
    if target.is_dir():
        if not (target / MARK).is_file() and any(target.iterdir()):
            raise NotAnImageFolder(shown)
    elif target.exists() or target.is_symlink():
        raise NotAnImageFolder(shown)


def _fill(
    made: Path,
    blobs: Path,
    shown: str,
    image: Image,
    packing: Packing,
    base: BaseImage | None,
    listener: Listener,
) -> ImageSummary:
    below: tuple[Stacked, ...] = ()
    if base is not None:
        base.copy(blobs)
        below = tuple(layer for layer, _ in base.layers)
    own = tuple(write_layer(blobs, layer, packing, listener) for layer in image.layers)
    created = datetime.fromtimestamp(packing.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    layers = (*below, *own)
    config = _put(blobs, CONFIG, _configuration(image, base, layers, own, created))
    notes = {"org.opencontainers.image.created": created}
    manifest = _put(
        blobs,
        MANIFEST,
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.to_json(),
            "layers": [layer.blob.to_json() for layer in layers],
            "annotations": notes,
        },
    )
    names = {
        "org.opencontainers.image.ref.name": image.tag.rpartition(":")[2],
        "io.containerd.image.name": _full_name(image.tag),
    }
    entry = {**manifest.to_json(), "platform": image.platform.to_json(), "annotations": names}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    (made / "index.json").write_bytes(_json(index))
    (made / MARK).write_bytes(_MARK_TEXT)
    return ImageSummary(shown, manifest, config, layers)


def _configuration(
    image: Image, base: BaseImage | None, layers: Sequence[Stacked], own: Sequence[Stacked], created: str
) -> dict[str, Any]:
    found = dict(base.config) if base is not None else {}
    config = dict(found.get("config") or {})
    given = dict(image.config)
    config["Env"] = _environment(config.get("Env") or [], given.pop("Env", ()))
    config["Labels"] = {**(config.get("Labels") or {}), **given.pop("Labels", {})}
    config = {key: value for key, value in {**config, **given}.items() if value is not None}
    history = [
        {"created": created, "created_by": f"{image.author}: {layer.about}", "author": image.author}
        for layer in own
    ]
    before = found.get("history") or [{"created": created} for _ in range(len(layers) - len(own))]
    for key in ("container", "container_config", "docker_version", "id", "parent", "throwaway"):
        found.pop(key, None)
    return {
        **found,
        **image.platform.to_json(),
        "author": image.author,
        "created": created,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [*before, *history],
    }


def _environment(before: Sequence[str], given: Sequence[str]) -> list[str]:
    """``NAME=value`` of both; the later of a name counts, at the place of the first."""
    found: dict[str, str] = {}
    for text in (*before, *given):
        found[text.partition("=")[0]] = text
    return list(found.values())


def _full_name(tag: str) -> str:
    """*tag* as registries' clients complete it."""
    first, slash, _ = tag.partition("/")
    if not slash:
        return f"docker.io/library/{tag}"
    return tag if "." in first or ":" in first or first == "localhost" else f"docker.io/{tag}"


def _json(data: Any) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _put(blobs: Path, media_type: str, data: Any) -> Blob:
    text = _json(data)
    digest = hashlib.sha256(text).hexdigest()
    (blobs / digest).write_bytes(text)
    return Blob(media_type, f"sha256:{digest}", len(text))


def _put_in_place(made: Path, target: Path) -> None:
    if not target.is_dir() or not any(target.iterdir()):
        os.rename(made, target)  # an empty folder gives way
        return
    blobs = target / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for path in sorted((made / "blobs" / "sha256").iterdir()):
        os.replace(path, blobs / path.name)
    write_atomically(target / MARK, _MARK_TEXT)
    index = (made / "index.json").read_bytes()
    write_atomically(target / "index.json", index)
    manifest = json.loads(index)["manifests"][0]["digest"].partition(":")[2]
    parts = json.loads((blobs / manifest).read_bytes())
    kept = {one["digest"].partition(":")[2] for one in (parts["config"], *parts["layers"])} | {manifest}
    for path in blobs.iterdir():
        if path.name not in kept:
            with suppress(OSError):  # it does no harm
                path.unlink()


def _pack(made: Path, target: Path, image: Image, summary: ImageSummary) -> None:
    """The layout *made* as an archive, with what Docker reads: ``manifest.json``."""
    docker = [
        {
            "Config": summary.config.place,
            "RepoTags": [image.tag],
            "Layers": [layer.blob.place for layer in summary.layers],
        }
    ]
    (made / "manifest.json").write_bytes(_json(docker))
    with new_file(target) as out:
        for path in sorted(made.rglob("*"), key=lambda one: one.relative_to(made).as_posix()):
            info = tarfile.TarInfo(path.relative_to(made).as_posix() + "/" * path.is_dir())
            info.type = tarfile.DIRTYPE if path.is_dir() else tarfile.REGTYPE
            info.mode, info.mtime = 0o755 if path.is_dir() else 0o644, 0
            info.size = 0 if path.is_dir() else path.stat().st_size
            out.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8"))
            if info.size:
                with path.open("rb") as file:
                    while piece := file.read(_PIECE):
                        out.write(piece)
                out.write(b"\0" * (-info.size % 512))
        out.write(b"\0" * 1024)
