"""The catalog against a real server: what it answers, and how often it asks."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.index_server import FileFacts, IndexServer
from kit.wheels import core_metadata, make_sdist, make_wheel, sha256, write_zip
from pypm_index import page_readers
from pypm_index.catalog import Catalog
from pypm_index.cutoffs import Cutoffs
from pypm_index.errors import (
    AccessForbidden,
    BadPage,
    CredentialsNeeded,
    FileGone,
    IndexFailed,
    IndexUnreachable,
    OfflineMissing,
    UnknownIndex,
    WrongHash,
)
from pypm_index.ports import BuildNeed
from pypm_index.settings import Index, Indexes
from pypm_index.transport import Transport
from pypm_model.events import Event, Warned
from pypm_model.facts import Absent, Fact, Key, Listing, ListingKey, Metadata, MetadataKey, NoMetadata
from pypm_model.names import normalize
from pypm_model.records import replace
from pypm_model.requests import BuildPolicy
from pypm_store.store import Store

FOO, BAR = normalize("foo"), normalize("bar")


@pytest.fixture(autouse=True)
def read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two forks for each catalog are what most of these tests would wait for; `test_index_page_readers` has
    them read."""
    monkeypatch.setattr(page_readers, "processors", lambda: 1)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    make_wheel(folder, "foo", "1.0", requires=["bar>=1"])
    make_wheel(folder, "foo", "2.0", requires=["bar>=2", "baz; extra == 'x'"], extras={"x": []})
    make_wheel(folder, "bar", "2.0")
    make_sdist(folder, "onlysrc", "1.0", requires=["bar"])
    return folder


@pytest.fixture
def server(wheels: Path) -> Iterator[IndexServer]:
    with IndexServer(wheels) as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def indexes(*servers: IndexServer, explicit: bool = False) -> Indexes:
    """The last one is the default."""
    named = [Index(f"i{n}", one.url, explicit=explicit) for n, one in enumerate(servers[:-1])]
    return Indexes.from_settings([*named, Index("main", servers[-1].url, default=True)], environ={})


def catalog(store: Store, where: IndexServer | Indexes, **more: Any) -> Catalog:
    settings = where if isinstance(where, Indexes) else indexes(where)
    more.setdefault("fetcher", Transport(settings, {}, timeout=5, pause=0.001, keyring=lambda _: None))
    return Catalog(store, settings, environ={}, **more)


def ask(source: Catalog, *keys: Key) -> dict[Key, Fact]:
    source.request(keys)
    return {fact.key: fact for fact in source.wait()}


def once(store: Store, where: IndexServer | Indexes, *keys: Key, **more: Any) -> dict[Key, Fact]:
    with catalog(store, where, **more) as source:
        return ask(source, *keys)


def listing(fact: Fact) -> Listing:
    assert isinstance(fact, Listing)
    return fact


def test_cold_then_warm_without_a_request(store: Store, server: IndexServer) -> None:
    keys: list[Key] = [ListingKey(FOO), ListingKey(BAR), MetadataKey(FOO, "2.0", "main")]
    cold = once(store, server, *keys)
    found = listing(cold[keys[0]])
    assert found.versions == ("1.0", "2.0") and found.index == "main"
    metadata = cold[keys[2]]
    assert isinstance(metadata, Metadata)
    assert [one.name for one in metadata.requires] == ["bar", "baz"] and metadata.extras == ("x",)
    assert metadata.origin == "foo-2.0-py3-none-any.whl"
    assert server.count() == 3 and server.count(".metadata") == 1
    server.forget()
    assert once(store, server, *keys) == cold
    assert server.count() == 0


def test_a_warm_run_loads_nothing_that_speaks_to_a_network(store: Store, server: IndexServer) -> None:
    once(store, server, ListingKey(FOO), MetadataKey(FOO, "2.0", "main"))
    code = f"""
import sys
from pathlib import Path
from pypm_index.catalog import Catalog
from pypm_index.settings import Index, Indexes
from pypm_model.facts import ListingKey, MetadataKey
from pypm_store.store import Store
indexes = Indexes.from_settings([Index("main", {server.url!r}, default=True)], environ={{}})
with Catalog(Store.open(Path({str(store.root)!r})), indexes, environ={{}}) as catalog:
    catalog.request([ListingKey("foo"), MetadataKey("foo", "2.0", "main")])
    assert len(catalog.wait()) == 2
    assert catalog.files("foo", "2.0", "main")
loaded = {{"ssl", "http.client", "httpx", "socket", "urllib.request", "subprocess", "pypm_index.network",
          "pypm_index.simple_json", "truststore", "tomllib", "packaging", "concurrent.futures"}}
print(sorted(loaded & set(sys.modules)))
"""
    server.forget()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert server.count() == 0


