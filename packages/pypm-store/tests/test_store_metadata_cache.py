"""The metadata cache: what is put is found, by identity, by variant, in bulk, by many, after damage."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.laws import examples
from pypm_model.artifacts import Artifact
from pypm_model.facts import FileClass, Listing, ListingKey, Metadata, MetadataKey, NoMetadata
from pypm_model.names import NormalizedName
from pypm_model.requirements import Requirement
from pypm_store.cache_file import CacheUnusable
from pypm_store.fact_codec import (
    decode_files,
    decode_listing,
    decode_metadata,
    encode_files,
    encode_listing,
    encode_metadata,
)
from pypm_store.metadata_cache import SCHEMA, MetadataCache
from pypm_store.pages import FileRow, Page, PageContent

FILE = f"meta-{SCHEMA}.sqlite"

ONE, OTHER = "identity-one", "identity-other"
ACME, BETA = NormalizedName("acme"), NormalizedName("beta")


def listing_of(
    name: NormalizedName = ACME, index: str = "pypi", versions: tuple[str, ...] = ("1.0", "2.0")
) -> Listing:
    return Listing(
        key=ListingKey(name),
        name=name,
        index=index,
        versions=versions,
        keys=tuple(f"key {version}" for version in versions),
        prereleases=2,
        yanked=1,
        too_new=0,
        classes=((FileClass(">=3.9", ("py3|*|*",)), 3), (FileClass("", None), 1)),
        yank_reasons=((0, "broken\n\x1f reason"),),
        status="archived",
    )


def row_of(filename: str, sha256: str = "a" * 64) -> FileRow:
    return FileRow(Artifact(filename, sha256, 10), f"https://example.test/{filename}", "")


def content_of(
    name: NormalizedName = ACME, *, files: dict[str, list[FileRow]] | None = None, digest: str = "d1"
) -> PageContent:
    page = Page(
        name, 200, fetched=1000.0, max_age=600, etag='"e"', digest=digest, address="https://example.test/"
    )
    if files is None:
        files = {"1.0": [row_of("acme-1.0.tar.gz")], "2.0": [row_of("acme-2.0.tar.gz")]}
    return PageContent(page, files, {"": listing_of(name)})


def metadata_of(version: str = "1.0", name: NormalizedName = ACME) -> Metadata:
    requires = (Requirement(BETA, (NormalizedName("x"), NormalizedName("y")), ">=1", "os_name == 'nt'"),)
    return Metadata(
        MetadataKey(name, version, "pypi"), requires, (NormalizedName("fast"),), ">=3.9", "a.whl", ("bad (>",)
    )


@pytest.fixture
def cache(tmp_path: Path) -> MetadataCache:
    return MetadataCache(tmp_path / "cache")


# -- codec -------------------------------------------------------------------------------------

words = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=8)
anything = st.text(max_size=8)
masks = st.integers(0, 1 << 3000)


@given(
    versions=st.lists(words.filter(bool), max_size=5),
    numbers=st.tuples(masks, masks, masks),
    classes=st.lists(
        st.tuples(
            words,
            st.none() | st.lists(words.filter(lambda t: t not in ("", "-")), max_size=3).map(tuple),
            masks,
        ),
        max_size=4,
    ),
    reasons=st.lists(st.tuples(st.integers(0, 100), anything), max_size=2),
)
@settings(max_examples=examples(60), deadline=None)
def test_listings_come_back(
    versions: list[str],
    numbers: tuple[int, int, int],
    classes: list[tuple[str, tuple[str, ...] | None, int]],
    reasons: list[tuple[int, str]],
) -> None:
    listing = Listing(
        ListingKey(ACME, "i"), ACME, "i", tuple(versions), tuple(versions), *numbers,
        classes=tuple((FileClass(python, tags), mask) for python, tags, mask in classes),
        yank_reasons=tuple(reasons),
    )  # fmt: skip
    assert decode_listing(encode_listing(listing), ListingKey(ACME, "i"), "i") == listing


texts = st.text(st.characters(exclude_characters="\x1e\x1f", exclude_categories=["Cs"]), max_size=12)


@given(
    rows=st.lists(
        st.builds(
            FileRow,
            st.builds(
                Artifact,
                texts.filter(bool),
                texts,
                st.none() | st.integers(0, 1 << 40),
                texts,
                texts,
                texts,
                st.none() | texts,
            ),
            texts,
            st.none() | texts,
        ),
        max_size=4,
    )
)
@settings(max_examples=examples(60), deadline=None)
def test_files_come_back(rows: list[FileRow]) -> None:
    assert decode_files(encode_files(rows)) == tuple(rows)


def test_a_path_that_ends_in_the_file_name_comes_back() -> None:
    path = f"packages/aa/bb/{'c' * 60}/acme-1.0.tar.gz"
    rows = (FileRow(Artifact("acme-1.0.tar.gz", "a" * 64, path=path)), FileRow(Artifact("x", "", path="y")))
    assert decode_files(encode_files(rows)) == rows
    assert encode_files(rows).count("acme-1.0.tar.gz") == 1


def test_where_attestations_are_comes_back_and_is_nothing_where_there_are_none() -> None:
    rows = (FileRow(Artifact("a.whl", "a" * 64), "https://x.test/a", "", "https://x.test/p"), row_of("b.whl"))
    text = encode_files(rows)
    assert decode_files(text) == rows
    assert [row.count("\x1f") for row in text.split("\x1e")] == [9, 8], "as before without"


def test_texts_of_an_index_cannot_break_a_row() -> None:
    odd = FileRow(Artifact("a.whl", "a" * 64, requires_python=">=3\x1e\x1f", yanked="\ud800 half\x1f"))
    (row,) = decode_files(encode_files([odd]))
    assert row.artifact.filename == "a.whl" and row.artifact.requires_python == ">=3  "
    assert row.artifact.yanked == "? half "
    with pytest.raises(ValueError, match="file name"):
        encode_files([row_of("a\x1fb.whl")])
    with pytest.raises(ValueError, match="separator"):
        encode_listing(listing_of(versions=("1\x1c0",)))


requirements = st.builds(
    Requirement, words, st.lists(st.sampled_from(["a", "b-c"])).map(tuple), anything, anything, anything
)
found = st.builds(
    Metadata,
    st.just(MetadataKey(ACME, "1", "i")),
    st.lists(requirements).map(tuple),
    st.lists(st.sampled_from(["x", "y-z"])).map(tuple),
    anything,
    anything,
    st.lists(anything).map(tuple),
)


@given(fact=found | st.builds(NoMetadata, st.just(MetadataKey(ACME, "1", "i")), anything, st.booleans()))
@settings(max_examples=examples(60), deadline=None)
def test_metadata_comes_back(fact: Metadata | NoMetadata) -> None:
    assert decode_metadata(encode_metadata(fact), MetadataKey(ACME, "1", "i")) == fact


# -- pages, listings, files ----------------------------------------------------------------------


def test_a_page_is_found_with_everything_on_it(cache: MetadataCache) -> None:
    key, pinned = ListingKey(ACME), ListingKey(ACME, "mirror")
    assert cache.listings(ONE, [key], index_name="mirror") == {}
    cache.put_pages(ONE, [content_of()])
    found = cache.listings(ONE, [key, pinned, ListingKey(BETA)], index_name="mirror")
    assert set(found) == {key, pinned}
    page, listing = found[pinned]
    assert page == content_of().page
    assert listing is not None and listing.key == pinned and listing.index == "mirror"
    assert (listing.versions, listing.classes) == (listing_of().versions, listing_of().classes)
    assert listing.yank_reasons == listing_of().yank_reasons and listing.status == "archived"
    assert cache.files(ONE, [(ACME, "2.0"), (ACME, "9")]) == {(ACME, "2.0"): (row_of("acme-2.0.tar.gz"),)}
    assert set(cache.files_of(ONE, ACME)) == {"1.0", "2.0"}
    assert cache.pages(ONE, [ACME, BETA]) == {ACME: page}


def test_indexes_never_mix(cache: MetadataCache) -> None:
    cache.put_pages(ONE, [content_of()])
    cache.put_metadata(ONE, [metadata_of()])
    assert cache.listings(OTHER, [ListingKey(ACME)], index_name="pypi") == {}
    assert cache.files_of(OTHER, ACME) == {} and cache.pages(OTHER, [ACME]) == {}
    assert cache.metadata(OTHER, [metadata_of().key]) == {}


def test_freshness() -> None:
    page = content_of().page
    assert page.is_fresh(1000.0) and page.is_fresh(1599.9)
    assert not page.is_fresh(1600.0) and not page.is_fresh(999.0)


def test_only_settled_answers_are_kept(cache: MetadataCache) -> None:
    for status in (401, 403, 429, 500, 503, 301, 0):
        with pytest.raises(ValueError, match=str(status)):
            cache.put_pages(ONE, [PageContent(Page(ACME, status, 0.0, 60), {}, {})])
    cache.put_pages(ONE, [PageContent(Page(ACME, 404, 0.0, 60), {}, {})])
    page, listing = cache.listings(ONE, [ListingKey(ACME)], index_name="x")[ListingKey(ACME)]
    assert page.status == 404 and listing is None


def test_a_page_replaces_the_one_before(cache: MetadataCache) -> None:
    cache.put_pages(ONE, [content_of()])
    cache.put_listings(ONE, "before 2020", [(content_of().page, listing_of())])
    cache.put_pages(ONE, [content_of(files={"3.0": [row_of("acme-3.0.tar.gz")]}, digest="d2")])
    assert set(cache.files_of(ONE, ACME)) == {"3.0"}
    _, listing = cache.listings(ONE, [ListingKey(ACME)], index_name="x", variant="before 2020")[
        ListingKey(ACME)
    ]
    assert listing is None
    cache.put_pages(ONE, [PageContent(Page(ACME, 404, 0.0, 60), {}, {})])
    assert cache.files_of(ONE, ACME) == {}


def test_of_a_page_given_twice_the_last_counts(cache: MetadataCache) -> None:
    files = {"1.0": [row_of("acme-1.0.tar.gz")]}
    for first, last in (("d1", "d2"), ("d3", "d4")):  # a name that is new, and one that is known
        cache.put_pages(
            ONE, [content_of(digest=first), content_of(BETA), content_of(files=files, digest=last)]
        )
        assert cache.pages(ONE, [ACME])[ACME].digest == last
        assert set(cache.files_of(ONE, ACME)) == {"1.0"}
        assert set(cache.files_of(ONE, BETA)) == {"1.0", "2.0"}


def test_metadata_goes_with_the_files_it_came_from(cache: MetadataCache) -> None:
    files = {version: [row_of(f"acme-{version}.tar.gz")] for version in ("1.0", "2.0", "3.0", "4.0")}
    cache.put_pages(ONE, [content_of(files=files)])
    cache.put_metadata(ONE, [metadata_of(version) for version in files])
    changed = {
        "1.0": files["1.0"],
        "2.0": [FileRow(Artifact("acme-2.0.tar.gz", "a" * 64, 10, yanked="bad"))],  # the same file
        "3.0": [row_of("acme-3.0.tar.gz", "b" * 64)],  # another file of that name
    }  # and 4.0 has gone
    cache.put_pages(ONE, [content_of(files=changed)])
    found = cache.metadata(ONE, [metadata_of(version).key for version in files])
    assert {key.version for key in found} == {"1.0", "2.0"}
    more = {**changed, "1.0": [*files["1.0"], row_of("acme-1.0-py3-none-any.whl")]}  # a better source
    cache.put_pages(ONE, [content_of(files=more)])
    assert {key.version for key in cache.metadata(ONE, [metadata_of(v).key for v in files])} == {"2.0"}


def test_touching_renews_but_does_not_add(cache: MetadataCache) -> None:
    cache.put_pages(ONE, [content_of()])
    later = Page(ACME, 200, 5000.0, 60, etag='"new"', digest="d1")
    cache.touch_pages(ONE, [later, Page(BETA, 200, 5000.0, 60)])
    assert cache.pages(ONE, [ACME, BETA]) == {ACME: later}
    assert set(cache.files_of(ONE, ACME)) == {"1.0", "2.0"}
    # An answer of another kind is no renewal.
    cache.touch_pages(ONE, [Page(ACME, 404, 9000.0, 60)])
    assert cache.pages(ONE, [ACME])[ACME] == later


def test_variants_stand_beside_each_other(cache: MetadataCache) -> None:
    content = content_of()
    cache.put_pages(ONE, [content])
    old = listing_of(versions=("1.0",))
    cache.put_listings(ONE, "before 2020", [(content.page, old)])
    key = ListingKey(ACME)
    for variant, versions in (("", ("1.0", "2.0")), ("before 2020", ("1.0",))):
        listing = cache.listings(ONE, [key], index_name="pypi", variant=variant)[key][1]
        assert listing is not None and listing.versions == versions
    assert cache.listings(ONE, [key], index_name="pypi", variant="other")[key][1] is None


def test_a_variant_of_an_older_page_is_dropped(cache: MetadataCache) -> None:
    older = content_of()
    cache.put_pages(ONE, [content_of(digest="d2")])
    cache.put_listings(ONE, "v", [(older.page, listing_of())])
    assert cache.listings(ONE, [ListingKey(ACME)], index_name="x", variant="v")[ListingKey(ACME)][1] is None


def test_bulk_beyond_the_limits_of_one_statement(cache: MetadataCache) -> None:
    names = [NormalizedName(f"p{number}") for number in range(1300)]
    cache.put_pages(ONE, [content_of(name, files={"1.0": [row_of(f"{name}-1.0.tar.gz")]}) for name in names])
    cache.put_metadata(ONE, [metadata_of("1.0", name) for name in names])
    assert len(cache.listings(ONE, map(ListingKey, names), index_name="x")) == 1300
    assert len(cache.files(ONE, [(name, "1.0") for name in names])) == 1300
    found = cache.metadata(ONE, [MetadataKey(name, "1.0", "x") for name in names] * 2)
    assert len(found) == 1300 and all(fact.key == key for key, fact in found.items())


def test_reads_use_the_keys_of_the_tables(cache: MetadataCache) -> None:
    cache.put_pages(ONE, [content_of()])
    for query in (
        "SELECT body FROM files WHERE index_id = 1 AND (name, version) IN (VALUES ('a','b'),('c','d'))",
        "SELECT body FROM metadata WHERE index_id = 1 AND (name, version) IN (VALUES ('a','b'),('c','d'))",
        "SELECT p.name, body FROM pages p LEFT JOIN listings l ON l.index_id = p.index_id AND l.name = p.name"
        " AND l.variant = '' WHERE p.index_id = 1 AND p.name IN ('a', 'b')",
    ):
        plan = cache._file.read(f"EXPLAIN QUERY PLAN {query}")
        assert not [row for row in plan if str(row[3]).startswith("SCAN") and "CONSTANT" not in row[3]], plan


# -- metadata and small facts --------------------------------------------------------------------


def test_metadata_carries_the_keys_own_index_name(cache: MetadataCache) -> None:
    none = NoMetadata(MetadataKey(ACME, "2.0", "pypi"), "no file", needs_build=True)
    cache.put_metadata(ONE, [metadata_of(), none])
    keys = [
        MetadataKey(ACME, "1.0", "mirror"),
        MetadataKey(ACME, "1.0", "pypi"),
        MetadataKey(ACME, "2.0", "pypi"),
    ]
    found = cache.metadata(ONE, keys)
    assert found[keys[0]].key.index == "mirror" and found[keys[1]] == metadata_of() and found[keys[2]] == none


def test_small_facts(cache: MetadataCache) -> None:
    assert cache.value("interpreter", "/usr/bin/python") is None
    cache.put_values("interpreter", {"/usr/bin/python": {"version": "3.12", "tags": ["a"]}, "b": [1, None]})
    cache.put_values("other", {"b": 2})
    assert cache.value("interpreter", "/usr/bin/python") == {"version": "3.12", "tags": ["a"]}
    assert cache.values("interpreter", ["b", "c"]) == {"b": [1, None]}
    cache.put_values("interpreter", {"b": 3})
    assert cache.value("interpreter", "b") == 3 and cache.value("other", "b") == 2


def test_old_pages_are_forgotten(cache: MetadataCache) -> None:
    cache.put_pages(ONE, [content_of(), content_of(BETA)])
    cache.put_metadata(ONE, [metadata_of()])
    cache.touch_pages(ONE, [Page(BETA, 200, 9000.0, 60)])
    before = cache.measure()
    assert cache.forget_pages(before=5000.0) == 1
    after = cache.measure()
    assert 0 < after["files"] < before["files"] and 0 < after["listings"] < before["listings"]
    assert after["metadata"] == 0 < before["metadata"] and after["facts"] == before["facts"]
    assert set(cache.pages(ONE, [ACME, BETA])) == {BETA}
    assert cache.files_of(ONE, ACME) == {} and cache.metadata(ONE, [metadata_of().key]) == {}
    assert set(cache.files_of(ONE, BETA)) == {"1.0", "2.0"}


# -- many at once ----------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from pypm_model.artifacts import Artifact
from pypm_model.facts import Listing, ListingKey, Metadata, MetadataKey
from pypm_store.metadata_cache import MetadataCache
from pypm_store.pages import FileRow, Page, PageContent
with MetadataCache(Path(sys.argv[1])) as cache:
    for number in range(40):
        name = f"p{number}"
        files = {v: [FileRow(Artifact(f"{name}-{v}.tar.gz", "a" * 64))] for v in ("1.0", "2.0")}
        listing = Listing(ListingKey(name), name, "i", ("1.0", "2.0"), ("a", "b"), 0, 0, 0, ())
        cache.put_pages("identity-one", [PageContent(Page(name, 200, 1.0, 60), files, {"": listing})])
        cache.put_metadata("identity-one", [Metadata(MetadataKey(name, "1.0", "i"), (), ())])
        cache.put_values("k", {f"{sys.argv[2]}-{number}": number})
    assert cache.warning is None
"""


