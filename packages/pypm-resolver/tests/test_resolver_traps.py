"""The traps of resolving, one test each, named after the list in the design (T1 to T22)."""

from __future__ import annotations

import pytest

from kit.universe import Release, Universe, ask, direct, member, names, request, versions
from pypm_model.activation import extra_flag, member_flag
from pypm_model.facts import DirectKey, ListingKey, MetadataKey, Needs
from pypm_model.locks import LockedPackage
from pypm_model.markers import evaluate, parse
from pypm_model.names import normalize
from pypm_model.records import replace
from pypm_model.requests import BuildPolicy, Conflict, Preference, PrereleasePolicy, Request
from pypm_model.resolutions import Outcome, Resolution, Undecided, Unsolvable
from pypm_model.sources import GitSource, IndexSource, UrlSource
from pypm_resolver.session import Session
from pypm_resolver.verify import verify

LINUX = "sys_platform == 'linux'"
DARWIN = "sys_platform == 'darwin'"
WINDOWS = "sys_platform == 'win32'"


def solved(universe: Universe, asked: Request) -> Resolution:
    outcome = universe.solve(asked)
    assert isinstance(outcome, Resolution), outcome
    assert verify(asked, outcome, universe.facts()) == ()
    return outcome


def failed(universe: Universe, asked: Request) -> Unsolvable:
    outcome = universe.solve(asked)
    assert isinstance(outcome, Unsolvable), outcome
    return outcome


def package(outcome: Outcome, name: str, version: str | None = None) -> LockedPackage:
    assert isinstance(outcome, Resolution)
    found = [p for p in outcome.packages if p.name == name and version in (None, p.version)]
    assert len(found) == 1, found
    return found[0]


def edges(outcome: Outcome, name: str, target: str) -> dict[str, str]:
    """Markers of the edges from *name* to *target*, by version."""
    return {edge.version: edge.marker for edge in package(outcome, name).dependencies if edge.name == target}


@pytest.mark.parametrize(
    ("specifier", "allowed"),
    [
        (">1.7", "1.8"),
        (">=1.7", "1.7 1.7+local 1.7.post1 1.8"),
        ("<=1.7", "1.0 1.7 1.7+local"),
        ("==1.7", "1.7 1.7+local"),
        ("!=1.7", "1.0 1.7.post1 1.8"),
        ("==1.7+local", "1.7+local"),
        ("~=1.7", "1.7 1.7+local 1.7.post1 1.8"),
        ("~=1.7.0", "1.7 1.7+local 1.7.post1"),
        ("==1.*", "1.0 1.7 1.7+local 1.7.post1 1.8"),
        ("===1.7", "1.7"),
        ("==1.7.0", "1.7 1.7+local"),
        (">=1!0", "1!1.0"),
    ],
)
def test_t1_the_edges_of_version_order(specifier: str, allowed: str) -> None:
    every = ("1.0", "1.7", "1.7+local", "1.7.post1", "1.8", "1!1.0")
    wanted = allowed.split()
    for version in every:
        # Pinned to each in turn: it is chosen exactly if the specifier lets it.
        universe = Universe({"a": {version: []}})
        outcome = universe.solve(request([f"a{specifier}"]))
        if version == "1!1.0" and specifier in (">1.7", ">=1.7", "!=1.7"):
            assert isinstance(outcome, Resolution)  # an epoch is above everything without
        else:
            assert isinstance(outcome, Resolution) == (version in wanted), (specifier, version)


def test_t1_prereleases_and_spellings_at_the_edges() -> None:
    universe = Universe({"a": {"1.0rc1": [], "2.0a1": []}})
    assert versions(solved(universe, request(["a<2"]))) == {"a": ["1.0rc1"]}
    assert versions(solved(universe, request(["a<2.0rc1"]))) == {"a": ["2.0a1"]}
    assert versions(solved(universe, request(["a==1.*"]))) == {"a": ["1.0rc1"]}
    spelled = Universe({"a": {"1.0.0": []}, "b": {"1": ["a==1"]}})
    assert versions(solved(spelled, request(["b", "a==1.0"])))["a"] == ["1.0.0"]


def test_t3_no_environment_falls_between_a_python_and_its_prereleases() -> None:
    universe = Universe({"a": {"1": Release([], python=">=3.13"), "2": Release([], python=">=3.14")}})
    outcome = solved(universe, request(["a"], python=">=3.13"))
    markers = edges(outcome, "app", "a")
    assert len(markers) == 2
    for python in ("3.13.9", "3.14.0a1", "3.14.0rc1", "3.14.0", "3.14.1"):
        environment = {
            "python_full_version": python,
            "python_version": "3.14" if "3.14" in python else "3.13",
        }
        serving = [v for v, marker in markers.items() if evaluate(parse(marker), environment)]
        assert len(serving) == 1, (python, markers)


def test_t4_python_version_has_two_components() -> None:
    universe = Universe({"a": {"1": []}, "b": {"1": []}, "c": {"1": []}, "d": {"1": []}})
    asked = request(
        [
            "a; python_version > '3.11'",
            "b; python_version >= '3.9'",
            "c; python_version in '3.11 3.12'",
            "d; python_version == '3.*'",
        ],
        python=">=3.10",
    )
    outcome = solved(universe, asked)
    assert edges(outcome, "app", "a") == {"": "python_version >= '3.12'"}
    assert edges(outcome, "app", "b") == {"": ""}  # 3.10 is above 3.9
    assert edges(outcome, "app", "d") == {"": "python_version < '4'"}
    inside = parse(edges(outcome, "app", "c")[""])
    held = [
        minor
        for minor in range(10, 15)
        if evaluate(inside, {"python_full_version": f"3.{minor}.5", "python_version": f"3.{minor}"})
    ]
    assert held == [11, 12]