def test_stale_pages_are_confirmed_not_parsed(store: Store, server: IndexServer) -> None:
    clock = Clock()
    first = once(store, server, ListingKey(FOO), clock=clock)
    clock.now += 599
    once(store, server, ListingKey(FOO), clock=clock)
    assert server.count() == 1
    clock.now += 2
    assert once(store, server, ListingKey(FOO), clock=clock) == first
    assert [seen.status for seen in server.requests] == [200, 304]
    clock.now += 599
    once(store, server, ListingKey(FOO), clock=clock)
    assert server.count() == 2


def test_without_an_etag_the_content_is_compared(store: Store, server: IndexServer, wheels: Path) -> None:
    server.etags = False
    clock = Clock()
    first = once(store, server, ListingKey(FOO), MetadataKey(FOO, "2.0", "main"), clock=clock)
    clock.now += 1000
    again = once(store, server, ListingKey(FOO), MetadataKey(FOO, "2.0", "main"), clock=clock)
    assert again == first and server.count("/simple/foo/") == 2 and server.count(".metadata") == 1
    make_wheel(wheels, "foo", "3.0")
    clock.now += 1000
    changed = once(store, server, ListingKey(FOO), MetadataKey(FOO, "2.0", "main"), clock=clock)
    assert listing(changed[ListingKey(FOO)]).versions == ("1.0", "2.0", "3.0")
    # What was known of versions whose files are the same is kept.
    assert server.count(".metadata") == 1


@pytest.mark.parametrize(
    ("max_age", "wait", "requests"), [(None, 599, 1), (None, 601, 2), (3600, 3599, 1), (0, 1, 2)]
)
def test_how_long_a_page_is_fresh(
    store: Store, server: IndexServer, max_age: int | None, wait: int, requests: int
) -> None:
    server.max_age = max_age
    clock = Clock()
    once(store, server, ListingKey(FOO), clock=clock)
    clock.now += wait
    once(store, server, ListingKey(FOO), clock=clock)
    assert server.count() == requests


def test_refresh_asks_again_all_or_some(store: Store, server: IndexServer) -> None:
    clock = Clock()
    once(store, server, ListingKey(FOO), ListingKey(BAR), clock=clock)
    clock.now += 10
    server.forget()
    with catalog(store, server, refresh=True, clock=clock) as source:
        ask(source, ListingKey(FOO), ListingKey(BAR))
        ask(source, ListingKey(FOO))
    assert server.count() == 2
    clock.now += 10
    server.forget()
    once(store, server, ListingKey(FOO), ListingKey(BAR), refresh={BAR}, clock=clock)
    assert [seen.path for seen in server.requests] == ["/simple/bar/"]


def test_offline_answers_however_old_and_names_what_is_missing(store: Store, server: IndexServer) -> None:
    clock = Clock()
    keys = ListingKey(FOO), MetadataKey(FOO, "2.0", "main")
    first = once(store, server, *keys, clock=clock)
    clock.now += 10**7
    server.forget()
    assert once(store, server, *keys, offline=True, clock=clock) == first
    with pytest.raises(OfflineMissing, match="bar"):
        once(store, server, ListingKey(BAR), offline=True, clock=clock)
    with pytest.raises(OfflineMissing, match=r"foo 1\.0"):
        once(store, server, MetadataKey(FOO, "1.0", "main"), offline=True, clock=clock)
    with catalog(store, server, offline=True) as source:
        source.request([ListingKey(FOO)], speculative=[ListingKey(BAR)])
        assert len(source.wait()) == 1
    assert server.count() == 0


def test_unknown_names_are_a_fact_and_asked_for_again(store: Store, server: IndexServer) -> None:
    key = ListingKey(normalize("nothing"))
    assert once(store, server, key) == {key: Absent(key, ("main",))}
    server.fail("nothing", status=410)
    assert once(store, server, key) == {key: Absent(key, ("main",))}
    assert server.count() == 2
    assert once(store, server, key, offline=True) == {key: Absent(key, ("main",))}


@pytest.mark.parametrize(
    ("status", "kind"),
    [(500, IndexFailed), (403, AccessForbidden), (401, CredentialsNeeded), (400, IndexFailed)],
)
def test_a_failure_is_never_remembered_as_no_such_package(
    store: Store, server: IndexServer, status: int, kind: type[Exception]
) -> None:
    server.fail("/simple/foo/", status=status)
    with catalog(store, server) as source:
        with pytest.raises(kind, match="foo"):
            ask(source, ListingKey(FOO))
        server.heal()
        assert listing(ask(source, ListingKey(FOO))[ListingKey(FOO)]).versions == ("1.0", "2.0")
    assert listing(once(store, server, ListingKey(FOO))[ListingKey(FOO)]).versions == ("1.0", "2.0")


