"""What is broken off is put back, however often somebody breaks it off."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from pypm.ops import writing
from pypm_store.atomic import write_atomically


def test_a_second_interrupt_does_not_stop_what_the_first_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [tmp_path / name for name in ("pyproject.toml", "pypm.lock")]
    for file in files:
        file.write_text("before")

    def disturbed(file: Path, data: bytes) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        write_atomically(file, data)

    monkeypatch.setattr(writing, "write_atomically", disturbed)
    with (
        pytest.raises(KeyboardInterrupt),
        writing._interrupted_once(),
        writing._restored_on_failure([*files, tmp_path / "new"]),
    ):
        for file in (*files, tmp_path / "new"):
            file.write_text("after")
        os.kill(os.getpid(), signal.SIGINT)
    assert [file.read_text() for file in files] == ["before", "before"]
    assert not (tmp_path / "new").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_signals_that_somebody_else_looks_after_are_left_alone() -> None:
    mine = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with writing._interrupted_once():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, mine)
