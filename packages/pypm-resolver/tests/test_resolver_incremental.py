"""An edit resolved on top of a lock gives what resolving everything gives, or nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.laws import examples
from kit.universe import PYPI, Release, Universe, member, release_of, versions
from pypm_model import markers
from pypm_model.artifacts import Artifact
from pypm_model.freshness import manifest_of, stale
from pypm_model.lock_pins import pins_of, splits_of
from pypm_model.lock_reach import covered
from pypm_model.lock_soundness import flaw
from pypm_model.lock_text import read, write
from pypm_model.locks import Lock, LockedPackage
from pypm_model.names import normalize
from pypm_model.records import replace
from pypm_model.requests import Conflict, MemberRequest, Request
from pypm_model.resolutions import Resolution, Unsolvable
from pypm_model.sources import IndexSource
from pypm_resolver.incremental import joined, rest_of
from pypm_resolver.verify import verify

Packages = dict[str, dict[str, Release | list[str]]]


def lock_of(packages: Packages, request: Request, found: Resolution) -> Lock:
    """The lock of *found* as it is read back from its text."""
    manifests = {each.name: manifest_of(each) for each in request.members}

    def whole(package: LockedPackage) -> LockedPackage:
        if not isinstance(package.source, IndexSource):
            return replace(package, manifest=manifests.get(package.name))
        release = release_of(packages[package.name][package.version])
        stem = f"{package.name}-{package.version}"
        names = [f"{stem}-{tag}.whl" for tag in release.tags or ()]
        names += [f"{stem}.tar.gz"] if release.sdist else []
        return replace(package, files=tuple(Artifact(name, "0" * 64) for name in sorted(names)))

    python = request.members[0].requires_python
    return read(write(Lock(python, splits=found.splits, packages=tuple(map(whole, found.packages)))))


def held(request: Request, lock: Lock) -> Request:
    """*request* with what *lock* holds as preferences."""
    return replace(
        request,
        preferences=pins_of(lock),
        preferred_splits=splits_of([lock]),
        preferred_where=markers.text(covered(lock)),
    )


class Edited:
    """A workspace that is locked, and then asks something else."""

    def __init__(
        self, packages: Packages, before: Request, now: Request, universe: Universe | None = None
    ) -> None:
        self.packages = packages
        self.universe = universe if universe is not None else Universe(packages)
        first = self.universe.solve(before)
        assert isinstance(first, Resolution)
        self.lock = lock_of(packages, before, first)
        self.now = held(now, self.lock)
        self.asked: list[str] = []
        """Names that had to be looked up for the edit."""

    def on_top(self) -> Resolution | None:
        rest = rest_of(self.lock, stale(self.lock, self.now), self.now)
        if rest is None:
            return None
        self.universe.asked.clear()
        found = self.universe.solve(rest.request) if rest.asks else None
        self.asked = sorted({key.name for key in self.universe.asked})
        return None if isinstance(found, Unsolvable) else joined(self.lock, self.now, rest, found)  # type: ignore[arg-type]

    def whole(self) -> Resolution | None:
        outcome = self.universe.solve(self.now)
        return outcome if isinstance(outcome, Resolution) else None

    def text(self, found: Resolution | None) -> str | None:
        return None if found is None else write(lock_of(self.packages, self.now, found))


def request(*members: MemberRequest) -> Request:
    return Request(tuple(sorted(members, key=lambda each: each.name)))


# -- laws ------------------------------------------------------------------------------------------------

NAMES = ("a", "b", "c", "d", "e")
MARKERS = (
    *[""] * 5,
    "sys_platform == 'linux'",
    "sys_platform != 'linux'",
    "python_version < '3.12'",
    "python_version >= '3.12'",
    "python_version == '3.12' and os_name == 'posix'",
)
SPECIFIERS = ("", "", "", "", ">=2", "<3", "==1.0", "!=3.0")


def _texts(extras: Sequence[str]) -> st.SearchStrategy[str]:
    parts = st.tuples(*map(st.sampled_from, (NAMES, extras, SPECIFIERS, MARKERS)))
    return parts.map(lambda one: "".join(one[:3]) + (f"; {one[3]}" if one[3] else ""))


def _under(text: str, extra: str) -> str:
    return f"{text} and ({extra})" if ";" in text else f"{text}; {extra}"


texts = _texts(("", "", "", "[x]", "[y]"))
gated = st.builds(
    _under, texts, st.sampled_from(("extra == 'x'", "extra == 'y'", "extra == 'x' and extra == 'y'"))
)
releases = st.builds(
    lambda plain, more, python: Release([*plain, *more], ("x", "y"), python=python),
    st.lists(texts, max_size=2),
    st.lists(gated, max_size=1),
    st.sampled_from(("", "", "", "", "", ">=3.12")),
)
universes = st.fixed_dictionaries(
    {name: st.dictionaries(st.sampled_from(("1.0", "2.0", "3.0")), releases, min_size=1) for name in NAMES}
)
asks = st.lists(texts, max_size=2)
workspaces = st.lists(st.tuples(asks, asks, asks), min_size=1, max_size=3)
edits = st.tuples(
    st.sampled_from(("add", "add", "add", "remove", "change", "group", "extra", "come", "go")),
    st.integers(0, 2),
    texts,
)


def _unmarked(one: tuple[str, Release | list[str]]) -> tuple[str, Release]:
    """A version whose requirements hold everywhere."""
    version, release = one[0], release_of(one[1])
    requires = [text for text in release.requires if "extra ==" not in text]
    return version, Release([text.partition(";")[0] for text in requires], release.extras, release.python)


def _members(workspace: list[tuple[list[str], list[str], list[str]]]) -> Request:
    return request(
        *(
            member(f"m{number}", plain, groups={"dev": group} if group else {}, extras={"fast": extra})
            for number, (plain, group, extra) in enumerate(workspace)
        )
    )


def _edited(
    workspace: list[tuple[list[str], list[str], list[str]]], edit: tuple[str, int, str]
) -> list[tuple[list[str], list[str], list[str]]]:
    kind, at, text = edit
    made = [(list(plain), list(group), list(extra)) for plain, group, extra in workspace]
    plain, group, extra = made[at % len(made)]
    match kind:
        case "add":
            plain.append(text)
        case "remove":
            plain[:1] = []
        case "change":
            plain[:1] = [text]
        case "group":
            group.append(text)
        case "extra":
            extra.append(text)
        case "come":
            made.append(([text], [], []))
        case _:
            made.pop()
    return made


@settings(
    max_examples=examples(500),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(universes, workspaces, edits, st.booleans())
def test_t8_what_an_edit_gives_is_what_everything_gives(
    packages: Packages,
    workspace: list[tuple[list[str], list[str], list[str]]],
    edit: tuple[str, int, str],
    is_plain: bool,
) -> None:
    if is_plain:
        packages = {name: dict(map(_unmarked, found.items())) for name, found in packages.items()}
    before, now = _members(workspace), _members(_edited(workspace, edit))
    if not now.members or isinstance(Universe(packages).solve(before), Unsolvable):
        return
    edited = Edited(packages, before, now)
    found = edited.on_top()
    if found is None:
        return
    whole = edited.whole()
    assert whole is not None
    assert verify(edited.now, found, edited.universe.facts()) == ()
    lock = lock_of(packages, now, found)
    assert flaw(lock) is None
    again = Universe(packages).solve(held(now, lock))
    assert isinstance(again, Resolution)
    assert edited.text(again) == edited.text(found), "it stays"
    # A requirement of a package that holds nowhere is minded where everything is resolved.
    if is_plain and not whole.detours:
        assert edited.text(whole) == edited.text(found)


# -- what it comes to ------------------------------------------------------------------------------------

PLAIN: Packages = {
    "a": {"1.0": ["b"], "2.0": ["b"]},
    "b": {"1.0": []},
    "c": {"1.0": ["b; sys_platform == 'win32'"]},
    "d": {"1.0": Release(["e; extra == 'x'", "f; extra == 'y'"], ("x", "y"))},
    "e": {"1.0": []},
    "f": {"1.0": []},
}


def test_only_what_is_new_is_asked() -> None:
    edited = Edited(
        PLAIN,
        request(member("m", ["a"]), member("n", ["a"])),
        request(member("m", ["a", "d"]), member("n", ["a"])),
    )
    found = edited.on_top()
    assert found is not None and edited.asked == ["d"]
    assert edited.text(found) == edited.text(edited.whole())
    assert versions(found) == {"a": ["2.0"], "b": ["1.0"], "d": ["1.0"]}


def test_what_goes_is_not_asked_about() -> None:
    edited = Edited(PLAIN, request(member("m", ["a", "c"])), request(member("m", ["c"])))
    found = edited.on_top()
    assert found is not None and edited.asked == []
    assert edited.text(found) == edited.text(edited.whole())
    assert versions(found) == {"b": ["1.0"], "c": ["1.0"]}


@pytest.mark.parametrize(
    ("before", "now"),
    [
        pytest.param(["a"], ["a>=2"], id="a range that the lock is in"),
        pytest.param(["a<2"], ["a>=2"], id="a range that it is not in"),
        pytest.param(["c"], ["c", "a"], id="needed in more environments"),
        pytest.param(["c", "a"], ["c"], id="needed in fewer environments"),
        pytest.param(["a"], ["a", "c; python_version < '3.13'"], id="with a marker"),
        pytest.param(["d"], ["d[x]"], id="an extra"),
        pytest.param(["d[x]"], ["d"], id="an extra that goes"),
        pytest.param([], [], id="nothing"),
    ],
)
def test_edits_of_requirements_that_move_nothing(before: list[str], now: list[str]) -> None:
    _moves_nothing([member("m", before)], [member("m", now)])


ALONE = member("m", ["a"])
NEEDS_IT = member("n", ["m"])
OF_AN_EXTRA = member("m", ["a"], extras={"fast": ["e"]})


@pytest.mark.parametrize(
    ("before", "now"),
    [
        pytest.param([ALONE], [member("m", ["a"], groups={"dev": ["e"]})], id="a group comes"),
        pytest.param([member("m", ["a"], groups={"dev": ["e"]})], [ALONE], id="a group goes"),
        pytest.param([member("m", ["a"], extras={"fast": []})], [OF_AN_EXTRA], id="of an extra"),
        pytest.param([ALONE], [ALONE, member("n", ["m", "e"])], id="a member comes"),
        pytest.param([ALONE, member("n", ["m", "e"])], [ALONE], id="a member goes"),
        pytest.param(
            [ALONE, member("n", ["m"])], [member("m", ["n", "a"]), member("n", ["m"])], id="a cycle"
        ),
        pytest.param([OF_AN_EXTRA], [OF_AN_EXTRA, member("n", ["m[fast]"])], id="an extra of a member"),
    ],
)
def test_edits_of_tables_and_members_that_move_nothing(
    before: list[MemberRequest], now: list[MemberRequest]
) -> None:
    _moves_nothing(before, now)


def _moves_nothing(before: list[MemberRequest], now: list[MemberRequest]) -> None:
    edited = Edited(PLAIN, request(*before), request(*now))
    found = edited.on_top()
    assert found is not None
    assert edited.text(found) == edited.text(edited.whole())


SPLIT: Packages = {
    "s": {"1.0": [], "2.0": Release(python=">=3.12")},
    "t": {"1.0": ["s"]},
    "u": {"1.0": ["s<2"]},
    "v": {"1.0": [], "2.0": Release(python=">=3.13")},
}


def test_where_versions_are_parted_they_stay_so() -> None:
    edited = Edited(
        SPLIT, request(member("m", ["s"]), member("n", [])), request(member("m", ["s"]), member("n", ["t"]))
    )
    found = edited.on_top()
    assert found is not None and len(found.splits) == 2
    assert edited.text(found) == edited.text(edited.whole())
    text = edited.text(found)
    assert text is not None and text.count('name = "s", version = "2.0"') == 2


@pytest.mark.parametrize("asked", ["a", "c"])
def test_what_does_not_meet_what_is_parted_is_added_to_it(asked: str) -> None:
    edited = Edited({**PLAIN, **SPLIT}, request(member("m", ["s"])), request(member("m", ["s", asked])))
    found = edited.on_top()
    assert found is not None and "s" not in edited.asked
    assert len(found.splits) == 2 and found.splits == edited.lock.splits
    assert edited.text(found) == edited.text(edited.whole())


@pytest.mark.parametrize(
    ("packages", "before", "now"),
    [
        pytest.param(SPLIT, ["s"], ["s", "v"], id="another split"),
        pytest.param(SPLIT, ["s"], [], id="a split that goes"),
        pytest.param(SPLIT, ["s"], ["s", "u"], id="what is locked does not go with it"),
        pytest.param({**PLAIN, "g": {"1.0": ["a<2"]}}, ["a"], ["a", "g"], id="a version moves"),
        pytest.param({**PLAIN, "g": {"1": [], "2": ["a<2"]}}, ["a"], ["a", "g"], id="an older one fits"),
        pytest.param(PLAIN, ["d[x]"], ["d[x,y]"], id="two extras of a package"),
        pytest.param(PLAIN, ["a"], ["a", "gone"], id="nobody has it"),
    ],
)
def test_what_does_more_than_add_or_take_is_resolved_whole(
    packages: Packages, before: list[str], now: list[str]
) -> None:
    assert Edited(packages, request(member("m", before)), request(member("m", now))).on_top() is None


def test_a_package_that_may_have_no_file_left_is_resolved_whole() -> None:
    """On Windows it has no file, which was no fault while it was needed elsewhere too."""
    linux = Release(tags=("py3-none-manylinux_2_17_x86_64",), sdist=False)
    packages: Packages = {"p": {"1.0": linux}, "q": {"1.0": ["p; sys_platform == 'win32'"]}}
    edited = Edited(packages, request(member("m", ["p", "q"])), request(member("m", ["q"])))
    assert edited.on_top() is None


def test_a_member_that_takes_the_place_of_a_package() -> None:
    now = request(member("m", ["a"]), member("b", []))
    assert Edited(PLAIN, request(member("m", ["a"])), now).on_top() is None


def test_a_member_that_goes_and_that_a_package_needs() -> None:
    packages: Packages = {"a": {"1.0": ["b"]}, "b": {"1.0": []}}
    before = request(member("m", ["a"]), member("b", []))
    assert Edited(packages, before, request(member("m", ["a"]))).on_top() is None


@pytest.mark.parametrize(
    "more",
    [
        {"shared_environment": False},
        {"conflicts": (Conflict(((normalize("m"), "", ""), (normalize("n"), "", ""))),)},
        {"strategy": "lowest"},
        {"members": (member("m", ["a"], python=">=3.12"),)},
        {"members": (member("m", ["a"], version="2"),)},
        {"members": (member("m", ["a"], path="elsewhere"),)},
        {"members": (member("m", ["a"], extras={"new": []}),)},
    ],
)
def test_other_differences_are_for_the_whole(more: dict[str, object]) -> None:
    before = request(member("m", ["a"]))
    edited = Edited(PLAIN, before, replace(before, **more))
    assert edited.on_top() is None


def test_an_index_that_is_asked_for_by_name() -> None:
    """A member asks for another index's package of a name that is locked: one of the two has to give way."""
    packages: Packages = {"a": {"1.0": []}}
    there = Universe(packages, others={"other": {"a": {"1.0": []}}})
    before = request(member("m", ["a"]), member("n", []))
    now = request(member("m", ["a"]), member("n", [("a", IndexSource("other"))]))
    edited = Edited(packages, before, now, there)
    assert PYPI in str(edited.lock) and edited.on_top() is None