def test_t5_forms_of_markers_that_say_the_same() -> None:
    universe = Universe(
        {"a": {"1": []}, "b": {"1": ["c; extra == 'X_y'", "d; extra == 'z'"]}, "c": {"1": []}}
    )
    universe = Universe(
        {
            "a": {"1.0": [], "2.0": []},
            "b": {"1": Release(["c; extra == 'x-y'", "d; extra == 'z'"], ("x-y", "z"))},
            "c": {"1": []},
            "d": {"1": []},
        }
    )
    # Windows said in three ways, and from the other side: one region.
    asked = request(
        [
            "a<2; 'win32' == sys_platform",
            "a<2; os_name == 'nt'",
            "a<2; platform_system == 'Windows'",
            "a>=2; sys_platform != 'win32'",
        ]
    )
    assert edges(solved(universe, asked), "app", "a") == {
        "1.0": "sys_platform == 'win32'",
        "2.0": "sys_platform != 'win32'",
    }
    inside = solved(universe, request(["a<2; 'linux' in sys_platform", "a>=2; 'linux' not in sys_platform"]))
    assert versions(inside)["a"] == ["1.0", "2.0"]
    # Two extras at once, one of them spelled in another way.
    both = solved(universe, request(["b[X_y,z]"]))
    assert versions(both) == {"b": ["1"], "c": ["1"], "d": ["1"]}


def test_t12_what_one_file_of_a_release_says_is_used_for_all_of_it() -> None:
    """Which file that is does not hang on the machine: see `pypm_index.choice` and its tests. Here: what the
    listing and the metadata say of Python may differ, and the stricter counts."""
    differs = Release([], python=">=3.12", listed_python="")
    universe = Universe({"a": {"1.0": Release([], python=">=3.11"), "2.0": differs}})
    outcome = solved(universe, request(["a"], python=">=3.11"))
    assert edges(outcome, "app", "a") == {"1.0": "python_version < '3.12'", "2.0": "python_version >= '3.12'"}


def test_t2_prereleases_only_when_no_stable_version_is_left() -> None:
    universe = Universe({"a": {"1.0": [], "2.0a1": []}, "b": {"1.0": ["a>=2.0a1"], "0.9": ["a"]}})
    assert versions(solved(universe, request(["a"]))) == {"a": ["1.0"]}
    assert versions(solved(universe, request(["a!=2.0a1"]))) == {"a": ["1.0"]}
    for asked in (["a", "b"], ["b", "a"]):
        assert versions(solved(universe, request(asked))) == {"a": ["1.0"], "b": ["0.9"]}
    assert versions(solved(universe, request(["b>=1"]))) == {"a": ["2.0a1"], "b": ["1.0"]}
    assert versions(solved(universe, request(["a", "b"]))) == {"a": ["1.0"], "b": ["0.9"]}
    never = request(["a", "b"], prereleases=PrereleasePolicy("never"))
    assert versions(solved(universe, never)) == {"a": ["1.0"], "b": ["0.9"]}
    only = request(["a"], prereleases=PrereleasePolicy("only", names("a")))
    assert versions(solved(universe, only)) == {"a": ["2.0a1"]}
    assert "pre-release" in str(
        failed(universe, request(["a>1"], prereleases=PrereleasePolicy("never"))).story
    )


def test_t6_requirements_that_are_no_siblings_lock_two_versions() -> None:
    universe = Universe({"a": {"1": ["c<2"]}, "b": {"1": ["c>=2"]}, "c": {"1.0": [], "2.0": []}})
    outcome = solved(universe, request([f"a; {LINUX}", f"b; {DARWIN}"]))
    assert versions(outcome)["c"] == ["1.0", "2.0"]
    assert edges(outcome, "a", "c") == {"1.0": ""}
    assert edges(outcome, "b", "c") == {"2.0": ""}
    assert len(outcome.splits) == 2


def test_t7_markers_that_overlap_are_not_apart() -> None:
    universe = Universe({"a": {"1.0": [], "2.0": []}})
    outcome = failed(universe, request([f"a>=2; {LINUX}", f"a<2; {LINUX}"]))
    assert outcome.region == LINUX
    assert "Linux" in outcome.story[-1].text


def test_t7_what_no_marker_covers_is_resolved_too() -> None:
    packages = {"a": {"1": [], "2": []}, "b": {"1": ["c; python_version == '3.13'"]}, "c": {"1": []}}
    asked = request(["a==1; python_version < '3.13'", "a==2; python_version >= '3.14'", "b"], python=">=3.12")
    outcome = solved(Universe(packages), asked)
    assert versions(outcome) == {"a": ["1", "2"], "b": ["1"], "c": ["1"]}
    assert edges(outcome, "b", "c") == {"": "python_version == '3.13'"}


def test_t8_old_versions_stay_while_they_fit() -> None:
    universe = Universe({"a": {"1.0": ["b"], "2.0": ["b"]}, "b": {"1.0": [], "2.0": [], "3.0": []}})
    kept = ((normalize("a"), (Preference("1.0"),)), (normalize("b"), (Preference("2.0"),)))
    assert versions(solved(universe, request(["a"], preferences=kept))) == {"a": ["1.0"], "b": ["2.0"]}
    raised = request(["a>=2"], preferences=kept)
    assert versions(solved(universe, raised)) == {"a": ["2.0"], "b": ["2.0"]}


def test_t8_of_two_kept_versions_the_regions_decide() -> None:
    universe = Universe({"a": {"1.0": [], "2.0": [], "3.0": []}})
    kept = (
        (
            normalize("a"),
            (Preference("1.0", "pypi", LINUX), Preference("2.0", "", "sys_platform != 'linux'")),
        ),
    )
    asked = request(["a"], preferences=kept, preferred_splits=(LINUX, "sys_platform != 'linux'"))
    outcome = solved(Universe(universe.packages), asked)
    assert edges(outcome, "app", "a") == {"1.0": LINUX, "2.0": "sys_platform != 'linux'"}


def test_t9_does_not_fall_to_a_version_from_before_the_dependency() -> None:
    fastapi = {f"0.{n}": ["starlette<0.30"] for n in range(50, 80)} | {"0.1": []}
    starlette = {"0.28": [], "0.40": []}
    outcome = solved(
        Universe({"fastapi": fastapi, "starlette": starlette}), request(["starlette", "fastapi"])
    )
    assert versions(outcome) == {"fastapi": ["0.79"], "starlette": ["0.28"]}


def test_t9_not_to_one_from_before_it_either_where_both_are_asked_for() -> None:
    fastapi = {"0.52": [], "0.109.1": ["starlette>=0.35,<0.36"], "0.110.0": ["starlette>=0.36,<0.37"]}
    universe = Universe({"fastapi": fastapi, "starlette": {"0.35.1": [], "0.36.3": []}})
    for asked in (["fastapi", "starlette<=0.36.0"], ["starlette<=0.36.0", "fastapi"]):
        outcome = solved(universe, request(asked))
        assert versions(outcome) == {"fastapi": ["0.109.1"], "starlette": ["0.35.1"]}


