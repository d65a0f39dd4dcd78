"""Every rule for wheels, each broken by a real archive, and wheels that must pass."""

from __future__ import annotations

import base64
import hashlib
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.wheels import make_wheel, record, wheel_members, write_zip
from pypm_store.archive import Limits, UnsafeArchive, WheelArchive, read_wheel_name
from pypm_store.archive_rules import check_collisions, check_path
from pypm_store.wheel_record import read_record

NAME = "acme-1.0-py3-none-any.whl"
INFO = "acme-1.0.dist-info"


def rule_of(path: Path, *, read: bool = True, limits: Limits | None = None) -> str:
    """The rule the wheel at *path* breaks."""
    with pytest.raises(UnsafeArchive) as caught:
        archive = WheelArchive(path, limits=limits) if limits else WheelArchive(path)
        with archive:
            if read:
                for placed in archive.placed:
                    archive.read(placed)
    assert caught.value.file == path.name
    assert "\n" not in str(caught.value)
    return caught.value.rule


def rezip(folder: Path, change: Callable[[dict[str, bytes]], None], *, relist: bool = True) -> Path:
    """A wheel whose entries were changed; with *relist* RECORD fits again."""
    members = wheel_members("acme", "1.0", files={"acme/__init__.py": "x = 1\n", "acme/data.txt": "hello\n"})
    change(members)
    own = f"{INFO}/RECORD"
    if relist and own in members:
        del members[own]
        members[own] = record(members, own)
    return write_zip(folder / NAME, members)


def test_a_good_wheel_is_read_whole(tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path,
        "Acme.Tools",
        "1.0",
        files={"acme/__init__.py": "x = 1\n", "acme/empty": b"", "acme/ünï.py": "y = 2\n"},
        scripts={"tool": "#!python\n"},
        data={"share/doc, one.txt": "text"},
        headers={"acme.h": "int x;"},
        entry_points={"console_scripts": {"acme": "acme:main"}, "acme.plugins": {"a/b": "acme:x"}},
        build="1a",
    )
    with WheelArchive(wheel) as archive:
        content = {(one.room, one.path): archive.read(one) for one in archive.placed}
        assert (archive.name, archive.version, archive.info) == (
            "acme_tools",
            "1.0",
            "acme_tools-1.0.dist-info",
        )
        assert [point.name for point in archive.entry_points] == ["acme", "a/b"]
        assert archive.tags == ("py3-none-any",) and archive.purelib
        assert "Name: Acme.Tools" in archive.metadata()
    assert content["site", "acme/ünï.py"] == b"y = 2\n"
    assert content["site", "acme/empty"] == b""
    assert content["scripts", "tool"] == b"#!python\n"
    assert content["data", "share/doc, one.txt"] == b"text"
    assert content["headers", "acme.h"] == b"int x;"


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("../outside.py", "parent-path"),
        ("acme/../../outside.py", "parent-path"),
        ("/etc/passwd", "absolute-path"),
        ("C:/windows/x", "drive"),
        ("c:x", "drive"),
        ("acme\\..\\x.py", "backslash"),
        ("acme/a\x01b.py", "control-character"),
        ("acme/a\nb.py", "control-character"),
        ("acme//x.py", "odd-path"),
        ("./acme/x.py", "odd-path"),
        ("acme/./x.py", "odd-path"),
    ],
)
def test_paths_that_lead_elsewhere(tmp_path: Path, path: str, rule: str) -> None:
    assert rule_of(rezip(tmp_path, lambda members: members.update({path: b"x"}))) == rule


def test_a_nul_in_a_name(tmp_path: Path) -> None:
    # zipfile cuts names at NUL, so the name is patched in afterwards, in both headers.
    wheel = rezip(tmp_path, lambda members: members.update({"acme/aXb.py": b"x"}))
    wheel.write_bytes(wheel.read_bytes().replace(b"acme/aXb.py", b"acme/a\0b.py"))
    assert rule_of(wheel) == "control-character"


