"""Trees: what unpacking makes, what the manifest remembers, what the look before use finds."""

from __future__ import annotations

import csv
import os
import py_compile
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.laws import examples
from kit.wheels import make_wheel, sha256
from pypm_store import looking, tree_check, unpacking
from pypm_store.archive import WheelArchive
from pypm_store.bytecode_check import drop_bytecode, foreign_bytecode
from pypm_store.store import Store, Tree
from pypm_store.tree import TopLevel, bytecode, is_compiled, list_bytecode, read_tree
from pypm_store.tree_check import are_sound, has_right_content, is_sound, looks_whole
from pypm_store.unpacking import top_level, unpack_wheel

POSIX = os.name != "nt"


def wheel_with_everything(folder: Path) -> Path:
    return make_wheel(
        folder,
        "Acme",
        "1.0",
        files={
            "acme/__init__.py": "x = 1\n",
            "acme/sub/deep.py": "y = 2\n",
            "acme/data/table, one.csv": "1,2\n",
            "acme/tool": "#!/bin/sh\n",
            "acme/empty.txt": "",
            "single.py": "z = 3\n",
            "acme.pth": "import acme\n",
        },
        scripts={"acme-tool": "#!python\nprint(1)\n"},
        data={"share/man/acme.1": "manual"},
        headers={"acme.h": "int x;"},
        entry_points={"console_scripts": {"acme": "acme:main [fast]"}, "plugins": {"a b": "acme"}},
        executable=["acme/tool"],
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "cache")


def unpacked(store: Store, tmp_path: Path) -> Tree:
    wheel = wheel_with_everything(tmp_path)
    return store.unpack(wheel, sha256(wheel))


def test_a_tree_has_what_the_wheel_has(store: Store, tmp_path: Path) -> None:
    tree = unpacked(store, tmp_path)
    assert (tree.name, tree.version, tree.info) == ("acme", "1.0", "acme-1.0.dist-info")
    assert (tree.site / "acme" / "sub" / "deep.py").read_text() == "y = 2\n"
    assert (tree.root / "scripts" / "acme-tool").read_text() == "#!python\nprint(1)\n"
    assert (tree.root / "data" / "share" / "man" / "acme.1").read_text() == "manual"
    assert (tree.root / "headers" / "acme.h").read_text() == "int x;"
    assert tree.top_level == (
        TopLevel("acme", "package"),
        TopLevel("acme-1.0.dist-info", "info"),
        TopLevel("acme.pth", "other"),
        TopLevel("single.py", "module"),
    )
    assert tree.import_names == ("acme", "single")
    assert [tuple(point) for point in tree.entry_points] == [
        ("console_scripts", "acme", "acme:main [fast]"),
        ("plugins", "a b", "acme"),
    ]
    assert (
        tree.scripts == ("acme-tool",) and tree.data == ("share/man/acme.1",) and tree.headers == ("acme.h",)
    )
    assert tree.executables == {"site/acme/tool", "scripts/acme-tool"}
    assert tree.caches == ("__pycache__", "acme/__pycache__", "acme/sub/__pycache__")
    assert tree.size == sum((tree.root / path).stat().st_size for path in tree.paths())
    on_disk = {p.relative_to(tree.site).as_posix() for p in tree.site.rglob("*") if p.is_file()}
    assert on_disk == set(tree.files)


def test_parents_come_before_their_children(store: Store, tmp_path: Path) -> None:
    seen: set[str] = {""}
    for folder in unpacked(store, tmp_path).folders:
        assert folder.rpartition("/")[0] in seen
        seen.add(folder)


