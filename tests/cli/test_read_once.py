"""A lock with files kept in step with it is read once to be checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pypm.ops.lock import CheckOptions, LockOptions, check, lock
from pypm.ops.world import World
from pypm_model import lock_text


def test_a_check_reads_the_lock_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "w"
    root.mkdir()
    (root / "pypm-workspace.toml").write_text(
        '[workspace]\nmembers = []\n[lock]\nexport = ["pylock.toml", "requirements.txt"]\n'
    )
    (root / "pyproject.toml").write_text('[project]\nname = "a"\nversion = "1"\nrequires-python = ">=3.11"\n')
    world = World(root, {"PYPM_CACHE_DIR": str(tmp_path / "cache")}, offline=True)
    assert lock(world, LockOptions()).exports == ("pylock.toml", "requirements.txt")
    parsed = []
    records = lock_text.lock_records.lock

    def counted(data: dict[str, Any]) -> object:
        parsed.append(data)
        return records(data)

    monkeypatch.setattr(lock_text.lock_records, "lock", counted)
    assert check(world, CheckOptions()).problem is None
    assert len(parsed) == 1
    (root / "requirements.txt").unlink()
    found = check(world, CheckOptions()).problem
    assert found is not None and found.code == "export-stale"
    assert len(parsed) == 2
