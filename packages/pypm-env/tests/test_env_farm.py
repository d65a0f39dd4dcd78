"""Farms: awkward packages work as in a plain environment, and nothing done in one reaches the store."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kit.wheels import make_wheel
from pypm_env.apply import apply
from pypm_env.contests import PathTaken
from pypm_env.dists import MEMBERS_PTH, Wanted, WantedDist
from pypm_env.farm import TOLD
from pypm_env.installed import inspect
from pypm_env.own_files import JOURNAL
from pypm_env.plan import plan
from pypm_env.putting import MissingTree
from pypm_model.events import Warned
from pypm_model.names import normalize

if TYPE_CHECKING:
    from conftest import Bench

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def _sync(bench: Bench, *dists: WantedDist, **more: Any) -> Any:
    return bench.sync(*dists, link_mode="farm", **more)


def _python(bench: Bench, *arguments: str, cwd: Path | None = None) -> str:
    command = [str(bench.python), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _run(bench: Bench, code: str) -> str:
    return _python(bench, "-I", "-c", code)


def _pip(bench: Bench, *arguments: str) -> str:
    command = [sys.executable, "-m", "pip", "--python", str(bench.python), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _store(bench: Bench) -> dict[str, tuple[int, str]]:
    """Everything in the store's trees but bytecode: mode and content."""
    found = {}
    for folder, folders, names in os.walk(bench.store.path / "trees"):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            path = Path(folder, name)
            if path.name.startswith(("farm", "bytecode-", "settled")) and path.parent.parent.name == "trees":
                continue
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path)] = (stat.S_IMODE(path.stat().st_mode), content)
        found[folder] = (stat.S_IMODE(os.stat(folder).st_mode), "")
    return found


def _links(bench: Bench) -> list[str]:
    """The links in site-packages but those of .dist-info."""
    found = []
    for folder, folders, names in os.walk(bench.site):
        for name in [*folders, *names]:
            path = Path(folder, name)
            if path.is_symlink() and ".dist-info" not in str(path.relative_to(bench.site)):
                found.append(str(path.relative_to(bench.site)))
    return sorted(found)


def _check_record(bench: Bench) -> None:
    """Every RECORD names what is there, and nothing behind a link."""
    for record in bench.site.glob("*.dist-info/RECORD"):
        for path, digest, size in csv.reader(record.read_text().splitlines()):
            full = Path(os.path.normpath(bench.site / path))
            assert os.path.lexists(full) and full.exists(), path
            assert Path(os.path.realpath(full.parent)).is_relative_to(os.path.realpath(bench.venv)), path
            if size:
                assert len(full.read_bytes()) == int(size) and digest.startswith("sha256="), path


def test_a_package_is_one_link(bench: Bench) -> None:
    acme = bench.wheel("Acme.Tool", "1.5", files={"acme/__init__.py": "x = 7", "acme/deep/a.txt": "hello"})
    solo = bench.wheel("solo", files={"solo.py": "y = 8"})
    before = _store(bench)
    changes = _sync(bench, acme, solo)
    assert changes.files == 6
    assert _links(bench) == ["acme", "solo.py"]
    info = bench.site / "acme_tool-1.5.dist-info"
    assert not info.is_symlink() and (info / "RECORD").is_file() and not (info / "RECORD").is_symlink()
    rows = list(csv.reader((info / "RECORD").read_text().splitlines()))
    assert rows[0] == ["acme", "", ""]
    assert not any(row[0].startswith("acme/") for row in rows)
    assert _run(bench, "import acme, solo; print(acme.x, solo.y, acme.__file__)").startswith("7 8 ")
    assert _run(bench, "import acme; print(acme.__file__)") == str(bench.site / "acme/__init__.py")
    assert (bench.site / TOLD).is_file()
    _check_record(bench)
    assert _store(bench) == before
    assert bench.store.leases()[0].digests == {acme.tree, solo.tree}
    assert _sync(bench, acme, solo).plan.is_empty