def test_first_index_that_has_the_name_wins(store: Store, server: IndexServer, tmp_path: Path) -> None:
    make_wheel(tmp_path / "own", "bar", "0.1")
    with IndexServer(tmp_path / "own") as own:
        both = indexes(own, server)
        found = once(store, both, ListingKey(FOO), ListingKey(BAR), ListingKey(BAR, "main"))
        assert listing(found[ListingKey(BAR)]).versions == ("0.1",)
        assert listing(found[ListingKey(BAR)]).index == "i0"
        assert listing(found[ListingKey(FOO)]).index == "main"
        assert listing(found[ListingKey(BAR, "main")]).versions == ("2.0",)
        assert own.count() == 2 and server.count() == 2
        # That the first index has not got the name is remembered as long as a page.
        assert once(store, both, ListingKey(FOO), ListingKey(BAR)) == {
            key: found[key] for key in (ListingKey(FOO), ListingKey(BAR))
        }
        assert own.count() == 2 and server.count() == 2
        absent = ListingKey(normalize("nothing"))
        assert once(store, both, absent) == {absent: Absent(absent, ("i0", "main"))}


def test_a_higher_index_that_cannot_be_asked_stops_the_run(
    store: Store, server: IndexServer, tmp_path: Path
) -> None:
    with IndexServer(tmp_path / "none") as own:
        own.fail("", status=503)
        with pytest.raises(IndexFailed, match="i0"):
            once(store, indexes(own, server), ListingKey(FOO))
        own.heal()
        own.fail("", "drop")
        with pytest.raises(IndexUnreachable, match="i0"):
            once(store, indexes(own, server), ListingKey(FOO))
    assert server.count() == 0


def test_explicit_indexes_are_asked_by_name_only(store: Store, server: IndexServer, tmp_path: Path) -> None:
    make_wheel(tmp_path / "own", "foo", "0.1")
    with IndexServer(tmp_path / "own") as own:
        both = indexes(own, server, explicit=True)
        found = once(store, both, ListingKey(FOO), ListingKey(FOO, "i0"), ListingKey(BAR))
        assert listing(found[ListingKey(FOO)]).index == "main"
        assert listing(found[ListingKey(FOO, "i0")]).versions == ("0.1",)
        assert own.count() == 1
    with catalog(store, server) as source, pytest.raises(UnknownIndex):
        source.request([ListingKey(FOO, "nowhere")])


def test_plain_html_mirror_without_any_flag(store: Store, server: IndexServer) -> None:
    expected = once(store, server, ListingKey(FOO), MetadataKey(FOO, "2.0", "main"))
    server.format, server.metadata_flags = "html", False
    plain = Store.open(store.root.parent / "plain")
    assert once(plain, server, MetadataKey(FOO, "2.0", "main")) == {
        MetadataKey(FOO, "2.0", "main"): expected[MetadataKey(FOO, "2.0", "main")]
    }
    found = listing(once(plain, server, ListingKey(FOO))[ListingKey(FOO)])
    wanted = listing(expected[ListingKey(FOO)])
    assert (found.versions, found.classes) == (wanted.versions, wanted.classes)


def test_one_404_teaches_that_there_are_no_metadata_files(
    store: Store, server: IndexServer, wheels: Path
) -> None:
    for n in range(12):
        make_wheel(wheels, f"p{n}", "1.0", requires=["bar"])
    server.format, server.metadata_flags, server.metadata_files = "html", False, False
    keys = [MetadataKey(normalize(f"p{n}"), "1.0", "main") for n in range(12)]
    found = once(store, server, *keys)
    assert all(isinstance(fact, Metadata) and fact.requires for fact in found.values())
    assert server.count(".metadata") == 1
    assert server.count(r"\.whl$") == 12
    assert all(seen.status == 206 for seen in server.seen(r"\.whl$"))


def test_whole_wheels_where_nothing_else_works_and_they_are_kept(
    store: Store, server: IndexServer, wheels: Path
) -> None:
    server.format, server.metadata_flags, server.metadata_files, server.ranges = "html", False, False, False
    found = once(store, server, MetadataKey(FOO, "2.0", "main"), MetadataKey(BAR, "2.0", "main"))
    assert all(isinstance(fact, Metadata) for fact in found.values())
    assert store.file(sha256(wheels / "foo-2.0-py3-none-any.whl")) is not None
    # One question whether there are metadata files, one whether there are ranges.
    assert server.count(".metadata") == 1 and server.count(r"\.whl$") == 3


@pytest.mark.parametrize("sizes", [True, False])
def test_ranges_of_a_large_wheel(store: Store, server: IndexServer, wheels: Path, sizes: bool) -> None:
    server.metadata_flags, server.metadata_files, server.sizes = False, False, sizes
    members = {f"big/m{n}.py": bytes([n % 251]) * 4000 for n in range(900)}
    entries = {
        "big-1.0.dist-info/METADATA": core_metadata("big", "1.0", requires=["bar"]).encode(),
        **members,
    }
    write_zip(wheels / "big-1.0-py3-none-any.whl", entries, compression=0)
    key = MetadataKey(normalize("big"), "1.0", "main")
    found = once(store, server, key)[key]
    assert isinstance(found, Metadata) and [one.name for one in found.requires] == ["bar"]
    assert {seen.status for seen in server.seen(r"\.whl$")} == {206}
    assert server.count(r"\.whl$") <= 4


