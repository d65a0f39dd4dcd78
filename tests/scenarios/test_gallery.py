"""The gallery of conflicts in the docs says what pypm says: the sections made from scenarios are made
again here and compared.

A section holds ``<!-- scenario: FOLDER/NAME; python: RANGE -->``, a ``toml`` block with the manifest and,
in the first block after the words "pypm says", the message.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from kit.scenarios import FOLDER, load, request_of, universe_of
from kit.universe import request
from pypm.cli.render.errors import render_error
from pypm.ops.resolving import conflict
from pypm_model.errors import Place
from pypm_model.requests import Origin

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "conflict-gallery.md"
SECTION = re.compile(
    r"<!-- scenario: (?P<path>[\w/-]+); python: (?P<python>\S+) -->.*?"
    r"```toml\n(?P<manifest>.*?)```.*?pypm says[^`]*```text\n(?P<said>.*?)```",
    re.DOTALL,
)
SECTIONS = list(SECTION.finditer(PAGE.read_text(encoding="utf-8")))


def place(origin: Origin) -> Place:
    """Where the manifest of the page has a requirement: one a line, from line 6 on."""
    return Place(origin.file, 4, 1) if origin.item < 0 else Place(origin.file, 6 + origin.item, 5)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section["path"])
def test_the_page_says_what_pypm_says(section: re.Match[str]) -> None:
    scenario = load(FOLDER / f"{section['path']}.toml")
    requires = scenario["root"]["requires"]
    manifest = tomllib.loads(section["manifest"])["project"]
    assert (manifest["dependencies"], manifest["requires-python"]) == (requires, section["python"])
    assert section["manifest"].splitlines()[5].strip() == f'"{requires[0]}",'
    asked = request(requires, python=section["python"], build=request_of(scenario).build)
    outcome = universe_of(scenario).explain(asked, lambda origin: str(place(origin)))
    assert render_error(conflict(outcome, place)) == section["said"]


def test_the_gallery_has_fifteen_conflicts() -> None:
    assert len(re.findall(r"^## ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)) == 15
    assert len(SECTIONS) >= 9
