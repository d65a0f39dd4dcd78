"""Locks of two people put together: pins, what was asked, and what a merge by lines breaks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypm_model import lock_soundness, markers
from pypm_model.ask_texts import member_request
from pypm_model.freshness import manifest_of
from pypm_model.lock_merge import Disagreement, merged
from pypm_model.lock_pins import pins_of, splits_of, union
from pypm_model.locks import Edge, Lock, LockedPackage, LockSettings, Manifest
from pypm_model.names import NormalizedName
from pypm_model.records import replace
from pypm_model.requests import Preference
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, UrlSource

PYPI = IndexSource("pypi")


def name(text: str) -> NormalizedName:
    return NormalizedName(text)


def edges(*texts: str) -> tuple[Edge, ...]:
    return tuple(Edge(name(text)) for text in texts)


def locked(text: str, version: str, *needs: str) -> LockedPackage:
    return LockedPackage(name(text), version, PYPI, dependencies=edges(*needs))


def member(text: str, *asks: str, version: str = "1.0", needs: tuple[str, ...] = ()) -> LockedPackage:
    manifest = Manifest(">=3.11", tuple(sorted(asks)))
    source = MemberSource(f"packages/{text}")
    return LockedPackage(name(text), version, source, dependencies=edges(*needs), manifest=manifest)


def lock(*packages: LockedPackage) -> Lock:
    return Lock(requires_python=">=3.11", packages=packages)


# Pins


def test_pins_of_two_locks_are_together_whatever_their_order() -> None:
    ours, theirs = lock(locked("idna", "3.6")), lock(locked("idna", "3.7"), locked("httpx", "0.28"))
    both = union([pins_of(ours), pins_of(theirs)])
    assert both == union([pins_of(theirs), pins_of(ours)])
    assert both == (
        ("httpx", (Preference("0.28", "pypi"),)),
        ("idna", (Preference("3.6", "pypi"), Preference("3.7", "pypi"))),
    )
    assert union([pins_of(ours), pins_of(ours)]) == pins_of(ours)


def test_regions_of_a_version_go_with_it() -> None:
    old, new = (markers.text(markers.parse(f"python_full_version {sign} '3.12'")) for sign in ("<", ">="))
    split = LockedPackage(
        name("api"),
        "1.0",
        MemberSource("api"),
        dependencies=(Edge(name("idna"), (), old, "3.6"), Edge(name("idna"), (), new, "3.7")),
        manifest=Manifest(),
    )
    ours = replace(lock(split, locked("idna", "3.6"), locked("idna", "3.7")), splits=(old, new))
    theirs = lock(locked("idna", "3.7"))
    assert dict(union([pins_of(ours), pins_of(theirs)]))[name("idna")] == (
        Preference("3.6", "pypi", old),
        Preference("3.7", "pypi"),
        Preference("3.7", "pypi", new),
    )
    assert splits_of([ours, theirs]) == splits_of([theirs, ours]) == (old, new)
    other = replace(theirs, splits=("sys_platform == 'win32'",))
    assert splits_of([ours, other]) == splits_of([other, ours])
    assert set(splits_of([ours, other])) == {old, new, "sys_platform == 'win32'"}


# What holds together


SOUND = lock(
    member("api", "httpx>=0.27", "core @ member", needs=("core", "httpx")),
    member("core"),
    locked("httpx", "0.28", "idna"),
    locked("idna", "3.7"),
)


def test_a_lock_that_holds_together() -> None:
    assert lock_soundness.flaw(SOUND) is None
    assert lock_soundness.flaw(Lock()) is None


@pytest.mark.parametrize(
    ("gone", "more", "said"),
    [
        ("idna", (), "idna is missing (idna)"),
        ("core", (), "core is missing (core)"),
        ("", (locked("idna", "3.8"),), "idna is locked 2 times as idna"),
        ("", (locked("left", "1.0"),), "left is locked as 1.0, and nothing needs it"),
        ("", (member("api", version="2.0"),), "api is a member, and locked more than once"),
        (
            "api",
            (member("api", "httpx", "core @ member", needs=("core",)),),
            "httpx is asked for by api, and no entry answers",
        ),
        ("httpx", (locked("httpx", "0.26", "idna"),), "httpx is locked as 0.26, api asks for httpx>=0.27"),
        (
            "httpx",
            (LockedPackage(name("httpx"), "0.28", PYPI, dependencies=(Edge(name("idna"), version="3.6"),)),),
            "idna is missing (idna 3.6)",
        ),
    ],
)
def test_what_a_merge_by_lines_breaks_is_seen(gone: str, more: tuple[LockedPackage, ...], said: str) -> None:
    broken = replace(SOUND, packages=(*(p for p in SOUND.packages if p.name != gone), *more))
    found = lock_soundness.flaw(broken)
    assert found is not None
    assert str(found) == f"the lock is not sound: {said}"


def test_an_override_may_be_outside_of_what_a_member_asks() -> None:
    settings = LockSettings((("overrides", ("httpx==0.26",)),))
    packages = (*(p for p in SOUND.packages if p.name != "httpx"), locked("httpx", "0.26", "idna"))
    assert lock_soundness.flaw(replace(SOUND, packages=packages)) is not None
    assert lock_soundness.flaw(replace(SOUND, packages=packages, settings=settings)) is None
    without = LockSettings((("excludes", ("httpx",)),))
    alone = lock(member("api", "httpx>=0.27"))
    assert lock_soundness.flaw(alone) is not None
    assert lock_soundness.flaw(replace(alone, settings=without)) is None


# From the texts of a lock back to what was asked


_texts = (
    "httpx[http2]>=0.28",
    "idna",
    "torch>=2; sys_platform == 'linux' @ index pytorch",
    "core[fast] @ member",
    "tool @ path vendor/a tool editable",
    "tool @ path vendor/tool-1.0-py3-none-any.whl sha256=ab12",
    "far @ url https://example.test/far-1.0.tar.gz subdirectory=a b sha256=ab12",
    "x @ git https://example.test/x ref=main subdirectory=sub",
    "x @ git https://example.test/x",
)


@given(st.lists(st.sampled_from(_texts), unique=True))
def test_a_manifest_comes_back_as_it_was(texts: list[str]) -> None:
    rows = tuple(sorted(texts))
    manifest = Manifest(">=3.11", rows, ((name("fast"), rows),), ((name("dev"), rows),))
    request = member_request(name("api"), "packages/api", "", manifest, {name("core"): "packages/core"})
    assert request is not None
    assert manifest_of(request) == manifest
    assert (request.name, request.path, request.version) == ("api", "packages/api", None)


def test_sources_come_back() -> None:
    request = member_request(
        name("api"), "api", "1", Manifest("", tuple(sorted(_texts))), {name("core"): "packages/core"}
    )
    assert request is not None
    assert {ask.source for ask in request.dependencies} == {
        None,
        IndexSource("pytorch"),
        MemberSource("packages/core"),
        PathSource("vendor/a tool", True),
        PathSource("vendor/tool-1.0-py3-none-any.whl", False, "ab12"),
        UrlSource("https://example.test/far-1.0.tar.gz", "a b", "ab12"),
        GitSource("https://example.test/x", "main", "", "sub"),
        GitSource("https://example.test/x"),
    }


@pytest.mark.parametrize("text", ["core @ nowhere", "core", "lost @ member", "no requirement !", "IDNA"])
def test_a_text_that_leaves_a_doubt_gives_nothing(text: str) -> None:
    manifest = Manifest("", (text,))
    assert member_request(name("api"), "api", "1", manifest, {name("core"): "packages/core"}) is None


# What two sides ask together


def asked(base: Lock, ours: Lock, theirs: Lock) -> dict[str, Manifest]:
    both = merged(base, ours, theirs)
    assert both == merged(base, theirs, ours), "whichever side is ours"
    return {each.name: manifest_of(each) for each in both.members}


def test_each_side_changes_something_else() -> None:
    base = lock(member("api", "idna", "httpx"), member("core", "sniffio"), member("old"))
    ours = lock(member("api", "idna>=3", "httpx", "anyio"), member("core", "sniffio"), member("new", "idna"))
    theirs = lock(member("api", "idna", version="1.1"), member("core", "sniffio>=1"), member("old"))
    both = merged(base, ours, theirs)
    assert {m.name: (m.version, manifest_of(m).dependencies) for m in both.members} == {
        "api": ("1.1", ("anyio", "idna>=3")),
        "core": ("1.0", ("sniffio>=1",)),
        "new": ("1.0", ("idna",)),
    }
    assert asked(base, ours, theirs)["api"].dependencies == ("anyio", "idna>=3")


def test_extras_and_groups_are_merged_row_by_row() -> None:
    def side(dev: tuple[str, ...], *more: str) -> Lock:
        groups = ((name("dev"), dev), *((name(each), ("idna",)) for each in more))
        return lock(replace(member("api"), manifest=Manifest(">=3.11", (), groups, groups)))

    found = asked(side(("a", "b")), side(("a", "b", "c"), "x"), side(("b",), "y"))["api"]
    assert found.groups == found.extras == (("dev", ("b", "c")), ("x", ("idna",)), ("y", ("idna",)))


@pytest.mark.parametrize(
    ("ours", "theirs", "what"),
    [
        (lock(member("api", "idna>=3")), lock(member("api", "idna<4")), "api: idna"),
        (lock(), lock(member("api", "idna<4")), "api"),
        (lock(member("api", version="2")), lock(member("api", version="3")), "the version of api"),
        (
            replace(lock(member("api")), settings=LockSettings((("strategy", "lowest"),))),
            replace(lock(member("api")), settings=LockSettings((("strategy", "lowest-direct"),))),
            "a setting: strategy",
        ),
        (
            replace(lock(member("api")), environments=("a",)),
            replace(lock(member("api")), environments=("b",)),
            "environments",
        ),
    ],
)
def test_what_both_sides_changed_is_named(ours: Lock, theirs: Lock, what: str) -> None:
    with pytest.raises(Disagreement) as caught:
        merged(lock(member("api", "idna")), ours, theirs)
    assert caught.value.what == what


def test_a_sibling_that_the_other_side_took_away_is_a_disagreement() -> None:
    base = lock(member("api"), member("core"))
    with pytest.raises(Disagreement, match="what api asks for"):
        merged(base, lock(member("api", "core @ member"), member("core")), lock(member("api")))