def test_several_processes_and_threads_write_at_once(tmp_path: Path) -> None:
    # Opening, too, is a race: the tables are made by whoever comes first.
    children = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(number)]) for number in range(3)
    ]
    with MetadataCache(tmp_path) as cache:
        failures: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for turn in range(40):
                    cache.put_values("k", {f"t{number}-{turn}": turn})
                    cache.listings(ONE, [ListingKey(NormalizedName(f"p{turn}"))], index_name="x")
            except BaseException as error:
                failures.append(error)

        helpers = [threading.Thread(target=work, args=(number,)) for number in range(2)]
        for helper in helpers:
            helper.start()
        for helper in helpers:
            helper.join()
        assert [child.wait() for child in children] == [0, 0, 0]
        assert failures == [] and cache.warning is None
        keys = [f"{number}-{turn}" for number in ("0", "1", "2", "t0", "t1") for turn in range(40)]
        assert len(cache.values("k", keys)) == 200
        assert len(cache.pages(ONE, [NormalizedName(f"p{number}") for number in range(40)])) == 40


def test_a_reader_sees_a_page_whole(tmp_path: Path) -> None:
    with MetadataCache(tmp_path) as writer, MetadataCache(tmp_path) as reader:
        with pytest.raises(ZeroDivisionError):
            writer.put_pages(ONE, iter([content_of(), 1 / 0]))  # type: ignore[list-item]
        assert reader.pages(ONE, [ACME]) == {}
        writer.put_pages(ONE, [content_of()])
        assert set(reader.pages(ONE, [ACME])) == {ACME}