@pytest.mark.parametrize(
    "path", ["aux.py", "acme/nul", "acme/COM1.txt", "acme/a:b", "acme/dot.", "acme/space "]
)
def test_names_that_windows_cannot_have(path: str) -> None:
    check_path(NAME, path, windows=False)
    with pytest.raises(UnsafeArchive) as caught:
        check_path(NAME, path, windows=True)
    assert caught.value.rule == "windows-name"


@pytest.mark.parametrize(
    "pair",
    [
        ("acme/Data.txt", "acme/data.txt"),
        ("acme/straße", "acme/STRASSE"),
        ("acme/" + unicodedata.normalize("NFC", "é"), "acme/" + unicodedata.normalize("NFD", "é")),
        ("acme/data.txt", "acme/data.txt/inner"),
        ("acme/thing", "acme/THING/inner"),
    ],
)
def test_two_paths_that_are_one_somewhere(tmp_path: Path, pair: tuple[str, str]) -> None:
    assert rule_of(rezip(tmp_path, lambda members: members.update(dict.fromkeys(pair, b"x")))) == "collision"


def test_folders_may_differ_in_case_as_long_as_no_file_meets_another() -> None:
    check_collisions(NAME, ["Acme/a.py", "acme/b.py"])


def test_duplicate_names(tmp_path: Path) -> None:
    members = list(wheel_members("acme", "1.0").items())
    with pytest.warns(UserWarning):
        wheel = write_zip(tmp_path / NAME, [*members, ("acme/__init__.py", b"evil")])
    assert rule_of(wheel) == "duplicate-name"


@pytest.mark.parametrize(
    ("mode", "rule"), [(0o120777, "symlink"), (0o060644, "special-file"), (0o040755, "special-file")]
)
def test_entries_that_are_no_files(tmp_path: Path, mode: int, rule: str) -> None:
    members = wheel_members("acme", "1.0", files={"acme/__init__.py": "", "acme/link": "/etc/passwd"})
    wheel = tmp_path / NAME
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3
            entry.external_attr = (mode if name == "acme/link" else 0o100644) << 16
            archive.writestr(entry, content)
    assert rule_of(wheel) == rule


def test_folder_entries_are_allowed(tmp_path: Path) -> None:
    wheel = tmp_path / NAME
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.mkdir("acme")
        for name, content in wheel_members("acme", "1.0").items():
            archive.writestr(name, content)
    with WheelArchive(wheel) as opened:
        assert {one.path for one in opened.placed} >= {"acme/__init__.py"}


def central(data: bytearray, name: bytes) -> int:
    """Where the central header of entry *name* begins."""
    at = data.index(b"PK\x01\x02")
    while data[at + 46 : at + 46 + len(name)] != name:
        at = data.index(b"PK\x01\x02", at + 4)
    return at


def local(data: bytearray, name: bytes) -> int:
    """Where the local header of entry *name* begins."""
    return data.index(b"PK\x03\x04" + data[data.index(name) - 26 : data.index(name)])


def patched(tmp_path: Path, change: Callable[[bytearray], bytes | None]) -> Path:
    wheel = make_wheel(
        tmp_path, "acme", "1.0", files={"acme/__init__.py": "x = 1\n" * 50, "acme/b.py": "y = 2\n"}
    )
    data = bytearray(wheel.read_bytes())
    wheel.write_bytes(change(data) or bytes(data))
    return wheel


def put(form: str, data: bytearray, at: int, *values: int) -> None:
    struct.pack_into(form, data, at, *values)


def test_local_header_with_another_name(tmp_path: Path) -> None:
    def change(data: bytearray) -> None:
        at = data.index(b"acme/b.py")
        data[at : at + 9] = b"acme/c.py"

    assert rule_of(patched(tmp_path, change)) == "local-header"


