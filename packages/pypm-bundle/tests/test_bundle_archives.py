"""Archives: every reader agrees on them, they are the same everywhere, and there whole or not at all."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pypm_bundle import writing
from pypm_bundle.archives import EPOCH, archive_to, format_of
from pypm_bundle.bundle_errors import BundleTooLarge, BundleUnwritable
from pypm_bundle.contents import Entry, Item, Link, OnDisk, Packed, Written
from pypm_bundle.packing import Passing
from pypm_model.records import replace
from pypm_store.archive_rules import UnsafeArchive

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from conftest import Bench

FORMS = {"tar.gz": "b.tar.gz", "tar.zst": "b.tar.zst", "zip": "b.zip"}

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def content(item: Item) -> bytes:
    assert isinstance(item, Entry)
    match item.content:
        case Written(data):
            return data
        case OnDisk(path):
            return path.read_bytes()
        case Packed(wheel, _, name):
            with zipfile.ZipFile(wheel) as archive:
                return archive.read(name)


def read(path: Path) -> dict[str, tuple[int, bytes | str]]:
    """What the standard library finds in an archive: mode, and content or target."""
    found: dict[str, tuple[int, bytes | str]] = {}
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            for info in archive.infolist():
                mode = info.external_attr >> 16
                data = archive.read(info)
                found[info.filename] = mode & 0o777, data.decode() if stat.S_ISLNK(mode) else data
        return found
    opened: Any = zstd.open(path) if path.suffix == ".zst" else path.open("rb")
    with opened as file, tarfile.open(fileobj=file, mode="r:*" if path.suffix == ".gz" else "r:") as tar:
        for info in tar:
            assert (info.uid, info.gid, info.uname, info.gname, info.mtime) == (0, 0, "", "", EPOCH)
            member = tar.extractfile(info) if info.isreg() else None
            found[info.name] = info.mode, member.read() if member is not None else info.linkname
    return found


@pytest.mark.parametrize("form", FORMS)
def test_readers_find_what_was_put_in(bench: Bench, form: str) -> None:
    items = bench.items()
    summary = bench.write(form, items=items)
    found = read(Path(summary.file))
    assert list(found)[:-1] == [item.path for item in items]
    for item in items:
        if isinstance(item, Link):
            assert found[item.path][1] == item.target
        else:
            assert found[item.path] == (0o755 if item.executable else 0o644, content(item))
    assert summary.files == sum(isinstance(item, Entry) for item in items) + 1


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_what_a_wheel_has_packed_is_taken_over(bench: Bench, form: str) -> None:
    dist = bench.distribution(files={"acme/__init__.py": "".join(map(str, range(9999)))})
    packed = next(i.content for i in dist.items if isinstance(i, Entry) and i.path.endswith("__init__.py"))
    assert isinstance(packed, Packed)
    raw = packed.wheel.read_bytes()[packed.start : packed.start + packed.packed]
    assert raw in Path(bench.write(form, items=list(dist.items)).file).read_bytes()
    anew = bench.write(form, items=list(dist.items), splice=False, level=1, name=f"anew.{form}")
    assert raw not in Path(anew.file).read_bytes()
    assert read(Path(anew.file)) == read(bench.folder / FORMS[form])


@pytest.mark.parametrize("form", FORMS)
def test_the_bytes_do_not_hang_on_who_makes_them(bench: Bench, form: str, tmp_path: Path) -> None:
    first = bench.write(form, workers=1)
    old = os.umask(0o077)
    try:
        (tmp_path / "else where").mkdir()
        second = type(bench)(tmp_path / "else where").write(form, workers=4)
    finally:
        os.umask(old)
    assert second.sha256 == first.sha256
    assert Path(second.file).read_bytes() == Path(first.file).read_bytes()


@pytest.mark.parametrize("form", FORMS)
def test_large_files_pass_in_pieces(bench: Bench, form: str) -> None:
    data = bytes(range(256)) * (5 << 12)
    dist = bench.distribution(files={"acme/data.bin": data, "acme/stored.bin": data})
    large = bench.folder / "large"
    large.write_bytes(data)
    summary = bench.write(form, items=[*dist.items, Entry("zz", OnDisk(large))])
    found = read(Path(summary.file))
    site = "lib/python3.11/site-packages/acme/"
    assert found[site + "data.bin"][1] == found[site + "stored.bin"][1] == found["zz"][1] == data


def test_stored_files_of_a_wheel(bench: Bench) -> None:
    dist = bench.distribution(compression=zipfile.ZIP_STORED)
    assert "lib/python3.11/site-packages/acme/__init__.py" in read(
        Path(bench.write("tar.gz", items=list(dist.items)).file)
    )


@pytest.mark.parametrize("form", FORMS)
def test_what_is_damaged_in_a_wheel_is_refused_and_leaves_nothing(bench: Bench, form: str) -> None:
    dist = bench.distribution(files={"acme/__init__.py": "".join(map(str, range(9999)))})
    packed = next(i.content for i in dist.items if isinstance(i, Entry) and i.path.endswith("__init__.py"))
    assert isinstance(packed, Packed)
    with packed.wheel.open("r+b") as file:
        file.seek(packed.start + packed.packed // 2)
        file.write(b"\0\0\0\0")
    with pytest.raises(UnsafeArchive):
        bench.write(form, items=list(dist.items))
    assert sorted(os.listdir(bench.folder)) == ["wheels"]


def test_another_content_than_record_has_is_refused(bench: Bench) -> None:
    dist = bench.distribution()
    items: list[Item] = []
    for item in dist.items:
        assert isinstance(item, Entry)
        if isinstance(item.content, Packed):
            item = Entry(item.path, replace(item.content, digest=b"\0" * 32))
        items.append(item)
    with pytest.raises(UnsafeArchive, match="RECORD"):
        bench.write("tar.gz", items=items)


def test_a_failure_leaves_what_was_there(bench: Bench) -> None:
    target = bench.folder / "b.tar.gz"
    target.write_bytes(b"before")
    with pytest.raises(OSError):
        bench.write("tar.gz", items=[Entry("a", OnDisk(bench.folder / "nowhere"))])
    assert target.read_bytes() == b"before"
    assert os.listdir(bench.folder) == ["b.tar.gz"]


@pytest.mark.parametrize("nameless", [True, False])
def test_a_file_gets_its_name_when_it_is_whole(
    bench: Bench, nameless: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not nameless:
        monkeypatch.setattr(writing, "_nameless", lambda folder: None)
    target = bench.folder / "out" / "b.tar.gz"
    with pytest.raises(RuntimeError), writing.new_file(target):
        raise RuntimeError
    assert os.listdir(target.parent) == []
    summary = bench.write("tar.gz", name="out/b.tar.gz")
    assert os.listdir(target.parent) == ["b.tar.gz"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(Path(summary.file).stat().st_mode) == 0o666 & ~umask


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_a_full_disk_is_told_and_leaves_nothing(bench: Bench) -> None:
    items: list[Item] = [Entry("a", Written(os.urandom(1 << 20))), Entry("b", Written(os.urandom(1 << 20)))]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(BundleUnwritable) as raised:
            bench.write("tar.gz", items=items)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "b.tar.gz cannot be written: file too large" in str(raised.value)
    assert os.listdir(bench.folder) == []


@pytest.mark.parametrize("form", FORMS)
def test_an_archive_that_gets_too_large_is_given_up(bench: Bench, form: str) -> None:
    size = bench.write(form).size
    bench.write(form, most=size)
    with pytest.raises(BundleTooLarge):
        bench.write(form, most=size - 1, name=f"other.{form}")
    assert f"other.{form}" not in os.listdir(bench.folder)


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="files without a name")
def test_a_killed_process_leaves_nothing(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from pypm_bundle.contents import Entry, Written
from pypm_bundle.writing import Packing, write

def listener(event):
    seen.append(event)
    if len(seen) == 3:
        os.kill(os.getpid(), signal.SIGKILL)

seen = []
items = [Entry(f"f{{n}}", Written(os.urandom(3 << 20))) for n in range(4)]
write(Path({str(tmp_path / "b.zip")!r}), items, {{}}, Packing("zip", 1), listener)
"""
    done = subprocess.run([sys.executable, "-c", code])
    assert done.returncode == -9
    assert os.listdir(tmp_path) == []


