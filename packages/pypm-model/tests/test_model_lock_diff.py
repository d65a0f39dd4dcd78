"""What changed between two locks."""

from __future__ import annotations

import json
from typing import Any

from pypm_model.artifacts import Artifact
from pypm_model.lock_changes import Change, LockDiff
from pypm_model.lock_diff import diff
from pypm_model.locks import Edge, Lock, LockedPackage, Manifest
from pypm_model.names import NormalizedName, normalize
from pypm_model.records import replace
from pypm_model.sources import IndexSource, MemberSource


def edges(*texts: str) -> tuple[Edge, ...]:
    found = []
    for text in texts:
        name, _, extras = text.rstrip("]").partition("[")
        found.append(Edge(normalize(name), tuple(NormalizedName(e) for e in extras.split(",") if e)))
    return tuple(found)


def package(name: str, *needs: str, version: str = "1.0", **more: Any) -> LockedPackage:
    source = more.pop("source", IndexSource("pypi"))
    return LockedPackage(NormalizedName(name), version, source, dependencies=edges(*needs), **more)


def member(name: str, *needs: str, **more: Any) -> LockedPackage:
    return package(name, *needs, source=MemberSource(name), manifest=Manifest(), **more)


def table(**items: str) -> tuple[tuple[NormalizedName, tuple[Edge, ...]], ...]:
    return tuple((NormalizedName(name), edges(*texts.split())) for name, texts in sorted(items.items()))


OLD = Lock(
    packages=(
        member("api", "httpx", "core[x]"),
        member("core", extras=table(x="attrs", y="yarl"), groups=table(dev="pytest")),
        package("attrs"),
        package("httpx", "idna"),
        package("idna", version="3.7"),
        package("pytest"),
        package("yarl"),
    )
)


def change(lock: Lock, name: str, **fields: Any) -> Lock:
    packages = tuple(replace(p, **fields) if p.name == name else p for p in lock.packages)
    return replace(lock, packages=packages)


def test_nothing_changed() -> None:
    assert diff(OLD, OLD) == LockDiff()
    assert not diff(OLD, replace(OLD, packages=OLD.packages[::-1]))


def test_a_version_changed_and_touches_the_members_that_lead_to_it() -> None:
    found = diff(OLD, change(OLD, "idna", version="3.10"))
    assert found.changed == (Change(NormalizedName("idna"), ("3.7",), ("3.10",)),)
    assert found.members == (("api", ("idna",)),)
    assert str(found.changed[0]) == "~ idna 3.7 -> 3.10"


def test_members_are_touched_through_groups_and_the_extras_that_are_asked() -> None:
    assert diff(OLD, change(OLD, "pytest", version="2")).members == (("core", ("pytest",)),)
    assert diff(OLD, change(OLD, "attrs", version="2")).members == (("api", ("attrs",)), ("core", ("attrs",)))
    assert diff(OLD, change(OLD, "yarl", version="2")).members == (("core", ("yarl",)),)


def test_members_that_keep_their_version_beside_another_are_not_touched() -> None:
    """As where members have environments of their own, and one of them comes to need an older version."""
    old = Lock(packages=(member("api", "idna"), member("old"), package("idna", version="3.7")))
    apart = {"api": "3.7", "old": "2.7"}
    members = [
        replace(member(name), dependencies=(Edge(NormalizedName("idna"), version=version),))
        for name, version in apart.items()
    ]
    found = diff(old, Lock(packages=(*members, *(package("idna", version=v) for v in apart.values()))))
    assert found.changed == (Change(NormalizedName("idna"), ("3.7",), ("2.7", "3.7")),)
    assert found.members == (("old", ("idna",)),)


def test_packages_come_and_go() -> None:
    new = change(OLD, "httpx", dependencies=edges("anyio"))
    new = replace(
        new, packages=(*(p for p in new.packages if p.name != "idna"), package("anyio", version="4"))
    )
    found = diff(OLD, new)
    assert found.added == (Change(NormalizedName("anyio"), (), ("4",)),)
    assert found.removed == (Change(NormalizedName("idna"), ("3.7",), ()),)
    assert found.refreshed == ("httpx",)
    assert found.members == (("api", ("anyio", "idna")),)
    assert (str(found.added[0]), str(found.removed[0])) == ("+ anyio 4", "- idna 3.7")
    back = diff(new, OLD)
    assert (back.added[0].name, back.removed[0].name) == ("idna", "anyio")


def test_without_an_old_lock_all_is_added() -> None:
    found = diff(None, OLD)
    assert [item.name for item in found.added] == ["api", "attrs", "core", "httpx", "idna", "pytest", "yarl"]
    assert (found.removed, found.changed) == ((), ())


def test_several_versions_are_in_order() -> None:
    new = replace(
        OLD, packages=(*OLD.packages, package("idna", version="3.10"), package("idna", version="3.9"))
    )
    assert diff(OLD, new).changed == (Change(NormalizedName("idna"), ("3.7",), ("3.7", "3.9", "3.10")),)


def test_another_source_is_a_change_that_can_be_seen() -> None:
    found = diff(OLD, change(OLD, "idna", source=IndexSource("internal")))
    assert found.changed == (
        Change(NormalizedName("idna"), ("3.7 (index pypi)",), ("3.7 (index internal)",)),
    )


def test_other_files_are_no_other_version() -> None:
    found = diff(OLD, change(OLD, "idna", files=(Artifact("idna-3.7.tar.gz", "ab" * 32),)))
    assert found == LockDiff(refreshed=(NormalizedName("idna"),))
    assert found


def test_json() -> None:
    found = diff(OLD, change(OLD, "idna", version="3.10")).to_json()
    assert json.loads(json.dumps(found)) == {
        "added": [],
        "removed": [],
        "changed": [{"name": "idna", "old": ["3.7"], "new": ["3.10"]}],
        "refreshed": [],
        "members": {"api": ["idna"]},
    }
