"""A lock is fresh exactly if the manifests and settings are those it was made for."""

from __future__ import annotations

from typing import Any

import pytest

from pypm_model import lock_text
from pypm_model.freshness import Stale, ask_text, manifest_of, settings_of, stale, stale_folder
from pypm_model.locks import Lock, LockedPackage
from pypm_model.names import NormalizedName
from pypm_model.records import replace
from pypm_model.requests import Ask, BuildPolicy, Conflict, MemberRequest, Origin, PrereleasePolicy, Request
from pypm_model.requirement_text import parse
from pypm_model.respelling import kept_spelling, marker_texts
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, Source, UrlSource


def ask(text: str, table: str = "project.dependencies", source: Source | None = None, item: int = 0) -> Ask:
    return Ask(parse(text), Origin(NormalizedName("api"), "packages/api/pyproject.toml", table, item), source)


def named(*items: tuple[str, tuple[Ask, ...]]) -> tuple[tuple[NormalizedName, tuple[Ask, ...]], ...]:
    return tuple((NormalizedName(name), asks) for name, asks in items)


API = MemberRequest(
    NormalizedName("api"),
    "packages/api",
    "1.0",
    ">=3.11",
    (ask("httpx>=0.28"), ask("core", source=MemberSource("packages/core"))),
    named(("fast", (ask("uvloop", "project.optional-dependencies.fast"),))),
    named(("dev", (ask("pytest", "dependency-groups.dev"),)), ("docs", ())),
)
CORE = MemberRequest(NormalizedName("core"), "packages/core", None, "")
REQUEST = Request(members=(API, CORE), environments=("sys_platform == 'linux'",))


def lock_of(request: Request, **more: Any) -> Lock:
    """A lock made for *request*, through its text."""
    packages = tuple(
        LockedPackage(m.name, m.version or "", MemberSource(m.path), manifest=manifest_of(m))
        for m in request.members
    )
    lock = Lock(
        environments=marker_texts(request.environments),
        required_environments=marker_texts(request.required_environments),
        settings=settings_of(request, more),
        packages=packages,
    )
    return lock_text.read(lock_text.write(lock))


LOCK = lock_of(REQUEST)


def with_api(**changes: Any) -> Request:
    return replace(REQUEST, members=(replace(API, **changes), CORE))


def the(differences: tuple[Stale, ...]) -> Stale:
    assert len(differences) == 1, differences
    return differences[0]


def test_a_lock_is_fresh_for_what_it_was_made_for() -> None:
    assert stale(LOCK, REQUEST) == ()


@pytest.mark.parametrize(
    "request_",
    [
        with_api(dependencies=API.dependencies[::-1]),
        with_api(dependencies=(*API.dependencies, ask("httpx >=0.28", item=7))),
        with_api(version="V1.0"),
        replace(REQUEST, members=(CORE, API)),
        replace(REQUEST, environments=('sys_platform=="linux"',)),
        replace(REQUEST, environments=("'linux' == sys_platform",)),
        replace(REQUEST, environments=("platform_system == 'Linux' and os_name == 'posix'",)),
        replace(REQUEST, max_steps=5, exclude_newer="2026-11-01T00:00:00Z", preferred_splits=("x",)),
    ],
)
def test_what_changes_no_lock(request_: Request) -> None:
    assert stale(LOCK, request_) == ()


