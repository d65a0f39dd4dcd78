"""Images: layers and layouts, judged by a reader of another hand; bases of every kind; what is refused."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kit.oci import Read, read_layout
from kit.wheels import make_wheel, sha256
from pypm_bundle.archives import EPOCH
from pypm_bundle.bundle_errors import BundleUnwritable
from pypm_bundle.contents import Entry, Link, OnDisk, Written, in_order
from pypm_bundle.distributions import Place, WheelFile, read_distribution
from pypm_bundle.elf_image import NotElf, loader_of
from pypm_bundle.oci.base_image import Platform, base_image
from pypm_bundle.oci.image_errors import (
    ImageDamaged,
    ImageFormat,
    NoImageFor,
    NotAnImage,
    NotAnImageFolder,
    WhiteoutName,
)
from pypm_bundle.oci.layers import Layer
from pypm_bundle.oci.layout import Image, ImageSummary, is_archive, write_image
from pypm_bundle.writing import Packing

HERE = Platform("linux", "amd64")
PACKING = Packing("tar.gz", 6, time=EPOCH)


@dataclass
class Yard:
    folder: Path

    def layers(self, text: bytes = b"x") -> tuple[Layer, ...]:
        disk = self.folder / "disk"
        disk.write_bytes(b"of the disk " * 100)
        lower = Layer(
            "lower", (Entry("bin/tool", OnDisk(disk), executable=True), Link("bin/t", "tool")), "app"
        )
        upper = Layer(
            "upper", (Entry("lib/a/" + "ü" * 120, Written(text)), Entry("lib/b", Written(b""))), "app"
        )
        return (Layer("system", (Entry("etc/x", Written(b"y")),), shared=("tmp",)), lower, upper)

    def write(self, name: str, text: bytes = b"x", *, base: str = "", **more: Any) -> ImageSummary:
        config = {
            "Env": ["PATH=/app/bin"],
            "Entrypoint": ["/app/bin/tool"],
            "Labels": {"a": "1"},
            "Cmd": None,
        }
        image = Image(
            more.pop("platform", HERE), more.pop("layers", self.layers(text)), config | more, "acme/x:1"
        )
        if not base:
            return write_image(self.folder / name, name, image, PACKING)
        with base_image(self.folder / base, base, image.platform) as below:
            return write_image(self.folder / name, name, image, PACKING, below)

    def read(self, name: str) -> Read:
        return read_layout(self.folder / name)


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def test_a_folder_and_an_archive_are_the_same_image(yard: Yard, tmp_path: Path) -> None:
    first, second = yard.write("deep/er/image"), yard.write("image.tar")
    assert first.manifest == second.manifest and first.size == second.size > 0
    folder, archive = yard.read("deep/er/image"), yard.read("image.tar")
    assert folder == archive
    assert folder.index["manifests"][0]["annotations"] == {
        "org.opencontainers.image.ref.name": "1",
        "io.containerd.image.name": "docker.io/acme/x:1",
    }
    assert [one["created_by"] for one in folder.config["history"]] == [
        "pypm: system", "pypm: lower", "pypm: upper",
    ]  # fmt: skip
    assert folder.names[1] == ["app", "app/bin", "app/bin/tool", "app/bin/t"]
    root = tmp_path / "root"
    root.mkdir()
    folder.unpack(root)
    assert (root / "app/bin/t").read_bytes() == b"of the disk " * 100
    assert oct((root / "tmp").stat().st_mode & 0o7777) == "0o1777"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "disk", "image.tar", "root"]


def test_owners_times_and_modes_are_nobodys(yard: Yard) -> None:
    before = os.umask(0o077)
    try:
        one = yard.write("one.tar")
    finally:
        os.umask(before)
    os.utime(yard.folder / "disk", (1, 1))
    os.chmod(yard.folder / "disk", 0o600)
    yard.write("two.tar")
    assert (yard.folder / "one.tar").read_bytes() == (yard.folder / "two.tar").read_bytes()
    for layer in yard.read("one.tar").layers:
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            for info in tar:
                assert (info.uid, info.gid, info.uname, info.gname, info.mtime) == (0, 0, "", "", EPOCH)
    assert one.layers[0].blob.media_type.endswith("+gzip")


def test_only_what_changed_has_another_digest(yard: Yard) -> None:
    yard.write("one")
    yard.write("two", b"changed")
    one, two = yard.read("one").digests, yard.read("two").digests
    assert one[:2] == two[:2] and one[2] != two[2]


def test_a_layout_that_is_there_is_replaced_and_swept(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.write("image")
    kept = set(yard.read("image").digests)
    yard.write("image", b"new")
    assert len(kept & set(yard.read("image").digests)) == 2  # read_layout finds no blob too many
    # A run that ends before the index is exchanged leaves what was.
    before = (yard.folder / "image/index.json").read_bytes()

    def no_room(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pypm_bundle.oci.layout.write_atomically", no_room)
    with pytest.raises(BundleUnwritable, match="no space left on device"):
        yard.write("image", b"newer")
    assert (yard.folder / "image/index.json").read_bytes() == before
    assert sorted(path.name for path in yard.folder.iterdir()) == ["disk", "image"]


def test_what_fails_leaves_nothing(yard: Yard) -> None:
    gone = (Layer("gone", (Entry("x", Written(b"x")), Entry("y", OnDisk(yard.folder / "nowhere"))), "app"),)
    (yard.folder / "old.tar").write_bytes(b"old")
    for name in ("image", "old.tar"):
        with pytest.raises(FileNotFoundError):
            yard.write(name, layers=gone)
    assert (yard.folder / "old.tar").read_bytes() == b"old"
    assert sorted(path.name for path in yard.folder.iterdir()) == ["disk", "old.tar"]


def test_a_place_that_is_something_else(yard: Yard) -> None:
    (yard.folder / "full").mkdir()
    (yard.folder / "full/mine").write_text("mine")
    (yard.folder / "file").write_text("mine")
    (yard.folder / "empty").mkdir()
    for name in ("full", "file"):
        with pytest.raises(NotAnImageFolder, match=f"{name} is there already"):
            yard.write(name)
    assert (yard.folder / "full/mine").read_text() == "mine"
    yard.write("empty")
    yard.read("empty")
    for name in ("x.tar.gz", "x.ZIP", "x.tgz"):
        with pytest.raises(ImageFormat):
            yard.write(name)
    assert is_archive("a.TAR") and not is_archive("a.tar.d")


def test_what_a_wheel_has_packed_is_taken_over(yard: Yard) -> None:
    text = "value = 1\n" * 5000
    wheel = make_wheel(yard.folder, "acme", "1.0", files={"acme/__init__.py": text, "acme/empty.py": ""})
    place = Place("python3.11", "lib/python3.11/site-packages", "include")
    found = read_distribution(WheelFile(wheel, wheel.name, sha256(wheel), "1.0"), place)
    yard.write("image", layers=(Layer("packages", tuple(in_order(list(found.items))), "app"),))
    layer = yard.read("image")
    with zipfile.ZipFile(wheel) as archive:
        packed = archive.getinfo("acme/__init__.py").compress_size
    with tarfile.open(fileobj=io.BytesIO(layer.layers[0])) as tar:
        file = tar.extractfile("app/lib/python3.11/site-packages/acme/__init__.py")
        assert file is not None and file.read() == text.encode()
    assert packed < layer.manifest["layers"][0]["size"] < packed + 4000


def test_a_name_that_would_remove_another(yard: Yard) -> None:
    for path in (".wh.x", "lib/.wh..wh..opq"):
        with pytest.raises(WhiteoutName, match="cannot be in an image"):
            yard.write("image", layers=(Layer("x", (Entry(path, Written(b"")),), "app"),))
    assert not (yard.folder / "image").exists()


# --- bases ---------------------------------------------------------------------------------------


def docker_saved(yard: Yard, name: str, **config: Any) -> None:
    """What `docker save` wrote before it wrote layouts: plain layers and one list."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        info = tarfile.TarInfo("base")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"base"))
    diff_id = f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"
    table = {
        "os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "config": {
            "Env": ["PATH=/bin", "LANG=C"], "Cmd": ["sh"], "User": "7", "Labels": {"a": "0", "b": "2"},
        },
        "container": "x",
    }  # fmt: skip
    files = {
        "manifest.json": [{"Config": "c.json", "RepoTags": ["debian:12"], "Layers": ["l/layer.tar"]}],
        "c.json": table | config,
    }
    with tarfile.open(yard.folder / name, "w") as tar:
        for path, data in files.items():
            text = json.dumps(data).encode()
            info = tarfile.TarInfo(path)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
        info = tarfile.TarInfo("l/layer.tar")
        info.size = len(layer.getvalue())
        tar.addfile(info, io.BytesIO(layer.getvalue()))


