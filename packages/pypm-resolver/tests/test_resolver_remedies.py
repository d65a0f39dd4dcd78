"""What would help: each kind of remedy, said only when a trial has shown that it does."""

from __future__ import annotations

import pytest

from kit.universe import Release, Universe, ask, member, names, request
from pypm_model.claims import Bars, DependsOn, Requires
from pypm_model.facts import Needs
from pypm_model.requests import PrereleasePolicy
from pypm_model.resolutions import Unsolvable
from pypm_model.sources import IndexSource
from pypm_resolver.trials import Trials

AT = "pyproject.toml [project.dependencies]"
OLD_LINUX = Release(tags=("py3-none-manylinux_2_17_x86_64",), sdist=False)


def hints(packages: dict[str, dict[str, Release | list[str]]], *asked: str, **settings: object) -> list[str]:
    return list(Universe(packages).explain(request(asked, **settings)).hints)


def test_a_bound_is_relaxed_upwards_before_it_is_dropped() -> None:
    packages: dict[str, dict[str, Release | list[str]]] = {
        "a": {"1.0": ["b>=3"]},
        "b": {"1.0": [], "2.0": [], "3.0": []},
    }
    assert hints(packages, "a", "b>=2,<3") == [
        f"relaxing b>=2,<3 in {AT} to b>=2 gives a solution (b 3.0)",
        'an override gives a solution (b 2.0), against what a asks for: [resolution] overrides = ["b>=2,<3"]',
    ]
    packages["a"] = {"1.0": ["b<2"]}
    assert hints(packages, "a", "b>=2,<3")[0] == f"relaxing b>=2,<3 in {AT} to b gives a solution (b 1.0)"


def test_an_override_names_everybody_it_is_against() -> None:
    packages: dict[str, dict[str, Release | list[str]]] = {
        "a": {"1.0": ["c==1.0"]},
        "b": {"1.0": ["c==2.0"]},
        "d": {"1.0": ["c"]},
        "c": {"1.0": [], "2.0": [], "3.0": []},
    }
    assert hints(packages, "a", "b", "d") == [
        'an override gives a solution (c 3.0), against what a and b ask for: [resolution] overrides = ["c"]'
    ]


def test_what_does_not_help_is_not_said() -> None:
    packages: dict[str, dict[str, Release | list[str]]] = {
        "a": {"1.0": ["b<2", "nowhere"]},
        "b": {"1.0": [], "2.0": []},
    }
    outcome = Universe(packages).solve(request(["a", "b>=2"]))
    assert isinstance(outcome, Unsolvable)
    assert outcome.remedies
    assert hints(packages, "a", "b>=2") == []


def test_constraints_and_overrides_are_named_and_can_be_relaxed() -> None:
    packages: dict[str, dict[str, Release | list[str]]] = {
        "a": {"1.0": ["b>=2"]},
        "b": {"1.0": [], "2.0": []},
    }
    at = "workspace.toml [resolution.constraints]"
    constraint = ask("b<2", table="resolution.constraints")
    outcome = Universe(packages).explain(request(["a"], constraints=(constraint,)))
    assert "a constraint allows only b<2" in [reason.text for reason in outcome.story]
    assert any(hint.startswith("relaxing the constraint b<2 in ") for hint in outcome.hints), at
    override = ask("b>=9", table="resolution.overrides")
    outcome = Universe(packages).explain(request(["a"], overrides=(override,)))
    line = next(r for r in outcome.story if isinstance(r.claim, DependsOn))
    assert line.text == "a 1.0 (the only version) depends on b, which an override makes b>=9"
    assert line.asks == (override,)
    direct = Universe(packages).explain(request(["b"], overrides=(override,)))
    assert isinstance(direct.story[0].claim, Requires)
    assert direct.story[0].text == "app requires b, which an override makes b>=9"
    assert any(hint.startswith("relaxing the override b>=9 in ") for hint in direct.hints)


@pytest.mark.parametrize(
    ("release", "settings", "kind", "hint"),
    [
        (
            Release(yanked="broken"),
            {},
            "yanked",
            "a 2.0 is yanked: requiring a==2.0 in pyproject.toml takes it all the same, and gives a solution",
        ),
        (
            Release(too_new=True),
            {"exclude_newer": "2026-11-01T00:00:00Z"},
            "too-new",
            "a 2.0 would be in range, but exclude-newer or the cooldown leaves it out: "
            "[resolution] exclude-newer-package = { a = false } lets it in",
        ),
        (
            Release(python=">=3.13"),
            {},
            "python",
            "raising requires-python of app to >=3.13 (pyproject.toml [project.requires-python]) "
            "gives a solution (a 2.0)",
        ),
        (
            OLD_LINUX,
            {"required_environments": ("sys_platform == 'win32'",)},
            "required",
            "requiring a only where it can be used gives a solution: "
            f"a>=2; sys_platform == 'linux' and platform_machine == 'x86_64' in {AT}",
        ),
    ],
)
def test_what_bars_a_version_and_how_to_have_it(
    release: Release, settings: dict[str, object], kind: str, hint: str
) -> None:
    universe = Universe({"a": {"1.0": [], "2.0": release}})
    outcome = universe.explain(request(["a>=2"], **settings))
    assert kind in [reason.claim.kind for reason in outcome.story if isinstance(reason.claim, Bars)]
    assert outcome.hints[0] == hint
    assert outcome.hints[-1].startswith(f"relaxing a>=2 in {AT} to a gives a solution (a 1.0")


def test_pre_releases_that_the_settings_bar() -> None:
    packages: dict[str, dict[str, Release | list[str]]] = {"a": {"1.0": [], "2.0a1": []}}
    assert hints(packages, "a>1.0", prereleases=PrereleasePolicy("only", names("z")))[0] == (
        "allowing pre-releases of a gives a solution (a 2.0a1): "
        '[resolution] prereleases = { only = ["a", "z"] }'
    )


def test_members_that_can_part() -> None:
    universe = Universe({"a": {"1.0": [], "2.0": []}})
    together = request(["a==1.0"], member("lib", ["a==2.0"]))
    outcome = universe.explain(together)
    assert outcome.story[-1].text == "so no version of a fits both app and lib"
    assert outcome.hints[-1] == (
        "with `shared-environment = false` under [workspace], app and lib need not fit into one environment: "
        "that gives a solution"
    )
    needs_it = request(["a==1.0", "lib"], member("lib", ["a==2.0"]))
    assert not any("shared-environment" in hint for hint in universe.explain(needs_it).hints)


def test_two_sources_for_one_name_are_told_apart() -> None:
    others = {"one": {"a": {"1.0": []}}, "two": {"a": {"2.0": []}}}
    asked = request([("a", IndexSource("one"))], member("lib", [("a", IndexSource("two"))]))
    outcome = Universe({}, others).explain(asked)
    assert [reason.text for reason in outcome.story] == [
        "app requires a, from index one",
        "lib requires a, from index two",
        "so no version of a fits both app and lib",
    ]


def test_what_can_not_be_learned_is_left_out() -> None:
    universe = Universe({"a": {"1.0": ["b<2"], "2.0": ["c"]}, "b": {"1.0": [], "2.0": []}, "c": {"1.0": []}})
    outcome = universe.solve(request(["a<2", "b>=2"]))
    assert isinstance(outcome, Unsolvable)
    trials = Trials(outcome, universe.facts())
    given_up = 0
    while isinstance(state := trials.step(), Needs):
        trials.give_up()
        given_up += 1
    assert given_up
    assert state.story == outcome.story
    assert not any("relaxing a<2" in hint for hint in state.hints)