OTHER = IndexSource("other")
ASKS_TOO = member("n", ["a"])
FROM_OTHER = member("m", [("a", OTHER)], groups={"dev": [("c", OTHER)]})


@pytest.mark.parametrize(
    "now",
    [
        pytest.param([member("m", []), ASKS_TOO], id="a requirement goes"),
        pytest.param([ASKS_TOO], id="the member goes"),
        pytest.param([member("m", [("a", OTHER)]), ASKS_TOO], id="a group goes"),
    ],
)
def test_where_an_index_is_named_no_more_its_packages_do_not_stay(now: list[MemberRequest]) -> None:
    packages: Packages = {"a": {"2.0": []}, "c": {"2.0": []}}
    served = Universe({"a": {"1.0": []}, "c": {"1.0": []}}, others={"other": packages})
    edited = Edited(packages, request(FROM_OTHER, ASKS_TOO), request(*now), served)
    assert edited.on_top() is None


def test_the_oldest_versions_are_weighed_together() -> None:
    """What the oldest one is hangs on all that members ask for, and where."""
    windows = Release(tags=("py3-none-win_amd64",), sdist=False)
    packages: Packages = {"f": {"1.0": [], "2.0": windows, "4.0": []}}
    other = member("m", ["f>=2; sys_platform == 'win32'"])
    before = replace(request(other, member("n", [])), strategy="lowest")
    edited = Edited(packages, before, replace(request(other, member("n", ["f"])), strategy="lowest"))
    assert edited.on_top() is None


def test_extras_that_bring_something_together_no_more() -> None:
    packages: Packages = {
        "c": {"1.0": ["f[x,y]"]},
        "f": {"1.0": Release(["f[y]; extra == 'x' and extra == 'y'", "h; extra == 'y'"], ("x", "y"))},
        "h": {"1.0": []},
    }
    edited = Edited(packages, request(member("m", ["c"])), request(member("m", ["f[x]"])))
    assert edited.on_top() is None


def test_a_requirement_for_no_python_of_its_member_counts_nowhere() -> None:
    packages: Packages = {"f": {"1.0": [], "2.0": []}}
    first = member("m", ["f"])
    before = request(first, member("n", [], python=">=3.12"))
    now = request(first, member("n", ["f!=2; python_version < '3.12'"], python=">=3.12"))
    edited = Edited(packages, before, now)
    found = edited.on_top()
    assert found is not None and versions(found) == {"f": ["2.0"]}
    assert edited.text(found) == edited.text(edited.whole())