@pytest.mark.parametrize(("offset", "form"), [(8, "<H"), (14, "<L"), (18, "<L"), (22, "<L")])
def test_local_header_with_another_method_crc_or_size(tmp_path: Path, offset: int, form: str) -> None:
    def change(data: bytearray) -> None:
        at = data.index(b"PK\x03\x04")
        (value,) = struct.unpack_from(form, data, at + offset)
        put(form, data, at + offset, value ^ 1 if offset != 8 else 0)

    assert rule_of(patched(tmp_path, change)) == "local-header"


def test_trailing_data(tmp_path: Path) -> None:
    assert rule_of(patched(tmp_path, lambda data: bytes(data) + b"more")) == "trailing-data"


def test_data_before_the_first_entry(tmp_path: Path) -> None:
    assert rule_of(patched(tmp_path, lambda data: b"#!/bin/sh\n" + bytes(data))) == "bad-directory"


def test_a_second_end_record_in_the_comment(tmp_path: Path) -> None:
    other = make_wheel(tmp_path / "other", "acme", "1.0", files={"acme/__init__.py": "evil"}).read_bytes()

    def change(data: bytearray) -> bytes:
        comment = other[other.rindex(b"PK\x05\x06") :]
        put("<H", data, len(data) - 2, len(comment))
        return bytes(data) + comment

    assert rule_of(patched(tmp_path, change)) in ("second-end-record", "bad-directory", "trailing-data")


def test_a_whole_archive_behind_another(tmp_path: Path) -> None:
    other = make_wheel(tmp_path / "other", "acme", "1.0", files={"acme/__init__.py": "evil"}).read_bytes()
    assert rule_of(patched(tmp_path, lambda data: bytes(data) + other)) in (
        "second-end-record",
        "bad-directory",
    )


def test_an_entry_that_only_the_local_headers_show(tmp_path: Path) -> None:
    hidden = b"evil = 1\n"
    header = struct.pack(
        "<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0, zlib.crc32(hidden), len(hidden), len(hidden), 12, 0
    )

    def change(data: bytearray) -> bytes:
        directory = data.index(b"PK\x01\x02")
        added = header + b"acme/evil.py" + hidden
        end = len(data) - 22
        put("<L", data, end + 16, directory + len(added))
        return bytes(data[:directory]) + added + bytes(data[directory:])

    assert rule_of(patched(tmp_path, change)) == "hidden-data"


def test_overlapping_entries(tmp_path: Path) -> None:
    # The trick of zip bombs: many entries of the directory share one piece of data.
    def change(data: bytearray) -> bytes:
        start, end = data.index(b"PK\x01\x02"), len(data) - 22
        at = central(data, b"acme/b.py")
        (offset,) = struct.unpack_from("<L", data, at + 42)
        name_end = offset + 30
        nested = bytes(data[offset : data.index(b"PK", offset + 4)])
        # acme/__init__.py now holds, stored, the whole of the entry acme/b.py.
        first = central(data, b"acme/__init__.py")
        head = bytearray(data[:46])[:0]
        head += struct.pack(
            "<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0, zlib.crc32(nested), len(nested), len(nested), 16, 0
        )
        head += b"acme/__init__.py"
        (old_second,) = struct.unpack_from("<L", data, at + 42)
        delta = len(head) - old_second
        put("<3H", data, first + 8, 0, 0, 0)
        put("<3L", data, first + 16, zlib.crc32(nested), len(nested), len(nested))
        place = start
        while place < end:
            (one,) = struct.unpack_from("<L", data, place + 42)
            if one:
                put("<L", data, place + 42, one + delta)
            name, extra, comment = struct.unpack_from("<3H", data, place + 28)
            place += 46 + name + extra + comment
        put("<L", data, len(data) - 6, start + delta)
        assert name_end
        return bytes(head) + bytes(data[old_second:])

    assert rule_of(patched(tmp_path, change)) == "overlap"


