"""Environments made from blueprints: the same as `apply` makes, or nothing."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pypm_env import from_blueprint
from pypm_env.blueprint import blueprint
from pypm_env.dists import LinkMode, Wanted, WantedDist
from pypm_env.from_blueprint import CannotFollow, environment_lock, make
from pypm_env.installed import inspect
from pypm_env.plan import plan
from pypm_model.records import replace
from pypm_store.atomic import beside_name
from pypm_store.locks import holding

if TYPE_CHECKING:
    from conftest import Bench
    from pypm_env.from_blueprint import Blueprint

pytestmark = pytest.mark.skipif(os.name == "nt", reason="launchers for Windows are programs")

URL = '{"url": "https://example.test/direct-1.0-py3-none-any.whl"}'


def everything(bench: Bench) -> tuple[WantedDist, ...]:
    """Distributions with all that a wheel may hold."""
    dists = (
        bench.wheel(
            "acme",
            files={
                "acme/__init__.py": "x = 1",
                "acme/sub/deep.py": "y = 2",
                "acme/data,1.txt": "z",
                "solo.py": "",
            },
            scripts={"acme-sh": "#!/bin/sh\necho hi\n", "acme-py": "#!python\nprint(1)\n"},
            data={"share/man/man1/acme.1": "manual", "etc/acme.conf": "a = 1"},
            headers={"acme.h": "int x;"},
            entry_points={
                "console_scripts": {"acme": "acme:main"},
                "gui_scripts": {"acme-ui": "acme.sub:ui"},
            },
            requested=True,
        ),
        bench.wheel("spaced.one", files={"spaced/one/__init__.py": ""}),
        bench.wheel("spaced.two", files={"spaced/two/__init__.py": ""}),
        bench.wheel("direct", direct_url=URL),
        bench.wheel("empty", files={}),
    )
    bench.compile(*dists)
    return dists


def drawn(
    bench: Bench, *dists: WantedDist, mode: LinkMode = "auto", prompt: str = "here"
) -> Blueprint | None:
    return blueprint(Wanted(bench.interpreter, dists, mode), bench.store, pypm_version="1.2", prompt=prompt)


def seen(venv: Path) -> dict[str, object]:
    """All that is there: kinds, modes, targets, contents, and of what is a link which file."""
    found: dict[str, object] = {}
    for folder, folders, names in os.walk(venv):
        for name in [*folders, *names]:
            path = Path(folder) / name
            status = path.lstat()
            if path.is_symlink():
                what: object = os.readlink(path)
            elif path.is_dir():
                what = "folder"
            elif name == "pypm-state":
                what = re.sub(r"\t\d{19}\b", "\tTIME", path.read_text())
            elif name == "pypm-lease":
                what = status.st_nlink
            else:
                what = (path.read_bytes(), status.st_ino if status.st_nlink > 1 else 0)
            found[str(path.relative_to(venv))] = (stat.S_IMODE(status.st_mode), what)
    return found


def leases_in(folder: Path) -> dict[str, bytes]:
    """Without the names of witnesses, each of which is there once."""
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    witnesses = [name for name in found if name.startswith(".")]
    for name in witnesses:
        del found[name]
    assert [b"witness-" in content for content in found.values()] == [True] * len(witnesses)
    return {name: re.sub(rb"witness-\w+", b"", content) for name, content in found.items()}


MODES = pytest.mark.parametrize("mode", ["auto", "farm"])


@MODES
def test_it_is_what_apply_makes(bench: Bench, mode: LinkMode) -> None:
    dists = everything(bench)
    bench.sync(*dists, link_mode=mode, prompt="here")
    how = drawn(bench, *dists, mode=mode)
    assert how is not None
    first, before = seen(bench.venv), bench.store.path / "leases"
    leases = leases_in(before)
    assert any("__pycache__" in path for path in first)
    bench.venv.rename(bench.folder / "old")
    for path in before.iterdir():
        path.unlink()
    make(how, str(bench.store.path), str(bench.venv))
    assert seen(bench.venv) == first
    assert leases_in(before) == leases
    assert list(bench.venv.parent.iterdir()) == [bench.venv]
    # And `pypm` takes it for its own, with nothing to do.
    assert plan(Wanted(bench.interpreter, dists, mode), inspect(bench.venv)).is_empty
    done = subprocess.run([str(bench.venv / "bin" / "acme-py")], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


@MODES
def test_elsewhere_scripts_and_records_name_the_other_place(bench: Bench, mode: LinkMode) -> None:
    dists = everything(bench)
    how = drawn(bench, *dists, mode=mode)
    assert how is not None
    other = replace_place(bench)
    make(how, str(other.store.path), str(other.venv))
    first = seen(other.venv)
    shutil.rmtree(other.venv)
    other.sync(*dists, link_mode=mode, prompt="here")
    assert seen(other.venv) == first
    assert str(other.venv) in (other.venv / "bin" / "acme").read_text()


def replace_place(bench: Bench) -> Bench:
    """A bench at another place with the same store."""
    folder = bench.folder / "other"
    folder.mkdir()
    (folder / "store").symlink_to(bench.folder / "store")
    (folder / "project").mkdir()
    return type(bench)(folder, bench.interpreter)


@pytest.mark.parametrize("case", ["copy", "editable", "shared", "farm", "not compiled", "gone"])
def test_what_takes_more_has_no_blueprint(bench: Bench, case: str) -> None:
    acme = bench.wheel("acme", files={"acme/__init__.py": ""})
    bench.compile(acme)
    assert drawn(bench, acme) is not None
    if case == "copy":
        assert drawn(bench, acme, mode="copy") is None
    elif case == "editable":
        assert drawn(bench, acme, bench.editable("member", str(bench.folder))) is None
    elif case in ("shared", "farm"):
        again = bench.wheel("again", files={"acme/__init__.py": ""})
        bench.compile(again)
        assert drawn(bench, acme, again, mode="farm" if case == "farm" else "auto") is None
    elif case == "not compiled":
        assert drawn(bench, acme, bench.wheel("late", files={"late.py": ""})) is None
    else:
        assert drawn(bench, replace(acme, tree="0" * 64)) is None


def _damaged(bench: Bench, dist: WantedDist) -> None:
    tree = bench.tree(dist.tree)
    assert tree is not None
    path = tree.site / "acme" / "__init__.py"
    path.chmod(0o644)
    path.write_text("another = 1")


def _lost(bench: Bench, dist: WantedDist) -> None:
    tree = bench.tree(dist.tree)
    assert tree is not None
    (tree.root / "tree").unlink()


def _bytecode_lost(bench: Bench, dist: WantedDist) -> None:
    tree = bench.tree(dist.tree)
    assert tree is not None
    (tree.root / f"bytecode-{bench.interpreter.cache_tag}").unlink()


def _taken(bench: Bench, dist: WantedDist) -> None:
    bench.venv.mkdir()
    (bench.venv / "notes").write_text("mine")


def _left_over(bench: Bench, dist: WantedDist) -> None:
    os.mkdir(beside_name(bench.venv))


UNUSUAL: dict[str, Callable[[Bench, WantedDist], None]] = {
    "a damaged tree": _damaged,
    "a tree that is gone": _lost,
    "bytecode that is gone": _bytecode_lost,
    "something at the place": _taken,
    "what a killed run left": _left_over,
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_whatever_is_unusual_is_left_as_it_is(bench: Bench, case: str) -> None:
    acme = bench.wheel("acme", files={"acme/__init__.py": "x = 1"})
    bench.compile(acme)
    how = drawn(bench, acme)
    assert how is not None
    bench.venv.parent.mkdir()
    UNUSUAL[case](bench, acme)
    before = seen(bench.folder / "project")
    with pytest.raises(CannotFollow):
        make(how, str(bench.store.path), str(bench.venv))
    assert seen(bench.folder / "project") == before
    assert not (bench.store.path / "locks" / environment_lock(str(bench.venv))).exists()


@pytest.mark.parametrize("name", ["with space", "quote'd", "süß", "x" * 130, "pa:th"])
def test_a_path_that_scripts_must_quote_is_not_for_it(bench: Bench, name: str) -> None:
    acme = bench.wheel("acme", files={"acme/__init__.py": ""})
    bench.compile(acme)
    how = drawn(bench, acme)
    assert how is not None
    place = bench.folder / name
    place.mkdir()
    with pytest.raises(CannotFollow):
        make(how, str(bench.store.path), str(place / ".venv"))
    assert not list(place.iterdir())


def test_where_another_is_at_work_it_is_left_to_those_who_wait(bench: Bench) -> None:
    acme = bench.wheel("acme", files={"acme/__init__.py": ""})
    bench.compile(acme)
    how = drawn(bench, acme)
    assert how is not None
    bench.venv.parent.mkdir()
    locks = bench.store.path / "locks"
    for path, shared in ((locks / environment_lock(str(bench.venv)), False), (locks / "in-use", False)):
        with holding(path, shared=shared), pytest.raises(CannotFollow):
            make(how, str(bench.store.path), str(bench.venv))
    with holding(locks / "in-use", shared=True):
        make(how, str(bench.store.path), str(bench.venv))
    assert bench.installed().kind == "ours"


def test_an_interrupted_one_leaves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    acme = bench.wheel("acme", files={"acme/__init__.py": ""})
    bench.compile(acme)
    how = drawn(bench, acme)
    assert how is not None
    bench.venv.parent.mkdir()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(from_blueprint, "_put", interrupt)
    monkeypatch.setattr("pypm_store.shared_work.processors", lambda: 1)
    with pytest.raises(KeyboardInterrupt):
        make(how, str(bench.store.path), str(bench.venv))
    assert not list(bench.venv.parent.iterdir())
    monkeypatch.undo()
    make(how, str(bench.store.path), str(bench.venv))


def test_after_a_killed_one_apply_goes_on(bench: Bench) -> None:
    acme = bench.wheel("acme", files={"acme/__init__.py": "x = 5"})
    bench.compile(acme)
    how = drawn(bench, acme)
    bench.venv.parent.mkdir()
    code = (
        "import os, signal, sys\n"
        "from pypm_env import from_blueprint\n"
        "from_blueprint.os.rename = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"from_blueprint.make({how!r}, {str(bench.store.path)!r}, {str(bench.venv)!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = bench.venv.parent.iterdir()
    assert left.name.endswith(".new")
    bench.sync(acme)
    assert list(bench.venv.parent.iterdir()) == [bench.venv]
    assert (bench.site / "acme" / "__init__.py").read_text() == "x = 5"
