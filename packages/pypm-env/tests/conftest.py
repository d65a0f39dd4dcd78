"""What the tests of environments share: an interpreter, and a store with wheels made on the spot."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kit.wheels import make_wheel
from pypm_env.apply import Changes, apply
from pypm_env.compiling import compile_trees
from pypm_env.dists import Installed, LinkMode, Wanted, WantedDist
from pypm_env.installed import inspect
from pypm_env.interpreters import Interpreter
from pypm_env.plan import plan
from pypm_env.probe import probe
from pypm_model.events import Event
from pypm_model.names import normalize
from pypm_store.store import Store
from pypm_store.tree import Tree


@dataclass
class Bench:
    """A store, an environment's place and an interpreter."""

    folder: Path
    interpreter: Interpreter
    events: list[Event] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return Store.open(self.folder / "store")

    @property
    def venv(self) -> Path:
        return self.folder / "project" / ".venv"

    @property
    def site(self) -> Path:
        return self.venv / self.interpreter.layout.site_packages

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    def tree(self, sha256: str) -> Tree | None:
        return self.store.tree(sha256)

    def wheel(self, name: str, version: str = "1.0", **more: Any) -> WantedDist:
        """A wheel made, unpacked and wanted; *more* as for `make_wheel`, and for `WantedDist`."""
        wanted = {key: more.pop(key) for key in ("direct_url", "editable", "requested") if key in more}
        made = make_wheel(self.folder / "wheels", name, version, **more)
        digest = hashlib.sha256(made.read_bytes()).hexdigest()
        self.store.unpack(made, digest)
        return WantedDist(normalize(name), version, digest, **wanted)

    def editable(self, name: str, path: str, **more: Any) -> WantedDist:
        """A member as flit, hatchling or setuptools make it: one .pth with one path."""
        url = '{"dir_info": {"editable": true}, "url": "file://' + path + '"}'
        files = {f"_{name}.pth": path + "\n"}
        return self.wheel(name, files=files, editable=True, direct_url=url, **more)

    def sync(self, *dists: WantedDist, link_mode: LinkMode = "auto", **more: Any) -> Changes:
        """What `pypm sync` does with an environment: look, plan, apply. *more* as for `apply` and `plan`."""
        how = {key: more.pop(key) for key in ("inexact", "reinstall", "adopt") if key in more}
        wanted = Wanted(self.interpreter, dists, link_mode)
        done = plan(wanted, inspect(self.venv), **how)
        return apply(done, self.store, pypm_version="1.2", listener=self.events.append, **more)

    def compile(self, *dists: WantedDist) -> None:
        """Bytecode for the trees of *dists*."""
        trees = [tree for dist in dists if (tree := self.tree(dist.tree)) is not None]
        compile_trees(trees, self.interpreter.path, self.interpreter.cache_tag)

    def installed(self) -> Installed:
        return inspect(self.venv)

    def files(self) -> set[str]:
        """Everything in the environment's site-packages and scripts but bytecode, relative to it."""
        found = set()
        for place in (self.site, self.venv / "bin", self.venv / "share", self.venv / "include"):
            for folder, folders, names in os.walk(place):
                folders[:] = [name for name in folders if name != "__pycache__"]
                found |= {os.path.relpath(os.path.join(folder, name), self.venv) for name in names}
        return found


@pytest.fixture(scope="session")
def interpreter() -> Interpreter:
    found = probe(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
    assert isinstance(found, Interpreter)
    return found


@pytest.fixture
def bench(tmp_path: Path, interpreter: Interpreter) -> Bench:
    return Bench(tmp_path, interpreter)
