"""METADATA from the end of a wheel, and static metadata of sdists."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from kit.wheels import make_sdist, make_wheel, write_zip
from pypm_index.metadata_fetch import of_wheel_file
from pypm_index.metadata_text import read
from pypm_index.sdist_metadata import NotAnSdist, of_folder, of_pyproject, of_sdist, of_unpacked
from pypm_index.wheel_tail import TAIL, NotAWheel, read_metadata


class Remote:
    """A file of which ranges are read, and written down."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.asked: list[tuple[int, int]] = []

    def range(self, start: int, end: int) -> bytes:
        self.asked.append((start, end))
        return self.data[start:end]

    def read(self, tail: int = TAIL) -> bytes:
        return read_metadata(len(self.data), self.data[-tail:], self.range)


def expected(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA")))


def test_small_wheel_needs_nothing_more(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "foo", "1.0", requires=["bar"])
    remote = Remote(path.read_bytes())
    assert remote.read() == expected(path)
    assert remote.asked == []


@pytest.mark.parametrize("tail", [22, 30, 100, 500, 3000, 40_000])
def test_any_tail_will_do(tmp_path: Path, tail: int) -> None:
    files = {f"foo/m{n}.py": f"x = {n}\n" * 50 for n in range(200)}
    path = make_wheel(tmp_path, "foo", "1.0", files=files)
    remote = Remote(path.read_bytes())
    assert remote.read(tail) == expected(path)
    assert len(remote.asked) <= 3
    assert sum(end - start for start, end in remote.asked) < len(remote.data)


def test_metadata_at_the_beginning_and_stored(tmp_path: Path) -> None:
    entries = [("foo-1.0.dist-info/METADATA", b"Name: foo\nVersion: 1.0\n"), ("foo/big.bin", bytes(200_000))]
    path = write_zip(tmp_path / "foo-1.0-py3-none-any.whl", entries, compression=zipfile.ZIP_STORED)
    remote = Remote(path.read_bytes())
    assert remote.read() == b"Name: foo\nVersion: 1.0\n"
    assert len(remote.asked) == 1 and remote.asked[0][0] == 0 and remote.asked[0][1] < 1000
    assert of_wheel_file(path) == b"Name: foo\nVersion: 1.0\n"


def test_archive_comment_of_any_length(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "foo", "1.0")
    wanted = expected(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"c" * 65_000
    assert Remote(path.read_bytes()).read() == wanted


def test_zip64(tmp_path: Path) -> None:
    data = make_wheel(tmp_path, "foo", "1.0").read_bytes()
    wanted = Remote(data).read()
    body, end = data[:-22], struct.unpack("<4s4H2LH", data[-22:])
    wide = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, end[3], end[4], end[5], end[6])
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(body), 1)
    short = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    remote = Remote(body + wide + locator + short)
    assert zipfile.is_zipfile(io.BytesIO(remote.data))
    assert remote.read() == wanted
    assert remote.read(22) == wanted


def test_zip64_sizes_in_the_extra_field(tmp_path: Path) -> None:
    content = b"Name: foo\n"
    name = b"foo-1.0.dist-info/METADATA"
    crc = zipfile.crc32(content)  # type: ignore[attr-defined]
    wide = 0xFFFFFFFF
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 45, 0, 0, 0, 0, crc, len(content), len(content), len(name), 0)
    extra = struct.pack("<HHQQQ", 1, 24, len(content), len(content), 0)
    entry = struct.pack(
        "<4s6H3L5H2L", b"PK\1\2", 45, 45, 0, 0, 0, 0, crc, wide, wide, len(name), len(extra), 0, 0, 0, 0, wide
    )
    body = local + name + content
    directory = entry + name + extra
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(directory), len(body), 0)
    assert Remote(body + directory + end).read() == content


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "Name: foo\n")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no zip archive"),
        (b"<html>not here</html>", "no zip archive"),
        (zipped("foo/x.py"), "has no METADATA"),
        (zipped("foo/vendored/bar-1.0.dist-info/METADATA"), "has no METADATA"),
        (zipped("foo-1.0.dist-info/METADATA", "bar-1.0.dist-info/METADATA"), "more than one"),
        (zipped("foo-1.0.dist-info/METADATA")[:-40], "no zip archive"),
    ],
)
def test_what_is_no_wheel(data: bytes, reason: str) -> None:
    with pytest.raises(NotAWheel, match=reason):
        Remote(data).read()