def test_metadata_is_right_for_importlib(bench: Bench) -> None:
    _sync(
        bench,
        bench.wheel("acme", files={"acme/__init__.py": "", "solo.py": ""}, scripts={"tool": "#!python\n"}),
        bench.wheel("told", files={"told/__init__.py": ""}, dist_info_files={"top_level.txt": "told\n"}),
        bench.wheel("native", files={"fast.cpython-311-x86_64-linux-gnu.so": b"\0", "ns/x/m.py": ""}),
        bench.wheel(
            "beta", entry_points={"console_scripts": {"beta": "beta:main"}, "beta.plugins": {"a": "b:c"}}
        ),
    )
    code = (
        "import importlib.metadata as m, json; d = m.packages_distributions();"
        "print(json.dumps([[d[n] for n in ('acme','solo','told','beta','ns')],"
        "sorted(str(f) for f in m.files('acme')),"
        "[e.value for e in m.entry_points().select(group='beta.plugins')],"
        "all(f.locate().exists() for n in ('acme','told','beta','native') for f in m.files(n)),"
        "sorted(x.metadata['Name'] for x in m.distributions())]))"
    )
    tops, files, plugins, exist, names = json.loads(_run(bench, code))
    assert tops == [["acme"], ["acme"], ["told"], ["beta"], ["native"]]
    assert "acme" in files and "solo.py" in files and "../../../bin/tool" in files
    assert "acme-1.0.dist-info/top_level.txt" in files
    assert plugins == ["b:c"]
    assert exist and names == ["acme", "beta", "native", "told"]
    _check_record(bench)


def test_namespaces_of_all_three_kinds_are_shared(bench: Bench) -> None:
    pkgutil_style = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"
    declared = "__import__('pkg_resources').declare_namespace(__name__)\n"
    dists = [
        bench.wheel("ns-a", files={"ns/a/__init__.py": "v = 1", "ns/deep/x/__init__.py": ""}),
        bench.wheel("ns-b", files={"ns/b/__init__.py": "v = 2", "ns/deep/y/__init__.py": ""}),
        bench.wheel("old-a", files={"old/__init__.py": pkgutil_style, "old/a.py": "v = 3"}),
        bench.wheel("old-b", files={"old/__init__.py": pkgutil_style, "old/b/__init__.py": "v = 4"}),
        bench.wheel("alone", files={"pr/__init__.py": declared, "pr/part/__init__.py": ""}),
    ]
    _sync(bench, *dists)
    assert _links(bench) == [
        "ns/a", "ns/b", "ns/deep/x", "ns/deep/y", "old/__init__.py", "old/a.py", "old/b",
        "pr/__init__.py", "pr/part",
    ]  # fmt: skip
    code = (
        "import pkgutil, ns, old, ns.a, ns.b, ns.deep.x, ns.deep.y, old.a, old.b;"
        "print(sorted(m.name for m in pkgutil.iter_modules(ns.__path__)),"
        "sorted(m.name for m in pkgutil.walk_packages(old.__path__, 'old.')),"
        "ns.a.v, ns.b.v, old.a.v, old.b.v)"
    )
    assert _run(bench, code) == "['a', 'b'] ['old.a', 'old.b'] 1 2 3 4"
    assert [event for event in bench.events if isinstance(event, Warned)] == []
    _check_record(bench)
    # One comes, one goes: what the others have stays.
    more = bench.wheel("ns-c", files={"ns/c.py": "v = 5"})
    _sync(bench, *dists[1:], more)
    assert _run(bench, "import ns.b, ns.c, old.a; print(ns.b.v, ns.c.v, old.a.v)") == "2 5 3"
    assert not (bench.site / "ns/a").exists()
    _check_record(bench)
    _sync(bench, *dists[2:])
    assert not (bench.site / "ns").exists()
    _check_record(bench)


