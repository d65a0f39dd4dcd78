"""The store: files by digest, resumed downloads, built wheels, leases, pruning."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kit.wheels import make_wheel, sha256
from pypm_store.locations import default_root
from pypm_store.locks import StoreBusy
from pypm_store.metadata_cache import MetadataCache
from pypm_store.store import Store, StoreUnwritable, WrongDigest
from pypm_store.tree import read_tree

CONTENT = b"0123456789" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "cache")


def fill(store: Store, content: bytes = CONTENT) -> Path:
    digest = hashlib.sha256(content).hexdigest()
    with store.writing(digest) as incoming:
        incoming.write(content)
    return incoming.path


# -- where -------------------------------------------------------------------------------------


def test_the_environment_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(environ={"PYPM_CACHE_DIR": str(tmp_path / "here")})
    assert store.root == tmp_path / "here" and store.path == tmp_path / "here" / "v1"
    assert (store.root / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    monkeypatch.chdir(tmp_path)
    assert default_root({"PYPM_CACHE_DIR": "relative"}) == tmp_path / "relative"
    with monkeypatch.context() as gone:
        # The folder a command runs in may be gone; a place that does not hang on it is found all the same.
        gone.setattr(os, "getcwd", lambda: pytest.fail("asked where it is"))
        assert default_root({"PYPM_CACHE_DIR": str(tmp_path)}) == tmp_path


def test_else_the_platform_says_where() -> None:
    assert default_root({}).is_absolute()
    assert "pypm" in default_root({}).parts


def test_each_platform_has_its_folder_for_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert default_root({"XDG_CACHE_HOME": "/x"}, "linux") == Path("/x/pypm")
    assert default_root({"XDG_CACHE_HOME": "x"}, "linux") == tmp_path / ".cache" / "pypm"
    assert default_root({"XDG_CACHE_HOME": "/x"}, "darwin") == tmp_path / "Library" / "Caches" / "pypm"
    assert default_root({"LOCALAPPDATA": "/l"}, "win32") == Path("/l/pypm/Cache")
    assert default_root({}, "win32") == tmp_path / "AppData" / "Local" / "pypm" / "Cache"


def test_a_place_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnwritable) as caught:
        Store.open(tmp_path / "file" / "cache")
    assert str(tmp_path) in str(caught.value) and caught.value.hint


def test_a_newer_layout_is_left_alone(store: Store, tmp_path: Path) -> None:
    newer = store.root / "v2" / "trees" / "x"
    newer.mkdir(parents=True)
    fill(store)
    store.prune()
    store.clean()
    assert newer.exists()


# -- files -------------------------------------------------------------------------------------


def test_a_file_is_there_when_it_is_whole(store: Store) -> None:
    assert store.file(DIGEST) is None and not store.has_file(DIGEST)
    with store.writing(DIGEST, label="acme.whl") as incoming:
        incoming.write(CONTENT[:100])
        assert store.file(DIGEST) is None and not store.has_file(DIGEST)
        incoming.write(CONTENT[100:])
    assert incoming.path.read_bytes() == CONTENT
    assert incoming.path == store.file(DIGEST) == store.path / "files" / DIGEST[:2] / DIGEST
    assert store.has_file(DIGEST) and store.partial(DIGEST) == 0


def test_a_file_without_a_known_digest_finds_its_place(store: Store) -> None:
    with store.writing() as incoming:
        incoming.write(CONTENT)
        with pytest.raises(ValueError, match="not complete"):
            _ = incoming.path
    assert incoming.sha256 == DIGEST and store.file(DIGEST) == incoming.path


def test_a_wrong_file_is_not_kept(store: Store) -> None:
    with pytest.raises(WrongDigest) as caught, store.writing(DIGEST, label="acme-1.0.whl") as incoming:
        incoming.write(b"something else")
    assert caught.value.file == "acme-1.0.whl" and caught.value.expected == DIGEST
    assert caught.value.actual == hashlib.sha256(b"something else").hexdigest()
    assert not store.has_file(DIGEST) and store.partial(DIGEST) == 0


def test_what_was_interrupted_is_resumed(store: Store) -> None:
    with pytest.raises(ConnectionError), store.writing(DIGEST) as incoming:
        incoming.write(CONTENT[:3000])
        raise ConnectionError
    assert store.partial(DIGEST) == 3000 and store.file(DIGEST) is None
    with Store(store.root).writing(DIGEST) as incoming:
        assert incoming.offset == 3000
        incoming.write(CONTENT[3000:])
    assert incoming.path.read_bytes() == CONTENT


def test_what_was_interrupted_can_be_started_over(store: Store) -> None:
    with pytest.raises(ConnectionError), store.writing(DIGEST) as incoming:
        incoming.write(b"wrong from the beginning")
        raise ConnectionError
    with store.writing(DIGEST) as incoming:
        assert incoming.offset
        incoming.restart()
        assert incoming.offset == 0
        incoming.write(CONTENT)
    assert incoming.path.read_bytes() == CONTENT


def test_a_wrong_partial_is_discarded_not_used(store: Store) -> None:
    with pytest.raises(ConnectionError), store.writing(DIGEST) as incoming:
        incoming.write(b"x" * 3000)
        raise ConnectionError
    with pytest.raises(WrongDigest), store.writing(DIGEST) as incoming:
        incoming.write(CONTENT[3000:])
    assert store.partial(DIGEST) == 0 and not store.has_file(DIGEST)


def test_an_interrupted_file_without_a_digest_leaves_nothing(store: Store) -> None:
    with pytest.raises(ConnectionError), store.writing() as incoming:
        incoming.write(CONTENT)
        raise ConnectionError
    assert store.size().kinds["files"] == 0


def test_the_second_writer_waits_and_finds_it_done(store: Store) -> None:
    started, outcome = threading.Event(), []

    def second() -> None:
        started.set()
        with Store(store.root).writing(DIGEST) as incoming:
            outcome.append(incoming.complete)
        outcome.append(incoming.path.read_bytes() == CONTENT)

    with store.writing(DIGEST) as incoming:
        helper = threading.Thread(target=second)
        helper.start()
        started.wait()
        incoming.write(CONTENT)
        assert outcome == []
    helper.join()
    assert outcome == [True, True]


def test_a_damaged_file_counts_as_missing(store: Store) -> None:
    path = fill(store)
    path.write_bytes(b"X" + CONTENT[1:])
    # This process wrote it and believes it; another one looks.
    assert Store(store.root).file(DIGEST) is None
    assert not path.exists()


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n"])
def test_what_is_no_digest_is_no_path(store: Store, digest: str) -> None:
    for use in (store.file, store.has_file, store.tree, store.tree_path, store.partial):
        with pytest.raises(ValueError, match="sha256"):
            use(digest)


def test_a_disk_that_fills_up_is_an_error_that_says_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreUnwritable) as caught, store.writing(DIGEST) as incoming:
        incoming.write(CONTENT[:10])
        assert incoming._file is not None
        incoming._file.close()
        monkeypatch.setattr(
            incoming, "_file", type("Full", (), {"write": _no_space, "close": lambda self: None})()
        )
        incoming.write(CONTENT[10:])
    assert caught.value.full and "prune" in str(caught.value.hint)
    assert store.partial(DIGEST) == 0


def _no_space(self: object, chunk: bytes) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


# -- trees (more in test_store_trees) -------------------------------------------------------------


def put(store: Store, path: Path, digest: str) -> Path:
    with store.writing(digest, label=path.name) as incoming:
        incoming.write(path.read_bytes())
    assert incoming.path is not None
    return incoming.path


def test_a_tree_is_made_from_a_kept_file(store: Store, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "acme", "1.0")
    digest = sha256(wheel)
    kept = put(store, wheel, digest)
    tree = store.unpack(kept, digest, filename=wheel.name)
    assert tree.root == store.tree_path(digest) and tree.name == "acme"
    assert store.unpack(tmp_path / "not needed", digest) == tree
    assert store.tree(digest, check=False) == tree


def test_another_wheel_than_said_is_refused(store: Store, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "acme", "1.0")
    with pytest.raises(WrongDigest):
        store.unpack(wheel, "0" * 64)
    assert store.tree("0" * 64) is None


def test_a_kept_file_that_was_damaged_is_refused_and_removed(store: Store, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "acme", "1.0")
    digest = sha256(wheel)
    kept = put(store, wheel, digest)
    kept.write_bytes(b"nonsense")
    with pytest.raises(WrongDigest):
        Store(store.root).unpack(kept, digest, filename=wheel.name)
    assert not kept.exists()


def test_what_a_killed_process_left_is_cleared_away(store: Store, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "acme", "1.0")
    digest = sha256(wheel)
    left = store.path / "trees" / f".making-{digest}" / "site" / "acme"
    left.mkdir(parents=True)
    (left / "half.py").write_text("x")
    os.chmod(left, 0o555)
    tree = store.unpack(wheel, digest)
    assert os.listdir(store.path / "trees") == [digest]
    assert "acme/half.py" not in tree.files and not (tree.site / "acme" / "half.py").exists()


# -- built wheels --------------------------------------------------------------------------------


def test_built_wheels_are_found_by_key(store: Store, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "acme", "1.0")
    assert store.built("key-1") is None
    built = store.add_built("key-1", wheel)
    wheel.unlink()
    found = store.built("key-1")
    assert found == built and found is not None
    assert found.path.name == "acme-1.0-py3-none-any.whl" and sha256(found.path) == found.sha256
    assert store.unpack(found.path, found.sha256).version == "1.0"


def test_the_first_build_stays(store: Store, tmp_path: Path) -> None:
    first = store.add_built("k", make_wheel(tmp_path / "a", "acme", "1.0"))
    assert store.add_built("k", make_wheel(tmp_path / "b", "acme", "2.0")) == first


def test_a_damaged_built_wheel_is_built_again(store: Store, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "acme", "1.0")
    built = store.add_built("k", wheel)
    built.path.write_bytes(b"short")
    assert store.built("k") is None
    assert store.add_built("k", wheel) == built == store.built("k")


@pytest.mark.parametrize("key", ["", "../x", "a/b", ".hidden", "a" * 300])
def test_keys_are_no_paths(store: Store, key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        store.built(key)


def test_one_builds_and_the_other_waits(store: Store, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "acme", "1.0")
    builds: list[int] = []
    entered = threading.Barrier(2)

    def build(number: int) -> None:
        entered.wait()
        with Store(store.root).building("k") as found:
            if found is None:
                builds.append(number)
                Store(store.root).add_built("k", wheel)

    helpers = [threading.Thread(target=build, args=(number,)) for number in range(2)]
    for helper in helpers:
        helper.start()
    for helper in helpers:
        helper.join()
    assert len(builds) == 1


# -- leases, prune, clean, size ------------------------------------------------------------------


def stocked(store: Store, tmp_path: Path, *names: str) -> dict[str, str]:
    digests = {}
    for name in names:
        wheel = make_wheel(tmp_path, name, "1.0")
        digests[name] = sha256(wheel)
        store.unpack(put(store, wheel, digests[name]), digests[name], filename=wheel.name)
    return digests


def test_pruning_keeps_what_a_living_environment_uses(store: Store, tmp_path: Path) -> None:
    digests = stocked(store, tmp_path, "used", "shared", "gone", "never")
    alive, dead = tmp_path / "alive", tmp_path / "dead\n\nodd name"
    alive.mkdir()
    dead.mkdir()
    store.lease(alive, [digests["used"], digests["shared"]])
    store.lease(dead, [digests["gone"], digests["shared"]])
    assert {lease.owner for lease in store.leases()} == {alive, dead}
    assert store.prune().counts == {"trees": 1, "files": 1}
    assert store.tree(digests["gone"]) is not None and store.tree(digests["never"]) is None
    dead.rmdir()
    pruned = store.prune()
    assert pruned.counts == {"leases": 1, "trees": 1, "files": 1} and pruned.bytes > 0
    assert store.tree(digests["gone"]) is None and not store.has_file(digests["gone"])
    for name in ("used", "shared"):
        assert store.tree(digests[name]) is not None and store.has_file(digests[name])
    store.release(alive)
    assert store.prune().counts == {"trees": 2, "files": 2}
    assert store.prune().counts == {}


def test_a_new_lease_takes_the_place_of_the_old(store: Store, tmp_path: Path) -> None:
    store.lease(tmp_path, ["a" * 64])
    store.lease(tmp_path, ["b" * 64])
    assert [lease.digests for lease in store.leases()] == [{"b" * 64}]
    store.lease(tmp_path, [])
    assert [(lease.owner, lease.digests) for lease in store.leases()] == [(tmp_path, frozenset())]


def test_pruning_clears_leftovers_and_built_wheels(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConnectionError), store.writing(DIGEST) as incoming:
        incoming.write(CONTENT)
        raise ConnectionError
    (store.path / "trees" / ".making-x").mkdir(parents=True)
    kept = store.add_built("kept", make_wheel(tmp_path, "kept", "1"))
    store.add_built("unused", make_wheel(tmp_path, "unused", "1"))
    (store.path / "locks" / "tree-of-a-killed-process").touch()
    store.lease(tmp_path, [kept.sha256])
    assert store.prune().counts == {"leftovers": 2, "built": 1}
    assert store.built("kept") == kept and store.built("unused") is None
    assert os.listdir(store.path / "locks") == []


def test_pruning_waits_for_those_at_work(store: Store, tmp_path: Path) -> None:
    digests = stocked(store, tmp_path, "acme")
    with store.using(), Store(store.root).using():
        for away in (store.prune, store.clean):
            with pytest.raises(StoreBusy) as caught:
                away(timeout=0.05)
            assert caught.value.hint
        assert store.tree(digests["acme"]) is not None
    store.prune()
    assert store.tree(digests["acme"]) is None


def test_cleaning_removes_everything_but_the_place(store: Store, tmp_path: Path) -> None:
    digests = stocked(store, tmp_path, "acme")
    with MetadataCache(store.path) as cache:
        cache.put_values("x", {"k": 1})
    usage = store.size()
    assert usage.kinds["trees"] > 0 and usage.kinds["files"] > 0 and usage.kinds["metadata"] > 0
    assert usage.total == sum(usage.kinds.values())
    freed = store.clean()
    assert freed >= usage.kinds["trees"]
    assert os.listdir(store.path) == ["locks"] and store.size().total == 0
    again = make_wheel(tmp_path, "acme", "1.0")
    assert store.unpack(again, digests["acme"]) == read_tree(store.tree_path(digests["acme"]))


def test_folders_for_others(store: Store) -> None:
    assert store.folder("git") == store.path / "git" and store.folder("git").is_dir()


# -- environments of the store ---------------------------------------------------------------------


def environment(store: Store, name: str, *digests: str) -> Path:
    folder = store.environment_path(name)
    folder.mkdir(parents=True)
    (folder / "file").write_text("content")
    store.lease(folder, digests, needs=True)
    return folder


def tree_named(store: Store, digest: str) -> Path:
    folder = store.tree_path(digest)
    folder.mkdir(parents=True)
    (folder / "content").write_text("x")
    return folder


def test_pruning_takes_environments_that_nobody_refers_to_and_what_only_they_used(
    store: Store, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text("")
    kept, gone = environment(store, "kept", "a" * 64), environment(store, "gone", "b" * 64, "a" * 64)
    trees = [tree_named(store, letter * 64) for letter in "ab"]
    (store.path / "envs" / ".half.1.abcd.new").mkdir()
    store.refer(script, "kept")
    store.refer(tmp_path / "other.py", "gone")
    assert {str(lease.owner) for lease in store.references()} == {str(script), str(tmp_path / "other.py")}
    pruned = store.prune()
    assert pruned.counts == {"environments": 1, "leftovers": 1, "leases": 1, "trees": 1}
    assert kept.exists() and not gone.exists()
    assert [tree.exists() for tree in trees] == [True, False]
    assert [lease.owner for lease in store.references()] == [script]
    # It asks for another now.
    environment(store, "new")
    store.refer(script, "new")
    assert store.prune().counts == {"environments": 1, "leases": 1, "trees": 1}
    script.unlink()
    store.prune()
    assert list((store.path / "envs").iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="a process does not become another there")
def test_what_runs_in_an_environment_keeps_it_also_when_it_became_another_program(
    store: Store, tmp_path: Path
) -> None:
    folder = environment(store, "used", "a" * 64)
    tree = tree_named(store, "a" * 64)
    code = (
        "import os, sys; sys.path[:0] = sys.argv[2:]\n"
        "from pathlib import Path\nfrom pypm_store.store import Store\n"
        "Store(Path(sys.argv[1])).use_until_exit('used')\n"
        "os.execv('/bin/sh', ['sh', '-c', 'echo ready; read line'])\n"
    )
    argv = [sys.executable, "-c", code, str(store.root), *filter(None, sys.path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert store.prune().counts == {}
        store.clean()
        assert folder.exists() and tree.exists()
        process.communicate("\n")
    assert store.prune().counts == {"environments": 1, "leases": 1, "trees": 1}


def test_cleaning_leaves_what_environments_cannot_do_without(store: Store, tmp_path: Path) -> None:
    farm, linked = tmp_path / "farm", tmp_path / "linked"
    for folder in (farm, linked):
        folder.mkdir()
    needed, free = tree_named(store, "a" * 64), tree_named(store, "b" * 64)
    store.lease(farm, ["a" * 64], needs=True)
    store.lease(linked, ["b" * 64])
    assert [lease.needs for lease in store.leases()] == [True, False]
    fill(store)
    assert store.clean() > 0
    assert needed.exists() and not free.exists() and not store.has_file(DIGEST)
    assert store.prune().counts == {}
    assert needed.exists()
    farm.rmdir()
    store.clean()
    assert not needed.exists()


def linked(place: Path) -> Path:
    """As much of one as the store knows of."""
    place.mkdir(parents=True)
    (place / "pyvenv.cfg").write_text("")
    return place


def test_an_environment_that_was_moved_keeps_what_it_uses(store: Store, tmp_path: Path) -> None:
    digests = stocked(store, tmp_path, "used")
    venv = linked(tmp_path / "work/.venv")
    store.lease(venv, digests.values(), needs=True)
    (tmp_path / "work").rename(tmp_path / "elsewhere")
    assert store.prune().counts == {} and store.clean() > 0
    assert store.tree(digests["used"]) is not None
    shutil.rmtree(tmp_path / "elsewhere")
    pruned = store.prune()
    assert pruned.counts == {"leases": 1, "trees": 1}
    assert list((store.path / "leases").iterdir()) == []


def test_another_in_its_place_takes_nothing_from_one_that_was_moved(store: Store, tmp_path: Path) -> None:
    digests = stocked(store, tmp_path, "old", "new", "newer")
    work = tmp_path / "work"
    store.lease(linked(work / ".venv"), [digests["old"]])
    work.rename(tmp_path / "moved")
    store.lease(linked(work / ".venv"), [digests["new"]])
    store.lease(work / ".venv", [digests["newer"]])
    assert store.prune().counts == {"trees": 1, "files": 1}
    assert store.tree(digests["old"]) is not None and store.tree(digests["newer"]) is not None
    # Although there is something where it was.
    shutil.rmtree(tmp_path / "moved")
    assert store.prune().counts == {"leases": 1, "trees": 1, "files": 1}
    assert store.tree(digests["newer"]) is not None


@pytest.mark.parametrize("how", ["copied over", "edited", "removed", "put back from a backup"])
def test_what_happens_to_the_witness_makes_no_environment_seem_gone(
    store: Store, tmp_path: Path, how: str
) -> None:
    digests = stocked(store, tmp_path, "used", "before")
    venv = linked(tmp_path / "work/.venv")
    store.lease(venv, [digests["before"]])
    shutil.copytree(venv, tmp_path / "backup")
    store.lease(venv, [digests["used"]])
    file = venv / "pypm-lease"
    kept = {digests["used"]}
    if how == "copied over":
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(content)
    elif how == "edited":
        file.write_text("anything")
    elif how == "removed":
        file.unlink()
    else:
        shutil.rmtree(venv)
        shutil.copytree(tmp_path / "backup", venv)
        kept = set(digests.values())

    def named(owner: Path) -> set[str]:
        return kept

    store.prune(named)
    assert {d for d in digests.values() if store.tree(d) is not None} == kept
    # From here on it is witnessed again.
    venv.rename(tmp_path / "moved")
    store.prune(named)
    assert store.tree(digests["used"]) is not None


def test_where_nothing_can_be_linked_the_path_tells(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    digests = stocked(store, tmp_path, "used")
    venv = linked(tmp_path / "work/.venv")
    store.lease(venv, digests.values())
    assert [path.name for path in venv.iterdir()] == ["pyvenv.cfg"]
    assert len(list((store.path / "leases").iterdir())) == 1
    assert store.prune().counts == {}
    venv.rename(tmp_path / "moved")
    assert store.prune().counts["trees"] == 1