def test_upon_what_docker_saved(yard: Yard) -> None:
    docker_saved(yard, "base.tar")
    yard.write("image", base="base.tar")
    found = yard.read("image")
    assert found.names[0] == ["base"] and len(found.layers) == 4
    assert found.config["config"] == {
        "Env": ["PATH=/app/bin", "LANG=C"], "User": "7", "Labels": {"a": "1", "b": "2"},
        "Entrypoint": ["/app/bin/tool"],
    }  # fmt: skip
    assert "container" not in found.config


@pytest.mark.parametrize("form", ["base", "base.tar"])
def test_upon_a_layout_of_our_own(yard: Yard, form: str) -> None:
    yard.write(form, layers=(Layer("first", (Entry("etc/first", Written(b"1")),)),))
    with base_image(yard.folder / form, form, HERE) as below:
        assert (below.name, below.digest[:7], len(below.layers)) == ("docker.io/acme/x:1", "sha256:", 1)
    yard.write("image", base=form)
    found = yard.read("image")
    assert found.digests[:1] == yard.read(form).digests
    assert [one["created_by"] for one in found.config["history"]][:2] == ["pypm: first", "pypm: system"]


def test_the_image_for_the_platform_is_taken(yard: Yard) -> None:
    arm = Platform("linux", "arm64", "v8")
    yard.write("one")
    yard.write("two", platform=arm)
    both = yard.folder / "both"
    shutil.copytree(yard.folder / "one", both)
    shutil.copytree(yard.folder / "two", both, dirs_exist_ok=True)
    entries = [yard.read(name).index["manifests"][0] for name in ("one", "two")]
    inner = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    digest = hashlib.sha256(inner).hexdigest()
    (both / "blobs/sha256" / digest).write_bytes(inner)
    outer = {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": f"sha256:{digest}"}
    index = {"schemaVersion": 2, "manifests": [outer | {"size": len(inner)}]}
    (both / "index.json").write_text(json.dumps(index))
    yard.write("image", base="both", platform=arm)
    assert yard.read("image").config["variant"] == "v8"
    with pytest.raises(NoImageFor, match=r"no image for linux/s390x: linux/amd64 .*, linux/arm64/v8"):
        yard.write("other", base="both", platform=Platform("linux", "s390x"))
    assert not (yard.folder / "other").exists()


def _blob(folder: Path, name: str) -> Path:
    manifest = json.loads((folder / "index.json").read_text())["manifests"][0]["digest"]
    if name == "manifest":
        return folder / "blobs/sha256" / manifest.partition(":")[2]
    data = json.loads((folder / "blobs/sha256" / manifest.partition(":")[2]).read_text())
    found = data["config"] if name == "config" else data["layers"][0]
    return Path(folder / "blobs/sha256" / found["digest"].partition(":")[2])


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda f: shutil.rmtree(f), NotAnImage, "it is not there"),
        (lambda f: (f / "index.json").unlink(), NotAnImage, "it has no index.json"),
        (lambda f: (f / "index.json").write_text("{"), NotAnImage, "is no JSON"),
        (lambda f: (f / "index.json").write_text("[]"), NotAnImage, "its manifests are not"),
        (lambda f: (f / "index.json").write_text('{"manifests": []}'), NoImageFor, "it is empty"),
        (lambda f: _blob(f, "manifest").unlink(), NotAnImage, "it has no blobs/sha256/"),
        (lambda f: _blob(f, "config").write_text("{}"), ImageDamaged, "has another content"),
        (lambda f: _blob(f, "layer").write_bytes(b"short"), ImageDamaged, "has another content"),
        (
            lambda f: (f / "index.json").write_text(
                (f / "index.json").read_text().replace("sha256:", "sha256:../../")
            ),
            NotAnImage,
            "is no sha256 digest",
        ),
    ],
)
def test_a_base_that_is_damaged(
    yard: Yard, change: Callable[[Path], object], error: type[Exception], said: str
) -> None:
    yard.write("base")
    change(yard.folder / "base")
    with pytest.raises(error, match=said):
        yard.write("image", base="base")
    assert not (yard.folder / "image").exists() and not list(yard.folder.glob(".image*"))


def test_a_base_that_leads_outside_or_is_no_archive(yard: Yard) -> None:
    folder = yard.folder / "base"
    folder.mkdir()
    (yard.folder / "secret").write_text("{}")
    (folder / "manifest.json").write_text('[{"Config": "../secret", "Layers": []}]')
    with pytest.raises(NotAnImage):
        yard.write("image", base="base")
    (yard.folder / "text").write_text("no archive")
    with pytest.raises(NotAnImage, match="neither a folder nor a tar archive"):
        yard.write("image", base="text")
    docker_saved(yard, "cut.tar")
    whole = (yard.folder / "cut.tar").read_bytes()
    (yard.folder / "cut.tar").write_bytes(whole[:700])
    with pytest.raises(NotAnImage):
        yard.write("image", base="cut.tar")
    docker_saved(yard, "empty.tar", rootfs=None)
    with pytest.raises(NotAnImage, match=r"no rootfs.diff_ids"):
        yard.write("image", base="empty.tar")


def test_the_loader_of_a_program() -> None:
    with pytest.raises(NotElf):
        loader_of(b"#!/bin/sh\n")