def test_record_speaks_of_the_tree(store: Store, tmp_path: Path) -> None:
    tree = unpacked(store, tmp_path)
    with open(tree.site / tree.info / "RECORD", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert {row[0] for row in rows} == set(tree.files)
    assert rows[-1] == [f"{tree.info}/RECORD", "", ""]
    others = list(csv.reader(tree.records.splitlines()))
    assert {row[0] for row in others} == {"scripts/acme-tool", "data/share/man/acme.1", "headers/acme.h"}
    assert all(row[1].startswith("sha256=") for row in others)


def test_the_manifest_is_read_back_as_it_was(store: Store, tmp_path: Path) -> None:
    tree = unpacked(store, tmp_path)
    assert read_tree(tree.root) == tree


@given(
    paths=st.sets(
        st.lists(
            st.text("aBcé-_. 0", min_size=1, max_size=6).filter(lambda t: t.strip(". ") != ""),
            min_size=1,
            max_size=3,
        ).map("/".join),
        max_size=12,
    )
)
@settings(max_examples=examples(25), deadline=None)
def test_any_set_of_files_comes_back(tmp_path_factory: pytest.TempPathFactory, paths: set[str]) -> None:
    chosen: dict[str, str] = {}
    folded: set[str] = set()
    for path in sorted(paths):
        parts = path.lower().split("/")
        prefixes = {"/".join(parts[: n + 1]) for n in range(len(parts))}
        inside = any(other.startswith("/".join(parts) + "/") for other in folded)
        if not prefixes & folded and not inside:
            chosen[f"top/{path}"] = path
            folded.add("/".join(parts))
    folder = tmp_path_factory.mktemp("any")
    with WheelArchive(make_wheel(folder, "any", "1", files=chosen)) as archive:
        tree = unpack_wheel(archive, folder / "tree")
    assert read_tree(folder / "tree") == tree
    for path, content in chosen.items():
        assert (tree.site / path).read_text() == content
    assert looks_whole(tree) and has_right_content(tree)


@pytest.mark.skipif(not POSIX, reason="modes")
def test_a_tree_is_read_only_but_for_bytecode(store: Store, tmp_path: Path) -> None:
    tree = unpacked(store, tmp_path)
    for path in tree.paths():
        mode = (tree.root / path).stat().st_mode & 0o777
        assert mode & 0o222 == 0
        assert bool(mode & 0o100) == (path in tree.executables)
    for folder in tree.folders:
        assert (tree.site / folder).stat().st_mode & 0o222 == 0
    for cache in tree.caches:
        assert (tree.site / cache).stat().st_mode & 0o200


def test_two_threads_make_the_same_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "_THREADED", 0)
    wheel = make_wheel(tmp_path, "many", "1", files={f"many/m{n}.py": f"x = {n}\n" * n for n in range(300)})
    with WheelArchive(wheel) as archive:
        tree = unpack_wheel(archive, tmp_path / "tree", threads=3)
    assert is_sound(tree) and has_right_content(tree)
    assert len(tree.files) == 303


def test_a_thread_that_fails_fails_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "_THREADED", 0)
    wheel = make_wheel(tmp_path, "many", "1", files={f"many/m{n}.py": "x" for n in range(50)})
    with WheelArchive(wheel) as archive, pytest.raises(OSError, match="disk"):
        monkeypatch.setattr(archive, "read", lambda placed: (_ for _ in ()).throw(OSError("disk")))
        unpack_wheel(archive, tmp_path / "tree", threads=2)


def test_import_names_in_namespaces_and_as_declared(store: Store, tmp_path: Path) -> None:
    files = {
        "google/cloud/storage/__init__.py": "",
        "google/cloud/storage/inner/__init__.py": "",
        "google/one.py": "",
        "fast.cpython-311-x86_64-linux-gnu.so": b"",
        "acme.libs/libx.so.1": b"",
        "acme-stubs/__init__.pyi": "",
    }
    wheel = make_wheel(tmp_path, "names", "1", files=files)
    tree = store.unpack(wheel, sha256(wheel))
    assert tree.import_names == ("fast", "google.cloud.storage", "google.one")
    assert dict(tree.top_level)["google"] == "namespace"
    assert dict(tree.top_level)["acme.libs"] == "other"
    assert dict(tree.top_level)["fast.cpython-311-x86_64-linux-gnu.so"] == "module"
    declared = make_wheel(
        tmp_path,
        "told",
        "1",
        files=files,
        metadata_lines=["Import-Name: google.one; private", "Import-Name: b"],
    )
    assert store.unpack(declared, sha256(declared)).import_names == ("b", "google.one")