# -- damage ------------------------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"this is no database at all" * 500)
    with MetadataCache(tmp_path) as cache:
        assert cache.warning is not None and cache.warning.code == "cache-damaged"
        cache.put_values("k", {"a": 1})
    with MetadataCache(tmp_path) as cache:
        assert cache.warning is None and cache.value("k", "a") == 1


def test_damage_found_while_reading_is_set_aside(tmp_path: Path) -> None:
    with MetadataCache(tmp_path) as cache:
        cache.put_pages(ONE, [content_of(NormalizedName(f"p{number}")) for number in range(200)])
        cache.forget_pages(0)
    with sqlite3.connect(tmp_path / FILE) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    path = tmp_path / FILE
    data = bytearray(path.read_bytes())
    # All but the first page (with the tables' names) is overwritten.
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with MetadataCache(tmp_path) as cache:
        assert cache.listings(ONE, [ListingKey(NormalizedName("p1"))], index_name="x") == {}
        assert cache.warning is not None and cache.warning.code == "cache-damaged"
        cache.put_pages(ONE, [content_of()])
        assert set(cache.pages(ONE, [ACME])) == {ACME}
    with MetadataCache(tmp_path) as cache:
        assert set(cache.pages(ONE, [ACME])) == {ACME}


def test_an_empty_or_foreign_database_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    with MetadataCache(tmp_path) as cache:
        cache.put_values("k", {"a": 1})
        assert cache.warning is None
    other = tmp_path / "other"
    other.mkdir()
    with sqlite3.connect(other / FILE) as raw:
        raw.execute(f"PRAGMA user_version = {SCHEMA}")
    raw.close()
    with MetadataCache(other) as cache:
        cache.put_values("k", {"a": 1})
        assert cache.warning is not None and cache.value("k", "a") == 1