@pytest.mark.parametrize(
    ("changes", "kind", "table", "old", "new"),
    [
        (
            {"dependencies": (*API.dependencies, ask("rich>=1"))},
            "requirement-added",
            "project.dependencies",
            "",
            "rich>=1",
        ),
        (
            {"dependencies": API.dependencies[1:]},
            "requirement-removed",
            "project.dependencies",
            "httpx>=0.28",
            "",
        ),
        (
            {"dependencies": (ask("httpx>=0.29"), API.dependencies[1])},
            "requirement-changed",
            "project.dependencies",
            "httpx>=0.28",
            "httpx>=0.29",
        ),
        (
            {"dependencies": (ask("httpx[http2]>=0.28"), API.dependencies[1])},
            "requirement-changed",
            "project.dependencies",
            "httpx>=0.28",
            "httpx[http2]>=0.28",
        ),
        (
            {"dependencies": (API.dependencies[0], ask("core"))},
            "requirement-changed",
            "project.dependencies",
            "core @ member",
            "core",
        ),
        ({"extras": ()}, "table-removed", "project.optional-dependencies.fast", "uvloop", ""),
        (
            {"extras": named(("fast", (ask("uvloop>=1"),)))},
            "requirement-changed",
            "project.optional-dependencies.fast",
            "uvloop",
            "uvloop>=1",
        ),
        (
            {"groups": named(("dev", ()), ("docs", ()))},
            "requirement-removed",
            "dependency-groups.dev",
            "pytest",
            "",
        ),
        ({"groups": API.groups[:1]}, "table-removed", "dependency-groups.docs", "", ""),
        (
            {"groups": (*API.groups, *named(("new", (ask("x"),))))},
            "table-added",
            "dependency-groups.new",
            "",
            "x",
        ),
        ({"requires_python": ">=3.12"}, "requires-python-changed", "project", ">=3.11", ">=3.12"),
        ({"version": "1.1"}, "version-changed", "project", "1.0", "1.1"),
        ({"version": None}, "version-changed", "project", "1.0", ""),
        ({"path": "libs/api"}, "member-moved", "", "packages/api", "libs/api"),
    ],
)
def test_each_difference_of_a_member_is_one_record(
    changes: dict[str, Any], kind: str, table: str, old: str, new: str
) -> None:
    found = the(stale(LOCK, with_api(**changes)))
    assert (found.kind, found.member, found.table, found.old, found.new) == (kind, "api", table, old, new)
    assert found.file == ("libs/api" if kind == "member-moved" else "packages/api") + "/pyproject.toml"
    assert str(found).startswith("api")
    assert str(found) == found.to_json()["message"]
    if kind in ("requirement-added", "requirement-changed"):
        assert found.origin is not None
        assert new in str(found)
    # And the other way round: a lock for what is asked now is fresh for it, and stale for what was.
    assert stale(lock_of(with_api(**changes)), with_api(**changes)) == ()
    assert len(stale(lock_of(with_api(**changes)), REQUEST)) == 1


def test_the_place_of_a_requirement_is_kept() -> None:
    added = ask("rich", item=4)
    assert the(stale(LOCK, with_api(dependencies=(*API.dependencies, added)))).origin == added.origin


def test_members_come_and_go() -> None:
    found = the(stale(LOCK, replace(REQUEST, members=(API,))))
    assert (found.kind, found.member, found.file) == (
        "member-removed",
        "core",
        "packages/core/pyproject.toml",
    )
    web = MemberRequest(NormalizedName("web"), ".", "1", "")
    found = the(stale(LOCK, replace(REQUEST, members=(*REQUEST.members, web))))
    assert (found.kind, found.member, found.file) == ("member-added", "web", "pyproject.toml")


@pytest.mark.parametrize(
    ("changes", "setting", "new"),
    [
        ({"strategy": "lowest"}, "strategy", "lowest"),
        ({"fork_strategy": "fewest"}, "fork-strategy", "fewest"),
        ({"prereleases": PrereleasePolicy("allow")}, "prereleases", "allow"),
        (
            {"prereleases": PrereleasePolicy("only", frozenset({NormalizedName("x")}))},
            "prereleases",
            "only, x",
        ),
        ({"constraints": (ask("urllib3<3"),)}, "constraints", "urllib3<3"),
        ({"overrides": (ask("protobuf>=5", source=IndexSource("x")),)}, "overrides", "protobuf>=5 @ index x"),
        ({"excludes": frozenset({NormalizedName("x")})}, "excludes", "x"),
        ({"shared_environment": False}, "shared-environment", "false"),
        ({"build": BuildPolicy(default=True)}, "build", "all"),
        ({"build": BuildPolicy(allow=frozenset({NormalizedName("x")}))}, "build", "x"),
        ({"build": BuildPolicy(no_binary=frozenset({NormalizedName("x")}))}, "no-binary", "x"),
        ({"build": BuildPolicy(no_build=frozenset({NormalizedName("x")}))}, "no-build", "x"),
        (
            {
                "conflicts": (
                    Conflict(((NormalizedName("api"), "fast", ""), (NormalizedName("api"), "", "dev"))),
                )
            },
            "conflicts",
            "api:dev, api[fast]",
        ),
        ({"environments": ()}, "environments", ""),
        ({"required_environments": ("os_name == 'nt'",)}, "required-environments", "os_name == 'nt'"),
    ],
)
def test_settings_count(changes: dict[str, Any], setting: str, new: str) -> None:
    request = replace(REQUEST, **changes)
    found = the(stale(LOCK, request))
    assert (found.table, found.new, found.member) == (setting, new, "")
    assert setting in str(found)
    assert stale(lock_of(request), request) == ()