def test_t10_the_newest_version_of_each_python() -> None:
    universe = Universe({"a": {"1.0": Release(python=">=3.8"), "2.0": Release(python=">=3.12")}})
    outcome = solved(universe, request(["a"]))
    assert edges(outcome, "app", "a") == {"1.0": "python_version < '3.12'", "2.0": "python_version >= '3.12'"}
    assert package(outcome, "a", "2.0").requires_python == ">=3.12"
    assert versions(solved(universe, request(["a"], fork_strategy="fewest"))) == {"a": ["1.0"]}


def test_t10_only_where_a_package_is_needed_its_python_counts() -> None:
    universe = Universe({"a": {"1.0": ["b"]}, "b": {"1.0": Release(python=">=3.13"), "0.1": []}})
    outcome = solved(universe, request(["a; python_version >= '3.13'"]))
    assert versions(outcome) == {"a": ["1.0"], "b": ["1.0"]}
    assert outcome.splits == ()


def test_t10_upper_bounds_are_guesses() -> None:
    universe = Universe({"a": {"1.0": [], "2.0": Release(python=">=3.9,<3.13")}})
    assert versions(solved(universe, request(["a"]))) == {"a": ["2.0"]}


def test_t10_python_of_the_metadata_where_the_listing_is_silent() -> None:
    packages = {"a": {"1.0": [], "2.0": Release(python=">=3.12", listed_python="")}}
    outcome = solved(Universe(packages), request(["a"]))
    assert edges(outcome, "app", "a") == {"1.0": "python_version < '3.12'", "2.0": "python_version >= '3.12'"}


def test_t10_members_with_different_pythons_in_one_lock() -> None:
    universe = Universe({"a": {"1.0": Release(python=">=3.8"), "2.0": Release(python=">=3.13")}})
    asked = request(["a"], member("new", ["a>=2"], python=">=3.13"))
    outcome = solved(universe, asked)
    assert edges(outcome, "new", "a") == {"2.0": ""}
    assert edges(outcome, "app", "a") == {"1.0": "python_version < '3.13'", "2.0": "python_version >= '3.13'"}


def test_t11_another_version_where_the_newest_has_no_wheel() -> None:
    wheels = Release(tags=("cp313-cp313-manylinux_2_17_x86_64", "cp313-cp313-win_amd64"), sdist=False)
    universe = Universe({"a": {"1.0": [], "2.0": wheels}})
    outcome = solved(universe, request(["a"], python="==3.13.*"))
    assert "darwin" in edges(outcome, "app", "a")["1.0"]
    assert versions(outcome) == {"a": ["1.0", "2.0"]}


def test_t11_a_wheel_for_one_old_python_serves_no_other() -> None:
    old = Release(tags=("cp39-cp39-manylinux_2_17_x86_64",), sdist=False)
    universe = Universe({"a": {"1.0": [], "2.0": old}})
    assert versions(solved(universe, request(["a"]))) == {"a": ["1.0"]}
    outcome = failed(Universe({"a": {"2.0": old}}), request(["a"]))
    assert "no usable file" in outcome.story[-2].text


def test_t11_local_versions_part_from_the_plain_one() -> None:
    cpu = Release(
        tags=("py3-none-manylinux_2_17_x86_64", "py3-none-manylinux_2_17_aarch64", "py3-none-win_amd64"),
        sdist=False,
    )
    mac = Release(tags=("py3-none-macosx_11_0_arm64",), sdist=False)
    outcome = solved(Universe({"torch": {"2.0": mac, "2.0+cpu": cpu}}), request(["torch"]))
    assert edges(outcome, "app", "torch") == {"2.0": DARWIN, "2.0+cpu": "sys_platform != 'darwin'"}


def test_t11_a_required_environment_must_have_a_file() -> None:
    linux = Release(tags=("py3-none-manylinux_2_17_x86_64",), sdist=False)
    asked = request(["a"], required_environments=(DARWIN,))
    assert "macOS" in failed(Universe({"a": {"1.0": linux}}), asked).story[-2].text
    assert versions(solved(Universe({"a": {"1.0": linux}}), request(["a"]))) == {"a": ["1.0"]}
    only_linux = replace(asked, members=request([f"a; {LINUX}"]).members)
    assert versions(solved(Universe({"a": {"1.0": linux}}), only_linux)) == {"a": ["1.0"]}


def test_t11_a_required_environment_on_a_new_python_must_have_a_file_too() -> None:
    old = Release(tags=("py3-none-manylinux_2_17_x86_64", "cp314-cp314-win_amd64"), sdist=False)
    new = Release(tags=("py3-none-manylinux_2_17_x86_64", "cp313-cp313-win_amd64"), sdist=False)
    windows = "sys_platform == 'win32' and python_version == '3.14'"
    asked = request(["a"], required_environments=(windows,))
    outcome = solved(Universe({"a": {"1.0": old, "2.0": new}}), asked)
    assert parse(edges(outcome, "app", "a")["1.0"]) == parse(windows)
    story = failed(Universe({"a": {"2.0": new}}), asked).story
    assert (
        "every version" not in story[-2].text and "no usable file on Python 3.14 on Windows" in story[-2].text
    )


def test_t11_what_no_version_has_a_file_for_parts_nothing() -> None:
    """An older version has a file for Windows, none has one for macOS: that is no reason to fail there."""
    both = Release(tags=("py3-none-manylinux_2_17_x86_64", "py3-none-win_amd64"), sdist=False)
    linux = Release(tags=("py3-none-manylinux_2_17_x86_64",), sdist=False)
    outcome = solved(Universe({"a": {"1.0": both, "2.0": linux}}), request(["a"]))
    assert edges(outcome, "app", "a") == {"1.0": "sys_platform == 'win32'", "2.0": "sys_platform != 'win32'"}


def test_t11_a_bound_for_one_platform_costs_no_other_its_file() -> None:
    """All bounds are taken to hold together, so only version 2 is left; where its bound does not hold,
    version 1 is, and has the file."""
    windows = Release(tags=("py3-none-win_amd64",), sdist=False)
    universe = Universe({"f": {"1.0": [], "2.0": windows}, "p": {"1.0": ["f>=2"]}})
    usual = "sys_platform == 'darwin' or sys_platform == 'linux'"
    outcome = solved(universe, request(["f", f"f>=2; {WINDOWS}"]))
    assert edges(outcome, "app", "f")["1.0"] == usual
    assert not outcome.gaps
    # The bound of a package that is needed on one platform alone.
    outcome = solved(universe, request(["f", f"p; {WINDOWS}"]))
    assert edges(outcome, "app", "f")["1.0"] == usual
    assert not outcome.gaps


