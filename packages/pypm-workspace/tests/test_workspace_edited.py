"""A workspace as it would be after an edit, without writing anything."""

from __future__ import annotations

from pathlib import Path

from pypm_model.requests import Origin
from pypm_workspace.discover import discover
from pypm_workspace.snapshot import members_from_snapshot


def test_an_edited_text_stands_in_for_the_file(tmp_path: Path) -> None:
    manifest = tmp_path / "pyproject.toml"
    manifest.write_text('[project]\nname = "a"\nversion = "1"\ndependencies = []\n', encoding="utf-8")
    before = discover(tmp_path)
    snapshot = members_from_snapshot(before.snapshot(), written_ns=2**62)
    text = manifest.read_text(encoding="utf-8").replace("[]", '["httpx"]')
    after = discover(tmp_path, snapshot=snapshot, edited={"pyproject.toml": text})
    assert [asked.requirement.name for asked in after.members[0].dependencies] == ["httpx"]
    assert after.place(after.request().members[0].dependencies[0].origin).unwritten
    assert before.members[0].dependencies == ()
    assert '"httpx"' not in manifest.read_text(encoding="utf-8")


def test_places_are_those_of_the_files_as_they_are(tmp_path: Path) -> None:
    text = '[project]\nname = "a"\nversion = "1"\ndependencies = [\n    "idna<3",\n    "sniffio",\n]\n'
    (tmp_path / "pyproject.toml").write_text(text)
    edited = text.replace('    "idna<3",', '    "anyio",\n    "idna<3",').replace("sniffio", "sniffio>=1")
    there = discover(tmp_path, edited={"pyproject.toml": edited})
    assert [
        str(there.place(Origin(there.members[0].name, "pyproject.toml", "project.dependencies", n)))
        for n in range(3)
    ] == [
        "pyproject.toml (to be added)",
        "pyproject.toml:5:5",
        "pyproject.toml (to be added)",
    ]
    assert (
        str(there.place(Origin(there.members[0].name, "pyproject.toml", "project.version")))
        == "pyproject.toml:3:1"
    )