def test_top_level_kinds() -> None:
    files = [
        "ns/pkg/__init__.py",
        "pkg/a.py",
        "pkg/__init__.py",
        "x-1.dist-info/METADATA",
        "x.libs/y.so",
        "z.txt",
    ]
    kinds = dict(top_level(files, "x-1.dist-info"))
    assert kinds == {
        "ns": "namespace", "pkg": "package", "x-1.dist-info": "info", "x.libs": "other", "z.txt": "other",
    }  # fmt: skip


# -- damage ------------------------------------------------------------------------------------


def make_writable(path: Path) -> None:
    # The clock of file systems ticks every few milliseconds; a change is one tick later at least.
    time.sleep(0.02)
    os.chmod(path.parent, 0o755)
    if path.exists():
        os.chmod(path, 0o644)


def edit(tree: Tree) -> None:
    path = tree.site / "acme" / "__init__.py"
    make_writable(path)
    path.write_text("x = 9\n")


def cut(tree: Tree) -> None:
    path = tree.site / "acme" / "sub" / "deep.py"
    make_writable(path)
    path.write_text("")


def remove(tree: Tree) -> None:
    path = tree.site / "single.py"
    make_writable(path)
    path.unlink()


def remove_data(tree: Tree) -> None:
    path = tree.root / "data" / "share" / "man" / "acme.1"
    make_writable(path)
    path.unlink()


def add(tree: Tree) -> None:
    path = tree.site / "acme" / "new.py"
    make_writable(path)
    path.write_text("evil = 1\n")


def link(tree: Tree) -> None:
    path = tree.site / "single.py"
    make_writable(path)
    path.unlink()
    path.symlink_to("acme/__init__.py")


def forget(tree: Tree) -> None:
    (tree.root / "tree").unlink()


def garble(tree: Tree) -> None:
    content = (tree.root / "tree").read_bytes()
    (tree.root / "tree").write_bytes(content.replace(b"acme", b"ecma"))


