"""Every scenario beside this file, resolved in memory.

Scenarios that are not universal speak of one environment: one Python (`python` or the environment's)
on Linux. The lock must then hold exactly the expected versions there; a universal one must hold them
somewhere. What a `DEVIATIONS` entry names is expected to end the other way, for the reason given there
and in ``docs/explanation/resolver-policy.md``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.scenarios import load, request_of, universe_of
from kit.universe import versions
from pypm_model.names import normalize
from pypm_model.resolutions import Resolution, Unsolvable
from pypm_resolver.verify import verify

HERE = Path(__file__).parent
SCENARIOS = sorted(HERE.rglob("*.toml"))
DEVIATIONS = {
    "fork-non-local-fork-marker-direct": "the requirements never meet in one environment: solved by a cut",
}


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_scenario(path: Path) -> None:
    scenario = load(path)
    universe = universe_of(scenario)
    asked = request_of(scenario)
    outcome = universe.solve(asked)
    expected = scenario.get("expected", {})
    satisfiable = expected.get("satisfiable", True)
    if scenario["name"] in DEVIATIONS:
        satisfiable = not satisfiable
    if not satisfiable:
        assert isinstance(outcome, Unsolvable)
        assert outcome.story
        return
    assert isinstance(outcome, Resolution), outcome
    assert verify(asked, outcome, universe.facts()) == ()
    found = versions(outcome)
    for name, version in expected.get("packages", {}).items():
        assert version in found.get(normalize(name), []), found
    if "packages" in expected:
        assert set(found) == {normalize(name) for name in expected["packages"]}


def test_all_are_here() -> None:
    assert len(SCENARIOS) == 112
    assert set(DEVIATIONS) <= {load(path)["name"] for path in SCENARIOS}