def test_encrypted_entries(tmp_path: Path) -> None:
    def change(data: bytearray) -> None:
        at = central(data, b"acme/b.py")
        put("<H", data, at + 8, 1)

    assert rule_of(patched(tmp_path, change)) == "encrypted"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_that_are_not_allowed(tmp_path: Path, method: int) -> None:
    wheel = make_wheel(tmp_path, "acme", "1.0", compression=method)
    assert rule_of(wheel) == "compression"


def test_stored_wheels_are_read(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "acme", "1.0", compression=zipfile.ZIP_STORED)
    with WheelArchive(wheel) as archive:
        assert all(archive.read(one) is not None for one in archive.placed)


def test_a_declared_size_that_is_too_small(tmp_path: Path) -> None:
    def change(data: bytearray) -> None:
        for at, offset in ((data.index(b"PK\x03\x04"), 22), (central(data, b"acme/__init__.py"), 24)):
            put("<L", data, at + offset, 10)

    assert rule_of(patched(tmp_path, change)) == "wrong-size"


def test_a_declared_size_that_is_too_large(tmp_path: Path) -> None:
    def change(data: bytearray) -> None:
        for at, offset in ((data.index(b"PK\x03\x04"), 22), (central(data, b"acme/__init__.py"), 24)):
            put("<L", data, at + offset, 301)

    assert rule_of(patched(tmp_path, change)) == "wrong-size"


def test_a_size_that_deflate_cannot_reach(tmp_path: Path) -> None:
    def change(data: bytearray) -> None:
        for at, offset in ((data.index(b"PK\x03\x04"), 22), (central(data, b"acme/__init__.py"), 24)):
            put("<L", data, at + offset, 1 << 30)

    assert rule_of(patched(tmp_path, change)) == "too-large"


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "acme", "1.0", files={f"acme/{n}": b"\0" * 1_000_000 for n in range(5)})
    assert rule_of(wheel, read=False, limits=Limits(grace=1_000_000, ratio=100)) == "too-large"
    with WheelArchive(wheel):
        pass


def test_too_many_entries(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "acme", "1.0")
    assert rule_of(wheel, read=False, limits=Limits(entries=3)) == "too-many-entries"


def test_damaged_data(tmp_path: Path) -> None:
    def change(data: bytearray) -> None:
        at = data.index(b"PK\x03\x04") + 30 + len(b"acme/__init__.py") + 3
        data[at] ^= 0xFF

    assert rule_of(patched(tmp_path, change)) in ("bad-data", "bad-crc", "wrong-size")


def test_a_wrong_crc(tmp_path: Path) -> None:
    def change(data: bytearray) -> None:
        for at, offset in ((data.index(b"PK\x03\x04"), 14), (central(data, b"acme/__init__.py"), 16)):
            put("<L", data, at + offset, 1)

    assert rule_of(patched(tmp_path, change)) == "bad-crc"


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all" * 10])
def test_what_is_no_zip(tmp_path: Path, content: bytes) -> None:
    wheel = tmp_path / NAME
    wheel.write_bytes(content)
    assert rule_of(wheel) == "not-a-zip"


def test_a_wheel_cut_off_at_any_length_is_refused(tmp_path: Path) -> None:
    whole = make_wheel(tmp_path, "acme", "1.0").read_bytes()
    short = tmp_path / "short" / NAME
    short.parent.mkdir()
    for length in range(0, len(whole), 7):
        short.write_bytes(whole[:length])
        assert rule_of(short)


