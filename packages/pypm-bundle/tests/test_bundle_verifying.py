"""Verification: one changed byte is named, in every format and unpacked."""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.laws import examples
from kit.tars import unpack
from pypm_bundle import writing
from pypm_bundle.bundle_errors import BundleDamaged, NotABundle
from pypm_bundle.contents import Entry, Item, Written
from pypm_bundle.manifest import Manifest, read_manifest
from pypm_bundle.verifying import verify
from pypm_model.records import replace

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from conftest import Bench

EXECUTABLE = b'{"format": 1, "files": {}, "links": {}, "executable": [1]}'
FORMS = {"tar.gz": "b.tar.gz", "tar.zst": "b.tar.zst", "zip": "b.zip"}


@pytest.mark.parametrize("form", FORMS)
def test_what_was_written_is_found(bench: Bench, form: str) -> None:
    summary = bench.write(form)
    found = verify(Path(summary.file))
    assert found.files == summary.files
    assert found.manifest.facts == {"name": "b"}
    assert found.manifest.links == {"bin/alias": "tool"}


def changed(path: Path, at: int, value: int) -> bool:
    """Changes one byte; whether it is another one now."""
    data = bytearray(path.read_bytes())
    before, data[at] = data[at], value
    path.write_bytes(data)
    return before != value


@pytest.mark.parametrize("form", FORMS)
@given(st.data())
@settings(
    max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_no_changed_byte_gets_past(bench: Bench, form: str, data: st.DataObject) -> None:
    source = bench.folder / FORMS[form]
    if not source.exists():
        bench.write(form)
    copy = bench.folder / f"copy-{source.name}"
    shutil.copyfile(source, copy)
    at = data.draw(st.integers(0, source.stat().st_size - 1))
    value = data.draw(st.integers(0, 255))
    if not changed(copy, at, value):
        verify(copy)
        return
    try:
        verify(copy)
    except (BundleDamaged, NotABundle):
        return
    # What does not matter to any reader: bits that fill a byte of a packed stream, times, versions.
    assert unpacked(copy) == unpacked(source)


def test_no_changed_byte_of_the_list_of_files_gets_past(bench: Bench) -> None:
    """Versions, methods, flags, names and offsets: each raises another error in `zipfile`."""
    bench.write("zip")
    source = bench.folder / FORMS["zip"]
    copy = bench.folder / "copy.zip"
    before = source.read_bytes()
    found = 0
    for at in range(before.index(b"PK\x01\x02"), len(before)):
        for value in (0x00, 0x40, 0xFF):
            if value == before[at]:
                continue
            copy.write_bytes(before[:at] + bytes([value]) + before[at + 1 :])
            try:
                verify(copy)
            except (BundleDamaged, NotABundle):
                found += 1
            else:
                assert unpacked(copy) == unpacked(source)
    assert found > 500


def unpacked(path: Path) -> dict[str, bytes]:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return {info.filename: archive.read(info) for info in archive.infolist()}
    if path.suffix == ".zst":
        return {}
    with tarfile.open(path) as tar:
        return {i.name: f.read() if (f := tar.extractfile(i)) else i.linkname.encode() for i in tar}


@pytest.mark.parametrize("form", FORMS)
def test_the_changed_file_is_named(bench: Bench, form: str) -> None:
    items: list[Item] = [Entry(name, Written(os.urandom(3000))) for name in ("a", "b", "c")]
    summary = bench.write(form, items=items)
    packed = Path(summary.file).read_bytes()
    assert isinstance(items[1], Entry) and isinstance(items[1].content, Written)
    at = packed.index(items[1].content.content[1000:1100])  # random bytes are stored as they are
    changed(Path(summary.file), at, packed[at] ^ 1)
    with pytest.raises(BundleDamaged) as raised:
        verify(Path(summary.file))
    named = [path for path, _ in raised.value.faults]
    assert named[0] == "b" and not {"a", "c"} & set(named)


def test_a_lost_header_loses_one_file_alone(bench: Bench) -> None:
    items: list[Item] = [Entry(name, Written(name.encode() * 700)) for name in "abcd"]
    summary = bench.write("tar.gz", items=items)
    path = Path(summary.file)
    data = path.read_bytes()
    heads = [n for n in range(len(data)) if data.startswith(b"\x1f\x8b\x08\0\0\0\0\0\0\xff", n)]
    changed(path, heads[2] + 12, data[heads[2] + 12] ^ 0xFF)  # that of b
    with pytest.raises(BundleDamaged) as raised:
        verify(path)
    assert "b" in [name for name, _ in raised.value.faults]
    assert not {"c", "d"} & {name for name, _ in raised.value.faults}


@pytest.mark.parametrize("form", FORMS)
def test_a_cut_archive(bench: Bench, form: str) -> None:
    path = Path(bench.write(form).file)
    data = path.read_bytes()
    for size in (0, 1, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises((BundleDamaged, NotABundle)):
            verify(path)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("before", [True, False])
def test_nothing_stands_before_or_behind_an_archive(bench: Bench, form: str, before: bool) -> None:
    path = Path(bench.write(form).file)
    data = path.read_bytes()
    path.write_bytes(b"more" + data if before else data + b"more")
    with pytest.raises((BundleDamaged, NotABundle)):
        verify(path)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ["b is no bundle: it is empty"]),
        (
            b"no archive at all, however one looks at it",
            ["b is no bundle: the beginning or what", "b is no bundle: the list of files cannot be read"],
        ),
    ],
)
def test_what_is_no_bundle_is_told_in_a_sentence(
    bench: Bench, form: str, content: bytes, said: list[str]
) -> None:
    path = bench.folder / FORMS[form]
    path.write_bytes(content)
    with pytest.raises(NotABundle) as raised:
        verify(path, "b")
    assert str(raised.value).startswith(tuple(said))


