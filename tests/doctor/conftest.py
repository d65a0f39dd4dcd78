"""A clinic for each test; interpreters are asked once for all of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kit.clinic import Clinic
from pypm_env.probe import folder_cache, probe


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interpreters")
    probe(sys.executable, folder_cache(folder))
    return folder


@pytest.fixture
def clinic(tmp_path: Path, known: Path) -> Clinic:
    return Clinic(tmp_path, known)
