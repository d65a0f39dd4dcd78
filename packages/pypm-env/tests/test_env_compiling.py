"""Bytecode made once in the store."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from pypm_env.compiling import compile_trees, run, uncompiled
from pypm_store.tree import bytecode

if TYPE_CHECKING:
    from conftest import Bench
    from pypm_store.tree import Tree


@pytest.fixture
def tree(bench: Bench) -> Tree:
    files = {
        "acme/__init__.py": "",
        "acme/sub/x.py": "y = 1",
        "acme/bad.py": "def",
        "top.py": "",
        "no/x.txt": "",
    }
    found = bench.tree(bench.wheel("acme", files=files).tree)
    assert found is not None
    return found


def test_everything_that_compiles_is_listed(bench: Bench, tree: Tree) -> None:
    tag = bench.interpreter.cache_tag
    assert uncompiled([tree], tag) == [tree]
    assert compile_trees([tree], bench.interpreter.path, tag) == 1
    assert set(bytecode(tree, tag)) == {
        f"__pycache__/top.{tag}.pyc",
        f"acme/__pycache__/__init__.{tag}.pyc",
        f"acme/sub/__pycache__/x.{tag}.pyc",
    }
    assert uncompiled([tree], tag) == []
    assert compile_trees([tree], bench.interpreter.path, tag) == 0


def test_the_tree_stays_sound_and_python_believes_the_bytecode(bench: Bench, tree: Tree) -> None:
    compile_trees([tree], bench.interpreter.path, bench.interpreter.cache_tag)
    code = "import acme.sub.x, sys; print(acme.sub.x.y)"
    done = subprocess.run(
        [bench.interpreter.path, "-v", "-c", code],
        env={**os.environ, "PYTHONPATH": str(tree.site), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{tree.site}/acme/sub/__pycache__/x.{bench.interpreter.cache_tag}.pyc matches" in done.stderr
    assert tree.root.is_dir()
    assert bench.store.tree(tree.root.name) == tree


def test_an_interpreter_that_does_not_start_is_no_error(bench: Bench, tree: Tree) -> None:
    assert compile_trees([tree], "/nowhere/python", bench.interpreter.cache_tag) == 0
    assert compile_trees([tree], "/bin/false", bench.interpreter.cache_tag) == 0
    assert compile_trees([tree], bench.interpreter.path, "") == 0


def test_in_the_background_it_ends_after_us(bench: Bench, tree: Tree) -> None:
    code = (
        "import sys; from pathlib import Path; from pypm_env.compiling import compile_in_background;"
        "from pypm_env.interpreters import interpreter_from_text;"
        "print(compile_in_background([Path(sys.argv[1])], interpreter_from_text(sys.argv[2])))"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-c", code, str(tree.root), bench.interpreter.to_text()]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("True\n", "")
    end = time.monotonic() + 30
    while not bytecode(tree, bench.interpreter.cache_tag):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_trees_that_are_gone_meanwhile_are_passed_over(bench: Bench, tree: Tree) -> None:
    job = {
        "trees": [str(bench.folder / "gone"), str(tree.root)],
        "python": bench.interpreter.path,
        "cache_tag": bench.interpreter.cache_tag,
    }
    run(job)
    assert bytecode(tree, bench.interpreter.cache_tag)
    assert (tree.root / "settled").exists(), "it need not be read through when the machine has been restarted"
