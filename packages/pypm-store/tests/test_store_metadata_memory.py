"""The cache that remembers answers as the one that does not: whoever writes, and whatever is asked."""

from __future__ import annotations

import shutil
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from kit.laws import examples
from pypm_model.artifacts import Artifact
from pypm_model.facts import Listing, ListingKey, Metadata, MetadataKey
from pypm_model.names import NormalizedName
from pypm_model.requirements import Requirement
from pypm_store.metadata_cache import MetadataCache
from pypm_store.metadata_memory import MetadataMemory
from pypm_store.pages import FileRow, Page, PageContent

INDEXES = ("identity-one", "identity-other")
NAMES = tuple(map(NormalizedName, ("acme", "beta", "gamma")))
VERSIONS = ("1.0", "2.0")
KEYS = ("one", "two")


def page_of(name: NormalizedName, number: int) -> Page:
    return Page(name, 200, float(number), 600, f"etag {number}", "", f"digest {number}", "https://x.test/")


def listing_of(name: NormalizedName, number: int) -> Listing:
    return Listing(ListingKey(name), name, "pypi", VERSIONS, ("k1", "k2"), 0, number, 0, (), (), "")


def metadata_of(name: NormalizedName, version: str, number: int) -> Metadata:
    asked = Requirement(NormalizedName(f"needs-{number}"), (), "", "", "")
    return Metadata(MetadataKey(name, version, "pypi"), (asked,), (), "", "file.whl")


def write(cache: MetadataCache, kind: str, index: str, name: NormalizedName, number: int) -> None:
    """One way of writing; *number* makes what is written another thing each time."""
    page = page_of(name, number)
    match kind:
        case "page":
            row = FileRow(Artifact(f"{name}-{number}.whl", "a" * 64, number), "https://x.test/f", "")
            files = dict.fromkeys(VERSIONS, (row,))
            cache.put_pages(index, [PageContent(page, files, {"": listing_of(name, number)})])
        case "touch":
            cache.touch_pages(index, [page])
        case "listing":
            known = cache.pages(index, [name]).get(name)
            if known is not None:
                cache.put_listings(index, "late", [(known, listing_of(name, number))])
        case "metadata":
            cache.put_metadata(index, [metadata_of(name, VERSIONS[number % 2], number)])
        case "values":
            cache.put_values(KEYS[number % 2], {str(name): [number]})
        case "forget":
            cache.forget_pages(float(number // 2))


def everything(cache: MetadataCache) -> list[object]:
    found: list[object] = []
    for index in INDEXES:
        for variant in ("", "late"):
            keys = [ListingKey(name) for name in NAMES]
            found.append(cache.listings(index, keys, index_name="pypi", variant=variant))
        found.append(cache.files(index, [(name, version) for name in NAMES for version in VERSIONS]))
        found.append(cache.metadata(index, [MetadataKey(n, v, "pypi") for n in NAMES for v in VERSIONS]))
    found += [cache.values(kind, map(str, NAMES)) for kind in KEYS]
    return found


steps = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from(["page", "touch", "listing", "metadata", "values", "forget"]),
        st.sampled_from(INDEXES),
        st.sampled_from(NAMES),
        st.booleans(),
    ),
    max_size=12,
)


@given(steps)
@settings(max_examples=examples(60))
def test_it_answers_as_a_cache_opened_just_now(
    tmp_path_factory: object, steps: list[tuple[bool, str, str, NormalizedName, bool]]
) -> None:
    folder: Path = tmp_path_factory.mktemp("cache")  # type: ignore[attr-defined]
    with MetadataMemory(folder) as memory, MetadataCache(folder) as other:
        for number, (own, kind, index, name, looks) in enumerate(steps):
            write(memory if own else other, kind, index, name, number)
            if looks:
                everything(memory)
                with MetadataCache(folder) as fresh:
                    assert everything(memory) == everything(fresh)
        with MetadataCache(folder) as fresh:
            assert everything(memory) == everything(fresh)


def test_an_answer_given_again_is_the_same_object_until_it_is_written(tmp_path: Path) -> None:
    acme, beta = NAMES[:2]
    with MetadataMemory(tmp_path) as memory, MetadataCache(tmp_path) as other:
        for number, name in enumerate((acme, beta)):
            write(memory, "page", INDEXES[0], name, number)

        def listing(name: NormalizedName) -> Listing | None:
            key = ListingKey(name)
            return memory.listings(INDEXES[0], [key], index_name="pypi")[key][1]

        first = listing(acme), listing(beta)
        assert listing(acme) is first[0] and listing(beta) is first[1]
        write(memory, "touch", INDEXES[0], acme, 9)
        assert listing(acme) is not first[0], "what is written is read anew"
        assert listing(beta) is first[1], "and nothing else"
        write(other, "values", INDEXES[0], acme, 1)
        assert listing(beta) is not first[1], "what another one has written may be anything"


def test_a_cache_whose_folder_is_removed_begins_anew(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    with MetadataMemory(folder) as memory:
        write(memory, "page", INDEXES[0], NAMES[0], 1)
        assert memory.files(INDEXES[0], [(NAMES[0], "1.0")])
        shutil.rmtree(folder)
        assert memory.files(INDEXES[0], [(NAMES[0], "1.0")]) == {}
        write(memory, "page", INDEXES[0], NAMES[0], 2)
        with MetadataCache(folder) as fresh:
            assert fresh.files(INDEXES[0], [(NAMES[0], "1.0")]) == memory.files(
                INDEXES[0], [(NAMES[0], "1.0")]
            )