def test_where_no_file_can_be_made_it_is_kept_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with MetadataCache(tmp_path / "file" / "cache") as cache:
        assert cache.warning is not None and cache.warning.code == "cache-in-memory"
        cache.put_pages(ONE, [content_of()])
        assert set(cache.files_of(ONE, ACME)) == {"1.0", "2.0"}
    with MetadataCache(None) as cache:
        cache.put_values("k", {"a": 1})
        assert cache.warning is None and cache.value("k", "a") == 1


def test_a_full_disk_is_an_error_that_leaves_the_old_state(cache: MetadataCache) -> None:
    cache.put_pages(ONE, [content_of()])
    (pages,) = cache._file.read("PRAGMA page_count")[0]
    cache._file.read(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(CacheUnusable) as caught:
        cache.put_values("k", {str(number): "x" * 1000 for number in range(200)})
    assert "full" in str(caught.value) and caught.value.hint
    assert set(cache.pages(ONE, [ACME])) == {ACME} and cache.value("k", "1") is None


@pytest.mark.skipif(os.name == "nt", reason="kill")
def test_a_killed_writer_leaves_whole_transactions(tmp_path: Path) -> None:
    for turn in range(3):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), f"kill{turn}"])
        with MetadataCache(tmp_path) as cache:
            while child.poll() is None and cache.value("k", f"kill{turn}-{3 + turn * 5}") is None:
                time.sleep(0.001)
            child.kill()
            child.wait()
            assert cache.warning is None
            for number in range(3 + turn * 5):
                name = NormalizedName(f"p{number}")
                assert set(cache.files_of(ONE, name)) == {"1.0", "2.0"}
                assert (
                    cache.listings(ONE, [ListingKey(name)], index_name="x")[ListingKey(name)][1] is not None
                )