def test_t11_where_no_version_has_a_file_is_told() -> None:
    windows = Release(tags=("py3-none-win_amd64",), sdist=False)
    universe = Universe({"f": {"1.0": [], "2.0": windows}})
    outcome = solved(universe, request(["f>=2"]))
    (gap,) = outcome.gaps
    assert str(gap) == "f 2.0 has no file that can be used on macOS or Linux"
    assert not solved(universe, request([f"f>=2; {WINDOWS}"])).gaps


def test_t11_a_region_cut_for_another_package_needs_no_more_files() -> None:
    """Alone, `windows` is locked everywhere; that something else parts macOS changes nothing."""
    windows = Release(tags=("py3-none-win_amd64",), sdist=False)
    linux = Release(tags=("py3-none-manylinux_2_17_x86_64", "py3-none-win_amd64"), sdist=False)
    all_three = Release(tags=("py3-none-any",), sdist=False)
    universe = Universe({"other": {"1.0": all_three, "2.0": linux}, "windows": {"1.0": windows}})
    outcome = solved(universe, request(["other", "windows"]))
    assert edges(outcome, "app", "windows") == {"": ""}
    assert sorted(edges(outcome, "app", "other")) == ["1.0", "2.0"]
    # Nor does an old lock that was parted there.
    again = replace(request(["windows"]), preferred_splits=(DARWIN, "sys_platform != 'darwin'"))
    assert edges(solved(universe, again), "app", "windows") == {"": ""}
    # Who asks for it there only, or says that it is required there, has to get it.
    story = failed(universe, request(["other", f"windows ; {DARWIN}"])).story
    assert "windows 1.0 (the only version) has no usable file on macOS" in story[-2].text
    failed(universe, request(["other", "windows"], required_environments=(DARWIN,)))


def test_t11_no_build_leaves_wheels_only() -> None:
    universe = Universe({"a": {"1.0": [], "2.0": Release(tags=None)}})
    policy = BuildPolicy(no_build=names("a"))
    assert versions(solved(universe, request(["a"], build=policy))) == {"a": ["1.0"]}


def test_t13_yanked_for_an_exact_pin_of_a_member_or_an_old_lock_only() -> None:
    universe = Universe({"a": {"1.0": [], "2.0": Release(yanked="broken")}, "b": {"1": ["a==2.0"], "0": []}})
    assert versions(solved(universe, request(["a"]))) == {"a": ["1.0"]}
    assert versions(solved(universe, request(["a==2.0"]))) == {"a": ["2.0"]}
    assert versions(solved(universe, request(["b"]))) == {"b": ["0"]}
    kept = ((normalize("a"), (Preference("2.0"),)),)
    assert versions(solved(universe, request(["a"], preferences=kept))) == {"a": ["2.0"]}
    outcome = failed(universe, request(["a>1"]))
    assert "a 2.0 is yanked (broken)" in [reason.text for reason in outcome.story]


def test_t13_a_pin_on_one_platform_permits_it_there_only() -> None:
    universe = Universe({"a": {"1.0": [], "2.0": Release(yanked="")}})
    outcome = solved(universe, request([f"a==2.0; {LINUX}", "a"]))
    assert edges(outcome, "app", "a") == {"1.0": "sys_platform != 'linux'", "2.0": LINUX}


def test_t13_a_rejected_parent_spreads_no_permission() -> None:
    packages = {
        "a": {"1.0": ["b"], "2.0": ["b==2.0", "c>=9"]},
        "b": {"1.0": [], "2.0": Release(yanked="broken")},
        "c": {"1.0": []},
    }
    assert versions(solved(Universe(packages), request(["a"]))) == {"a": ["1.0"], "b": ["1.0"]}
    # A pin in metadata is none of a member's: the version that has it is left out, and said why.
    packages["a"] = {"2.0": ["b==2.0"]}
    story = failed(Universe(packages), request(["a"])).story
    assert "b 2.0 is yanked (broken)" in [reason.text for reason in story]
    assert versions(solved(Universe(packages), request(["a", "b==2.0"])))["b"] == ["2.0"]


def test_t14_extras_that_name_their_own_package() -> None:
    packages = {
        "a": {
            "1.0": Release(
                ["a[x,y]; extra == 'all'", "b; extra == 'x'", f"c; extra == 'y' and {LINUX}"],
                ("all", "x", "y"),
            )
        },
        "b": {"1.0": ["a[x]"]},
        "c": {"1.0": []},
    }
    outcome = solved(Universe(packages), request(["a[all]"]))
    assert versions(outcome) == {"a": ["1.0"], "b": ["1.0"], "c": ["1.0"]}
    extras = dict(package(outcome, "a").extras)
    assert [(e.name, e.extras) for e in extras[normalize("all")]] == [("a", ("x", "y"))]
    assert [(e.name, e.marker) for e in extras[normalize("y")]] == [("c", LINUX)]


def test_t14_an_extra_the_version_lacks_is_a_warning() -> None:
    outcome = solved(Universe({"a": {"1.0": Release((), ("x",)), "2.0": []}}), request(["a[x]"]))
    assert versions(outcome) == {"a": ["2.0"]}
    assert outcome.warnings == ("a 2.0 has no extra x",)


def test_t14_the_extra_and_its_package_have_one_version() -> None:
    packages = {
        "a": {"1.0": Release(["c; extra == 'x'"], ("x",)), "2.0": Release((), ("x",))},
        "c": {"1": []},
    }
    outcome = solved(Universe(packages), request(["a[x]", "a<2"]))
    assert versions(outcome) == {"a": ["1.0"], "c": ["1"]}