def test_a_metadata_file_with_the_wrong_digest_ends_the_run(store: Store, server: IndexServer) -> None:
    server.fail(r"\.metadata", "wrong-bytes")
    with pytest.raises(WrongHash, match=r"foo-2\.0-py3-none-any\.whl\.metadata"):
        once(store, server, MetadataKey(FOO, "2.0", "main"))


def test_a_promised_metadata_file_that_is_missing(store: Store, server: IndexServer) -> None:
    server.metadata_files = False
    assert isinstance(once(store, server, MetadataKey(FOO, "2.0", "main")).popitem()[1], Metadata)
    assert [seen.status for seen in server.seen("2.0")] == [404, 206]


def test_what_is_in_the_wheel_is_compared_with_what_the_index_said(store: Store, server: IndexServer) -> None:
    with catalog(store, server) as source:
        ask(source, MetadataKey(FOO, "1.0", "main"))
    key, later = MetadataKey(FOO, "1.0", "main"), MetadataKey(FOO, "2.0", "main")
    name, same = "foo-1.0-py3-none-any.whl", core_metadata("foo", "1.0", requires=["bar>=1"]).encode()
    other = same.replace(b">=1", b">=2")
    with catalog(store, server) as source:
        assert source.contradictions({key: (name, lambda: same)}) == {}
        assert source.contradictions({key: (name, lambda: other)}) == {key: ("Requires-Dist",)}

        def unread() -> bytes:
            raise AssertionError("nothing was said of it")

        # A wheel whose metadata nobody read, and a version nobody asked for.
        wheels = {key: ("other.whl", unread), later: ("foo-2.0-py3-none-any.whl", unread)}
        assert source.contradictions(wheels) == {}


def test_servers_that_answer_every_path_with_a_page(store: Store, server: IndexServer) -> None:
    server.format, server.metadata_flags = "html", False
    server.pages[server.path_of("foo-2.0-py3-none-any.whl") + ".metadata"] = (
        "text/html",
        b"<html>welcome</html>",
    )
    found = once(store, server, MetadataKey(FOO, "2.0", "main")).popitem()[1]
    assert isinstance(found, Metadata) and found.requires


def test_the_file_that_is_read_does_not_hang_on_the_page(
    store: Store, server: IndexServer, wheels: Path
) -> None:
    for tag, wanted in (("cp311-cp311-win_amd64", "win"), ("cp312-cp312-manylinux_2_17_x86_64", "linux")):
        make_wheel(wheels, "multi", "1.0", tag=tag, requires=[wanted])
    make_sdist(wheels, "multi", "1.0", requires=["source"])
    key = MetadataKey(normalize("multi"), "1.0", "main")
    found = once(store, server, key)[key]
    assert isinstance(found, Metadata) and [one.name for one in found.requires] == ["linux"]
    # No wheels of this name: the sdist counts, and what was cached before does not.
    policy = BuildPolicy(no_binary=frozenset({normalize("multi")}))
    for _ in range(2):
        found = once(store, server, key, build_policy=policy)[key]
        assert isinstance(found, Metadata) and [one.name for one in found.requires] == ["source"]
    assert server.count(r"\.tar\.gz") == 1
    found = once(store, server, key)[key]
    assert isinstance(found, Metadata) and [one.name for one in found.requires] == ["linux"]


def test_sdists_static_refused_and_built(store: Store, server: IndexServer, wheels: Path) -> None:
    name = normalize("dyn")
    make_sdist(wheels, "dyn", "1.0", backend="in-tree", dynamic=["dependencies"], requires=["bar"])
    key = MetadataKey(name, "1.0", "main")
    static = MetadataKey(normalize("onlysrc"), "1.0", "main")
    found = once(store, server, static, key)
    assert isinstance(found[static], Metadata) and found[static].origin == "onlysrc-1.0.tar.gz"
    refused = found[key]
    assert isinstance(refused, NoMetadata) and refused.needs_build and "dyn-1.0.tar.gz" in refused.reason
    server.forget()
    needs: list[BuildNeed] = []

    def build(need: BuildNeed) -> bytes:
        assert (need.folder / "pyproject.toml").is_file()
        needs.append(need)
        return core_metadata("dyn", "1.0", requires=["built"]).encode()

    policy = BuildPolicy(allow=frozenset({name}))
    for _ in range(2):
        built = once(store, server, key, build_policy=policy, build_metadata=build)[key]
        assert isinstance(built, Metadata) and [one.name for one in built.requires] == ["built"]
    assert [(need.name, need.version, need.source) for need in needs] == [("dyn", "1.0", "dyn-1.0.tar.gz")]
    assert not needs[0].folder.exists()
    # What a build said answers no run that may not build.
    assert once(store, server, key) == {key: refused}
    assert server.count() == 0