def shorten(tree: Tree) -> None:
    content = (tree.root / "tree").read_bytes()
    (tree.root / "tree").write_bytes(content[: len(content) // 2])


DAMAGES = [edit, cut, remove, remove_data, add, link, forget, garble, shorten]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_the_tree_made_anew(store: Store, tmp_path: Path, damage: object) -> None:
    wheel = wheel_with_everything(tmp_path)
    digest = sha256(wheel)
    tree = store.unpack(wheel, digest)
    assert store.tree(digest) == tree
    assert callable(damage)
    damage(tree)
    assert store.tree(digest) is None
    again = store.unpack(wheel, digest)
    assert store.tree(digest) == again
    assert has_right_content(again)
    assert not [name for name in os.listdir(store.path / "trees") if name != digest]


@pytest.mark.skipif(not POSIX, reason="modes")
@pytest.mark.parametrize("mode", [0o000, 0o777, 0o644, 0o200])
def test_a_chmod_spree_is_put_right_without_unpacking(store: Store, tmp_path: Path, mode: int) -> None:
    wheel = wheel_with_everything(tmp_path)
    digest = sha256(wheel)
    tree = store.unpack(wheel, digest)
    inode = (tree.site / "single.py").stat().st_ino
    for path in tree.paths():
        os.chmod(tree.root / path, mode)
    found = store.tree(digest)
    assert found == tree
    assert (tree.site / "single.py").stat().st_ino == inode
    assert os.access(tree.site / "acme" / "tool", os.X_OK)


def test_a_copied_store_is_believed_after_a_look_at_its_contents(store: Store, tmp_path: Path) -> None:
    wheel = wheel_with_everything(tmp_path)
    digest = sha256(wheel)
    store.unpack(wheel, digest)
    copy = Store.open(tmp_path / "copy")
    # Without times, as `cp -r` and `COPY` do; the manifest before the files.
    target = copy.tree_path(digest)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(store.tree_path(digest), target, copy_function=shutil.copyfile)
    os.utime(target / "tree", (1, 1))
    tree = read_tree(target)
    assert tree is not None and not looks_whole(tree)
    assert copy.tree(digest) is not None
    assert looks_whole(tree)


def test_after_the_machine_stopped_contents_are_compared_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = wheel_with_everything(tmp_path)
    digest = sha256(wheel)
    tree = store.unpack(wheel, digest)
    compared: list[Tree] = []
    real = tree_check.has_right_content
    monkeypatch.setattr(looking, "boot_id", lambda: "another run of the machine")
    monkeypatch.setattr(tree_check, "has_right_content", lambda one: compared.append(one) or real(one))
    assert store.tree(digest) == tree and len(compared) == 1
    assert store.tree(digest) == tree and len(compared) == 1


def test_contents_lost_when_the_machine_stopped_are_noticed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = wheel_with_everything(tmp_path)
    digest = sha256(wheel)
    tree = store.unpack(wheel, digest)
    path = tree.site / "single.py"
    make_writable(path)
    before = (tree.root / "tree").stat().st_mtime_ns
    path.write_bytes(b"\0" * path.stat().st_size)
    # As after a power cut: right sizes, old times, blocks of zeros.
    os.utime(path, ns=(before, before))
    os.chmod(path, 0o444)
    os.chmod(path.parent, 0o555)
    os.utime(path.parent, ns=(before, before))
    assert looks_whole(tree)
    monkeypatch.setattr(looking, "boot_id", lambda: "another run of the machine")
    assert store.tree(digest) is None


def test_where_no_start_of_the_machine_is_known_all_is_put_on_the_disk(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "boot_id", lambda: "")
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(handle) or real(handle))
    tree = unpacked(store, tmp_path)
    assert len(synced) >= len(list(tree.paths()))
    assert (tree.root / "settled").exists()


def test_settling_marks_trees_once(store: Store, tmp_path: Path) -> None:
    wheel = wheel_with_everything(tmp_path)
    tree = store.unpack(wheel, sha256(wheel))
    assert tree_check.settle([tree]) == (1 if POSIX else 0)
    assert tree_check.settle([tree]) == 0


@pytest.mark.skipif(not POSIX, reason="files are written through at once there")
def test_what_a_stop_of_the_machine_may_have_taken_is_not_settled_unseen(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = unpacked(store, tmp_path)
    monkeypatch.setattr(tree_check, "boot_id", lambda: "another")
    assert tree_check.settle([tree]) == 0
    assert not (tree.root / "settled").exists()


@pytest.mark.parametrize("shared", [0, 10**6])
def test_many_are_looked_at_together(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: int
) -> None:
    monkeypatch.setattr(tree_check, "_SHARED", shared)
    trees = []
    for number in range(5):
        wheel = make_wheel(tmp_path, f"p{number}", "1")
        trees.append(store.unpack(wheel, sha256(wheel)))
    path = trees[2].site / "p2" / "__init__.py"
    make_writable(path)
    path.write_text("changed")
    assert are_sound(trees) == [True, True, False, True, True]
    assert are_sound([]) == []


@pytest.mark.skipif(os.stat not in os.supports_dir_fd, reason="names relative to folders")
def test_the_look_is_one_call_for_a_file_or_folder(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = unpacked(store, tmp_path)
    asked: list[str] = []
    real = os.stat

    def counted(path: str, **more: object) -> os.stat_result:
        if more.get("dir_fd") is not None:
            asked.append(path)
        return real(path, **more)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(tree_check.os, "stat", counted)
    assert looks_whole(tree)
    files = [name for _, names in tree.rooms for name in names]
    assert sorted(asked) == sorted([*files, ".", *tree.folders])


def test_bytecode_of_tests_is_not_listed(store: Store, tmp_path: Path) -> None:
    files = {
        "acme/__init__.py": "",
        "acme/tests/__init__.py": "",
        "acme/tests/sub/x.py": "",
        "tests/y.py": "",
    }
    wheel = make_wheel(tmp_path, "acme", "1", files=files)
    tree = store.unpack(wheel, sha256(wheel))
    tag = sys.implementation.cache_tag
    assert tag is not None
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(tree.site)], check=True)
    assert list_bytecode(tree, tag) == (f"acme/__pycache__/__init__.{tag}.pyc",)


def test_bytecode_is_kept_and_does_not_count_as_damage(store: Store, tmp_path: Path) -> None:
    tree = unpacked(store, tmp_path)
    tag = sys.implementation.cache_tag
    assert tag is not None
    assert bytecode(tree, tag) == ()
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(tree.site / "acme")], check=True)
    found = list_bytecode(tree, tag)
    assert found == (f"acme/__pycache__/__init__.{tag}.pyc", f"acme/sub/__pycache__/deep.{tag}.pyc")
    assert bytecode(tree, tag) == found and bytecode(tree, "other-1") == ()
    assert is_sound(tree)