def test_a_link_becomes_a_folder_when_another_distribution_shares_it_and_again_a_link(bench: Bench) -> None:
    first = bench.wheel(
        "first", files={"pkg/__init__.py": "", "pkg/one/__init__.py": "", "pkg/m.py": "v = 1"}
    )
    second = bench.wheel("second", files={"pkg/two/__init__.py": "v = 2"})
    _sync(bench, first)
    assert _links(bench) == ["pkg"]
    before = _store(bench)
    _sync(bench, first, second)
    assert _links(bench) == ["pkg/__init__.py", "pkg/m.py", "pkg/one", "pkg/two"]
    assert _run(bench, "import pkg.one, pkg.two, pkg.m; print(pkg.two.v, pkg.m.v)") == "2 1"
    _check_record(bench)
    _sync(bench, first)
    assert _links(bench) == ["pkg"]
    _check_record(bench)
    _sync(bench, second)
    assert _links(bench) == ["pkg/two"]
    after = _store(bench)
    assert {path: after[path] for path in before} == before


def test_modules_of_one_name_are_told_and_one_wins_whatever_the_order(bench: Bench) -> None:
    one = bench.wheel("alpha", files={"tests/__init__.py": "v = 'alpha'", "same.py": "x = 1", "a.py": ""})
    other = bench.wheel("omega", files={"tests/__init__.py": "v = 'omega'", "same.py": "x = 1", "o.py": ""})
    _sync(bench, other)
    _sync(bench, one, other)
    assert _run(bench, "import tests; print(tests.v)") == "omega"
    warned = [event for event in bench.events if isinstance(event, Warned)]
    assert [event.code for event in warned] == ["file-conflict"]
    assert "alpha and omega both install tests/__init__.py" in warned[0].message
    _check_record(bench)
    _sync(bench, one)
    assert _run(bench, "import tests, same; print(tests.v)") == "alpha"
    clash = bench.wheel("clash", files={"a.py/x.txt": ""})
    with pytest.raises(PathTaken, match="alpha and clash"):
        _sync(bench, one, clash)