@pytest.mark.parametrize("ranges", [True, False])
def test_of_a_large_sdist_that_may_not_be_built_the_beginning_is_read(
    store: Store, server: IndexServer, wheels: Path, *, ranges: bool
) -> None:
    name, noise = normalize("large"), random.Random(1).randbytes(3 << 20)
    files = {"zzz.bin": noise}
    make_sdist(wheels, "large", "1.0", backend="in-tree", dynamic=["dependencies"], files=files)
    make_sdist(wheels, "large", "2.0", requires=["bar"], files=files)
    server.ranges = ranges
    unknown, static = MetadataKey(name, "1.0", "main"), MetadataKey(name, "2.0", "main")
    found = once(store, server, unknown, static)
    told = found[unknown]
    assert isinstance(told, NoMetadata) and told.needs_build
    said = found[static]
    assert isinstance(said, Metadata) and [one.name for one in said.requires] == ["bar"]
    assert [path for path in (store.path / "files").rglob("*") if path.is_file()] == []
    asked = [one.headers.get("range") for one in server.requests if one.path.endswith(".tar.gz")]
    assert asked == ["bytes=0-1048575"] * 2
    # Once it may be built it is fetched; then the file in the store is read, also without a line.
    text = core_metadata("large", "1.0", requires=["built"]).encode()
    policy = BuildPolicy(allow=frozenset({name}))
    built = once(store, server, unknown, build_policy=policy, build_metadata=lambda _: text)[unknown]
    assert isinstance(built, Metadata)
    assert len([path for path in (store.path / "files").rglob("*") if path.is_file()]) == 1
    server.forget()
    again = once(store, server, unknown, refresh=True)[unknown]
    assert isinstance(again, NoMetadata) and again.needs_build
    assert not [one for one in server.requests if one.path.endswith(".tar.gz")]


def test_nothing_is_built_on_speculation(store: Store, server: IndexServer, wheels: Path) -> None:
    make_sdist(wheels, "dyn", "1.0", backend="in-tree", dynamic=["dependencies"])
    key = MetadataKey(normalize("dyn"), "1.0", "main")
    asked: list[BuildNeed] = []

    def build(need: BuildNeed) -> bytes:
        asked.append(need)
        raise RuntimeError("the compiler is missing")

    with catalog(store, server, build_policy=BuildPolicy(default=True), build_metadata=build) as source:
        source.request([ListingKey(FOO)], speculative=[key])
        source.wait()
        source.request([ListingKey(BAR), MetadataKey(FOO, "1.0", "main"), MetadataKey(FOO, "2.0", "main")])
        source.wait()
        assert asked == []
        source.request([key])
        with pytest.raises(RuntimeError, match="compiler"):
            source.wait()
        assert len(asked) == 1


def test_broken_wheels_and_strange_metadata_are_facts(
    store: Store, server: IndexServer, wheels: Path
) -> None:
    (wheels / "broken-1.0-py3-none-any.whl").write_bytes(b"this is no wheel")
    write_zip(wheels / "empty-1.0-py3-none-any.whl", {"empty-1.0.dist-info/METADATA": b""})
    make_sdist(wheels, "junk", "1.0")
    (wheels / "junk-1.0.tar.gz").write_bytes(b"no archive")
    server.metadata_flags = server.metadata_files = False
    keys = [MetadataKey(normalize(name), "1.0", "main") for name in ("broken", "empty", "junk")]
    for _ in range(2):
        found = once(store, server, *keys)
        for key, word in zip(keys, ("cannot be read", "empty", "cannot be read"), strict=True):
            fact = found[key]
            assert isinstance(fact, NoMetadata) and word in fact.reason and not fact.needs_build


def test_versions_may_be_asked_for_in_another_spelling(store: Store, server: IndexServer) -> None:
    with catalog(store, server) as source:
        for version in ("2", "2.0.0"):
            key = MetadataKey(FOO, version, "main")
            assert isinstance(ask(source, key)[key], Metadata)
        key = MetadataKey(FOO, "9.0", "main")
        fact = ask(source, key)[key]
        assert isinstance(fact, NoMetadata) and "no file" in fact.reason


def test_changed_files_are_read_again(store: Store, server: IndexServer, wheels: Path) -> None:
    clock = Clock()
    key = MetadataKey(FOO, "2.0", "main")
    once(store, server, ListingKey(FOO), key, clock=clock)
    make_wheel(wheels, "foo", "2.0", requires=["other"])
    clock.now += 1000
    found = once(store, server, ListingKey(FOO), clock=clock)
    fact = once(store, server, key, clock=clock)[key]
    assert found and isinstance(fact, Metadata) and [one.name for one in fact.requires] == ["other"]


