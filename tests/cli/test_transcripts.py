"""Whole commands: every `*.transcript` beside this file, played in an empty home."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.transcripts import is_slow, play

TRANSCRIPTS = sorted(Path(__file__).parent.glob("*.transcript"))


def _cases() -> list[object]:
    slow = [path for path in TRANSCRIPTS if is_slow(path.read_text(encoding="utf-8"))]
    return [pytest.param(p, id=p.stem, marks=[pytest.mark.slow] if p in slow else []) for p in TRANSCRIPTS]


@pytest.mark.parametrize("transcript", _cases())
def test_transcript(transcript: Path, tmp_path: Path) -> None:
    play(transcript, tmp_path)


def test_a_transcript_that_is_wrong_is_found_out(tmp_path: Path) -> None:
    """The kit's own conscience: each kind of difference fails, and names its line."""
    for number, (text, line) in enumerate(
        [
            ("-- run pypm version --\npypm 0.0.0\n", 1),
            ("-- run pypm frobnicate --\n...\n", 1),
            ("-- run pypm version; exit 1 --\n...\n", 1),
            ("-- file a --\nx\n-- is a --\ny\n", 3),
            ("-- file a --\nx\ny\n-- has a --\ny\nx\n", 4),
            ("-- file a --\nx\n-- lacks a --\nx\n", 3),
            ("-- file a --\nx\n-- gone a --\n", 3),
            ("-- file a --\nx\n-- keep a --\n-- file a --\ny\n-- same a --\n", 6),
            ("-- frob --\n", 1),
        ]
    ):
        path = tmp_path / f"case{number}.transcript"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(AssertionError, match=rf"^case{number}\.transcript:{line}: "):
            play(path, tmp_path / f"folder{number}")
