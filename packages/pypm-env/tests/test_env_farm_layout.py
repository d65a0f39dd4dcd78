"""Laws of a farm's layout, over random trees."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypm_env.contests import PathTaken
from pypm_env.dists import WantedDist
from pypm_env.farm import reshaped_by
from pypm_env.farm_layout import Layout, Part, lay_out
from pypm_env.outline import Outline
from pypm_model.names import NormalizedName
from pypm_store.tree import Tree
from pypm_store.unpacking import top_level

_FOLDERS = st.lists(st.sampled_from(["a", "b", "ns", "x.libs"]), max_size=3).map("/".join)
_FILES = st.sampled_from(["__init__.py", "m.py", "n.py", "data.txt"])
_PATHS = st.builds(lambda folder, name: f"{folder}/{name}" if folder else name, _FOLDERS, _FILES)


def part_of(name: str, files: frozenset[str], opened: frozenset[str], outward: bool = False) -> Part:
    info = f"{name}-1.dist-info"
    everything = tuple(sorted({*files, f"{info}/RECORD", f"{info}/METADATA"}))
    folders = sorted({parent for path in everything for parent in parents(path)})
    tree = Tree(
        Path("/store") / name, name, "1", info, True, (), top_level(everything, info), (), (), tuple(folders),
        (), everything, (), (), (), (), frozenset(), "", "",
    )  # fmt: skip
    outline = Outline(outward, opened & frozenset(folders), (), ())
    return Part(WantedDist(NormalizedName(name), "1", name), tree, outline, frozenset())


def parents(path: str) -> list[str]:
    pieces = path.split("/")[:-1]
    return ["/".join(pieces[: length + 1]) for length in range(len(pieces))]


def is_consistent(files: frozenset[str]) -> bool:
    return not any(parent in files for path in files for parent in parents(path))


_SETS = st.frozensets(_PATHS, min_size=1, max_size=8).filter(is_consistent)
_PARTS = st.lists(st.tuples(_SETS, st.frozensets(_FOLDERS, max_size=3), st.booleans()), max_size=4).map(
    lambda rows: [part_of(f"d{at}", *row) for at, row in enumerate(rows)]
)


def seen_through(layout: Layout, parts: list[Part]) -> dict[str, str]:
    """What somebody who looks into such a site-packages finds: file → whose it is."""
    found: dict[str, str] = {}
    for part in parts:
        shape = layout.shapes[part.name]
        for path in shape.files:
            if layout.shared.get(path, (part.name,))[-1] == part.name:
                assert path not in found
                found[path] = part.name
        for folder in shape.whole:
            for path in part.tree.files:
                if path.startswith(folder + "/"):
                    assert path not in found
                    found[path] = part.name
    return found


def laid_out(parts: list[Part]) -> Layout | None:
    everything = frozenset(path for part in parts for path in part.tree.files)
    try:
        layout = lay_out(parts)
    except PathTaken:
        assert not is_consistent(everything)
        return None
    assert is_consistent(everything)
    return layout


@given(_PARTS)
def test_every_file_is_there_once_and_is_the_last_owners(parts: list[Part]) -> None:
    layout = laid_out(parts)
    if layout is None:
        return
    wanted: dict[str, str] = {}
    for part in sorted(parts, key=lambda part: part.name):
        wanted.update({path: part.name for path in part.tree.files if not path.startswith(part.tree.info)})
    assert seen_through(layout, parts) == wanted


@given(_PARTS)
def test_nothing_is_linked_as_a_whole_that_others_have_or_may_get(parts: list[Part]) -> None:
    layout = laid_out(parts)
    if layout is None:
        return
    for part in parts:
        shape = layout.shapes[part.name]
        for folder in shape.whole:
            assert not part.outline.by_file and folder not in part.outline.opened
            others = [other for other in parts if other is not part]
            assert not any(path.startswith(folder + "/") for other in others for path in other.tree.files)
            # Everything above it is a real folder.
            assert set(parents(folder + "/")[:-1]) <= set(shape.folders)
        for at, folder in enumerate(shape.folders):
            assert set(parents(folder)) <= set(shape.folders[:at])


@given(_PARTS)
def test_the_order_of_the_parts_does_not_matter(parts: list[Part]) -> None:
    layout = laid_out(parts)
    if layout is not None:
        turned = lay_out(parts[::-1])
        assert seen_through(layout, parts) == seen_through(turned, parts)
        assert layout.shared == turned.shared


@given(_PARTS)
def test_who_is_not_reshaped_has_the_same_links_without_the_others(parts: list[Part]) -> None:
    """What a change in place leaves alone may be left alone."""
    if len(parts) < 2:
        return
    after, kept = laid_out(parts), parts[1:]
    before = laid_out(kept)
    if after is None or before is None:
        return
    moved = reshaped_by([parts[0].tree], [(part.dist, part.tree) for part in kept])
    for part in kept:
        if part.name not in moved:
            one, other = before.shapes[part.name], after.shapes[part.name]
            assert (one.folders, one.whole, one.files) == (other.folders, other.whole, other.files)


def test_a_file_and_a_folder_of_one_name_are_refused() -> None:
    parts = [
        part_of("one", frozenset({"a/m.py"}), frozenset()),
        part_of("two", frozenset({"a"}), frozenset()),
    ]
    with pytest.raises(PathTaken, match="one and two cannot be installed: a is a file and a folder"):
        lay_out(parts)