@pytest.mark.slow
def test_scripts_data_headers_and_python_m(bench: Bench) -> None:
    dist = bench.wheel(
        "acme",
        files={
            "acme/__init__.py": "from pathlib import Path\nHERE = Path(__file__).parent\n"
            "def main(): print('ran', (HERE / 'words.txt').read_text())\n",
            "acme/__main__.py": "from acme import main; main()",
            "acme/words.txt": "beside",
            "acme.libs/libx.txt": "lib",
        },
        scripts={"plain": "#!python\nprint('script')\n"},
        data={
            "share/acme/x.txt": "data",
            f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages/acme/late.txt": "late",
        },
        headers={"acme.h": "int x;"},
        entry_points={"console_scripts": {"acme": "acme:main"}},
    )
    _sync(bench, dist)
    assert _python(bench, "-m", "acme") == "ran beside"
    for script, output in (("acme", "ran beside"), ("plain", "script")):
        done = subprocess.run([bench.venv / "bin" / script], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == output
    assert (bench.venv / "share/acme/x.txt").read_text() == "data"
    assert (bench.site / "acme/late.txt").read_text() == "late"
    tree = bench.tree(dist.tree)
    assert tree is not None and not (tree.site / "acme/late.txt").exists()
    code = "import acme, importlib.resources as r; print(r.files('acme').joinpath('words.txt').read_text())"
    assert _run(bench, code) == "beside"
    assert _run(bench, "import acme; print((acme.HERE.parent / 'acme.libs/libx.txt').read_text())") == "lib"
    _check_record(bench)
    _sync(bench)
    assert not (bench.venv / "bin/acme").exists() and not (bench.venv / "share").exists()
    assert _links(bench) == []


def test_members_are_editable(bench: Bench, tmp_path: Path) -> None:
    source = tmp_path / "src with space"
    (source / "one").mkdir(parents=True)
    (source / "one" / "__init__.py").write_text("v = 'edited'")
    url = '{"dir_info": {"editable": true}, "url": "file:///x"}'
    finder = f"import sys; sys.path.append({str(source)!r})"
    _sync(
        bench,
        bench.editable("one", str(source)),
        bench.wheel("two", files={"__editable__.two.pth": finder}, editable=True, direct_url=url),
    )
    assert _run(bench, "import one; print(one.v)") == "edited"
    assert (bench.site / MEMBERS_PTH).read_text() == f"{source}\n"
    assert _links(bench) == ["__editable__.two.pth"]
    assert json.loads((bench.site / "one-1.0.dist-info/direct_url.json").read_text())["dir_info"]["editable"]
    _check_record(bench)


def test_bytecode_is_made_once_in_the_store(bench: Bench) -> None:
    dist = bench.wheel("acme", files={"acme/__init__.py": "", "solo.py": "x = 1", "ns/part.py": ""})
    changes = _sync(bench, dist)
    assert changes.uncompiled == (dist.tree,)
    tree = bench.tree(dist.tree)
    assert tree is not None
    tag = bench.interpreter.cache_tag
    _run(bench, "import acme")
    assert (tree.site / f"acme/__pycache__/__init__.{tag}.pyc").exists()
    assert bench.tree(dist.tree) is not None
    bench.compile(dist)
    shutil.rmtree(bench.venv)
    assert _sync(bench, dist).uncompiled == ()
    assert (bench.site / f"__pycache__/solo.{tag}.pyc").is_symlink()
    assert (bench.site / f"ns/__pycache__/part.{tag}.pyc").is_symlink()
    code = "import solo, sys, ns.part; print(solo.__cached__)"
    assert _run(bench, code) == str(bench.site / f"__pycache__/solo.{tag}.pyc")
    _sync(bench)
    assert not (bench.site / f"__pycache__/solo.{tag}.pyc").is_symlink()
    assert not (bench.site / "ns").exists()


def _elf(runpath: str) -> bytes:
    """The least of a 64-bit library that has a RUNPATH."""
    import struct

    strings = b"\0" + runpath.encode() + b"\0"
    start = 64 + 2 * 56
    dynamic = struct.pack("<qQqQqQ", 5, start + 48, 29, 1, 0, 0)
    size = start + len(dynamic) + len(strings)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, size, size, 4096)
    dyn = struct.pack("<IIQQQQQQ", 2, 6, start, start, start, len(dynamic), len(dynamic), 8)
    return head + load + dyn + dynamic + strings


def test_libraries_that_look_outside_their_wheel_are_linked_file_by_file(bench: Bench) -> None:
    torch = bench.wheel(
        "torch",
        files={
            "torch/__init__.py": "v = 1",
            "torch/lib/libtorch.so": _elf("$ORIGIN:$ORIGIN/../../nvidia/cublas/lib"),
            "torch/sub/m.py": "",
        },
    )
    inward = bench.wheel(
        "numpy",
        files={
            "numpy/__init__.py": "",
            "numpy/core/x.so": _elf("$ORIGIN/../../numpy.libs:$ORIGIN/.."),
            "numpy.libs/y.so.1.2": _elf("$ORIGIN"),
        },
    )
    nvidia = bench.wheel("nvidia-cublas", files={"nvidia/cublas/lib/libcublas.so.12": _elf("$ORIGIN")})
    _sync(bench, torch, inward, nvidia)
    links = _links(bench)
    assert [link for link in links if not link.startswith("nvidia")] == [
        "numpy", "numpy.libs", "torch/__init__.py", "torch/lib/libtorch.so", "torch/sub/m.py",
    ]  # fmt: skip
    beside = bench.site / "torch/lib/../../nvidia/cublas/lib/libcublas.so.12"
    assert beside.exists()
    _check_record(bench)
    _sync(bench, inward)
    assert not (bench.site / "torch").exists()