def test_t15_declared_conflicts_part_even_under_an_umbrella() -> None:
    universe = Universe({"a": {"1.0": [], "2.0": []}})
    conflict = Conflict(((normalize("app"), "old", ""), (normalize("app"), "new", "")))
    asked = request([], extras={"old": ["a<2"], "new": ["a>=2"]}, conflicts=(conflict,))
    outcome = solved(universe, asked)
    assert versions(outcome) == {"a": ["1.0", "2.0"]}
    found = dict(package(outcome, "app").extras)
    assert [(e.version, e.marker) for e in found[normalize("old")]] == [("1.0", "")]
    assert [(e.version, e.marker) for e in found[normalize("new")]] == [("2.0", "")]
    extras = {"old": ["a<2"], "new": ["a>=2"], "all": ["app[new,old]"]}
    umbrella = solved(universe, request([], extras=extras, conflicts=(conflict,)))
    assert versions(umbrella) == {"a": ["1.0", "2.0"]}
    assert any("app[all]" in warning for warning in umbrella.warnings)


def test_t15_groups_of_two_members_with_one_name_are_two() -> None:
    universe = Universe({"a": {"1.0": []}, "b": {"1.0": []}})
    asked = request([], member("lib", groups={"dev": ["b"]}), groups={"dev": ["a"]})
    outcome = solved(universe, asked)
    assert [e.name for e in dict(package(outcome, "app").groups)[normalize("dev")]] == ["a"]
    assert [e.name for e in dict(package(outcome, "lib").groups)[normalize("dev")]] == ["b"]


def test_members_apart_are_cut_only_where_they_conflict() -> None:
    packages = {"a": {"1.0": ["c"], "2.0": ["c"]}, "c": {"1.0": [], "2.0": []}}
    members = (member("one", ["a<2", "base"]), member("two", ["a>=2", "base"]), member("base", ["a", "c"]))
    asked = Request(tuple(sorted(members, key=lambda m: m.name)), shared_environment=False)
    outcome = solved(Universe(packages), asked)
    assert versions(outcome) == {"a": ["1.0", "2.0"], "c": ["2.0"]}
    assert edges(outcome, "one", "a") == {"1.0": ""}
    assert edges(outcome, "two", "a") == {"2.0": ""}
    where = {"python_full_version": "3.12.1", "python_version": "3.12", "sys_platform": "linux"}
    base = edges(outcome, "base", "a")
    for root, version in (("one", "1.0"), ("two", "2.0")):
        flags = {member_flag(normalize(root))}
        assert [v for v, marker in base.items() if evaluate(parse(marker), where, flags)] == [version]
    together = replace(asked, shared_environment=True)
    assert isinstance(Universe(packages).solve(together), Unsolvable)


def test_extras_of_members_apart_conflict_only_with_each_other() -> None:
    packages = {"a": {"1.0": [], "2.0": []}}
    members = (member("one", extras={"x": ["a<2"]}), member("two", ["a>=2"]))
    outcome = solved(Universe(packages), Request(members, shared_environment=False))
    assert versions(outcome) == {"a": ["1.0", "2.0"]}
    assert extra_flag(normalize("one"), normalize("x")) == "one[x]"


def test_t15_extras_that_exclude_each_other_are_locked_apart_where_nothing_is_shared() -> None:
    universe = Universe({"a": {"1.0": [], "2.0": []}, "b": {"1": ["a"]}})
    extras = {"old": ["a<2"], "new": ["a>=2"], "other": ["b"]}
    alone = request(["b"], extras=extras, shared_environment=False)
    outcome = solved(universe, alone)
    assert versions(outcome) == {"a": ["1.0", "2.0"], "b": ["1"]}
    (conflict,) = outcome.conflicts
    assert [(extra, group) for _, extra, group in conflict.items] == [("new", ""), ("old", "")]
    # Nobody else may say so, and with one environment for all it is a conflict.
    assert verify(replace(alone, shared_environment=True), outcome, universe.facts())
    assert isinstance(universe.solve(request(["b"], extras=extras)), Unsolvable)
    # An extra that the member itself contradicts is no choice anybody has.
    assert isinstance(
        universe.solve(request(["a>=2"], extras={"old": ["a<2"]}, shared_environment=False)), Unsolvable
    )


@pytest.mark.parametrize(
    "packages", ["own", *(pytest.param(s, marks=pytest.mark.slow) for s in ("one", "deep"))]
)
def test_t15_many_members_with_such_extras_make_no_product_of_cases(packages: str) -> None:
    """Whether all of them fight over one package, each over its own, or about what is found late."""
    shared = {f"p{n}": {v: [f"p{n + 1}"] for v in "12"} for n in range(30)} | {"p30": {"1": []}}

    def solved_for(count: int) -> Resolution:
        found: dict[str, dict[str, list[str]]] = {**shared, "a": {"1.0": [], "2.0": []}}
        many = []
        for n in range(count):
            extras = {"old": ["a<2"], "new": ["a>=2"]}
            if packages == "own":
                found[f"a{n}"] = {"1.0": [], "2.0": []}
                extras = {"old": [f"a{n}<2"], "new": [f"a{n}>=2"]}
            if packages == "deep":
                for side, bound in (("old", "<2"), ("new", ">=2")):
                    found[f"{side}{n}"] = {"1": [f"inner-{side}{n}"], "2": [f"inner-{side}{n}"]}
                    found[f"inner-{side}{n}"] = {"1": [f"a{bound}"]}
                    extras[side] = [f"{side}{n}"]
            many.append(member(f"m{n:02}", ["p0"], extras=extras, groups={"dev": ["a"]}))
        asked = Request(tuple(many), shared_environment=False)
        universe = Universe(found)
        outcome = solved(universe, asked)
        assert verify(asked, outcome, universe.facts()) == ()
        return outcome

    one, some, many = map(solved_for, (1, 10, 20))
    assert len(many.conflicts) == 20
    assert len(many.splits) == 2
    if packages == "deep":
        # Conflicts found late are gone back from, over items that were entered in the meantime.
        assert many.steps <= 5 * some.steps
    else:
        # New per member is that its four items are entered in each pass, and its own packages chosen.
        assert (many.steps - some.steps) / 10 <= 12
        assert many.steps <= one.steps + 19 * 12


def test_what_is_left_out_of_a_region_is_solved_together() -> None:
    """Members that fit neither the first nor each other have their own region, the rest share two."""
    packages = {"a": {"1.0": [], "2.0": [], "3.0": []}}
    pins = {"m1": "3", "m2": "2", "m3": "1", "m4": "2", "m5": "3", "m6": "1"}
    members = tuple(member(name, [f"a=={version}"]) for name, version in pins.items())
    asked = Request(members, shared_environment=False)
    universe = Universe(packages)
    outcome = solved(universe, asked)
    assert verify(asked, outcome, universe.facts()) == ()
    assert versions(outcome) == {"a": ["1.0", "2.0", "3.0"]}
    assert len(outcome.splits) == 3


