"""By which way a package comes into each member, and what a workspace passes over."""

from __future__ import annotations

from pypm_audit.chains import Chains
from pypm_audit.findings import Finding, Ignore, sift
from pypm_model.locks import Edge, Lock, LockedPackage, Manifest
from pypm_model.names import ROOT, NormalizedName, normalize
from pypm_model.sources import IndexSource, MemberSource


def edges(*texts: str) -> tuple[Edge, ...]:
    """``name``, ``name[extra]`` or ``name==version``."""
    found = []
    for text in texts:
        name, _, version = text.partition("==")
        name, _, extra = name.rstrip("]").partition("[")
        found.append(Edge(normalize(name), (normalize(extra),) if extra else (), version=version))
    return tuple(found)


def package(name: str, *needs: str, version: str = "1", **extras: tuple[str, ...]) -> LockedPackage:
    told = tuple((normalize(extra), edges(*some)) for extra, some in extras.items())
    return LockedPackage(
        normalize(name), version, IndexSource("main"), dependencies=edges(*needs), extras=told
    )


def member(
    name: str,
    *needs: str,
    extras: dict[str, tuple[str, ...]] | None = None,
    groups: dict[str, tuple[str, ...]] | None = None,
) -> LockedPackage:
    return LockedPackage(
        NormalizedName(name),
        "1",
        MemberSource(name),
        dependencies=edges(*needs),
        extras=tuple((normalize(e), edges(*some)) for e, some in (extras or {}).items()),
        groups=tuple((normalize(g), edges(*some)) for g, some in (groups or {}).items()),
        manifest=Manifest(),
    )


LOCK = Lock(
    packages=(
        member(ROOT, groups={"dev": ("tool",)}),
        member("api", "web", "core"),
        member("web", "fastapi", extras={"fast": ("core[speed]",)}, groups={"test": ("tool",)}),
        package("core", "base", speed=("quick",)),
        package("base", "core"),
        package("fastapi", "starlette"),
        package("quick"),
        package("split", version="1"),
        package("split", version="2"),
        package("starlette", "split==2"),
        package("tool", "starlette"),
        package("unreached"),
    )
)


def ways(chains: Chains, name: str, version: str = "1") -> list[str]:
    return [str(chain) for chain in chains.to(normalize(name), version)]


def test_the_shortest_way_from_each_member_direct_ones_first() -> None:
    chains = Chains(LOCK)
    assert ways(chains, "starlette") == [
        "(root) (group dev) -> tool -> starlette",
        "web -> fastapi -> starlette",
        "api -> web -> fastapi -> starlette",
    ]
    assert [chain.is_direct for chain in chains.to(normalize("starlette"), "1")] == [True, True, False]
    assert ways(chains, "quick") == ["web (extra fast) -> core -> quick"]
    assert ways(chains, "base") == ["api -> core -> base", "web (extra fast) -> core -> base"]


def test_versions_are_told_apart() -> None:
    chains = Chains(LOCK)
    assert ways(chains, "split", "1") == []
    assert ways(chains, "split", "2")[1] == "web -> fastapi -> starlette -> split"


def test_what_is_reached_from_some_members_with_or_without_groups() -> None:
    def reached(chains: Chains) -> set[str]:
        return {f"{each.name} {each.version}" for each in chains.reached}

    everything = reached(Chains(LOCK))
    assert "unreached 1" not in everything and "split 1" not in everything
    assert "tool 1" in reached(Chains(LOCK, {NormalizedName("web")}))
    # A group of a member that another one depends on is nobody else's.
    api = Chains(LOCK, {NormalizedName("api")})
    assert reached(api) == {"base 1", "core 1", "fastapi 1", "split 2", "starlette 1"}
    assert ways(api, "starlette") == ["api -> web -> fastapi -> starlette"]
    assert "tool 1" not in reached(Chains(LOCK, groups=False))
    assert ways(Chains(LOCK, groups=False), "tool") == []


NOW = "2026-11-26T12:00:00Z"
FOUND = Finding("vulnerability", "GHSA-1", NormalizedName("acme"), "1", aliases=("CVE-1",))


def ignore(identity: str, expires: str = "2027-01-01T00:00:00Z", package: str = "") -> Ignore:
    return Ignore(identity, "not reachable", expires, package)


def test_an_ignore_holds_under_every_name_until_it_expires() -> None:
    for each in (ignore("GHSA-1"), ignore("cve-1"), ignore("CVE-1", package="acme")):
        assert sift([FOUND], [each], NOW).left == ()
        assert sift([FOUND], [each], NOW).ignored == ((FOUND, each),)
    old = ignore("GHSA-1", expires=NOW)
    assert sift([FOUND], [old], NOW).left == (FOUND,)
    assert sift([FOUND], [old], NOW).expired == (old,)
    assert sift([FOUND], [old, ignore("CVE-1")], NOW).left == ()


def test_an_ignore_that_fits_nothing_is_told() -> None:
    for each in (ignore("GHSA-2"), ignore("GHSA-1", package="other")):
        sifted = sift([FOUND], [each], NOW)
        assert (sifted.left, sifted.unused) == ((FOUND,), (each,))