def test_a_folder_is_in_the_way(bench: Bench) -> None:
    (bench.folder / "b.zip").mkdir()
    with pytest.raises(BundleUnwritable, match="it is a folder"):
        bench.write("zip")


def test_more_than_65535_files_and_large_offsets_in_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    with path.open("w+b") as out:
        archive = archive_to(out, "zip", 1, EPOCH)
        archive.file("first", False, Passing(Written(b"1"), 1))
        out.seek((4 << 30) + 7)  # a hole: what comes is beyond what 32 bits can say
        for number in range(66_000):
            archive.link(f"l{number}", "first")
        archive.file("last", True, Passing(Written(b"2"), 1))
        archive.close()
    with zipfile.ZipFile(path) as found:
        assert len(found.namelist()) == 66_002
        assert (found.read("first"), found.read("last"), found.read("l65999")) == (b"1", b"2", b"first")


@pytest.mark.skipif(os.name == "nt", reason="GNU tar and gzip")
def test_gnu_tar_and_gzip_read_it(bench: Bench) -> None:
    summary = bench.write("tar.gz")
    subprocess.run(["gzip", "-t", summary.file], check=True)
    listed = subprocess.run(["tar", "-tzf", summary.file], check=True, capture_output=True).stdout
    assert len(listed.splitlines()) == len(bench.items()) + 1


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.tar.gz", "tar.gz"),
        ("A.TGZ", "tar.gz"),
        ("a.tar.zst", "tar.zst"),
        ("a.zip", "zip"),
        ("a.tar", None),
        (".zip", None),
        ("a", None),
        ("tar.gz", None),
    ],
)
def test_formats_by_name(name: str, form: str | None) -> None:
    assert format_of(name) == form
