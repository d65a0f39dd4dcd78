"""A conflict's story as JSON: each line says what its claim does, and nothing is in it twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kit.universe import Release, Universe, ask, member, request
from pypm.ops.resolving import conflict
from pypm_model import claims
from pypm_model.errors import Place
from pypm_model.records import field_names
from pypm_model.requests import Origin, Request
from pypm_model.resolutions import Unsolvable
from pypm_model.targets import target
from pypm_resolver.sentences import of_range, said

KINDS: dict[str, type] = {
    "requires": claims.Requires,
    "depends-on": claims.DependsOn,
    "allows": claims.Allows,
    "bars": claims.Bars,
    "no-wheel": claims.NoWheel,
    "unknown": claims.Unknown,
    "none-such": claims.NoneSuch,
    "no-versions": claims.NoVersions,
    "member": claims.Member,
    "supports": claims.Supports,
    "follows": claims.Follows,
    "ends": claims.Ends,
}


def read(data: dict[str, Any]) -> Any:
    """The claim again, from JSON."""
    kind = KINDS[data["says"]]
    return kind(**{name: value(data[name.replace("_", "-")]) for name in field_names(kind)})


def value(data: Any) -> Any:
    if isinstance(data, list):
        return tuple(map(value, data))
    if isinstance(data, dict):
        term = claims.Term(**{name: value(data[name]) for name in field_names(claims.Term)})
        assert data["range"] == of_range(term)
        return term
    return data


def place(origin: Origin) -> Place:
    return Place(origin.file, origin.item + 10, 1)


CONFLICTS = {
    "two members": (
        {"a": {"1.0": ["c>=2"], "2.0": ["c>=3"]}, "c": {"1.0": [], "2.0": [], "3.0": []}},
        Request((member("x", ["a"]), member("y", ["c<2"]))),
    ),
    "unknown": ({}, request(["nowhere"])),
    "no versions": ({"a": {}}, request(["a"])),
    "none such": ({"a": {"1.0": []}}, request(["a>=2"])),
    "barred": (
        {"a": {"1.0": Release(yanked="broken"), "1.1": Release(python=">=4")}, "b": {"1": ["a"]}},
        request(["b"]),
    ),
    "constraint": (
        {"a": {"1.0": [], "2.0": []}, "b": {"1": ["a>=2"]}},
        request(["b"], constraints=(ask("a<2"),)),
    ),
    "a member's version": ({"b": {"1": ["y>=9"]}}, Request((member("x", ["b"]), member("y", [])))),
    "one platform": (
        {"a": {"1.0": [], "2.0": []}, "b": {"1": ["a>=2; sys_platform == 'win32'"]}},
        request(["b", "a<2"]),
    ),
    "no wheel": (
        {"a": {"1.0": Release(tags=("cp312-abi3-manylinux_2_17_x86_64",))}, "b": {"1": ["a"]}},
        request(["b"], environments=(target("wasi_3.14").marker,)),
    ),
    "numbered": (
        {
            "a": {"1": ["b", "c"], "2": ["b", "c"]},
            "b": {"1": ["d<2"], "2": ["d<2", "e"]},
            "c": {"1": ["d>=2"], "2": ["d>=2", "e<2"]},
            "d": {"1": [], "2": [], "3": []},
            "e": {"1": ["c<2"], "2": []},
        },
        request(["a"]),
    ),
}


@pytest.mark.parametrize("name", CONFLICTS)
def test_each_sentence_is_said_by_its_claim(name: str) -> None:
    packages, asked = CONFLICTS[name]
    outcome = Universe(packages).solve(asked)
    assert isinstance(outcome, Unsolvable)
    found = json.loads(json.dumps(conflict(outcome, place).to_json()))
    assert "lines" not in found
    assert found["region"] == outcome.region
    story = found["story"]
    assert len(story) == len(outcome.story)
    assert story[-1]["text"].removeprefix("so ") == found["message"]
    for position, (line, reason) in enumerate(zip(story, outcome.story, strict=True)):
        claim = read(line["claim"])
        assert claim == reason.claim
        # What a line is called by, and the lines it calls, are not its claim's.
        assert line["text"].endswith(said(claim).removeprefix("so "))
        assert all(use < position for use in line["uses"])
        for each in line["asks"]:
            assert each["file"].endswith("pyproject.toml") and each["line"] >= 10
            assert {"file": each["file"], "line": each["line"], "column": 1} in line["places"]
            assert each["member"] in {one.name for one in asked.members}


def test_a_missing_wheel_is_among_them() -> None:
    packages, asked = CONFLICTS["no wheel"]
    outcome = Universe(packages).solve(asked)
    assert isinstance(outcome, Unsolvable)
    assert any(isinstance(reason.claim, claims.NoWheel) for reason in outcome.story)


def test_all_kinds_of_claims_are_known() -> None:
    said_of = {getattr(claims, kind.__name__) for kind in claims.Claim.__args__}
    assert said_of == set(KINDS.values())


def test_the_page_on_conflicts_as_data_has_every_field() -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "conflicts-as-data.md"
    rows = [line.split("|")[1:3] for line in page.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    told = {says.strip(" `"): [name.strip(" `") for name in fields.split(",")] for says, fields in rows[2:]}
    assert told == {
        says: [name.replace("_", "-") for name in field_names(kind)] for says, kind in KINDS.items()
    }
