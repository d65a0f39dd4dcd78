"""The memory's benchmark, with little to do and no peers, and what it says of figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import memory


@pytest.mark.slow
def test_every_row_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--entries", "300", "--waiters", "3", "--peekers", "2", "--peers", ""]
    code = memory.main([*arguments, "--work", str(tmp_path), "--json", str(tmp_path / "figures.json")])
    rows = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    # How fast this machine is at the moment is not what is tested; a failed row would be no row.
    assert code in (0, 1)
    assert [row["row"] for row in rows] == [
        "set, a new key",
        "set, a key that is there",
        "peek, a hit",
        "peek, nothing and nobody",
        "peeks of 2 processes",
        "hand-over to 3 waiters",
    ]
    assert all(row["figures"].keys() == {"pypm"} and row["figures"]["pypm"] > 0 for row in rows)
    assert len(capsys.readouterr().out.splitlines()) == 7
    assert not list(tmp_path.glob("memory-*")), "it cleans up behind itself"


@pytest.mark.parametrize(
    ("row", "unit", "ours", "theirs", "ending"),
    [
        ("peek, a hit", "us", 59.0, 60.0, "met"),
        ("peek, a hit", "us", 61.0, 70.0, "MISSED"),
        ("peek, a hit", "us", 30.0, 29.0, "MISSED"),
        ("peek, a hit", "us", 30.0, None, "met"),
        ("peeks of 8 processes", "1/s", 10_000.0, 9_000.0, "met"),
        ("peeks of 8 processes", "1/s", 9_999.0, None, "MISSED"),
        ("peeks of 8 processes", "1/s", 20_000.0, 21_000.0, "MISSED"),
        ("hand-over to 64 waiters", "us", 50_001.0, 90_000.0, "MISSED"),
        ("hand-over to 3 waiters", "us", 50_001.0, None, ""),
    ],
)
def test_a_row_is_met_or_missed(row: str, unit: str, ours: float, theirs: float | None, ending: str) -> None:
    figures = {"pypm": ours} | ({} if theirs is None else {"diskcache": theirs})
    said = memory.verdict({"row": row, "unit": unit, "figures": figures})
    assert said.endswith(ending) and bool(said) == bool(ending)


def test_the_table_has_a_column_for_each_that_took_part() -> None:
    figures = {"pypm": 20_500.0, "redis": 181.5}
    head, row = memory.table([{"row": "peek, a hit", "unit": "us", "figures": figures}], ["pypm", "redis"])
    assert head.split() == ["pypm", "redis"]
    assert row.split("  <=")[0].split() == ["peek,", "a", "hit", "20.5", "ms", "181.5", "us"]


def test_without_a_redis_its_column_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(memory.shutil, "which", lambda name: None)
    monkeypatch.setattr(memory, "measured", lambda python, folder, names, options: iter([]))
    monkeypatch.setattr(memory, "table", lambda rows, names: iter([" ".join(names)]))
    assert memory.main(["--peers", "redis", "--work", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert said.out == "pypm\n" and "redis is left out" in said.err
