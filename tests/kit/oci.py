"""Image layouts judged by the words of the OCI image specification, by code that is none of pypm's."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass
class Read:
    """An image as its layout says it is."""

    config: dict[str, Any]
    manifest: dict[str, Any]
    index: dict[str, Any]
    layers: list[bytes]
    """Unpacked, the lowest first."""

    @property
    def digests(self) -> list[str]:
        return [layer["digest"] for layer in self.manifest["layers"]]

    @property
    def names(self) -> list[list[str]]:
        """Paths in each layer."""
        found = []
        for layer in self.layers:
            with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
                found.append(tar.getnames())
        return found

    def unpack(self, root: Path) -> None:
        """One layer over the other, as a container's root is made."""
        for layer in self.layers:
            with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
                for info in tar:
                    target = root / info.name
                    assert not info.name.startswith("/") and ".." not in Path(info.name).parts
                    if info.isdir():
                        target.mkdir(exist_ok=True)  # its parent is there: each layer has all folders
                        target.chmod(info.mode)
                        continue
                    target.unlink(missing_ok=True)
                    if info.issym():
                        target.symlink_to(info.linkname)
                    else:
                        file = tar.extractfile(info)
                        assert file is not None
                        target.write_bytes(file.read())
                        target.chmod(info.mode)


def read_layout(place: Path) -> Read:
    """The one image in the layout *place* (a folder or a tar archive), if all of it is as it should be."""
    files = _files(place)
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads(files["index.json"])
    assert index["schemaVersion"] == 2
    (entry,) = index["manifests"]
    manifest = json.loads(_blob(files, entry, "application/vnd.oci.image.manifest.v1+json"))
    assert manifest["schemaVersion"] == 2 and manifest["mediaType"] == entry["mediaType"]
    config = json.loads(_blob(files, manifest["config"], "application/vnd.oci.image.config.v1+json"))
    assert (config["os"], config["architecture"]) == (
        entry["platform"]["os"],
        entry["platform"]["architecture"],
    )
    assert config["rootfs"]["type"] == "layers"
    layers = []
    for descriptor, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        assert descriptor["mediaType"] in (LAYER, f"{LAYER}+gzip")
        data = _blob(files, descriptor, descriptor["mediaType"])
        data = gzip.decompress(data) if descriptor["mediaType"].endswith("gzip") else data
        assert f"sha256:{hashlib.sha256(data).hexdigest()}" == diff_id
        layers.append(data)
    full = [one for one in config["history"] if not one.get("empty_layer")]
    assert len(full) == len(layers)
    for name in ("Env", "Entrypoint", "Cmd"):
        assert all(isinstance(word, str) for word in config["config"].get(name, []))
    known = {entry["digest"], manifest["config"]["digest"], *(one["digest"] for one in manifest["layers"])}
    blobs = {f"sha256:{path.rpartition('/')[2]}" for path in files if path.startswith("blobs/")}
    assert blobs == known
    others = {path for path in files if not path.startswith("blobs/")}
    assert others == {"oci-layout", "index.json"} | ({"manifest.json"} if place.is_file() else set())
    if place.is_file():
        (docker,) = json.loads(files["manifest.json"])
        assert [f"sha256:{path.rpartition('/')[2]}" for path in docker["Layers"]] == [
            one["digest"] for one in manifest["layers"]
        ]
        assert docker["Config"].rpartition("/")[2] == manifest["config"]["digest"].partition(":")[2]
        assert docker["RepoTags"]
    return Read(config, manifest, index, layers)


def _blob(files: dict[str, bytes], descriptor: dict[str, Any], media_type: str) -> bytes:
    assert descriptor["mediaType"] == media_type
    data = files[f"blobs/{descriptor['digest'].replace(':', '/')}"]
    assert len(data) == descriptor["size"]
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == descriptor["digest"]
    return data


def _files(place: Path) -> dict[str, bytes]:
    if place.is_dir():
        return {
            path.relative_to(place).as_posix(): path.read_bytes()
            for path in place.rglob("*")
            if path.is_file()
        }
    found = {}
    with tarfile.open(place) as tar:
        for info in tar:
            assert (info.uid, info.gid, info.mtime) == (0, 0, 0)
            if info.isfile():
                file = tar.extractfile(info)
                assert file is not None
                found[info.name] = file.read()
    return found
