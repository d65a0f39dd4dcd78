"""Whole commands: every `*.transcript` beside this file, played in an empty home."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit.transcripts import play

TRANSCRIPTS = sorted(Path(__file__).parent.glob("*.transcript"))


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(transcript: Path, tmp_path: Path) -> None:
    play(transcript, tmp_path)