def test_versions_nobody_wanted_are_found_in_the_page_as_it_came(
    store: Store, server: IndexServer, wheels: Path
) -> None:
    for n in range(10):
        make_wheel(wheels, "many", f"{n}.0", requires=[f"dep{n}"])
    name = normalize("many")
    once(store, server, ListingKey(name))
    server.forget()
    for _ in range(2):
        with catalog(store, server) as source:
            assert [one.filename for one in source.files(name, "0.0", "main")] == [
                "many-0.0-py3-none-any.whl"
            ]
            assert source.files(name, "77.0", "main") == ()
    assert server.count() == 0
    # Then they have rows of their own.
    (page,) = (path for path in store.path.rglob("page-many"))
    page.unlink()
    with catalog(store, server) as source:
        assert source.files(name, "0.0", "main") and server.count() == 0
        assert listing(ask(source, ListingKey(name))[ListingKey(name)]).versions[0] == "0.0"
        # Of others the page is asked for again.
        key = MetadataKey(name, "1.0", "main")
        assert isinstance(ask(source, key)[key], Metadata)
    assert server.count("/simple/many/") == 1


@pytest.mark.parametrize("damage", [b"", b"no json\nbody", b'{"url": "x", "type": "y"}\n{"files": []}', None])
def test_a_damaged_page_is_fetched_again(
    store: Store, server: IndexServer, wheels: Path, damage: bytes | None
) -> None:
    for n in range(10):
        make_wheel(wheels, "many", f"{n}.0")
    key = MetadataKey(normalize("many"), "0.0", "main")
    once(store, server, ListingKey(key.name))
    (page,) = (path for path in store.path.rglob("page-many"))
    page.unlink()
    if damage is not None:
        page.write_bytes(damage)
    with pytest.raises(OfflineMissing):
        once(store, server, key, offline=True)
    assert isinstance(once(store, server, key)[key], Metadata)
    assert server.count("/simple/many/") == 2
    cut = once(store, server, ListingKey(key.name), cutoffs=Cutoffs("2020-01-01T00:00:00Z"))
    assert listing(cut[ListingKey(key.name)]).too_new == 2**10 - 1
    assert server.count("/simple/many/") == 2


def test_cutoffs_and_their_variants(store: Store, server: IndexServer) -> None:
    server.files["foo-2.0-py3-none-any.whl"] = FileFacts(uploaded="2024-06-01T12:00:00.5Z")
    key = ListingKey(FOO)

    def too_new(cutoff: str) -> list[str]:
        found = listing(once(store, server, key, cutoffs=Cutoffs(cutoff))[key])
        return [version for n, version in enumerate(found.versions) if found.too_new >> n & 1]

    for _ in range(2):
        assert too_new("") == []
        assert too_new("2024-06-01T12:00:00Z") == ["2.0"]
        assert too_new("2024-06-01T12:00:01Z") == []
        assert too_new("2023-01-01T00:00:00Z") == ["1.0", "2.0"]
    assert server.count() == 1
    files = catalog(store, server, cutoffs=Cutoffs("2024-06-01T12:00:00Z"))
    assert [one.filename for one in files.files(FOO, "1.0", "main")] == ["foo-1.0-py3-none-any.whl"]
    files.close()


def test_a_cutoff_inside_a_version_decides_which_file_is_read(
    store: Store, server: IndexServer, wheels: Path
) -> None:
    make_wheel(wheels, "late", "1.0", tag="cp311-cp311-win_amd64", requires=["early"])
    make_wheel(wheels, "late", "1.0", requires=["better"])
    server.files["late-1.0-py3-none-any.whl"] = FileFacts(uploaded="2025-01-01T00:00:00Z")
    key = MetadataKey(normalize("late"), "1.0", "main")

    def wanted(cutoff: str) -> list[str]:
        fact = once(store, server, key, cutoffs=Cutoffs(cutoff))[key]
        assert isinstance(fact, Metadata)
        return [one.name for one in fact.requires]

    for _ in range(2):
        assert wanted("") == ["better"]
        assert wanted("2024-12-31T00:00:00Z") == ["early"]
        assert wanted("2026-01-01T00:00:00Z") == ["better"]
    assert server.count(".metadata") == 2


def test_warnings_come_once(store: Store, server: IndexServer) -> None:
    server.upload_times, server.api_version = False, "1.99"
    events: list[Event] = []
    once(
        store,
        server,
        ListingKey(FOO),
        ListingKey(BAR),
        cutoffs=Cutoffs("2024-01-01T00:00:00Z"),
        listener=events.append,
    )
    assert sorted(event.code for event in events if isinstance(event, Warned)) == [
        "index-api-newer",
        "no-upload-times",
    ]


def test_statuses_reach_the_listing(store: Store, server: IndexServer) -> None:
    server.status["foo"] = "archived"
    for format in ("json", "html"):
        server.format = format
        other = Store.open(store.root.parent / format)
        assert listing(once(other, server, ListingKey(FOO))[ListingKey(FOO)]).status == "archived"
        cut = once(other, server, ListingKey(FOO), cutoffs=Cutoffs("2020-01-01T00:00:00Z"))
        assert listing(cut[ListingKey(FOO)]).status == "archived"


