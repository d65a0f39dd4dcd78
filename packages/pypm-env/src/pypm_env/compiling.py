"""Bytecode for trees in the store: compiled once per machine and interpreter, then linked everywhere.

`compile_trees` does it now (``--compile``); `compile_in_background` starts a process of low priority that
outlives this one and returns at once. Both are safe to run twice at the same time: every file of bytecode
is renamed into place, and a tree's list of them is written last.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from pypm_env.interpreters import Interpreter
from pypm_store.tree import Tree, bytecode, is_compiled, list_bytecode, read_tree
from pypm_store.tree_check import settle

_SCRIPT = Path(__file__).with_name("compile_script.py")
_START = """
import json, sys
job = json.load(sys.stdin)
sys.path[:] = job["path"]
from pypm_env import compiling
compiling.run(job)
"""


def uncompiled(trees: Iterable[Tree], cache_tag: str) -> list[Tree]:
    """Those of *trees* that hold modules and no list of bytecode for *cache_tag* (``cpython-312``)."""
    return [tree for tree in trees if cache_tag and tree.caches and not is_compiled(tree, cache_tag)]


def lacks_bytecode(site: Path, tree: Tree, cache_tag: str) -> bool:
    """Whether the store has bytecode of *tree* that *site*, the site-packages it is installed in, lacks."""
    return any(
        not os.path.exists(site / path) and os.path.exists(tree.site / path)
        for path in bytecode(tree, cache_tag)
    )


def compile_trees(trees: Iterable[Tree], python: str, cache_tag: str, *, nice: bool = False) -> int:
    """Compile what is not compiled yet with the interpreter *python*; how many trees were.

    What cannot be compiled is left out: bytecode is only a shortcut. Returns 0 if *python* does not start.
    """
    todo = {f"{tree.site}\n": tree for tree in uncompiled(trees, cache_tag)}
    if not todo:
        return 0
    command = [python, "-I", "-S", "-B", str(_SCRIPT), *(["--nice"] if nice else [])]
    done = 0
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
    except OSError:
        return 0
    # What was written and never read makes closing the pipe fail once more, when the block ends.
    with suppress(OSError), process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            # One at a time: the answers are read while the next is at work, and no pipe fills up.
            for line, tree in todo.items():
                process.stdin.write(line)
                process.stdin.flush()
                if process.stdout.readline() != line:
                    break
                list_bytecode(tree, cache_tag)
                done += 1
            process.stdin.close()
        except OSError:
            process.kill()
    return done


Then = tuple[str, str, tuple[str, ...]]
"""(module, function, texts it is called with)"""


def compile_in_background(roots: Sequence[Path], interpreter: Interpreter, then: Then | None = None) -> bool:
    """Start a niced process that compiles the trees in *roots* and goes on when this one has ended; False
    if it could not be started. What is compiled already is passed over. *then* is what is to be done
    there when all is compiled."""
    job = {
        "then": then,
        "path": [entry for entry in sys.path if entry],
        "trees": [str(root) for root in roots],
        "python": interpreter.path,
        "cache_tag": interpreter.cache_tag,
    }
    try:
        # Isolated and without site: it must start whatever the folder and variables of this run are.
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=Path(sys.prefix).anchor,
        )
        assert process.stdin is not None
        with process.stdin as stream:
            stream.write(json.dumps(job).encode())
    except OSError:
        return False
    # It is left to itself on purpose; without this Python would warn that it still runs.
    process.returncode = 0
    return True


def run(job: dict[str, object]) -> None:
    """What the background process does with the job `compile_in_background` sent. At its end the trees, which
    are new, are put on the disk: after the next start of the machine, or in the cache that a CI job hands on
    to the next, they need not be read through before they are used."""
    roots = job["trees"]
    assert isinstance(roots, list)
    trees = [tree for tree in (read_tree(Path(root)) for root in roots) if tree is not None]
    compile_trees(trees, str(job["python"]), str(job["cache_tag"]), nice=True)
    then: Any = job.get("then")
    try:
        if then is not None:
            module, function, words = then
            getattr(import_module(module), function)(*words)
    finally:
        settle(trees)