def test_it_agrees_with_zipfile(store: Store, tmp_path: Path) -> None:
    wheel = wheel_with_everything(tmp_path)
    tree = store.unpack(wheel, sha256(wheel))
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if ".data/" not in name and not name.endswith("RECORD"):
                assert (tree.site / name).read_bytes() == archive.read(name)


@pytest.mark.parametrize(
    ("mode", "foreign"),
    [
        (py_compile.PycInvalidationMode.TIMESTAMP, False),
        (py_compile.PycInvalidationMode.CHECKED_HASH, False),
        (py_compile.PycInvalidationMode.UNCHECKED_HASH, True),
    ],
)
def test_bytecode_is_judged_by_its_header(
    store: Store, tmp_path: Path, mode: py_compile.PycInvalidationMode, foreign: bool
) -> None:
    wheel = make_wheel(tmp_path, "acme", "1.0", files={"acme/m.py": "x = 1\n"})
    tree = store.unpack(wheel, sha256(wheel))
    cache = tree.site / "acme/__pycache__"
    for name in ("m.cpython-312.pyc", "m.cpython-312.opt-1.pyc", "m.cpython-312-pytest-8.3.4.pyc"):
        py_compile.compile(str(tree.site / "acme/m.py"), str(cache / name), invalidation_mode=mode)
    assert len(foreign_bytecode(tree)) == (3 if foreign else 0)
    (cache / "other.cpython-312.pyc").write_bytes((cache / "m.cpython-312.pyc").read_bytes())
    assert "acme/__pycache__/other.cpython-312.pyc" in foreign_bytecode(tree), "there is no such source"


@pytest.mark.parametrize("at", [8, 12], ids=["time", "size"])
def test_bytecode_of_another_source_is_found_and_dropped(store: Store, tmp_path: Path, at: int) -> None:
    wheel = make_wheel(tmp_path, "acme", "1.0", files={"acme/m.py": "x = 1\n"})
    tree = store.unpack(wheel, sha256(wheel))
    file = tree.site / "acme/__pycache__/m.cpython-312.pyc"
    py_compile.compile(str(tree.site / "acme/m.py"), str(file))
    list_bytecode(tree, "cpython-312")
    assert foreign_bytecode(tree) == []
    code = bytearray(file.read_bytes())
    code[at] ^= 1
    before = file.stat().st_mtime_ns
    file.write_bytes(code)
    os.utime(file, ns=(before, before))
    assert foreign_bytecode(tree) == ["acme/__pycache__/m.cpython-312.pyc"]
    drop_bytecode(tree, foreign_bytecode(tree))
    assert not file.exists() and not is_compiled(tree, "cpython-312")
    assert foreign_bytecode(tree) == []