def test_a_zip64_wheel_is_read(tmp_path: Path) -> None:
    wheel = tmp_path / NAME
    members = wheel_members("acme", "1.0", files={"acme/__init__.py": "x = 1\n"})
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as out:
                out.write(content)
    data = bytearray(wheel.read_bytes())
    # Make the directory itself zip64 as well: its own records, and the short one left open.
    end = len(data) - 22
    count, length, start = struct.unpack_from("<HLL", data, end + 10)
    record64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    short = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    wheel.write_bytes(bytes(data[:end]) + record64 + locator + short)
    with WheelArchive(wheel) as archive:
        content = {one.path: archive.read(one) for one in archive.placed}
    assert content["acme/__init__.py"] == b"x = 1\n"
    # And a short record that says something else is refused.
    lie = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, length, start, 0)
    wheel.write_bytes(bytes(data[:end]) + record64 + locator + lie)
    assert rule_of(wheel) == "bad-directory"


def test_another_name_in_an_extra_field(tmp_path: Path) -> None:
    members = wheel_members("acme", "1.0")
    wheel = tmp_path / NAME
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name)
            other = b"\x01" + struct.pack("<L", zlib.crc32(name.encode())) + b"acme/evil.py"
            entry.extra = struct.pack("<HH", 0x7075, len(other)) + other
            archive.writestr(entry, content)
    assert rule_of(wheel) == "second-name"


def test_streamed_wheels_with_data_descriptors_are_read(tmp_path: Path) -> None:
    class OneWay:
        """A file that cannot seek, so that zipfile must write descriptors."""

        def __init__(self) -> None:
            self.data = b""

        def write(self, chunk: bytes) -> int:
            self.data += bytes(chunk)
            return len(chunk)

        def flush(self) -> None:
            pass

    out = OneWay()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
        for name, content in wheel_members("acme", "1.0").items():
            archive.writestr(name, content)
    wheel = tmp_path / NAME
    wheel.write_bytes(out.data)
    with WheelArchive(wheel) as opened:
        assert {one.path: opened.read(one) for one in opened.placed}["acme/__init__.py"]


# -- RECORD ------------------------------------------------------------------------------------


def test_a_file_that_record_does_not_list(tmp_path: Path) -> None:
    wheel = rezip(tmp_path, lambda members: members.update({"acme/extra.py": b"x"}), relist=False)
    assert rule_of(wheel) == "record-missing"


def test_a_file_that_only_record_lists(tmp_path: Path) -> None:
    wheel = rezip(tmp_path, lambda members: members.pop("acme/data.txt") and None, relist=False)
    assert rule_of(wheel) == "record-extra"


def test_a_file_that_is_not_as_recorded(tmp_path: Path) -> None:
    wheel = rezip(tmp_path, lambda members: members.update({"acme/data.txt": b"other\n"}), relist=False)
    assert rule_of(wheel) == "record-mismatch"


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ("acme/data.txt,,", "record-no-hash"),
        ("acme/data.txt,md5=XrY7u-Ae7tCTyyK7j1rNww,6", "record-weak-hash"),
        ("acme/data.txt,sha1=XrY7u-Ae7tCTyyK7j1rNww,6", "record-weak-hash"),
        ("acme/data.txt,sha256=AAAA,6", "record-unreadable"),
        ("acme/data.txt,sha256=", "record-unreadable"),
        ("acme/data.txt", "record-unreadable"),
        ('"acme/data.txt,sha256=x,6', "record-unreadable"),
    ],
)
def test_rows_that_prove_nothing(tmp_path: Path, row: str, rule: str) -> None:
    def change(members: dict[str, bytes]) -> None:
        own = f"{INFO}/RECORD"
        lines = [line for line in members[own].decode().splitlines() if not line.startswith("acme/data.txt")]
        members[own] = "\n".join([*lines, row]).encode()

    assert rule_of(rezip(tmp_path, change, relist=False)) == rule


def test_a_path_that_is_recorded_twice(tmp_path: Path) -> None:
    def change(members: dict[str, bytes]) -> None:
        own = f"{INFO}/RECORD"
        members[own] += members[own].splitlines(keepends=True)[0]

    assert rule_of(rezip(tmp_path, change, relist=False)) == "record-twice"