def test_t15_of_two_extras_that_exclude_each_other_it_is_said_how_to_declare_it() -> None:
    universe = Universe({"a": {"1.0": [], "2.0": []}})
    outcome = universe.explain(request([], extras={"old": ["a<2"], "new": ["a>=2"]}))
    assert [hint for hint in outcome.hints if "conflicts" in hint] == [
        "declaring that app[new] and app[old] exclude each other gives a solution: [resolution] conflicts = "
        '[[{ member = "app", extra = "new" }, { member = "app", extra = "old" }]]'
    ]
    alone = universe.explain(request(["a>=2"], extras={"old": ["a<2"]}))
    assert not [hint for hint in alone.hints if "conflicts" in hint]


def test_t16_members_shadow_the_index_always() -> None:
    universe = Universe({"lib": {"9.0": []}, "a": {"1.0": ["lib>=0.5"]}})
    outcome = solved(universe, request(["a", "lib"], member("lib")))
    assert package(outcome, "lib").version == "1.0"
    assert ListingKey(normalize("lib")) not in universe.asked


def test_t16_an_index_package_must_fit_the_member() -> None:
    universe = Universe({"a": {"1.0": ["lib>=2"]}})
    outcome = failed(universe, request(["a"], member("lib")))
    assert [reason.text for reason in outcome.story[1:3]] == [
        "a 1.0 (the only version) depends on lib>=2",
        "lib is a member of this workspace and has version 1.0",
    ]
    assert isinstance(universe.solve(request(["a"], member("lib", version="2.1"))), Resolution)
    assert isinstance(universe.solve(request(["a"], member("lib", version=None))), Resolution)


def test_t16_a_range_on_a_sibling_is_a_warning() -> None:
    outcome = solved(Universe({}), request(["lib>=2"], member("lib")))
    assert outcome.warnings == (
        "app requires lib>=2 (pyproject.toml [project.dependencies]), and the workspace has lib 1.0",
    )


def test_t16_an_index_by_name_serves_the_name_everywhere() -> None:
    universe = Universe({"a": {"1.0": ["b"]}, "b": {"9.0": []}}, {"corp": {"b": {"1.0": []}}})
    outcome = solved(universe, request(["a", ("b", IndexSource("corp"))]))
    assert package(outcome, "b").source == IndexSource("corp")
    assert ListingKey(normalize("b")) not in universe.asked


def test_t16_an_index_by_marker_serves_it_there_only() -> None:
    universe = Universe({"a": {"1.0": ["b"]}, "b": {"2.0": []}}, {"corp": {"b": {"1.0": []}}})
    asked = request(["a", (f"b; {LINUX}", IndexSource("corp"))])
    outcome = solved(universe, asked)
    assert edges(outcome, "a", "b") == {"1.0": LINUX, "2.0": "sys_platform != 'linux'"}


def test_t16_direct_sources_bring_their_own() -> None:
    git = GitSource("https://git.example.test/b", ref="main")
    pinned = replace(git, commit="f" * 40)
    inner = UrlSource("https://files.example.test/c-1.0-py3-none-any.whl")
    directs = {
        git: direct(
            "b", git, "1.5", ["c @ https://files.example.test/c-1.0-py3-none-any.whl"], pinned=pinned
        ),
        inner: direct("c", inner, "1.0", is_wheel=True, tags=("py3|*|*",)),
    }
    universe = Universe({"a": {"1.0": ["b>=1"]}}, directs=directs)
    outcome = solved(universe, request(["a", ("b", git)]))
    assert package(outcome, "b").source == pinned
    assert package(outcome, "c").source == inner
    assert DirectKey(normalize("c"), inner) in universe.asked
    clash = failed(Universe({"a": {"1.0": ["b>=2"]}}, directs=directs), request(["a", ("b", git)]))
    assert "b" in clash.names


def test_t16_addresses_in_index_metadata_are_refused_by_name() -> None:
    universe = Universe({"a": {"1.0": ["b @ https://files.example.test/b-1.0.tar.gz"]}})
    outcome = failed(universe, request(["a"]))
    assert any("depends on b at an address of its own" in reason.text for reason in outcome.story)


def test_t16_two_sources_of_one_name_only_under_disjoint_markers() -> None:
    one, two = (
        UrlSource("https://files.example.test/one.tar.gz"),
        UrlSource("https://files.example.test/two.tar.gz"),
    )
    directs = {one: direct("b", one, "1.0"), two: direct("b", two, "2.0")}
    universe = Universe({}, directs=directs)
    assert isinstance(universe.solve(request([("b", one), ("b", two)])), Unsolvable)
    apart = solved(universe, request([(f"b; {LINUX}", one), (f"b; {DARWIN}", two)]))
    assert edges(apart, "app", "b") == {"1.0": LINUX, "2.0": DARWIN}


def test_t16_sources_outside_of_what_is_locked_are_not_looked_into() -> None:
    # An address, an index, and what a direct source asks for in turn: none of them need be there.
    gone = UrlSource("https://files.example.test/gone.tar.gz")
    here = UrlSource("https://files.example.test/here.tar.gz")
    inner = "c @ https://files.example.test/gone.tar.gz"
    directs = {here: direct("d", here, "1.0", [f"{inner} ; sys_platform == 'win32'"])}
    universe = Universe({"b": {"1.0": []}}, {"corp": {"i": {"1.0": []}}}, directs=directs)
    old = "python_version < '3.8'"
    corp = (f"i; {DARWIN}", IndexSource("corp"))
    asked = request(
        ["b", (f"b; {DARWIN}", gone), (f"e; {old}", gone), ("d", here), corp], environments=(LINUX,)
    )
    outcome = solved(universe, asked)
    assert versions(outcome) == {"b": ["1.0"], "d": ["1.0"]}
    assert {key for key in universe.asked if isinstance(key, DirectKey)} == {DirectKey(normalize("d"), here)}
    assert not [key for key in universe.asked if isinstance(key, ListingKey) and key.index]


def test_t17_versions_that_are_too_new_are_named_as_such() -> None:
    universe = Universe({"a": {"1.0": [], "2.0": Release(too_new=True)}})
    assert versions(solved(universe, request(["a"]))) == {"a": ["1.0"]}
    outcome = failed(universe, request(["a>=2"], exclude_newer="2026-11-01T00:00:00Z"))
    assert "a 2.0 is newer than allowed (2026-11-01T00:00:00Z)" in [reason.text for reason in outcome.story]


