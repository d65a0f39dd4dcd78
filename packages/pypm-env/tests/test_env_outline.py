"""What is found out of a tree for farms, and kept beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pypm_env.native_paths import leads_outward, search_paths
from pypm_env.outline import NAME, outline
from pypm_store.tree import Tree

if TYPE_CHECKING:
    from conftest import Bench


def _tree(bench: Bench, name: str, **files: str | bytes) -> Tree:
    found = bench.tree(bench.wheel(name, files=files).tree)
    assert found is not None
    return found


def test_it_is_found_out_once(bench: Bench) -> None:
    tree = _tree(bench, "acme", **{"acme/__init__.py": "", "solo.py": "", "ns/part/__init__.py": ""})
    first = outline(tree)
    assert first.top_level == ("acme", "ns", "solo")
    assert first.opened == {"ns"} and not first.by_file
    assert sorted(row.path for row in first.rows) == [
        "acme-1.0.dist-info/METADATA", "acme-1.0.dist-info/WHEEL", "solo.py",
    ]  # fmt: skip
    kept = (tree.root / NAME).read_text()
    assert outline(tree) == first and (tree.root / NAME).read_text() == kept
    # One that is cut off, or of another version, is made anew.
    for broken in ("", kept[:-5], "pypm-farm 0\n", kept.replace("pypm-farm 2", "pypm-farm 1")):
        (tree.root / NAME).write_text(broken)
        assert outline(tree) == first
        assert (tree.root / NAME).read_text() == kept
    # What is kept there does not make the tree look damaged.
    assert bench.tree(tree.root.name) == tree


@pytest.mark.parametrize(
    ("text", "by_file"),
    [
        ('from importlib.metadata import distribution\nfor f in distribution("cmake").files: ...', True),
        ("import importlib.metadata as m\nm.distribution(__package__).files or []", True),
        ('import importlib.metadata\nimportlib.metadata.files("ninja")', True),
        ('import importlib_metadata\nimportlib_metadata.files("ninja")', True),
        ("from importlib.metadata import PackageNotFoundError, files, version", True),
        ("from importlib.metadata import version\nfrom importlib.resources import files", False),
        ('import importlib.metadata\nself.distribution(x).files("no")', False),
        ("from importlib.metadata import distribution\nclass A:\n    files = ()\n", False),
        ("from acme.files import metadata", False),
    ],
)
def test_who_asks_for_files_of_a_distribution(bench: Bench, text: str, by_file: bool) -> None:
    assert outline(_tree(bench, "acme", **{"acme/__init__.py": "", "acme/m.py": text})).by_file is by_file
    assert outline(_tree(bench, "solo", **{"solo.py": text})).by_file is by_file
    assert not outline(_tree(bench, "deep", **{"deep/__init__.py": "", "deep/a/m.py": text})).by_file


@pytest.mark.parametrize(
    ("files", "opened"),
    [
        ({"a/__init__.py": "", "a/b/__init__.py": ""}, set()),
        ({"a/b/__init__.py": ""}, {"a"}),
        ({"a/b/c/m.py": "", "a/b/d/__init__.py": ""}, {"a", "a/b", "a/b/c"}),
        ({"a/__init__.py": "__path__ = __import__('pkgutil').extend_path(__path__, __name__)"}, {"a"}),
        ({"a/__init__.py": "__import__('pkg_resources').declare_namespace(__name__)"}, {"a"}),
        (
            {"a/__init__.py": "__import__('pkg_resources').declare_namespace(__name__)", "a/b/m.py": ""},
            {"a", "a/b"},
        ),
        ({"a/__init__.py": "#" * 5000 + "extend_path"}, set()),
        ({"a/__init__.cpython-311-x86_64-linux-gnu.so": "", "a/m.py": ""}, set()),
        ({"a.libs/libx.so": "", "data/x.txt": "", "a-stubs/__init__.pyi": ""}, set()),
    ],
)
def test_folders_that_others_may_add_to(
    bench: Bench, files: dict[str, str | bytes], opened: set[str]
) -> None:
    assert outline(_tree(bench, "acme", **files)).opened == opened


@pytest.mark.skipif(sys.platform != "linux", reason="looks at this machine's own libraries")
def test_search_paths_of_real_libraries(tmp_path: Path) -> None:
    assert search_paths(os.path.realpath(sys.executable)) is not None
    assert search_paths(str(tmp_path / "none.so")) == []
    for content in (b"", b"\x7fELF", b"\x7fELF\x02\x01" + bytes(100), b"MZ" * 40):
        (tmp_path / "bad.so").write_bytes(content)
        assert search_paths(str(tmp_path / "bad.so")) == []
    compiler = next((c for c in ("gcc", "cc", "clang") if _has(c)), None)
    if compiler is None:
        pytest.skip("no C compiler")
    source, library = tmp_path / "x.c", tmp_path / "libx.so"
    source.write_text("int x(void) { return 1; }\n")
    paths = "$ORIGIN/../other:$ORIGIN"
    command = [compiler, "-shared", "-fPIC", f"-Wl,-rpath,{paths}", "-o", str(library), str(source)]
    subprocess.run(command, check=True)
    assert search_paths(str(library)) == [b"$ORIGIN/../other", b"$ORIGIN"]


def _has(command: str) -> bool:
    try:
        return subprocess.run([command, "--version"], capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.mark.parametrize(
    ("text", "outward"),
    [
        (b"@loader_path/../../nvidia/lib\0", True),
        (b"@loader_path/../.dylibs/x.dylib\0", False),
        (b"@rpath/x.dylib\0", False),
        (b"@loader_path/../../../../lib/libpython.dylib\0", True),
    ],
)
def test_libraries_of_macos(bench: Bench, text: bytes, outward: bool) -> None:
    files = {"pkg/sub/x.so": bytes.fromhex("cffaedfe") + bytes(64) + text, "pkg/.dylibs/x.dylib": b""}
    assert leads_outward(_tree(bench, "pkg", **files)) is outward
