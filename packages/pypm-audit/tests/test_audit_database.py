"""The machine's advisories: made from a snapshot, brought up to date by what changed in it."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pypm_audit import advisories, snapshot
from pypm_audit.database import Database, Updated
from pypm_audit.errors import SnapshotUnreadable
from pypm_audit.places import MARK
from pypm_model.names import NormalizedName
from pypm_model.records import replace

ACME, OTHER = NormalizedName("acme"), NormalizedName("other")
NOW = "2026-11-26T12:00:00Z"


def record(identity: str, name: str = "acme", **more: Any) -> dict[str, Any]:
    affected = {"package": {"ecosystem": "PyPI", "name": name}, "versions": ["1.0"]}
    return {"id": identity, "modified": "2026-01-01T00:00:00Z", "affected": [affected], **more}


Make = Callable[[Mapping[str, object]], Path]


@pytest.fixture(params=["zip", "folder"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes a snapshot of files by name; what is no text is written as JSON."""
    place = tmp_path / "all.zip" if request.param == "zip" else tmp_path / "all"

    def zipped(files: Mapping[str, object]) -> Path:
        with zipfile.ZipFile(place, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content if isinstance(content, str) else json.dumps(content))
        return place

    def folder(files: Mapping[str, object]) -> Path:
        place.mkdir(exist_ok=True)
        for old in place.iterdir():
            if old.name not in files:
                old.unlink()
        for name, content in files.items():
            text = content if isinstance(content, str) else json.dumps(content)
            if not (place / name).exists() or (place / name).read_text() != text:
                (place / name).write_text(text)
        return place

    return zipped if request.param == "zip" else folder


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "db") as made:
        yield made


def ids(database: Database, *names: NormalizedName, malware: bool = False) -> list[str]:
    return [each.id for each in database.about(names or (ACME, OTHER), malware=malware)]


def test_only_what_changed_is_read(database: Database, make: Make) -> None:
    first = {"A.json": record("A"), "B.json": record("B", "Other"), "README.md": "no record"}
    assert database.take(make(first), NOW) == Updated(2, 2, 0)
    assert database.take(make(first), NOW) == Updated(2, 0, 0)
    assert (database.taken, database.newest) == (NOW, "2026-01-01T00:00:00Z")
    assert (ids(database), ids(database, ACME)) == (["A", "B"], ["A"])
    changed = record("B", "acme", modified="2026-02-02T00:00:00Z")
    assert database.take(make({"B.json": changed, "C.json": record("C")}), NOW) == Updated(2, 2, 1)
    assert (ids(database), ids(database, OTHER)) == (["B", "C"], [])
    assert database.newest == "2026-02-02T00:00:00Z"


def test_what_cannot_be_read_hides_nothing_and_is_told_each_time(database: Database, make: Make) -> None:
    bad = {"1.json": "{", "2.json": {"id": 3}, "3.json": "[" * 100_000, "4.json": [record("D"), 5]}
    path = make({**bad, "A.json": record("A"), "Z.json": record("Z")})
    database.take(path, NOW)
    assert ids(database) == ["A", "D", "Z"]
    told = [each.source for each in database.malformed]
    assert told == ["1.json", "2.json", "3.json", "4.json#2"]
    database.take(path, NOW)
    assert [each.source for each in database.malformed] == told
    mended = {**bad, "1.json": record("M"), "2.json": record("N"), "3.json": record("O")}
    database.take(make(mended), NOW)
    assert ids(database) == ["D", "M", "N", "O"]
    assert [each.source for each in database.malformed] == ["4.json#2"]


def test_two_records_of_one_id_do_not_hide_each_other(database: Database, make: Make) -> None:
    database.take(make({"1.json": record("A"), "2.json": record("A", "other")}), NOW)
    assert (ids(database, ACME), ids(database, OTHER)) == (["A"], ["A"])
    database.take(make({"2.json": record("A", "other")}), NOW)
    assert (ids(database, ACME), ids(database, OTHER)) == ([], ["A"])


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"README.md": "x"}, "there is no JSON file in it"),
        ({"A.json": "{"}, "no record can be read: A.json: it is no JSON"),
        ({"A.json": {"id": "A", "affected": []}}, "no record is about a Python package"),
    ],
)
def test_a_snapshot_without_advisories_is_refused_and_changes_nothing(
    database: Database, make: Make, files: dict[str, object], why: str
) -> None:
    database.take(make({"A.json": record("A")}), NOW)
    with pytest.raises(SnapshotUnreadable, match=why) as raised:
        database.take(make(files), "2027-01-01T00:00:00Z")
    assert raised.value.exit == 2
    assert (ids(database), database.taken, database.malformed) == (["A"], NOW, ())