def test_settings_that_a_request_has_no_field_for() -> None:
    more = {"cooldown": "7 days", "indexes": ("a", "b"), "exclude-newer": ""}
    assert settings_of(REQUEST, more).values == (("cooldown", "7 days"), ("indexes", ("a", "b")))
    lock = lock_of(REQUEST, **more)
    assert stale(lock, REQUEST, settings_of(REQUEST, more)) == ()
    assert [found.table for found in stale(lock, REQUEST)] == ["cooldown", "indexes"]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (None, ""),
        (MemberSource("a"), "@ member"),
        (IndexSource("internal"), "@ index internal"),
        (PathSource("libs/x"), "@ path libs/x"),
        (PathSource("libs/x", editable=True), "@ path libs/x editable"),
        (
            UrlSource("https://example.test/x", "s", "ab"),
            "@ url https://example.test/x subdirectory=s sha256=ab",
        ),
        (
            GitSource("https://example.test/x", "main", "c" * 40, "sub"),
            "@ git https://example.test/x ref=main subdirectory=sub",
        ),
    ],
)
def test_where_a_package_comes_from_is_part_of_what_is_asked(source: Source | None, text: str) -> None:
    assert ask_text(ask("x>=1; os_name=='nt'", source=source)) == f"x>=1; os_name == 'nt' {text}".rstrip()


def test_an_address_is_said_once() -> None:
    address = "https://example.test/x.whl"
    assert ask_text(ask(f"x @ {address}")) == f"x @ {address}"
    assert ask_text(ask(f"x @ {address}", source=UrlSource(address))) == f"x @ url {address}"


def test_several_requirements_of_one_name() -> None:
    both = (ask("x>=1; os_name == 'nt'"), ask("x>=2; os_name == 'posix'"))
    lock = lock_of(with_api(dependencies=both))
    one = the(stale(lock, with_api(dependencies=both[:1])))
    assert (one.kind, one.old) == ("requirement-removed", "x>=2; os_name == 'posix'")
    changed = stale(lock, with_api(dependencies=(ask("x>=3"),)))
    assert [f.kind for f in changed] == ["requirement-removed", "requirement-removed", "requirement-added"]


def test_a_folder_is_judged_by_what_was_locked_of_it() -> None:
    locked = LockedPackage(
        NormalizedName("lib"), "1.0", PathSource("lib"), ">=3.11", requires=("httpx>=0.28", "six")
    )
    (read,) = lock_text.read(lock_text.write(Lock(packages=(locked,)))).packages
    assert read == locked
    assert not stale_folder(read, "1.0", ["six", "httpx>=0.28", "six"], ">=3.11")
    assert [str(one) for one in stale_folder(read, "1.1", ["httpx>=0.29"], ">=3.12")] == [
        "lib has version 1.1, the lock has 1.0",
        "lib: lib/pyproject.toml [project] asks for Python >=3.12, the lock has >=3.11",
        "lib: lib/pyproject.toml [project.dependencies] asks for httpx>=0.29, the lock has httpx>=0.28",
        "lib: lib/pyproject.toml [project.dependencies] no longer asks for six",
    ]


SPELLED = (
    ("a>=1; python_version>='3.9'", 'a >= 1 ; python_version >= "3.9"'),
    (
        "a; sys_platform == 'linux' and python_version < '3.13'",
        "a; '3.13'>python_version and 'linux'==sys_platform",
    ),
    (
        "a; os_name == 'nt' or sys_platform == 'linux'",
        "a; (platform_system == 'Linux') or sys_platform == 'win32'",
    ),
    ("a; python_version == '3.12'", "a; python_version >= '3.12' and python_version < '3.13'"),
)


@pytest.mark.parametrize(("one", "other"), [*SPELLED, *(pair[::-1] for pair in SPELLED)])
@pytest.mark.parametrize("source", [None, IndexSource("internal")])
def test_a_marker_of_another_spelling_is_no_change(one: str, other: str, source: Source | None) -> None:
    def request(text: str) -> Request:
        member = replace(API, dependencies=(ask(text, source=source),), groups=named(("dev", (ask(text),))))
        return Request((member,), constraints=(ask(text),))

    before, now = lock_of(request(one)), request(other)
    assert stale(before, now) == ()
    assert kept_spelling(before, lock_of(now)) == before


def test_a_marker_of_another_meaning_is_a_change() -> None:
    def request(text: str, source: Source | None = None) -> Request:
        return Request((replace(API, dependencies=(ask(text, source=source),)),))

    before = lock_of(request("a>=1; python_version < '3.13'"))
    for text in (
        "a>=1; python_version < '3.12'",
        "a>=2; '3.13' > python_version",
        "a[x]>=1; '3.13' > python_version",
    ):
        (found,) = stale(before, request(text))
        assert found.kind == "requirement-changed"
        assert kept_spelling(before, lock_of(request(text))) == lock_of(request(text))
    (found,) = stale(before, request("a>=1; '3.13' > python_version", IndexSource("internal")))
    assert found.kind == "requirement-changed"


def test_two_requirements_of_one_meaning_are_one() -> None:
    def request(*texts: str) -> Request:
        return Request((replace(API, dependencies=tuple(map(ask, texts))),))

    twice = ("a; sys_platform == 'linux'", "a; 'linux' == sys_platform")
    assert stale(lock_of(request(*twice)), request(*twice)) == ()