def test_pages_that_are_none(store: Store, server: IndexServer) -> None:
    server.pages["/simple/foo/"] = ("application/vnd.pypi.simple.v2+json", b"{}")
    with pytest.raises(BadPage, match="version 2"):
        once(store, server, ListingKey(FOO))
    server.pages["/simple/foo/"] = ("text/plain", b"hello")
    with pytest.raises(BadPage, match="neither JSON nor HTML"):
        once(store, server, ListingKey(FOO))
    server.pages["/simple/foo/"] = ("application/octet-stream", b'{"files": []}')
    assert listing(once(store, server, ListingKey(FOO))[ListingKey(FOO)]).versions == ()


def test_speculation_is_fetched_and_never_waited_for(store: Store, server: IndexServer) -> None:
    server.fail("/simple/bar/", "hang", seconds=3)
    with catalog(store, server) as source:
        source.request([ListingKey(FOO)], speculative=[ListingKey(BAR)])
        assert [fact.key for fact in source.wait()] == [ListingKey(FOO)]
    server.heal()
    server.fail("/simple/bar/", status=403, times=1)
    with catalog(Store.open(store.root.parent / "two"), server) as source:
        source.request([ListingKey(FOO)], speculative=[ListingKey(BAR)])
        source.wait()
        # Until its failure has arrived it would be told to the first who needs the key.
        while source._network is not None and source._network.busy:
            source.request([ListingKey(FOO), MetadataKey(FOO, "2.0", "main")])
            source.wait()
        # Failed as speculation: asked again, and answered, when it is needed.
        source.request([ListingKey(BAR)])
        facts = source.wait()
        assert ListingKey(BAR) in [fact.key for fact in facts]


def test_keys_are_asked_for_once_and_answered_each_time(store: Store, server: IndexServer) -> None:
    with catalog(store, server) as source:
        for _ in range(3):
            source.request([ListingKey(FOO), ListingKey(FOO)])
            source.request([ListingKey(FOO)])
            assert [fact.key for fact in source.wait()] == [ListingKey(FOO)]
        assert source.wait() == ()
    assert server.count() == 1


def test_two_indexes_of_one_name_do_not_mix(store: Store, server: IndexServer, tmp_path: Path) -> None:
    make_wheel(tmp_path / "own", "foo", "0.1")
    with IndexServer(tmp_path / "own") as own:
        assert listing(once(store, server, ListingKey(FOO))[ListingKey(FOO)]).versions == ("1.0", "2.0")
        assert listing(once(store, own, ListingKey(FOO))[ListingKey(FOO)]).versions == ("0.1",)


def test_files_and_where_they_are(store: Store, server: IndexServer, wheels: Path) -> None:
    server.files["foo-2.0.tar.gz"] = FileFacts(yanked="bad")
    make_sdist(wheels, "foo", "2.0")
    with catalog(store, server) as source:
        ask(source, ListingKey(FOO))
        (file,) = source.files(FOO, "2.0", "main")
        assert (
            file.sha256 == sha256(wheels / file.filename)
            and file.size == (wheels / file.filename).stat().st_size
        )
        assert file.uploaded == "2024-01-01T00:00:00Z" and file.path.startswith("packages/")
        assert source.all_files([(FOO, "2.0", "main"), (FOO, "9", "main")]) == {
            (FOO, "2.0", "main"): (file,),
            (FOO, "9", "main"): (),
        }
        server.forget()
        (located,) = source.locate([(FOO, "main", file)])
        assert located.url == server.url_of(file.filename) and server.count() == 0


def test_a_lock_on_a_fresh_machine_costs_one_page(store: Store, server: IndexServer) -> None:
    with catalog(store, server) as source:
        ask(source, ListingKey(FOO), ListingKey(BAR))
        files = [
            (FOO, "main", source.files(FOO, "2.0", "main")[0]),
            (BAR, "main", source.files(BAR, "2.0", "main")[0]),
        ]
    server.forget()
    with catalog(Store.open(store.root.parent / "fresh"), server) as source:
        assert [one.url for one in source.locate(files)] == [
            server.url_of(file.filename) for _, _, file in files
        ]
        assert server.count() == 1
        with pytest.raises(FileGone, match="no longer"):
            source.locate([(FOO, "main", replace(files[0][2], filename="foo-9-py3-none-any.whl", path=""))])


def test_files_without_a_shared_path_are_found_by_name(
    store: Store, server: IndexServer, wheels: Path
) -> None:
    server.hashed_paths = False
    clock = Clock()
    with catalog(store, server, clock=clock) as source:
        ask(source, ListingKey(FOO))
        (file,) = source.files(FOO, "2.0", "main")
        assert file.path == ""
        assert source.locate([(FOO, "main", file)])[0].url == server.url_of(file.filename)
        # The lock names a file that is newer than the page in the cache.
        new = make_wheel(wheels, "foo", "3.0")
        assert source.locate([(FOO, "main", replace(file, filename=new.name))])[0].url == server.url_of(
            new.name
        )


