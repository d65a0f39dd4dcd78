"""Environments made and changed for real, looked at with Python's and pip's own eyes."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pypm_env.putting as putting
from pypm_env.apply import apply
from pypm_env.contests import PathTaken
from pypm_env.dists import MEMBERS_PTH, LinkMode, Wanted, WantedDist
from pypm_env.own_files import JOURNAL
from pypm_env.placing import ProtectedPath
from pypm_env.plan import ForeignEnvironment, plan
from pypm_env.putting import MissingTree
from pypm_env.removal import CannotRemove
from pypm_env.stale import look, torn
from pypm_model.events import Advanced, Finished, Started, Warned
from pypm_model.names import normalize
from pypm_model.records import replace
from pypm_store import shared_work
from pypm_store.atomic import remove_tree
from pypm_store.store import Store

if TYPE_CHECKING:
    from collections.abc import Collection

    from conftest import Bench
    from pypm_store.tree import Tree


def _python(bench: Bench, code: str) -> str:
    done = subprocess.run([str(bench.python), "-I", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _names(bench: Bench) -> list[str]:
    return [f"{one.name} {one.dist.version}" for one in bench.installed().dists]


def _check_record(bench: Bench) -> None:
    """Every RECORD names exactly what is there, with the right hashes."""
    listed: set[str] = set()
    for record in bench.site.glob("*.dist-info/RECORD"):
        for path, digest, size in csv.reader(record.read_text().splitlines()):
            full = Path(os.path.normpath(bench.site / path))
            assert full.is_file(), path
            listed.add(os.path.relpath(full, bench.venv))
            if full.name == "RECORD":
                assert (digest, size) == ("", "")
                continue
            content = full.read_bytes()
            algorithm, _, encoded = digest.partition("=")
            assert algorithm == "sha256"
            assert base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode() == encoded
            assert size == str(len(content))
    own = {name for name in bench.files() if name.startswith("bin/activate") or name.startswith("bin/python")}
    own.add(os.path.relpath(bench.site / MEMBERS_PTH, bench.venv))
    assert bench.files() - own == listed - own


def test_a_package_is_imported_found_and_linked(bench: Bench) -> None:
    dist = bench.wheel("Acme.Tool", "1.5", files={"acme/__init__.py": "x = 7", "acme/data/a.txt": "hello"})
    changes = bench.sync(dist)
    assert (
        _python(bench, "import acme, importlib.metadata as m; print(acme.x, m.version('acme-tool'))")
        == "7 1.5"
    )
    assert _names(bench) == ["acme-tool 1.5"]
    assert changes.files == 4
    tree = bench.tree(dist.tree)
    assert tree is not None
    ours, theirs = (bench.site / "acme/__init__.py").stat(), (tree.site / "acme/__init__.py").stat()
    assert changes.way == "hardlink"
    assert ours.st_ino == theirs.st_ino
    assert (bench.site / tree.info / "INSTALLER").read_text() == "pypm\n"
    assert not (bench.site / tree.info / "direct_url.json").exists()
    assert not (bench.site / tree.info / "REQUESTED").exists()
    _check_record(bench)
    assert bench.events[0] == Started("link", total=1)
    assert bench.events[1:] == [Advanced("link", normalize("acme-tool")), Finished("link")]


def test_doing_it_again_does_nothing(bench: Bench) -> None:
    dist = bench.wheel("acme")
    bench.sync(dist)
    before = {name: (bench.venv / name).lstat().st_mtime_ns for name in bench.files()}
    changes = bench.sync(dist)
    assert changes.plan.is_empty
    assert changes.way is None
    assert {name: (bench.venv / name).lstat().st_mtime_ns for name in bench.files()} == before


def test_metadata_is_right_for_importlib(bench: Bench) -> None:
    bench.sync(
        bench.wheel("acme", files={"acme/__init__.py": "", "solo.py": ""}, scripts={"tool": "#!python\n"}),
        bench.wheel(
            "beta", entry_points={"console_scripts": {"beta": "beta:main"}, "beta.plugins": {"a": "b:c"}}
        ),
    )
    code = (
        "import importlib.metadata as m, json; d = m.packages_distributions();"
        "print(json.dumps([d['acme'], d['solo'], d['beta'], sorted(str(f) for f in m.files('acme')),"
        "[e.value for e in m.entry_points().select(group='beta.plugins')],"
        "all(f.locate().exists() for f in m.files('acme'))]))"
    )
    acme, solo, beta, files, plugins, exist = json.loads(_python(bench, code))
    assert (acme, solo, beta) == (["acme"], ["acme"], ["beta"])
    assert "../../../bin/tool" in files
    assert plugins == ["b:c"]
    assert exist


def test_scripts_data_and_headers(bench: Bench) -> None:
    dist = bench.wheel(
        "acme",
        files={"acme.py": "import sys\ndef main():\n    print('hi', sys.argv[1:])\n    return 3\n"},
        entry_points={"console_scripts": {"acme": "acme:main"}, "gui_scripts": {"acme-gui": "acme:main"}},
        scripts={"old": "#!python\nimport acme; print('old')\n", "shell": "#!/bin/sh\necho shell\n"},
        data={"share/acme/x.txt": "data", "etc/acme.conf": "conf"},
        headers={"acme.h": "int x;"},
    )
    bench.sync(dist)
    scripts = bench.venv / "bin"

    def run(name: str, *arguments: str) -> tuple[int, str]:
        done = subprocess.run([str(scripts / name), *arguments], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    assert run("acme", "a") == (3, "hi ['a']\n")
    assert run("acme-gui") == (3, "hi []\n")
    assert run("old") == (0, "old\n")
    assert run("shell") == (0, "shell\n")
    assert (bench.venv / "share/acme/x.txt").read_text() == "data"
    assert (bench.venv / "etc/acme.conf").read_text() == "conf"
    assert (bench.venv / bench.interpreter.layout.include / "acme/acme.h").read_text() == "int x;"
    record = (bench.site / "acme-1.0.dist-info" / "RECORD").read_text()
    assert "../../../etc/acme.conf,sha256=" in record
    bench.sync()
    assert {name for name in bench.files() if "activate" not in name and "python" not in name} == set()
    assert not (bench.venv / "share").exists()
    assert not (bench.venv / "etc").exists()
    assert (bench.venv / "bin").exists()


def test_a_whole_set_is_exchanged(bench: Bench) -> None:
    one, two, three = bench.wheel("one"), bench.wheel("two"), bench.wheel("three")
    newer = bench.wheel("one", "2.0", files={"one/__init__.py": "new = 1", "one/more.py": ""})
    bench.sync(one, two)
    assert _python(bench, "import one; print(one.__version__)") == "1.0"
    changes = bench.sync(newer, three)
    assert changes.plan.counts == {"install": 1, "update": 1, "remove": 1, "keep": 0}
    assert _names(bench) == ["one 2.0", "three 1.0"]
    assert _python(bench, "import one; print(one.new)") == "1"
    assert not (bench.site / "two").exists(), "bytecode and folders of what is gone are gone too"
    assert not (bench.site / "one-1.0.dist-info").exists()
    _check_record(bench)


def test_bytecode_and_empty_folders_go_with_their_modules(bench: Bench) -> None:
    bench.sync(
        bench.wheel("acme", files={"acme/sub/a.py": "", "acme/sub/b.py": "", "solo.py": ""}), bench.wheel("z")
    )
    _python(bench, "import acme.sub.a, solo, z")
    assert list((bench.site / "__pycache__").glob("solo.*"))
    (bench.site / "__pycache__" / "other.cpython-312.pyc").write_text("mine")
    bench.sync(bench.wheel("z"))
    assert not (bench.site / "acme").exists()
    assert [file.name for file in (bench.site / "__pycache__").iterdir()] == ["other.cpython-312.pyc"]


def test_what_a_user_put_beside_a_package_stays(bench: Bench) -> None:
    bench.sync(bench.wheel("acme"))
    (bench.site / "acme" / "mine.txt").write_text("mine")
    bench.sync()
    assert (bench.site / "acme" / "mine.txt").read_text() == "mine"
    assert not (bench.site / "acme" / "__init__.py").exists()


def test_requested_and_direct_url(bench: Bench) -> None:
    url = '{"url": "https://example.test/acme.whl", "archive_info": {}}'
    info = bench.site / "acme-1.0.dist-info"
    bench.sync(bench.wheel("acme", direct_url=url))
    assert (info / "direct_url.json").read_text() == url
    assert not (info / "REQUESTED").exists()
    inode = (bench.site / "acme/__init__.py").stat().st_ctime_ns
    changes = bench.sync(bench.wheel("acme", direct_url=url, requested=True))
    assert len(changes.plan.amend) == 1
    assert (info / "REQUESTED").read_text() == ""
    assert (bench.site / "acme/__init__.py").stat().st_ctime_ns == inode, "nothing else is touched"
    _check_record(bench)
    assert bench.sync(bench.wheel("acme", direct_url=url, requested=True)).plan.is_empty
    bench.sync(bench.wheel("acme", requested=False))
    assert not (info / "REQUESTED").exists()
    assert not (info / "direct_url.json").exists()
    _check_record(bench)


def test_a_wheels_own_installer_files_are_not_taken_over(bench: Bench) -> None:
    files = {"INSTALLER": "evil\n", "REQUESTED": "", "direct_url.json": "{}"}
    bench.sync(bench.wheel("acme", dist_info_files=files))
    info = bench.site / "acme-1.0.dist-info"
    assert (info / "INSTALLER").read_text() == "pypm\n"
    assert not (info / "REQUESTED").exists()
    assert not (info / "direct_url.json").exists()
    _check_record(bench)


def test_members_share_one_pth(bench: Bench, tmp_path: Path) -> None:
    members = []
    for name in ("aa", "bb", "cc"):
        (tmp_path / name / "src").mkdir(parents=True)
        (tmp_path / name / "src" / f"{name}.py").write_text(f"x = '{name}'")
        members.append(bench.editable(name, str(tmp_path / name / "src")))
    bench.sync(*members)
    assert [file.name for file in bench.site.glob("*.pth")] == [MEMBERS_PTH]
    assert _python(bench, "import aa, bb, cc; print(aa.x, bb.x, cc.x)") == "aa bb cc"
    code = "import importlib.metadata as m; print(m.distribution('bb').read_text('direct_url.json'))"
    assert '"editable": true' in _python(bench, code)
    assert ".pth" not in (bench.site / "aa-1.0.dist-info" / "RECORD").read_text()
    bench.sync(*members[:2])
    assert (bench.site / MEMBERS_PTH).read_text().splitlines() == [
        str(tmp_path / n / "src") for n in ("aa", "bb")
    ]
    bench.sync()
    assert not (bench.site / MEMBERS_PTH).exists()


def test_an_editable_that_is_more_than_a_path_keeps_its_own_files(bench: Bench, tmp_path: Path) -> None:
    two = bench.wheel(
        "two", files={"two.pth": f"{tmp_path}/x\n{tmp_path}/y\n"}, editable=True, direct_url="{}"
    )
    code = bench.wheel("code", files={"code_.pth": "import os\n"}, editable=True, direct_url="{}")
    finder = bench.wheel(
        "find", files={"f.pth": f"{tmp_path}\n", "finder.py": ""}, editable=True, direct_url="{}"
    )
    bench.sync(two, code, finder)
    assert sorted(file.name for file in bench.site.glob("*.pth")) == ["code_.pth", "f.pth", "two.pth"]
    _check_record(bench)


def test_a_lost_members_file_is_made_again(bench: Bench, tmp_path: Path) -> None:
    member = bench.editable("aa", str(tmp_path))
    bench.sync(member)
    (bench.site / MEMBERS_PTH).unlink()
    assert not bench.sync(member).plan.is_empty
    assert (bench.site / MEMBERS_PTH).read_text() == f"{tmp_path}\n"


def test_namespaces_and_equal_files_are_no_conflict(bench: Bench) -> None:
    shared = {"ns/__init__.py": "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"}
    one = bench.wheel("ns-one", files={**shared, "ns/one.py": "x = 1"})
    two = bench.wheel("ns-two", files={**shared, "ns/two.py": "x = 2"})
    pep420 = [bench.wheel(f"free-{n}", files={f"free/{n}/__init__.py": ""}) for n in ("a", "b")]
    bench.sync(one, two, *pep420)
    assert _python(bench, "import ns.one, ns.two, free.a, free.b; print(ns.one.x + ns.two.x)") == "3"
    assert not [event for event in bench.events if isinstance(event, Warned)]
    bench.sync(one, *pep420)
    assert (bench.site / "ns" / "__init__.py").exists(), "what the other owns, too, stays"
    assert _python(bench, "import ns.one") == ""
    bench.sync(*pep420)
    assert not (bench.site / "ns").exists()


@pytest.mark.slow
@pytest.mark.parametrize("order", [("aa", "bb"), ("bb", "aa")])
@pytest.mark.parametrize("workers", [1, 2])
def test_of_two_owners_the_last_by_name_wins_and_the_other_gets_it_back(
    bench: Bench, order: tuple[str, str], workers: int
) -> None:
    script = {"console_scripts": {"tool": "tests:main"}}
    dists = {
        name: bench.wheel(
            name,
            files={"tests/__init__.py": f"def main(): print('{name}')\n", f"{name}.py": ""},
            scripts={"run": f"#!/bin/sh\necho {name}\n"},
            data={"share/x": name},
            entry_points=script,
        )
        for name in order
    }

    def content() -> list[str]:
        shown = [(bench.venv / path).read_text() for path in ("bin/run", "share/x")]
        return [_python(bench, "import tests; tests.main()"), shown[0].split()[-1], shown[1]]

    for name in order:  # one after the other, then both at once
        bench.sync(dists[name], inexact=True, workers=workers)
    assert content() == ["bb", "bb", "bb"]
    bench.events.clear()
    bench.sync(*dists.values(), reinstall=True, workers=workers)
    assert content() == ["bb", "bb", "bb"]
    (warning,) = [event for event in bench.events if isinstance(event, Warned)]
    assert warning.code == "file-conflict"
    assert "aa and bb both install" in warning.message
    assert warning.message.endswith("that of bb is used")
    bench.sync(dists["aa"])
    assert content() == ["aa", "aa", "aa"]
    _check_record(bench)
    bench.sync(*dists.values())
    assert content() == ["bb", "bb", "bb"]
    bench.sync(dists["bb"])
    assert content() == ["bb", "bb", "bb"]
    _check_record(bench)
    bench.sync()
    assert not (bench.site / "tests").exists()


def test_a_file_where_a_folder_must_be(bench: Bench) -> None:
    one = bench.wheel("one", files={"thing/__init__.py": ""})
    two = bench.wheel("two", files={"thing": "a file"})
    with pytest.raises(PathTaken, match=r"one and two cannot be installed: .*thing is a file and a folder"):
        bench.sync(one, two)
    assert not bench.venv.exists(), "an environment that could not be made is not there"
    assert list(bench.venv.parent.iterdir()) == []


@pytest.mark.parametrize(
    "more",
    [
        {"data": {"pyvenv.cfg": "home = /evil\n"}},
        {"data": {"bin/python3": "evil"}},
        {"data": {"bin/activate": "evil"}},
        {"scripts": {"activate": "evil"}},
        {"entry_points": {"console_scripts": {"deactivate": "a:b"}}},
        {"data": {"PyVenv.cfg": "x"}},
        {"data": {"pypm-state": "x"}},
    ],
)
def test_no_wheel_writes_over_the_environment_itself(bench: Bench, more: dict[str, object]) -> None:
    good = bench.wheel("good")
    bench.sync(good)
    config = (bench.venv / "pyvenv.cfg").read_text()
    with pytest.raises(ProtectedPath, match="acme would write over"):
        bench.sync(good, bench.wheel("acme", **more))
    assert (bench.venv / "pyvenv.cfg").read_text() == config
    bench.sync(good)
    assert _python(bench, "import good") == ""
    assert not (bench.venv / JOURNAL).exists()


def test_a_foreign_install_is_noticed_and_taken_out(bench: Bench) -> None:
    dist = bench.wheel("acme")
    bench.sync(dist)
    foreign = bench.site / "other-2.0.dist-info"
    foreign.mkdir()
    (bench.site / "other.py").write_text("")
    (foreign / "METADATA").write_text("Name: other\nVersion: 2.0\n")
    (foreign / "RECORD").write_text(
        "other.py,,\n../../../../../outside.txt,,\nother-2.0.dist-info/RECORD,,\n"
    )
    outside = bench.venv.parent.parent / "outside.txt"
    outside.write_text("precious")
    assert _names(bench) == ["acme 1.0", "other 2.0"]
    bench.sync(dist, inexact=True)
    assert _names(bench) == ["acme 1.0", "other 2.0"]
    bench.sync(dist)
    assert _names(bench) == ["acme 1.0"]
    assert not (bench.site / "other.py").exists()
    assert outside.read_text() == "precious"
    assert [event.code for event in bench.events if isinstance(event, Warned)] == ["outside-environment"]


def test_a_link_that_leads_outside_is_not_followed(bench: Bench, tmp_path: Path) -> None:
    bench.sync(bench.wheel("acme", files={"acme/sub/x.py": ""}))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.py").write_text("precious")
    (bench.site / "acme/sub/x.py").unlink()
    for cache in (bench.site / "acme/sub").glob("__pycache__"):
        cache.rmdir()
    (bench.site / "acme/sub").rmdir()
    (bench.site / "acme/sub").symlink_to(outside)
    bench.sync()
    assert (outside / "x.py").read_text() == "precious"


def test_without_a_list_nothing_is_removed(bench: Bench) -> None:
    dist = bench.wheel("acme")
    bench.sync(dist)
    foreign = bench.site / "legacy-1.0.dist-info"
    foreign.mkdir()
    (foreign / "METADATA").write_text("Name: legacy\n")
    with pytest.raises(CannotRemove, match="legacy has no RECORD"):
        bench.sync(dist)
    assert (foreign / "METADATA").exists()
    # Ours is known without its RECORD: by the tree it came from.
    (foreign / "METADATA").unlink()
    (bench.site / "acme-1.0.dist-info" / "RECORD").unlink()
    bench.sync(dist)
    _check_record(bench)


def test_another_tools_reinstall_of_the_same_version_is_undone(bench: Bench) -> None:
    dist = bench.wheel("acme")
    bench.sync(dist)
    record = bench.site / "acme-1.0.dist-info" / "RECORD"
    (bench.site / "acme" / "__init__.py").unlink()
    (bench.site / "acme" / "__init__.py").write_text("foreign = 1")
    os.utime(record, ns=(5, 5))
    os.utime(bench.site)
    bench.sync(dist)
    assert _python(bench, "import acme; print(acme.__version__)") == "1.0"


def test_an_environment_of_another_tool(bench: Bench) -> None:
    subprocess.run([bench.interpreter.path, "-m", "venv", "--without-pip", str(bench.venv)], check=True)
    with pytest.raises(ForeignEnvironment):
        bench.sync(bench.wheel("acme"))
    bench.sync(bench.wheel("acme"), adopt=True)
    assert _python(bench, "import acme") == ""
    assert [path.name for path in bench.venv.parent.iterdir()] == [".venv"]


def test_what_is_no_environment_is_left_alone(bench: Bench) -> None:
    bench.venv.mkdir(parents=True)
    bench.sync(bench.wheel("acme"))
    other = bench.venv.parent / "other"
    other.mkdir()
    (other / "precious").write_text("x")
    bench.venv.rename(bench.venv.parent / "gone")
    other.rename(bench.venv)
    with pytest.raises(ForeignEnvironment):
        bench.sync(bench.wheel("acme"), adopt=True)


def test_a_moved_or_broken_environment_is_made_anew(bench: Bench) -> None:
    dist = bench.wheel("acme", entry_points={"console_scripts": {"x": "acme:y"}})
    bench.sync(dist)
    moved = bench.venv.rename(bench.venv.parent / "moved")
    moved.rename(bench.venv)
    assert bench.sync(dist).plan.is_empty
    for damage in ("pypm-state", "bin/python"):
        (bench.venv / damage).unlink()
        assert bench.sync(dist).plan.recreate
        assert _python(bench, "import acme") == ""
    other = bench.venv.parent.parent / "elsewhere"
    bench.venv.parent.rename(other)
    other.rename(bench.venv.parent.parent / "again")
    bench.venv.parent.mkdir()
    (bench.venv.parent.parent / "again" / ".venv").rename(bench.venv)
    assert bench.sync(dist).plan.is_empty


def test_another_interpreter_makes_it_anew(bench: Bench) -> None:
    bench.sync(bench.wheel("acme"))
    bench.interpreter = replace(bench.interpreter, real_path="/elsewhere")
    changes = bench.sync(bench.wheel("acme"))
    assert changes.plan.recreate == "its interpreter has moved"
    assert bench.sync(bench.wheel("acme")).plan.is_empty


def test_a_tree_that_is_gone_is_an_error_before_anything_happens(bench: Bench) -> None:
    bench.sync(bench.wheel("acme"))
    before = bench.files()
    with pytest.raises(MissingTree, match=r"beta 1.0 is not in the store \(abcabcabcabc\)"):
        bench.sync(WantedDist(normalize("beta"), "1.0", "abc" * 21 + "a"))
    assert bench.files() == before
    assert not (bench.venv / JOURNAL).exists()


def _damage(bench: Bench, dist: WantedDist) -> Path:
    """Writes into a file of the tree, as root can through any hard link of it."""
    file = bench.store.tree_path(dist.tree) / "site" / dist.name / "__init__.py"
    os.chmod(file, 0o644)
    file.write_text("changed by somebody")
    os.chmod(file, 0o444)
    return file


@pytest.mark.parametrize("there", [False, True], ids=["anew", "in place"])
def test_a_damaged_tree_is_never_linked(bench: Bench, there: bool) -> None:
    acme, beta = bench.wheel("acme"), bench.wheel("beta")
    if there:
        bench.sync(acme)
    before = bench.files() if there else set()
    damaged = _damage(bench, beta)
    with pytest.raises(MissingTree, match=r"beta 1\.0 is not in the store"):
        bench.sync(acme, beta)
    assert not (bench.venv / JOURNAL).exists()
    assert (bench.files() if there else set()) == before
    assert bench.venv.exists() == there

    asked: list[list[str]] = []

    def renew(digests: Collection[str]) -> dict[str, Tree]:
        asked.append(list(digests))
        (wheel,) = (bench.folder / "wheels").glob("beta*.whl")
        return {beta.tree: bench.store.unpack(wheel, beta.tree)}

    bench.sync(acme, beta, renew=renew)
    assert asked == [[beta.tree]]
    assert damaged.read_text() != "changed by somebody"
    assert (bench.site / "beta" / "__init__.py").read_text() == damaged.read_text()
    _check_record(bench)


def test_what_holds_files_of_a_tree_that_was_made_anew_is_put_in_again(bench: Bench) -> None:
    acme, beta = bench.wheel("acme"), bench.wheel("beta")
    bench.sync(acme, beta)
    assert look(bench.venv, bench.store).stale == frozenset()
    _damage(bench, acme)
    (wheel,) = (bench.folder / "wheels").glob("acme*.whl")
    compared = (bench.venv / "pyvenv.cfg").stat().st_mtime_ns
    tree = bench.store.unpack(wheel, acme.tree)
    assert (bench.venv / "pyvenv.cfg").stat().st_mtime_ns > compared, "no stamp holds any more"
    installed = look(bench.venv, bench.store)
    assert installed.stale == {tree.info}
    done = plan(Wanted(bench.interpreter, (acme, beta)), installed)
    assert [step.dist for step in done.install] == [acme]
    changes = apply(done, bench.store, pypm_version="1.2")
    assert changes.plan.counts == {"install": 0, "update": 1, "remove": 0, "keep": 1}
    assert (bench.site / "acme/__init__.py").samefile(tree.site / "acme/__init__.py")
    assert look(bench.venv, bench.store).stale == frozenset()
    _check_record(bench)


@pytest.mark.parametrize("mode", ["copy", "farm"])
def test_what_has_files_of_its_own_or_links_by_path_is_never_stale(bench: Bench, mode: LinkMode) -> None:
    acme = bench.wheel("acme")
    bench.sync(acme, link_mode=mode)
    _damage(bench, acme)
    (wheel,) = (bench.folder / "wheels").glob("acme*.whl")
    bench.store.unpack(wheel, acme.tree)
    assert look(bench.venv, bench.store).stale == frozenset()


def test_a_farm_is_torn_where_its_links_lead_to_no_tree_of_the_store(bench: Bench) -> None:
    acme, beta = bench.wheel("acme"), bench.wheel("beta")
    bench.sync(acme, beta, link_mode="farm")
    where = bench.interpreter.layout.site_packages
    assert torn(bench.installed(), bench.store, where) == []
    remove_tree(bench.store.tree_path(beta.tree))
    assert torn(bench.installed(), bench.store, where) == ["beta"]
    assert torn(bench.installed(), Store.open(bench.folder / "another"), where) == ["acme", "beta"]


@pytest.mark.skipif(sys.platform != "linux", reason="no forks here")
def test_one_fork_looks_at_trees_and_links_them(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    dists = [bench.wheel(name) for name in ("acme", "beta", "gamma", "delta")]
    bench.compile(*dists)
    monkeypatch.setattr(putting, "_SHARED", 0)
    monkeypatch.setattr(shared_work, "processors", lambda: 2)
    forks: list[int] = []
    fork = os.fork

    def counted() -> int:
        forks.append(os.getpid())
        return fork()

    def nobody(*arguments: object, **more: object) -> None:
        raise AssertionError("a tree is read before it is put in")

    monkeypatch.setattr(os, "fork", counted)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "tree", nobody)
        bench.sync(*dists)
    assert len(forks) == 1
    _check_record(bench)


def test_a_tree_that_only_had_its_modes_changed_is_put_right(bench: Bench) -> None:
    acme = bench.wheel("acme")
    file = bench.store.tree_path(acme.tree) / "site" / "acme" / "__init__.py"
    os.chmod(file, 0o200)
    bench.sync(acme)
    assert stat.S_IMODE(file.stat().st_mode) == 0o444


@pytest.mark.parametrize("mode", ["copy", "reflink"])
def test_copies_are_the_users_own(bench: Bench, mode: str) -> None:
    dist = bench.wheel("acme", scripts={"tool": "#!/bin/sh\necho tool\n"}, data={"share/x": "x"})
    bench.sync(dist, link_mode=mode)
    tree = bench.tree(dist.tree)
    assert tree is not None
    file, source = bench.site / "acme/__init__.py", tree.site / "acme/__init__.py"
    assert file.stat().st_ino != source.stat().st_ino
    assert file.stat().st_mtime_ns == source.stat().st_mtime_ns, "bytecode of the store stays valid"
    assert file.stat().st_mode & stat.S_IWUSR
    file.write_text("edited = 1")
    assert "edited" not in source.read_text()
    assert subprocess.run([str(bench.venv / "bin/tool")], capture_output=True, check=True).stdout == b"tool\n"


def test_what_we_write_is_never_written_through_a_link_into_the_store(bench: Bench) -> None:
    dist = bench.wheel("acme", dist_info_files={"INSTALLER": "theirs"})
    tree = bench.tree(dist.tree)
    assert tree is not None
    bench.sync(dist)
    os.unlink(bench.site / tree.info / "INSTALLER")
    os.link(tree.site / tree.info / "INSTALLER", bench.site / tree.info / "INSTALLER")
    bench.sync(dist, reinstall=[dist.name])
    assert (tree.site / tree.info / "INSTALLER").read_text() == "theirs"
    assert (bench.site / tree.info / "INSTALLER").read_text() == "pypm\n"


def test_a_file_in_the_way_is_replaced(bench: Bench) -> None:
    bench.sync()
    (bench.site / "acme").mkdir()
    (bench.site / "acme" / "__init__.py").write_text("left over")
    (bench.venv / "bin" / "tool").write_text("left over")
    bench.sync(bench.wheel("acme", entry_points={"console_scripts": {"tool": "acme:x"}}))
    _check_record(bench)


def test_bytecode_of_the_store_is_linked_and_used(bench: Bench) -> None:
    dist = bench.wheel(
        "acme", files={"acme/__init__.py": "x = 1", "acme/bad.py": "syntax error", "solo.py": ""}
    )
    changes = bench.sync(dist)
    assert changes.bytecode == 0 and changes.uncompiled == (dist.tree,)
    assert not list(bench.site.rglob("*.pyc"))
    tag = bench.interpreter.cache_tag
    bench.compile(dist)
    changes = bench.sync(dist, reinstall=True)
    assert changes.bytecode == 2 and changes.uncompiled == ()
    compiled = bench.site / "acme" / "__pycache__" / f"__init__.{tag}.pyc"
    tree = bench.tree(dist.tree)
    assert tree is not None
    assert compiled.stat().st_ino == (tree.site / f"acme/__pycache__/__init__.{tag}.pyc").stat().st_ino
    stamp = compiled.stat()
    assert _python(bench, "import acme; print(acme.__cached__)") == str(compiled)
    assert compiled.stat().st_mtime_ns == stamp.st_mtime_ns, "Python took it as it is"
    bench.sync()
    assert not (bench.site / "acme").exists()
    bench.sync(dist)
    assert compiled.exists()
    # Somebody cleans the store's bytecode: a shortcut less, no error.
    (tree.site / f"acme/__pycache__/__init__.{tag}.pyc").unlink()
    assert bench.sync(dist, reinstall=True).bytecode == 1
    assert _python(bench, "import acme, solo") == ""


def test_what_holds_nothing_that_compiles_is_not_compiled_again(bench: Bench) -> None:
    dist = bench.wheel("acme", files={"acme/__init__.py": "syntax error", "acme/tests/x.py": ""})
    assert bench.sync(dist).uncompiled == (dist.tree,)
    bench.compile(dist)
    changes = bench.sync(dist, reinstall=True)
    assert (changes.bytecode, changes.uncompiled) == (0, ())


def test_two_distributions_with_one_folder_each_in_the_other(bench: Bench) -> None:
    bench.sync(
        bench.wheel("a", files={"p/a/__init__.py": ""}), bench.wheel("b", files={"p/b/__init__.py": ""})
    )
    bench.sync(bench.wheel("b", files={"p/b/__init__.py": ""}))
    assert sorted(path.name for path in (bench.site / "p").iterdir()) == ["b"]


@pytest.mark.skipif(sys.platform == "win32", reason="a case-sensitive file system")
def test_odd_file_names(bench: Bench) -> None:
    files = {
        "acme/__init__.py": "",
        'acme/with,comma and "quote".txt': "x",
        "acme/ünï.txt": "y",
        "acme/ blank .txt": "",
    }
    bench.sync(bench.wheel("acme", files=files))
    _check_record(bench)
    bench.sync()
    assert not (bench.site / "acme").exists()


def _pip(bench: Bench, *arguments: str) -> str:
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode:
        pip = [bench.interpreter.path, "-m", "pip"]
    command = [*pip, "--python", str(bench.python), *arguments]
    environ = {**os.environ, "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_pip_sees_checks_and_uninstalls(bench: Bench, tmp_path: Path) -> None:
    script = {"console_scripts": {"acme": "acme:main"}}
    acme = bench.wheel("acme", requires=["beta>=1"], entry_points=script, data={"share/a": "a"})
    beta, member = bench.wheel("beta"), bench.editable("member", str(tmp_path))
    bench.compile(acme, beta, member)
    bench.sync(acme, beta, member)
    listed = {one["name"]: one for one in json.loads(_pip(bench, "list", "--format=json"))}
    assert set(listed) == {"acme", "beta", "member"}
    assert listed["member"]["editable_project_location"] == str(tmp_path)
    assert "No broken requirements" in _pip(bench, "check")
    shown = _pip(bench, "show", "-f", "-v", "acme")
    assert "bin/acme" in shown
    assert "Installer: pypm" in shown
    _pip(bench, "uninstall", "-y", "acme", "member")
    assert not (bench.venv / "bin" / "acme").exists()
    assert not (bench.site / "acme").exists()
    assert not (bench.venv / "share").exists()
    tree = bench.tree(acme.tree)
    assert tree is not None
    assert (tree.site / "acme" / "__init__.py").exists(), "the store is as it was"
    assert _names(bench) == ["beta 1.0"]
    bench.sync(acme, beta, member)
    assert _names(bench) == ["acme 1.0", "beta 1.0", "member 1.0"]
    _check_record(bench)


@pytest.mark.slow
def test_pip_upgrades_and_the_next_sync_undoes_it(bench: Bench) -> None:
    old = bench.wheel("acme", "1.0")
    bench.sync(old)
    bench.wheel("acme", "2.0")
    _pip(bench, "install", str(bench.folder / "wheels" / "acme-2.0-py3-none-any.whl"))
    assert _names(bench) == ["acme 2.0"]
    bench.sync(old)
    assert _names(bench) == ["acme 1.0"]
    assert _python(bench, "import acme; print(acme.__version__)") == "1.0"
    assert not (bench.site / "acme-2.0.dist-info").exists()