def test_hashes_better_than_sha256_count(tmp_path: Path) -> None:
    def change(members: dict[str, bytes]) -> None:
        digest = base64.urlsafe_b64encode(hashlib.sha512(members["acme/data.txt"]).digest()).rstrip(b"=")
        own = f"{INFO}/RECORD"
        lines = [line for line in members[own].splitlines() if not line.startswith(b"acme/data.txt")]
        members[own] = b"\r\n".join([*lines, b"acme/data.txt,sha512=" + digest + b",6"])

    with WheelArchive(rezip(tmp_path, change, relist=False)) as archive:
        assert {one.path: archive.read(one) for one in archive.placed}["acme/data.txt"] == b"hello\n"


def _recorded(members: dict[str, bytes], digest: str) -> None:
    own = f"{INFO}/RECORD"
    lines = [line for line in members[own].decode().splitlines() if not line.startswith("acme/data.txt")]
    members[own] = "\n".join([*lines, f"acme/data.txt,{digest},6"]).encode()


@pytest.mark.parametrize("kind", ["sha256", "sha512"])
def test_hashes_in_hexadecimal_are_read_and_told_as_they_should_be(tmp_path: Path, kind: str) -> None:
    right, other = hashlib.new(kind, b"hello\n"), hashlib.new(kind, b"hullo\n")
    good = rezip(
        tmp_path / "good", lambda members: _recorded(members, f"{kind}={right.hexdigest()}"), relist=False
    )
    rows = read_record("acme.whl", f"{INFO}/RECORD", zipfile.ZipFile(good).read(f"{INFO}/RECORD").decode())
    row = rows["acme/data.txt"]
    assert row is not None and row.digest == right.digest()
    assert row.text == f"{kind}={base64.urlsafe_b64encode(right.digest()).rstrip(b'=').decode()}"
    with WheelArchive(good) as archive:
        assert archive.read(next(one for one in archive.placed if one.path == "acme/data.txt")) == b"hello\n"
    bad = rezip(
        tmp_path / "bad", lambda members: _recorded(members, f"{kind}={other.hexdigest()}"), relist=False
    )
    assert rule_of(bad) == "record-mismatch"
    none = rezip(
        tmp_path / "none",
        lambda members: _recorded(members, f"{kind}=" + "xy" * right.digest_size),
        relist=False,
    )
    assert rule_of(none) == "record-unreadable"


# -- .dist-info, WHEEL, names ------------------------------------------------------------------


def test_two_dist_infos(tmp_path: Path) -> None:
    wheel = rezip(tmp_path, lambda members: members.update({"other-1.0.dist-info/METADATA": b"Name: other"}))
    assert rule_of(wheel) == "dist-info"


@pytest.mark.parametrize("filename", ["other-1.0-py3-none-any.whl", "acme-1.1-py3-none-any.whl"])
def test_a_dist_info_of_something_else(tmp_path: Path, filename: str) -> None:
    wheel = make_wheel(tmp_path, "acme", "1.0")
    assert rule_of(wheel.rename(tmp_path / filename)) == "dist-info"


@pytest.mark.parametrize(
    "filename", ["Acme-1.0-py3-none-any.whl", "acme-1.0.0-1-py3-none-any.whl", "acme-1.0-py3-none-any-x.whl"]
)
def test_other_spellings_of_the_same_wheel(tmp_path: Path, filename: str) -> None:
    wheel = make_wheel(tmp_path, "acme", "1.0")
    with WheelArchive(wheel.rename(tmp_path / filename)) as archive:
        assert archive.version == "1.0"


@pytest.mark.parametrize("missing", ["METADATA", "WHEEL", "RECORD"])
def test_files_that_must_be_there(tmp_path: Path, missing: str) -> None:
    wheel = rezip(tmp_path, lambda members: members.pop(f"{INFO}/{missing}") and None)
    assert rule_of(wheel) == "incomplete"


