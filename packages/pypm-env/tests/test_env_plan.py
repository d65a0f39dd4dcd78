"""From what is and what should be to steps: laws."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypm_env.dists import Installed, InstalledDist, Wanted, WantedDist
from pypm_env.interpreters import Interpreter, Layout
from pypm_env.plan import ForeignEnvironment, Plan, after, plan
from pypm_model.names import NormalizedName

_FOLDER = Path("/somewhere/.venv")
_NAMES = ["acme", "beta", "gamma-x", "delta"]


def _interpreter(path: str = "/usr/bin/python3.12", version: str = "3.12.1") -> Interpreter:
    short = version.rpartition(".")[0]
    return Interpreter(
        path=path,
        real_path=path,
        version=version,
        implementation="cpython",
        markers={"python_version": short, "python_full_version": version, "os_name": "posix"},
        tags=(),
        prefix="/usr",
        base_prefix="/usr",
        is_free_threaded=False,
        cache_tag="cpython-312",
        layout=Layout("bin", f"lib/python{short}/site-packages", f"include/site/python{short}"),
        paths={},
    )


def _dist(name: str, version: str = "1.0", tree: str = "aa", **more: object) -> WantedDist:
    return WantedDist(NormalizedName(name), version, tree, **more)  # type: ignore[arg-type]


def _there(dist: WantedDist) -> InstalledDist:
    return InstalledDist(dist, f"{dist.name.replace('-', '_')}-{dist.version}.dist-info", 1)


def _installed(*dists: InstalledDist, **more: object) -> Installed:
    fields = {"interpreter": _interpreter().identity, "link_mode": "auto", **more}
    return Installed(_FOLDER, "ours", dists=dists, **fields)  # type: ignore[arg-type]


_dists = st.builds(
    _dist,
    st.sampled_from(_NAMES),
    st.sampled_from(["1.0", "2.0"]),
    st.sampled_from(["aa", "bb"]),
    direct_url=st.sampled_from(["", '{"url": "file:///x"}']),
    editable=st.booleans(),
    requested=st.booleans(),
)
_sets = st.lists(_dists, unique_by=lambda dist: dist.name).map(tuple)


@st.composite
def _states(draw: st.DrawFn) -> Installed:
    ours = [_there(dist) for dist in draw(_sets)]
    foreign = [_there(_dist(name, "9", "")) for name in draw(st.lists(st.sampled_from(_NAMES), unique=True))]
    infos = [one.info for one in ours + foreign]
    torn = draw(st.lists(st.sampled_from([*infos, "gone-1.dist-info"]))) if infos else []
    ordered = sorted(ours + foreign, key=lambda one: one.name)
    return _installed(*ordered, unfinished=frozenset(torn))


@given(_states(), _sets)
def test_after_the_plan_exactly_the_wanted_is_there(
    installed: Installed, dists: tuple[WantedDist, ...]
) -> None:
    done = plan(Wanted(_interpreter(), dists), installed)
    assert after(done) == tuple(sorted(dists, key=lambda dist: dist.name))


@given(_states(), _sets)
def test_inexact_takes_nothing_out_but_what_is_torn(
    installed: Installed, dists: tuple[WantedDist, ...]
) -> None:
    done = plan(Wanted(_interpreter(), dists), installed, inexact=True)
    names = {dist.name for dist in dists}
    others = {
        one.dist for one in installed.dists if one.name not in names and one.info not in installed.unfinished
    }
    assert set(after(done)) == set(dists) | others


@given(_sets)
def test_what_is_there_needs_nothing(dists: tuple[WantedDist, ...]) -> None:
    ordered = sorted(map(_there, dists), key=lambda one: one.name)
    done = plan(Wanted(_interpreter(), dists), _installed(*ordered))
    assert done.is_empty
    assert done.keep == tuple(ordered)


@given(_states(), _sets, st.lists(st.sampled_from(_NAMES)))
def test_every_distribution_is_in_one_step(
    installed: Installed, dists: tuple[WantedDist, ...], again: list[str]
) -> None:
    done = plan(Wanted(_interpreter(), dists), installed, reinstall=[NormalizedName(name) for name in again])
    touched = [one.info for one in done.keep]
    touched += [step.installed.info for step in (*done.remove, *done.amend)]
    touched += [one.info for step in done.install for one in step.replaces]
    assert sorted(touched) == sorted(one.info for one in installed.dists)
    assert not ({one.name for one in done.keep} & set(again) & {dist.name for dist in dists})


def test_only_a_changed_request_is_no_new_install() -> None:
    old, new = _dist("acme"), _dist("acme", requested=True)
    done = plan(Wanted(_interpreter(), (new,)), _installed(_there(old)))
    assert [step.dist for step in done.amend] == [new]
    assert not done.install
    assert after(done) == (new,)


def _reason(installed: Installed, **more: object) -> str:
    wanted = Wanted(_interpreter(), (_dist("acme"),), **more)  # type: ignore[arg-type]
    done = plan(wanted, installed)
    assert [step.dist.name for step in done.install] == ["acme"]
    assert not done.remove
    return done.recreate


def test_reasons_to_make_it_anew() -> None:
    one = _there(_dist("acme"))
    assert _reason(Installed(_FOLDER, "absent")) == "there is none"
    assert _reason(_installed(one, problem="its interpreter is gone")) == "its interpreter is gone"
    older = _installed(one, interpreter=_interpreter("/usr/bin/python3.11", "3.11.2").identity)
    assert _reason(older) == "its interpreter changes from cpython-3.11 to cpython-3.12"
    moved = _installed(one, interpreter=_interpreter("/opt/bin/python3.12").identity)
    assert _reason(moved) == "its interpreter has moved"
    assert _reason(_installed(one), link_mode="copy") == "the link mode changes from auto to copy"


def test_a_new_patch_release_in_place_keeps_the_environment() -> None:
    dist = _dist("acme")
    done = plan(Wanted(_interpreter(version="3.12.9"), (dist,)), _installed(_there(dist)))
    assert done.is_empty


def test_an_environment_of_another_tool_is_replaced_only_when_told() -> None:
    wanted = Wanted(_interpreter(), ())
    foreign = Installed(_FOLDER, "foreign")
    with pytest.raises(ForeignEnvironment, match="pypm did not make"):
        plan(wanted, foreign)
    assert plan(wanted, foreign, adopt=True).recreate == "pypm did not make it"
    with pytest.raises(ForeignEnvironment, match="no environment"):
        plan(wanted, Installed(_FOLDER, "occupied"), adopt=True)


def test_the_report() -> None:
    installed = _installed(_there(_dist("acme", "1.0")), _there(_dist("old")), _there(_dist("same")))
    done = plan(Wanted(_interpreter(), (_dist("acme", "2.0"), _dist("new"), _dist("same"))), installed)
    assert done.counts == {"install": 1, "update": 1, "remove": 1, "keep": 1}
    data = json.loads(json.dumps(done.to_json()))
    assert data["install"][0] == {
        "name": "acme",
        "version": "2.0",
        "editable": False,
        "replaces": ["1.0"],
        "replaces-editable": False,
    }
    assert data["remove"] == [{"name": "old", "version": "1.0"}]
    assert data["recreate"] is None
    assert not done.is_empty
    assert isinstance(done, Plan)


def test_torn_leftovers_are_cleaned_even_if_nothing_else_is_to_do() -> None:
    dist = _dist("acme")
    done = plan(
        Wanted(_interpreter(), (dist,)), _installed(_there(dist), unfinished=frozenset({"x-1.dist-info"}))
    )
    assert done.clean == ("x-1.dist-info",)
    assert not done.is_empty