def test_a_package_that_looks_for_its_own_files_finds_them(bench: Bench) -> None:
    """As cmake does: where its program lies is what RECORD says."""
    code = (
        "from importlib.metadata import distribution\n"
        "found = [f for f in distribution('cmake').files if str(f).startswith('cmake/data/bin/cmake')]\n"
        "program = found[0].locate().resolve(strict=True)\n"
    )
    _sync(bench, bench.wheel("cmake", files={"cmake/__init__.py": code, "cmake/data/bin/cmake": "#!"}))
    assert _links(bench) == ["cmake/__init__.py", "cmake/data/bin/cmake"]
    assert _run(bench, "import cmake; print(cmake.program.name)") == "cmake"
    _check_record(bench)


@pytest.mark.slow
def test_pytest_rewrites_assertions_of_plugins(bench: Bench, tmp_path: Path) -> None:
    helper = "def check(x):\n    assert x == [1, 2]\n"
    plugin = bench.wheel(
        "pytest-acme",
        files={
            "pytest_acme/__init__.py": helper,
            "pytest_acme/deep/__init__.py": helper,
            "pytest_acme/data/x.txt": "",
        },
        entry_points={"pytest11": {"acme": "pytest_acme"}},
    )
    _sync(bench, plugin)
    assert _links(bench) == ["pytest_acme/__init__.py", "pytest_acme/data", "pytest_acme/deep"]
    _check_record(bench)
    (tmp_path / "test_a.py").write_text(
        "import pytest_acme.deep\n"
        "def test_a(): pytest_acme.check([1, 3])\n"
        "def test_b(): pytest_acme.deep.check([1, 4])\n"
    )
    # pytest itself is the one that runs this test.
    paths = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    ran = subprocess.run(
        [bench.venv / "bin" / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert "assert [1, 3] == [1, 2]" in ran.stdout, ran.stdout + ran.stderr
    assert "assert [1, 4] == [1, 2]" in ran.stdout


# --- what users do ---------------------------------------------------------------------------------


def _three(bench: Bench) -> list[WantedDist]:
    return [
        bench.wheel("acme", "1.0", files={"acme/__init__.py": "v = 1", "acme/sub/m.py": "", "solo.py": ""}),
        bench.wheel("ns-a", files={"ns/a/__init__.py": "v = 1"}),
        bench.wheel("other", files={"other/__init__.py": ""}, scripts={"tool": "#!python\n"}),
    ]


@pytest.mark.slow
def test_pip_lists_uninstalls_and_upgrades_and_the_store_stays(bench: Bench) -> None:
    dists = _three(bench)
    newer = make_wheel(bench.folder / "wheels", "acme", "2.0", files={"acme/__init__.py": "v = 2"})
    part = make_wheel(bench.folder / "wheels", "ns-b", "1.0", files={"ns/b/__init__.py": "v = 2"})
    _sync(bench, *dists)
    before = _store(bench)
    listed = {one["name"] for one in json.loads(_pip(bench, "list", "--format=json"))}
    assert listed == {"acme", "ns-a", "other"}
    assert "No broken requirements" in _pip(bench, "check")
    assert "solo.py" in _pip(bench, "show", "-f", "acme")
    # Upgrade: the links go, real files come.
    _pip(bench, "install", "--no-index", "-U", str(newer))
    assert not (bench.site / "acme").is_symlink()
    assert _run(bench, "import acme; print(acme.v)") == "2"
    # A part of a namespace beside ours.
    _pip(bench, "install", "--no-index", str(part))
    assert _run(bench, "import ns.a, ns.b; print(ns.a.v, ns.b.v)") == "1 2"
    _pip(bench, "uninstall", "-y", "other", "ns-a")
    assert not os.path.lexists(bench.site / "other") and not (bench.venv / "bin/tool").exists()
    assert _run(bench, "import ns.b; print(ns.b.v)") == "2"
    assert _store(bench) == before
    # The next sync makes it what it was.
    changes = _sync(bench, *dists)
    assert changes.plan.counts == {"install": 2, "update": 1, "remove": 1, "keep": 0}
    assert _run(bench, "import acme, ns.a, other, acme.sub.m, solo; print(acme.v)") == "1"
    assert (bench.site / "acme").is_symlink() and not os.path.lexists(bench.site / "ns/b")
    _check_record(bench)
    assert _store(bench) == before


@pytest.mark.slow
def test_pip_uninstalls_all_there_is(bench: Bench) -> None:
    dists = [bench.wheel("acme"), bench.wheel("beta")]
    for count in (1, 2):
        _sync(bench, *dists[:count])
        before = _store(bench)
        _pip(bench, "uninstall", "-y", *[str(dist.name) for dist in dists[:count]])
        assert _links(bench) == [] and not list(bench.site.glob("*.dist-info"))
        assert bench.site.is_dir()
        assert _store(bench) == before
    _sync(bench, *dists)
    assert _run(bench, "import acme, beta; print(acme.__version__)") == "1.0"


def test_what_a_user_added_stays_and_what_is_foreign_goes(bench: Bench) -> None:
    dists = _three(bench)
    _sync(bench, *dists)
    (bench.site / "mine.pth").write_text("# mine\n")
    (bench.site / "mine").mkdir()
    (bench.site / "mine" / "__init__.py").write_text("")
    before = _store(bench)
    _sync(bench, *dists[1:])
    assert (bench.site / "mine.pth").exists() and (bench.site / "mine/__init__.py").exists()
    # A folder that is there, where a link would be, is filled instead.
    (bench.site / "acme").mkdir()
    (bench.site / "acme" / "left.txt").write_text("left behind by a run of another tool")
    _sync(bench, *dists)
    assert _links(bench) == ["acme/__init__.py", "acme/sub", "ns/a", "other", "solo.py"]
    assert (bench.site / "acme/left.txt").exists()
    _check_record(bench)
    _sync(bench, *dists[1:])
    assert sorted(os.listdir(bench.site / "acme")) == ["left.txt"]
    assert _store(bench) == before


def test_removing_and_changing_modes_by_hand_reaches_nobody_else(bench: Bench) -> None:
    dists = _three(bench)
    _sync(bench, *dists)
    before = _store(bench)
    subprocess.run(["chmod", "-R", "a+rwx", str(bench.venv)], check=True)
    assert _store(bench) == before
    # What follows links, as `os.walk` with `os.chmod` does, is put right where the tree is used next.
    for folder, folders, names in os.walk(bench.venv):
        for name in [*folders, *names]:
            os.chmod(os.path.join(folder, name), 0o777)
    tree = bench.tree(dists[0].tree)
    assert tree is not None
    shutil.rmtree(bench.site / "acme-1.0.dist-info")
    with pytest.raises(OSError):
        shutil.rmtree(bench.site / "acme")
    subprocess.run(["rm", "-rf", str(bench.venv)], check=True)
    _sync(bench, *dists)
    assert _run(bench, "import acme.sub.m, ns.a, other, solo; print(acme.v)") == "1"
    assert {path for path, _ in _store(bench).items()} == set(before)


@pytest.mark.skipif(ROOT, reason="modes do not bind root")
def test_editing_behind_a_link_is_refused_by_the_system(bench: Bench) -> None:
    _sync(bench, *_three(bench))
    with pytest.raises(PermissionError):
        (bench.site / "acme/__init__.py").write_text("v = 3")
    with pytest.raises(PermissionError):
        (bench.site / "acme/new.py").write_text("v = 3")


def test_an_edit_as_root_is_mended_for_all_where_the_tree_is_linked_next(
    bench: Bench, tmp_path: Path
) -> None:
    """Root, or a user who changed modes first, writes into the store; the look before linking finds it, and
    since links name the tree by its path, every farm has it back at once."""
    dists = _three(bench)
    wheel = bench.folder / "wheels" / "acme-1.0-py3-none-any.whl"
    _sync(bench, *dists)
    victim = bench.site / "acme/__init__.py"
    os.chmod(victim, 0o644)
    victim.write_text("v = 666")
    (bench.site / "acme").chmod(0o755)
    (bench.site / "acme/added.py").write_text("")

    def renew(digests: Any) -> Any:
        return {digest: bench.store.unpack(wheel, digest) for digest in digests}

    other = tmp_path / "elsewhere" / ".venv"
    done = plan(Wanted(bench.interpreter, tuple(dists), "farm"), inspect(other))
    apply(done, bench.store, pypm_version="1.2", renew=renew)
    assert victim.read_text() == "v = 1"
    assert not (bench.site / "acme/added.py").exists()
    assert _run(bench, "import acme; print(acme.v)") == "1"


def test_two_environments_share_and_one_that_goes_takes_nothing(bench: Bench, tmp_path: Path) -> None:
    dists = _three(bench)
    _sync(bench, *dists)
    other = tmp_path / "elsewhere" / ".venv"
    apply(
        plan(Wanted(bench.interpreter, tuple(dists), "farm"), inspect(other)), bench.store, pypm_version="1"
    )
    shutil.rmtree(other)
    assert bench.store.prune().counts == {"leases": 1}
    assert _run(bench, "import acme.sub.m, ns.a, other, solo; print(acme.v)") == "1"
    shutil.rmtree(bench.venv)
    assert bench.store.prune().counts["trees"] == 3


def test_a_link_mode_changed_makes_it_anew(bench: Bench) -> None:
    dists = _three(bench)
    _sync(bench, *dists)
    before = _store(bench)
    assert "link mode changes from farm to copy" in bench.sync(*dists, link_mode="copy").plan.recreate
    assert _links(bench) == []
    (bench.site / "acme/__init__.py").write_text("v = 5")
    assert "from copy to farm" in _sync(bench, *dists).plan.recreate
    assert _run(bench, "import acme; print(acme.v)") == "1"
    assert _store(bench) == before


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("at", range(1, 12))
def test_a_killed_change_is_finished_by_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    shared = bench.wheel("shared", files={"pkg/one/__init__.py": "", "pkg/__init__.py": ""})
    more = bench.wheel("more", files={"pkg/two/__init__.py": ""}, scripts={"tool": "#!python\n"})
    newer = bench.wheel("shared", "2.0", files={"pkg/one/__init__.py": "", "pkg/__init__.py": "v = 2"})
    _sync(bench, shared)
    before = _store(bench)
    steps = 0

    def counting(real: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == at:
                raise _Killed
            return real(*arguments, **named)

        return call

    with monkeypatch.context() as patch:
        for name in ("symlink", "unlink", "rmdir"):
            patch.setattr(os, name, counting(getattr(os, name)))
        try:
            _sync(bench, newer, more)
            survived = True
        except _Killed:
            survived = False
    assert survived or (bench.venv / JOURNAL).exists()
    _sync(bench, newer, more)
    assert _run(bench, "import pkg, pkg.one, pkg.two; print(pkg.v)") == "2"
    assert not (bench.venv / JOURNAL).exists()
    _check_record(bench)
    after = _store(bench)
    assert {path: after[path] for path in before} == before


def test_a_tree_is_looked_at_before_it_is_linked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    dist = bench.wheel("acme")
    tree = bench.tree(dist.tree)
    assert tree is not None
    os.chmod(tree.site / "acme", 0o755)
    (tree.site / "acme" / "__init__.py").unlink()
    with pytest.raises(MissingTree):
        _sync(bench, dist)
    assert not bench.venv.exists()


def test_names_are_normal(bench: Bench) -> None:
    dist = bench.wheel("Weird.Name", files={"weird/__init__.py": ""})
    assert dist.name == normalize("weird-name")
    _sync(bench, dist)
    assert _run(bench, "import importlib.metadata as m; print(m.version('weird_name'))") == "1.0"