def test_a_directory_that_lies(tmp_path: Path) -> None:
    data = make_wheel(tmp_path, "foo", "1.0").read_bytes()
    end = data.rfind(b"PK\5\6")
    for offset, value in ((16, 0x7FFFFFFF), (12, 0x7FFFFFFF), (16, 1)):
        broken = bytearray(data)
        struct.pack_into("<L", broken, end + offset, value)
        with pytest.raises(NotAWheel):
            Remote(bytes(broken)).read()
    # One bit of the packed METADATA.
    broken = bytearray(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        info = next(one for one in archive.infolist() if one.filename.endswith("/METADATA"))
    broken[info.header_offset + 30 + len(info.filename) + 5] ^= 4
    with pytest.raises(NotAWheel, match="damaged"):
        Remote(bytes(broken)).read()


@pytest.mark.parametrize("form", [".tar.gz", ".tar.bz2", ".tar.xz", ".zip"])
def test_static_sdists(tmp_path: Path, form: str) -> None:
    path = make_sdist(tmp_path, "foo", "1.0", requires=["bar>1"], extras={"x": ["baz"]}, form=form)
    headers = of_sdist(path)
    assert headers is not None
    assert (headers.name, headers.version, headers.requires_dist[0]) == ("foo", "1.0", "bar>1")
    assert headers.provides_extra == ("x",)


def test_old_pkg_info_is_not_believed_but_static_pyproject_is(tmp_path: Path) -> None:
    static = make_sdist(tmp_path, "foo", "1.0", requires=["bar"], pkg_info_static=False)
    headers = of_sdist(static)
    assert headers is not None and headers.requires_dist == ("bar",)
    dynamic = make_sdist(
        tmp_path, "dyn", "1.0", backend="in-tree", dynamic=["dependencies"], pkg_info_static=False
    )
    assert of_sdist(dynamic) is None
    promised = make_sdist(tmp_path, "prom", "1.0", backend="in-tree", dynamic=["dependencies"])
    assert of_sdist(promised) is None


def test_only_the_top_folder_of_an_sdist_counts(tmp_path: Path) -> None:
    path = tmp_path / "foo-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("foo-1.0/tests/data/PKG-INFO", "foo-1.0/src/foo.egg-info/PKG-INFO"):
            content = b"Metadata-Version: 2.2\nName: evil\nVersion: 1.0\n"
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("foo-1.0/PKG-INFO")
        link.type, link.linkname = tarfile.SYMTYPE, "tests/data/PKG-INFO"
        archive.addfile(link)
    assert of_sdist(path) is None


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"\x1f\x8b\x08broken"])
def test_what_is_no_sdist(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foo-1.0.tar.gz"
    path.write_bytes(content)
    with pytest.raises(NotAnSdist):
        of_sdist(path)


def test_pyproject_is_static_only_as_a_whole() -> None:
    base = '[project]\nname = "Foo"\nversion = "1.0"\n'
    headers = of_pyproject(
        (
            base + 'dependencies = ["a", "u @ https://h.example.test/u;v.zip ; os_name == \'nt\'"]\n'
            "optional-dependencies.x = [\"b; os_name == 'nt' or os_name == 'posix'\", \"c\"]\n"
        ).encode()
    )
    assert headers is not None
    assert headers.requires_dist == (
        "a",
        "u @ https://h.example.test/u;v.zip ; os_name == 'nt'",
        "b ; (os_name == 'nt' or os_name == 'posix') and extra == \"x\"",
        'c ; extra == "x"',
    )
    for field in ("version", "dependencies", "optional-dependencies", "requires-python"):
        assert (
            of_pyproject((base.replace('version = "1.0"\n', "") + f'dynamic = ["{field}"]').encode()) is None
        )
    assert of_pyproject((base + 'dynamic = ["readme"]').encode()) is not None
    for bad in (
        "",
        "[tool.x]",
        "project = 3",
        base + "dependencies = 3",
        "= broken",
        "[project]\nname = 'x'",
    ):
        assert of_pyproject(bad.encode()) is None


def test_a_working_tree_and_an_unpacked_sdist_differ(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "foo"\nversion = "2.0"\ndependencies = ["new"]\n'
    )
    (tmp_path / "PKG-INFO").write_text("Metadata-Version: 2.2\nName: foo\nVersion: 1.0\nRequires-Dist: old\n")
    here, unpacked = of_folder(tmp_path), of_unpacked(tmp_path)
    assert here is not None and here.requires_dist == ("new",)
    assert unpacked is not None and unpacked.requires_dist == ("old",)
    assert of_folder(tmp_path / "missing") is None
    assert read(b"").is_static is False