def test_a_file_that_moved_is_found_again(store: Store, server: IndexServer, wheels: Path) -> None:
    with catalog(store, server) as source, IndexServer(wheels) as elsewhere:
        ask(source, ListingKey(FOO))
        (located,) = source.locate([(FOO, "main", source.files(FOO, "2.0", "main")[0])])
        assert source.relocate(located) is None
        server.files_url = elsewhere.origin
        moved = source.relocate(located)
        assert moved is not None and moved.url == elsewhere.url_of("foo-2.0-py3-none-any.whl")
        assert source.locate([(BAR, "main", replace(located.artifact))])[0].url.startswith(elsewhere.origin)


def test_an_index_without_digests_is_measured(store: Store, server: IndexServer, wheels: Path) -> None:
    server.hashes = server.sizes = False
    with catalog(store, server) as source:
        ask(source, ListingKey(FOO), MetadataKey(FOO, "2.0", "main"))
        assert source.files(FOO, "2.0", "main")[0].sha256 == ""
        (file,) = source.settle(FOO, "2.0", "main")
        path = wheels / "foo-2.0-py3-none-any.whl"
        assert (file.sha256, file.size) == (sha256(path), path.stat().st_size)
        assert source.settle(FOO, "2.0", "main") == (file,)
    assert server.count(r"\.whl$") == 1


def test_find_links_folders(store: Store, server: IndexServer, tmp_path: Path) -> None:
    links = tmp_path / "links"
    wheel = make_wheel(links, "foo", "7.0", requires=["local"])
    make_sdist(links, "two-words", "1.0", requires=["bar"])
    (links / "notes.txt").write_text("nothing")
    settings = Indexes.from_settings([Index("main", server.url, default=True)], [str(links)], {})
    with catalog(store, settings) as source:
        found = ask(source, ListingKey(FOO), ListingKey(BAR), MetadataKey(FOO, "7.0", "find-links"))
        assert listing(found[ListingKey(FOO)]).versions == ("7.0",)
        assert listing(found[ListingKey(BAR)]).index == "main"
        metadata = found[MetadataKey(FOO, "7.0", "find-links")]
        assert isinstance(metadata, Metadata) and [one.name for one in metadata.requires] == ["local"]
        (file,) = source.files(FOO, "7.0", "find-links")
        assert file.sha256 == sha256(wheel) and file.size == wheel.stat().st_size
        assert source.settle(FOO, "7.0", "find-links") == (file,)
        (located,) = source.locate([(FOO, "find-links", file)])
        assert located.url == wheel.as_uri()
        two = MetadataKey(normalize("two-words"), "1.0", "find-links")
        assert isinstance(ask(source, two)[two], Metadata)
    wheel = make_wheel(links, "foo", "7.0", requires=["changed"])
    with catalog(store, settings, offline=True) as source:
        metadata = ask(source, MetadataKey(FOO, "7.0", "find-links")).popitem()[1]
        assert isinstance(metadata, Metadata) and [one.name for one in metadata.requires] == ["changed"]
        assert source.files(FOO, "7.0", "find-links")[0].sha256 == sha256(wheel)


def test_a_folder_of_pages_is_an_index(store: Store, tmp_path: Path, wheels: Path) -> None:
    project = tmp_path / "simple" / "Foo_"
    project.mkdir(parents=True)
    (tmp_path / "simple" / "foo").mkdir()
    link = "../../wheels/foo-2.0-py3-none-any.whl"
    (tmp_path / "simple" / "foo" / "index.html").write_text(f'<a href="{link}">foo-2.0-py3-none-any.whl</a>')
    settings = Indexes.from_settings([Index("pages", str(tmp_path / "simple"), default=True)], environ={})
    found = once(store, settings, ListingKey(FOO), MetadataKey(FOO, "2.0", "pages"), ListingKey(BAR))
    assert listing(found[ListingKey(FOO)]).versions == ("2.0",)
    assert isinstance(found[MetadataKey(FOO, "2.0", "pages")], Metadata)
    assert isinstance(found[ListingKey(BAR)], Absent)


def test_credentials_never_reach_the_cache(store: Store, server: IndexServer) -> None:
    server.auth = ("me", "hunter2")
    settings = Indexes.from_settings(
        [Index("main", server.url.replace("http://", "http://me:hunter2@"), default=True)], environ={}
    )
    once(store, settings, ListingKey(FOO), MetadataKey(FOO, "2.0", "main"))
    kept = b"".join(path.read_bytes() for path in store.path.rglob("*") if path.is_file())
    assert b"foo-2.0" in kept and b"hunter2" not in kept


@pytest.mark.slow
def test_latency_and_order_of_arrival_do_not_show(store: Store, server: IndexServer, wheels: Path) -> None:
    for n in range(20):
        make_wheel(wheels, f"p{n}", "1.0", requires=[f"p{n - 1}"] if n else [])
    keys: list[Key] = [ListingKey(normalize(f"p{n}")) for n in range(20)]
    keys += [MetadataKey(normalize(f"p{n}"), "1.0", "main") for n in range(20)]
    quick = once(store, server, *keys)
    server.latency = 0.02
    slow = once(Store.open(store.root.parent / "slow"), server, *reversed(keys), workers=3)
    assert slow == quick