@pytest.mark.parametrize("version", ["2.0", "10.1", "", "one"])
def test_wheel_versions_that_are_not_known(tmp_path: Path, version: str) -> None:
    text = f"Wheel-Version: {version}\nRoot-Is-Purelib: true\n".encode()
    assert (
        rule_of(rezip(tmp_path, lambda members: members.update({f"{INFO}/WHEEL": text}))) == "wheel-version"
    )


def test_a_newer_minor_wheel_version_is_read(tmp_path: Path) -> None:
    text = b"Wheel-Version: 1.9\nRoot-Is-Purelib: false\nTag: cp311-cp311-any\n"
    with WheelArchive(rezip(tmp_path, lambda members: members.update({f"{INFO}/WHEEL": text}))) as archive:
        assert not archive.purelib and archive.tags == ("cp311-cp311-any",)


def test_the_parts_of_file_names() -> None:
    assert read_wheel_name("a_b-1.0-py3-none-any.whl").tag == "py3-none-any"
    assert read_wheel_name("a_b-1.0-2b-cp311-cp311-linux_x86_64.whl").tag == "cp311-cp311-linux_x86_64"
    assert read_wheel_name("a_b-1.0-cp311-cp311-linux_x86_64-x86v3.whl").tag == "cp311-cp311-linux_x86_64"
    for bad in ("a-1.0.whl", "a-1.0-py3-none-any.zip", "a--py3-none-any.whl", "a-1-b-c-d-e-f-g.whl"):
        with pytest.raises(UnsafeArchive):
            read_wheel_name(bad)


# -- scripts and .data --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("python", "interpreter-name"),
        ("Python3.12", "interpreter-name"),
        ("python3", "interpreter-name"),
        ("pythonw.exe", "interpreter-name"),
        ("pypy3", "interpreter-name"),
        ("../x", "script-name"),
        ("a/b", "script-name"),
        ("a\\b", "script-name"),
        ("..", "script-name"),
    ],
)
@pytest.mark.parametrize("group", ["console_scripts", "gui_scripts"])
def test_entry_points_with_names_that_do_harm(tmp_path: Path, name: str, rule: str, group: str) -> None:
    wheel = make_wheel(tmp_path, "acme", "1.0", entry_points={group: {name: "acme:main"}})
    assert rule_of(wheel) == rule


def test_names_that_only_begin_like_an_interpreter_are_fine(tmp_path: Path) -> None:
    names = dict.fromkeys(("python-argcomplete", "pythonize", "ipython3", "pypyr"), "acme:main")
    with WheelArchive(
        make_wheel(tmp_path, "acme", "1.0", entry_points={"console_scripts": names})
    ) as archive:
        assert {point.name for point in archive.entry_points} == set(names)


@pytest.mark.parametrize(("name", "rule"), [("python", "interpreter-name"), ("sub/tool", "script-name")])
def test_script_files_with_names_that_do_harm(tmp_path: Path, name: str, rule: str) -> None:
    assert rule_of(make_wheel(tmp_path, "acme", "1.0", scripts={name: "#!python"})) == rule


@pytest.mark.parametrize(
    "path", ["acme-1.0.data/elsewhere/x", "acme-1.0.data/loose", "acme-1.0.data/purelib/acme-1.0.dist-info/x"]
)
def test_data_that_goes_nowhere_good(tmp_path: Path, path: str) -> None:
    assert rule_of(rezip(tmp_path, lambda members: members.update({path: b"x"}))) == "data-folder"


def test_purelib_and_platlib_meet(tmp_path: Path) -> None:
    good = rezip(tmp_path, lambda members: members.update({"acme-1.0.data/platlib/acme/fast.py": b"x"}))
    with WheelArchive(good) as archive:
        assert ("site", "acme/fast.py") in {(one.room, one.path) for one in archive.placed}
    bad = rezip(tmp_path, lambda members: members.update({"acme-1.0.data/purelib/acme/data.txt": b"x"}))
    assert rule_of(bad) == "collision"