def test_a_folder(bench: Bench) -> None:
    with tarfile.open(bench.write("tar.gz").file) as tar:
        unpack(tar, bench.folder / "u")
    root = bench.folder / "u"
    assert verify(root).manifest.facts == {"name": "b"}
    cache = root / "lib/python3.11/site-packages/acme/__pycache__"
    cache.mkdir()
    (cache / "x.cpython-311.pyc").write_bytes(b"")
    verify(root)
    (root / "share/other").write_bytes(b"changed")
    (root / "share/exact").unlink()
    (root / "share/more").write_bytes(b"")
    (root / "bin/alias").unlink()
    (root / "bin/alias").symlink_to("/bin/sh")
    with pytest.raises(BundleDamaged) as raised:
        verify(root, "u")
    assert set(raised.value.faults) == {
        ("share/other", "has another content"),
        ("share/exact", "is missing"),
        ("share/more", "does not belong to the bundle"),
        ("bin/alias", "leads elsewhere"),
    }
    assert str(raised.value) == "u is damaged in 4 places"


@pytest.mark.parametrize("form", FORMS)
def test_what_can_be_executed_is_compared(bench: Bench, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = bench.items()
    wrong = [
        replace(item, executable=item.path != "bin/tool")
        if isinstance(item, Entry) and item.path in ("bin/tool", "share/empty", "share/other")
        else item
        for item in right
    ]
    path = Path(bench.write(form, items=right).file)
    assert verify(path).manifest.executable == {"bin/tool"}
    # The archive says one thing, and its manifest another.
    monkeypatch.setattr(
        writing,
        "Manifest",
        lambda facts, files, links, _: Manifest(facts, files, links, frozenset({"bin/tool"})),
    )
    path = Path(bench.write(form, items=wrong).file)
    with pytest.raises(BundleDamaged) as raised:
        verify(path)
    assert set(raised.value.faults) == {
        ("bin/tool", "is not executable"),
        ("share/empty", "is executable"),
        ("share/other", "is executable"),
    }
    # An older one says nothing.
    monkeypatch.setattr(writing, "Manifest", lambda facts, files, links, _: Manifest(facts, files, links))
    assert verify(Path(bench.write(form, items=wrong).file)).manifest.executable is None


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_what_can_be_executed_in_a_folder(bench: Bench) -> None:
    with tarfile.open(bench.write("tar.gz").file) as tar:
        unpack(tar, bench.folder / "u")
    root = bench.folder / "u"
    (root / "bin/tool").chmod(0o700)
    verify(root)
    (root / "bin/tool").chmod(0o644)
    (root / "share/exact").chmod(0o755)
    with pytest.raises(BundleDamaged) as raised:
        verify(root)
    assert set(raised.value.faults) == {("bin/tool", "is not executable"), ("share/exact", "is executable")}
    # A file system without modes, where all can be.
    (root / "pypm-bundle.json").chmod(0o755)
    verify(root)


@pytest.mark.parametrize("there", ["nothing", "a folder", "a link"])
def test_a_folder_without_a_manifest_is_not_looked_into(
    tmp_path: Path, there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_bytes(b"x")
    if there == "a folder":
        (tmp_path / "pypm-bundle.json").mkdir()
    elif there == "a link":
        (tmp_path / "pypm-bundle.json").symlink_to("x")
    monkeypatch.setattr(os, "walk", lambda _: pytest.fail("it looks into the folder"))
    with pytest.raises(NotABundle, match=r"it has no pypm-bundle\.json"):
        verify(tmp_path)


def test_what_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_bytes(b"hello")
    with tarfile.open(tmp_path / "y.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "x.tar.gz", "x")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("x", "y")
    (tmp_path / "empty").mkdir()
    for name in ("x.tar.gz", "y.tar.gz", "z.zip", "empty", "nowhere", "setup.py"):
        with pytest.raises(NotABundle) as raised:
            verify(tmp_path / name, name)
        assert str(raised.value).startswith(f"{name} is no bundle: ") and raised.value.exit == 2


def test_manifests_that_cannot_be_read() -> None:
    for text in (b"", b"[]", b"{}", b'{"format": 1, "files": [], "links": {}}', b"\xff", EXECUTABLE):
        with pytest.raises(ValueError, match="cannot be read"):
            read_manifest(text)
    with pytest.raises(ValueError, match="newer"):
        read_manifest(b'{"format": 2, "files": {}, "links": {}}')
