"""An index that tells of a wheel what is not in it (PEP 658): noticed when the wheel comes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.transcripts import Stage
from kit.wheels import core_metadata, make_wheel

pytestmark = pytest.mark.slow
PROJECT = """[project]
name = "web"
version = "1"
requires-python = ">=3.11"
dependencies = ["acme"]
"""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made:
        assert made.server.folder is not None
        make_wheel(made.server.folder, "acme", "1.0", requires=["helper"])
        make_wheel(made.server.folder, "helper", "1.0")
        (made.root / "pyproject.toml").write_text(PROJECT)
        yield made


WHEEL = "acme-1.0-py3-none-any.whl"


def test_a_wheel_that_needs_more_than_was_told(stage: Stage) -> None:
    stage.server.told[WHEEL] = core_metadata("acme", "1.0", requires_python=">=3").encode()
    assert stage.run("pypm lock -q") == (0, "")
    assert "helper" not in (stage.root / "pypm.lock").read_text()
    code, output = stage.run("pypm sync")
    said = [line for line in output.splitlines() if line.startswith("warning")]
    assert code == 0
    assert said == [
        "warning[metadata-differs]: acme 1.0 has another Requires-Dist and Requires-Python in its wheel than "
        "index 'pypi' said, which it was locked by: `pypm update acme` locks by its wheel"
    ]
    assert stage.run("pypm update -q acme") == (0, "")
    assert "helper" in (stage.root / "pypm.lock").read_text()


def test_nothing_is_said_where_only_the_spelling_differs(stage: Stage) -> None:
    told = core_metadata("acme", "1.0", requires=["Helper ( )"], description="Another one.")
    stage.server.told[WHEEL] = told.encode()
    assert stage.run("pypm lock -q") == (0, "")
    code, output = stage.run("pypm sync")
    assert (code, "warning" in output) == (0, False)
    assert "+ helper 1.0" in output