def test_what_is_no_snapshot(database: Database, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    (tmp_path / "cut.zip").write_bytes(b"PK\3\4" + bytes(10))
    for name in ("absent", "text", "cut.zip"):
        with pytest.raises(SnapshotUnreadable):
            database.take(tmp_path / name, NOW)
    assert database.taken == ""


def test_one_json_file_is_a_snapshot(database: Database, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps({"vulns": [record("A"), record("B")]}))
    assert database.take(tmp_path / "one.json", NOW).records == 2


def test_a_damaged_entry_of_a_zip_file_hides_no_other(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in "AB":
            archive.writestr(f"{name}.json", json.dumps(record(name)))
    data = bytearray(path.read_bytes())
    at = data.index(b'"id": "A"')
    data[at + 7] ^= 1
    path.write_bytes(data)
    database.take(path, NOW)
    assert ids(database) == ["B"]
    assert [bad.source for bad in database.malformed] == ["A.json"]
    assert "cannot be unpacked" in database.malformed[0].reason


def test_an_entry_that_is_too_large_is_not_unpacked(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "LARGEST", 10_000)
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("A.json", json.dumps(record("A")))
        archive.writestr("bomb.json", " " * 1_000_000)
    database.take(tmp_path / "all.zip", NOW)
    assert [bad.source for bad in database.malformed] == ["bomb.json"]


@pytest.mark.skipif(os.name == "nt", reason="pipes with a name are POSIX")
def test_what_is_no_file_is_not_waited_for(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "all"
    folder.mkdir()
    (folder / "A.json").write_text(json.dumps(record("A")))
    os.mkfifo(folder / "B.json")
    database.take(folder, NOW)
    assert ids(database) == ["A"]
    assert [str(bad) for bad in database.malformed] == ["B.json: it is no regular file"]


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_tried_again(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "all"
    folder.mkdir()
    for name in "AB":
        (folder / f"{name}.json").write_text(json.dumps(record(name)))
    (folder / "A.json").chmod(0)
    database.take(folder, NOW)
    assert ids(database) == ["B"]
    (folder / "A.json").chmod(0o644)
    database.take(folder, NOW)
    assert ids(database) == ["A", "B"]


def test_the_mark_tells_of_malware_alone(database: Database, tmp_path: Path, make: Make) -> None:
    mark = tmp_path / "db" / MARK
    database.take(make({"A.json": record("A")}), NOW)
    assert not mark.exists()
    withdrawn = record("MAL-9", withdrawn="2026-01-01T00:00:00Z")
    database.take(make({"A.json": record("A"), "M.json": record("MAL-1"), "W.json": withdrawn}), NOW)
    before = mark.stat()
    assert (ids(database, malware=True), ids(database)) == (["MAL-1"], ["A", "MAL-1", "MAL-9"])
    database.take(make({"B.json": record("B"), "M.json": record("MAL-1")}), NOW)
    assert (mark.stat().st_mtime_ns, mark.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    database.take(make({"M.json": record("MAL-1"), "N.json": record("MAL-2")}), NOW)
    assert mark.stat().st_ino != before.st_ino
    database.take(make({"A.json": record("A")}), NOW)
    assert not mark.exists()


def test_the_mark_tells_of_records_that_changed_under_the_same_date(
    database: Database, tmp_path: Path, make: Make
) -> None:
    mark = tmp_path / "db" / MARK
    database.take(make({"M.json": record("MAL-1")}), NOW)
    seen = [mark.read_text()]
    database.take(make({"M.json": record("MAL-1", "other")}), NOW)
    seen.append(mark.read_text())
    advisory = advisories.read(record("MAL-2"), "")
    assert isinstance(advisory, advisories.Advisory)
    for more in ({}, {"withdrawn": NOW}, {}, {"affected": ()}):
        database.keep({}, {"MAL-2": ("1", replace(advisory, **more))}, 0.0)
        seen.append(mark.read_text())
    assert (len(set(seen)), seen[-1]) == (len(seen) - 1, seen[-2]), "a record of nothing is not kept"


def test_a_mark_that_was_not_written_is_written_by_the_next_audit(tmp_path: Path, make: Make) -> None:
    place, mark = make({"M.json": record("MAL-1")}), tmp_path / "db" / MARK
    with Database(tmp_path / "db") as made:
        made.take(place, NOW)
        text = mark.read_text()
        mark.unlink()
        made.take(place, NOW)
        assert mark.read_text() == text
        mark.write_text("of a killed process")
        made.keep({}, {}, 0.0)
        assert mark.read_text() == text


def test_a_damaged_database_is_empty_and_says_so(tmp_path: Path, make: Make) -> None:
    with Database(tmp_path / "db") as made:
        made.take(make({"A.json": record("A")}), NOW)
    for path in (tmp_path / "db").glob("*.sqlite*"):
        path.write_bytes(b"not a database at all" * 100)
    with Database(tmp_path / "db") as made:
        assert made.warning is not None and "database of advisories" in made.warning.message
        assert made.taken == ""
        made.take(make({"A.json": record("A")}), NOW)
        assert ids(made) == ["A"]