def test_t18_what_can_not_be_read_is_passed_over() -> None:
    universe = Universe({"a": {"1.0": [], "2.0": Release(unreadable="its metadata is empty")}})
    assert versions(solved(universe, request(["a"]))) == {"a": ["1.0"]}
    assert "its metadata is empty" in str(failed(universe, request(["a>1"])).story)


def test_t19_the_first_answer_stays() -> None:
    session = Session(request(["a"]))
    universe = Universe({"a": {"1.0": []}})
    state = session.step()
    assert isinstance(state, Needs)
    session.feed([universe.answer(key) for key in state.keys])
    session.feed([Universe({"a": {"1.0": [], "2.0": []}}).answer(key) for key in state.keys])
    while isinstance(state := session.step(), Needs):
        assert state.keys == (MetadataKey(normalize("a"), "1.0", "pypi"),)
        session.feed([universe.answer(key) for key in state.keys])
    assert versions(state) == {"a": ["1.0"]}
    assert session.step() is state


def test_t19_what_is_learned_in_one_region_holds_in_it_alone() -> None:
    """That `e` can have no version is learned before the cut, from requirements that never meet."""
    packages = {
        "a": {"1.0": [f"c<2 ; {LINUX}"]},
        "b": {"1.0": ["c>=2 ; sys_platform != 'linux'"]},
        "c": {"1.0": ["e==1.0"], "2.0": ["e==2.0"]},
        "d": {"1.0": ["e==2.0 ; sys_platform == 'win32'", f"e==1.0 ; {LINUX}"]},
        "e": {"1.0": [], "2.0": []},
    }
    outcome = solved(Universe(packages), request(["a", "b", "d"]))
    assert versions(outcome)["c"] == versions(outcome)["e"] == ["1.0", "2.0"]
    assert edges(outcome, "d", "e") == {"1.0": LINUX, "2.0": "sys_platform == 'win32'"}


def test_t20_a_package_that_two_parted_ways_lead_to_is_there_once_in_each_environment() -> None:
    packages = {
        "a": {"1.0": ["c"], "2.0": ["c"]},
        "b": {"1.0": ["c<2"]},
        "c": {"1.0": ["d"], "2.0": ["d"]},
        "d": {"1.0": []},
    }
    asked = request(["a<2; python_version < '3.13'", "a>=2; python_version >= '3.13'", f"b; {LINUX}"])
    outcome = solved(Universe(packages), asked)
    assert versions(outcome) == {"a": ["1.0", "2.0"], "b": ["1.0"], "c": ["1.0"], "d": ["1.0"]}
    parted = request(["a", f"b; {LINUX}", "c>=2; sys_platform != 'linux'"])
    outcome = solved(Universe(packages), parted)
    assert versions(outcome) == {"a": ["2.0"], "b": ["1.0"], "c": ["1.0", "2.0"], "d": ["1.0"]}
    assert edges(outcome, "a", "c") == {"1.0": LINUX, "2.0": "sys_platform != 'linux'"}


def test_t20_markers_are_short_within_what_the_lock_covers() -> None:
    universe = Universe(
        {"a": {"1.0": ["b; python_version >= '3.9' and sys_platform != 'win32'"]}, "b": {"1": []}}
    )
    outcome = solved(universe, request(["a"], environments=(LINUX, DARWIN)))
    assert edges(outcome, "a", "b") == {"": ""}


def test_t21_the_budget_ends_undecided() -> None:
    packages = {f"p{n}": {str(v): [f"p{n + 1}"] for v in range(5)} for n in range(20)} | {"p20": {"1": []}}
    outcome = Universe(packages).solve(request(["p0"], max_steps=5))
    assert isinstance(outcome, Undecided)
    assert outcome.steps > 5


def test_t21_the_budget_counts_what_a_hard_search_costs() -> None:
    """Six pigeons, five holes: the steps are few, but each goes through all that was learned."""
    pigeons = {f"p{n}": {f"{hole}.0": [f"h{hole}=={n}.0"] for hole in range(5)} for n in range(6)}
    holes = {f"h{hole}": {f"{n}.0": [] for n in range(6)} for hole in range(5)}
    universe = Universe({**pigeons, **holes})
    everyone = request(sorted(pigeons), max_steps=250)  # twice its decisions and conflicts
    assert isinstance(universe.solve(everyone), Undecided)
    assert isinstance(universe.solve(replace(everyone, max_steps=500)), Unsolvable)


@pytest.mark.slow
def test_t21_two_thousand_versions_and_long_chains_need_no_recursion() -> None:
    long = {f"p{n}": {"1.0": [f"p{n + 1}"]} for n in range(1500)} | {"p1500": {"1.0": ["many<5"]}}
    many = {f"{n}.0": ["none==1"] if n > 3 else [] for n in range(2000)}
    outcome = solved(Universe({**long, "many": many}), request(["p0"]))
    assert versions(outcome)["many"] == ["3.0"]


def test_t22_unknown_names_are_said_to_be_unknown() -> None:
    outcome = failed(Universe({"a": {"1.0": ["nowhere"]}}), request(["a"]))
    texts = [reason.text for reason in outcome.story]
    assert "no index has a package named nowhere (asked: pypi)" in texts
    assert outcome.story[0].asks == (ask("a"),)
    assert outcome.names == ("a", "nowhere")


def test_t22_the_story_names_who_asked_and_what_would_help() -> None:
    universe = Universe({"a": {"1.0": ["b<2"]}, "b": {"1.0": [], "2.0": []}})
    outcome = universe.explain(request(["a"], member("lib", ["b>=2"])))
    assert [reason.text for reason in outcome.story] == [
        "app requires a",
        "a 1.0 (the only version) depends on b<2",
        "lib requires b>=2",
        "so no version of b fits both app and lib",
    ]
    assert outcome.story[2].asks == (ask("b>=2", "lib"),)
    assert outcome.story[-1].uses == (0, 1, 2)
    assert outcome.hints == (
        "relaxing b>=2 in packages/lib/pyproject.toml [project.dependencies] to b gives a solution (b 1.0)",
        "with `shared-environment = false` under [workspace], app and lib need not fit into one environment: "
        "that gives a solution",
        'an override gives a solution (b 2.0), against what a asks for: [resolution] overrides = ["b>=2"]',
    )


@pytest.mark.parametrize("strategy", ["lowest", "lowest-direct"])
def test_lowest_strategies(strategy: str) -> None:
    universe = Universe({"a": {"1.0": ["b"], "2.0": ["b"]}, "b": {"1.0": [], "2.0": []}})
    outcome = solved(universe, request(["a>=1"], strategy=strategy))
    assert versions(outcome) == {"a": ["1.0"], "b": ["1.0" if strategy == "lowest" else "2.0"]}


def test_constraints_overrides_and_excludes() -> None:
    packages = {
        "a": {"1.0": ["b<2", "bad"]},
        "b": {"1.0": [], "2.0": [], "3.0": []},
        "bad": {"1.0": ["nowhere"]},
        "c": {"1.0": []},
    }
    asked = request(
        ["a"],
        constraints=(ask("b<3", table="resolution.constraints"), ask("c<1", table="resolution.constraints")),
        overrides=(ask("b>=2", table="resolution.overrides"),),
        excludes=names("bad"),
    )
    assert versions(solved(Universe(packages), asked)) == {"a": ["1.0"], "b": ["2.0"]}


def test_siblings_with_different_best_versions_part() -> None:
    universe = Universe({"a": {"1.0": [], "2.0": [], "3.0": []}})
    outcome = solved(universe, request(["a", "a<3; python_version < '3.12'"]))
    assert edges(outcome, "app", "a") == {"2.0": "python_version < '3.12'", "3.0": "python_version >= '3.12'"}
    same = solved(universe, request(["a>=1; python_version < '3.12'", "a>=2; python_version >= '3.12'"]))
    assert versions(same) == {"a": ["3.0"]}
    assert same.splits == ()


def test_t19_nothing_of_a_candidate_is_added_while_facts_are_missing() -> None:
    universe = Universe(
        {"a": {"1.0": Release(["b", "c; extra == 'x'"], ("x",))}, "b": {"1": []}, "c": {"1": []}}
    )
    session = Session(request(["a[x]"]))
    asked = []
    while isinstance(state := session.step(), Needs):
        asked.append(state.keys)
        session.feed([universe.answer(key) for key in state.keys])
    assert asked[2] == (ListingKey(normalize("b")), ListingKey(normalize("c")))


def test_t22_sdists_that_may_not_be_built_are_one_line_and_the_hint_allows_them() -> None:
    told = Release(unreadable="only building a.tar.gz would tell, and that is not allowed", needs_build=True)
    outcome = Universe({"a": {"1.0": told, "1.1": told, "2.0": told}}).explain(request(["a<2"]))
    assert [reason.text for reason in outcome.story] == [
        "app requires a<2",
        "a 1.1 and earlier have no wheel: only a build would tell the dependencies, and that is not allowed",
        "so no version of a fits",
    ]
    assert outcome.hints == (
        "allowing the build of a gives a solution, if what it then depends on fits: "
        '[resolution] build = { allow = ["a"] }',
    )


def test_t22_where_several_must_be_built_the_hint_allows_them_together() -> None:
    told = Release(unreadable="only building it would tell, and that is not allowed", needs_build=True)
    universe = Universe({"a": {"1.0": ["b"]}, "b": {"1.0": told}, "c": {"1.0": told}, "d": {"1.0": []}})
    assert universe.explain(request(["a", "c", "d"])).hints == (
        "allowing the builds of b and c gives a solution, if what they then depend on fits: "
        '[resolution] build = { allow = ["b", "c"] }',
    )


def test_a_requirement_of_two_extras_is_in_force_where_both_are_asked_for_by_whoever() -> None:
    universe = Universe(
        {
            "a": {"1.0": Release(["b<2; extra == 'x' and extra == 'y'", "d; extra == 'x'"], ("x", "y"))},
            "b": {"1.0": [], "2.0": []},
            "c": {"1.0": ["a[y]; sys_platform == 'linux'"]},
            "d": {"1.0": []},
        }
    )
    assert "b" not in versions(solved(universe, request(["a[x]"])))
    assert versions(solved(universe, request(["a[x,y]"])))["b"] == ["1.0"]
    # Elsewhere the one who asks for the other extra is not there.
    apart = request(["a[x]", "c", "b>=2; sys_platform == 'win32'"])
    assert versions(solved(universe, apart))["b"] == ["1.0", "2.0"]
    # Two choices of the user: the edge hangs on the second if they may clash, else it is simply there.
    app, more, other = map(normalize, ("app", "more", "other"))
    flag = f"'{extra_flag(app, more)}' in dependency_groups"
    for clashes, marker in ((), ""), ((Conflict(((app, more, ""), (app, other, ""))),), flag):
        asked = request(["a[x]"], extras={"more": ["a[y]"], "other": ["d"]}, conflicts=clashes)
        (extra, found), (_, rest) = package(solved(universe, asked), "a").extras
        assert (extra, rest) == ("x", ())
        assert [(edge.name, edge.marker) for edge in found] == [("b", marker), ("d", "")]
    failure = failed(universe, request(["a[x,y]", "b>=2"]))
    assert "a[x,y] 1.0" in str(failure), str(failure)


def test_one_extra_alone_and_two_others_together() -> None:
    both_ways = Release(["b; extra == 'x' or extra == 'y' and extra == 'z'"], ("x", "y", "z"))
    universe = Universe({"a": {"1.0": both_ways}, "b": {"1.0": []}, "c": {"1.0": ["a[x]; os_name == 'nt'"]}})
    for asked, found in (("a[x]", True), ("a[y]", False), ("a[y,z]", True), ("a[x,y,z]", True)):
        assert ("b" in versions(solved(universe, request([asked])))) == found
    outcome = solved(universe, request(["a[y,z]", "c"]))
    assert {extra: [e.marker for e in found] for extra, found in package(outcome, "a").extras} == {
        "x": [""],
        "y": [""],
        "z": [],
    }


def test_extras_that_two_requirements_of_one_package_share() -> None:
    universe = Universe({"a": {"1.0": Release((), ("x", "y", "z"))}})
    outcome = solved(universe, request(["a[x,z]", "a[y,z]; sys_platform == 'win32'"]))
    found = [(edge.extras, edge.marker) for edge in package(outcome, "app").dependencies]
    assert found == [(("x", "z"), ""), (("y",), "sys_platform == 'win32'")]
