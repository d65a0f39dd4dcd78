"""What is measured: each case is some work, a way for each tool to do it, and the bar it is held to.

A case makes its states itself: `Bench` keeps, per tool, one warm cache for all cases and, per workload,
a folder with the lock the tool wrote; every run gets a fresh folder, because creating files where many were
just deleted is several times slower on some file systems. Nothing is deleted before the end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import tools
from benchmarks.index import LocalIndex
from benchmarks.measure import MEGABYTE, Command, Contender, Prepare, Stopwatch
from benchmarks.starting import SOURCE
from benchmarks.tools import LOCK_FILES, Toolbox
from benchmarks.workspaces import (
    AIRFLOW_PROJECT,
    BUNDLED_PROJECT,
    WEB,
    WEB_PROJECT,
    Monorepo,
    Project,
    Workload,
    add_dependency,
    edited_manifest,
    import_names,
    member_names,
    write,
)

FIRST_IMPORT = "import pandas, sklearn, fastapi, boto3"
ADDED = "tqdm>=4"
"""What the edit of the re-lock cases adds; no workload has it."""
UNPACKED = ("trees", "built", "envs", "leases", "recipes", "blueprints", "locks")
"""Folders of pypm's store that hold what came of wheels, or are about it."""


@dataclass(slots=True)
class Bench:
    """One session: the tools, the index, and the states made so far."""

    toolbox: Toolbox
    index: LocalIndex
    stopwatch: Stopwatch
    folder: Path
    """Of this session; removed at its end."""
    peers: tuple[str, ...]
    numbers: int = 0
    seeds: dict[tuple[str, str, bool], Path] = field(default_factory=dict)
    ready: dict[tuple[str, str], Path] = field(default_factory=dict)
    """Folders with an environment in step with its lock."""
    unpacked: dict[str, tuple[Path, Path]] = field(default_factory=dict)
    """What `wheels` has made, by workload."""

    def fresh(self, what: str) -> Path:
        """A folder that does not exist yet."""
        self.numbers += 1
        return self.folder / "runs" / f"{self.numbers:04d}-{what}"

    def cache(self, tool: str) -> Path:
        """The tool's warm cache."""
        return self.folder / "cache" / tool

    def forget_answers(self, tool: str) -> None:
        """What is locked next was never locked before on this machine."""
        if tool == "pypm":
            shutil.rmtree(self.cache(tool) / "v1" / "answers", ignore_errors=True)

    def forget_recipes(self, tool: str) -> None:
        """What is installed next was never installed together on this machine; its wheels may have been."""
        if tool == "pypm":
            for name in ("recipes", "blueprints"):
                shutil.rmtree(self.cache(tool) / "v1" / name, ignore_errors=True)

    def url(self, slow: bool) -> str:
        """The index's address."""
        return self.index.slow_url if slow else self.index.url

    def commands(
        self,
        tool: str,
        cwd: Path,
        lines: Sequence[tuple[str, ...]],
        *,
        cache: Path | None = None,
        slow: bool = False,
    ) -> list[Command]:
        """The command lines, each in the tool's environment."""
        home = self.folder / "home" / tool
        (home / "tmp").mkdir(parents=True, exist_ok=True)
        env = tools.environment(
            tool, self.toolbox, home=home, cache=cache or self.cache(tool), index_url=self.url(slow)
        )
        return [Command(line, cwd, env) for line in lines]

    def run(self, tool: str, cwd: Path, lines: Sequence[tuple[str, ...]], *, slow: bool = False) -> None:
        """The same at once, unmeasured, with the warm cache."""
        self.stopwatch.run(self.commands(tool, cwd, lines, slow=slow))

    def written(self, tool: str, workload: Workload, slow: bool = False) -> Path:
        """A fresh folder with the workload's files."""
        folder = self.fresh(f"{tool}-{workload.name}")
        write(workload, folder, self.url(slow))
        if isinstance(workload, Project):
            (folder / "requirements.in").write_text("".join(f"{each}\n" for each in workload.dependencies))
        return folder

    def locked(self, tool: str, workload: Workload, slow: bool = False) -> Path:
        """A fresh folder with the workload's files and the lock that the tool writes for them."""
        key = (tool, workload.name, slow)
        if key not in self.seeds:
            seed = self.written(tool, workload, slow)
            if tool == "pip":
                shutil.copy2(self._requirements(workload, slow), seed / "requirements.txt")
            else:
                self.run(tool, seed, tools.lock(tool, self.toolbox), slow=slow)
            self.seeds[key] = seed
        folder = self.written(tool, workload, slow)
        for name in (LOCK_FILES[tool], "requirements.txt"):
            if (self.seeds[key] / name).exists():
                shutil.copy2(self.seeds[key] / name, folder / name)
        return folder

    def _requirements(self, workload: Workload, slow: bool) -> Path:
        """uv's lock of the workload as pins with hashes, for pip."""
        folder = self.locked("uv", workload, slow)
        line = (
            *self.toolbox.programs["uv"],
            "export",
            "--frozen",
            "--no-emit-project",
            "-q",
            "-o",
            "requirements.txt",
        )
        self.run("uv", folder, [line], slow=slow)
        return folder / "requirements.txt"

    def wheels(self, workload: Project) -> tuple[Path, Path]:
        """A folder in which pypm has synced, and one with all wheels of its lock and no more."""
        if workload.name not in self.unpacked:
            folder = self.locked("pypm", workload)
            self.run("pypm", folder, tools.sync("pypm", self.toolbox, workload))
            wheels = self.fresh("wheels")
            wheels.mkdir(parents=True)
            archive = wheels / "wheels.zip"
            program = self.toolbox.programs["pypm"]
            self.run("pypm", folder, [(*program, "pypylock", "-q", "--only-wheels", "-o", str(archive))])
            shutil.unpack_archive(archive, wheels / "here")
            self.unpacked[workload.name] = folder, wheels / "here"
        return self.unpacked[workload.name]

    def packed_cache(self) -> Path:
        """A cache for pypm with all it has in the warm one, but for what it unpacked or made of it."""
        warm, fresh = self.cache("pypm"), self.fresh("pypm-cache")
        shutil.copytree(
            warm,
            fresh,
            copy_function=os.link,
            ignore=lambda folder, names: UNPACKED if Path(folder).name.startswith("v") else (),
        )
        for database in (fresh / "v1").glob("*.sqlite*"):
            database.unlink()
            shutil.copy2(warm / "v1" / database.name, database)
        return fresh

    def synced(self, tool: str, workload: Workload) -> Path:
        """A folder in which the tool has nothing left to do; the warm cache then holds all it needs, and
        what is imported first has been imported once on this machine."""
        key = (tool, workload.name)
        if key not in self.ready:
            folder = self.locked(tool, workload)
            self.run(tool, folder, tools.sync(tool, self.toolbox, workload))
            self.run(
                tool,
                folder,
                [(str(venv_python(folder)), "-c", f"import {', '.join(import_names(workload))}")],
            )
            self.ready[key] = folder
        return self.ready[key]


def venv_python(folder: Path) -> Path:
    """The interpreter of the environment in *folder*."""
    return folder / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@dataclass(frozen=True, slots=True)
class Bar:
    """What pypm is held to."""

    times: float = 0.0
    """At most this many times the wall time of *against*; 0: no such bar."""
    against: str = "uv"
    megabytes: float = 0.0
    """At most this peak memory; 0: no such bar."""
    larger: float = 0.0
    """At most this many times the size of what *against* makes; 0: no such bar."""
    cpu: float = 0.0
    """At most this many times the CPU time of *against*; 0: no such bar."""

    @property
    def measure(self) -> str:
        """What is held to it: ``wall``, ``cpu`` or ``memory``."""
        return "memory" if self.megabytes else "cpu" if self.cpu else "wall"

    def __str__(self) -> str:
        if self.cpu:
            return f"CPU <= {self.cpu:g}x {self.against}"
        if self.megabytes:
            return f"<= {self.megabytes:g} MB"
        size = f", size <= {self.larger:g}x" if self.larger else ""
        return f"<= {self.times:g}x {self.against}{size}" if self.times else "-"


NO_BAR = Bar()
BARE, ISOLATED = "python -c pass", "python -ISc pass"
TENTH = "a tenth of it"
"""The same work with a tenth of the members."""


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table."""

    name: str
    summary: str
    build: Callable[[Bench], Sequence[Contender]]
    bar: Bar = NO_BAR
    most_runs: int = 1000
    """Even if more are asked for: for what takes minutes."""
    warm_up: bool = True
    quick: bool = True
    """Also part of ``--quick``."""


def _contenders(bench: Bench, names: Sequence[str], prepare: Callable[[str], Prepare]) -> list[Contender]:
    """Those of the tools *names* that take part in this session."""
    here = [name for name in names if name in ("pypm", *bench.peers)]
    return [Contender(name, prepare(name), once=name in ("pip", "poetry")) for name in here]


# -- start-up ----------------------------------------------------------------------------------------


def _start(
    bench: Bench, program: Callable[[], tuple[str, ...]], bare: str, arguments: tuple[str, ...]
) -> list[Contender]:
    here = bench.folder

    def prepare(tool: str) -> Prepare:
        line = (*program(), "version") if tool == "pypm" else (*bench.toolbox.programs[tool], "--version")
        return lambda at: bench.commands(tool, here, [line])

    contenders = _contenders(bench, ("pypm", "uv", "pip", "poetry"), prepare)
    python = (str(bench.toolbox.pypm_python), *arguments)
    contenders.insert(1, Contender(bare, lambda at: bench.commands("pypm", here, [python])))
    return [replace(contender, once=False) for contender in contenders]


def _version(bench: Bench) -> list[Contender]:
    return _start(bench, lambda: bench.toolbox.programs["pypm"], BARE, ("-c", "pass"))


def _launcher(bench: Bench) -> list[Contender]:
    return _start(bench, lambda: (_linked(bench),), ISOLATED, ("-I", "-S", "-c", "pass"))


def _linked(bench: Bench) -> str:
    """A launcher of pypm."""
    folder = bench.fresh("launcher")
    bench.run("pypm", bench.folder, [(*bench.toolbox.programs["pypm"], "self", "link", str(folder))])
    return str(folder / ("pypm.cmd" if os.name == "nt" else "pypm"))


def _plugin(bench: Bench) -> list[Contender]:
    launcher = _linked(bench)
    folder = bench.fresh("plugin")
    folder.mkdir(parents=True)
    (folder / "first.c").write_text(SOURCE)
    library = folder / f"first{'.dylib' if sys.platform == 'darwin' else '.so'}"
    compiler = shutil.which("cc") or "gcc"
    subprocess.run([compiler, "-shared", "-fPIC", folder / "first.c", "-o", library], check=True)
    bench.run("pypm", bench.folder, [(launcher, "plugin", "add", "first", str(library))])
    bare = str(bench.toolbox.pypm_python)
    measured = (bare, str(Path(__file__).with_name("starting.py")), launcher, "first")
    python = (bare, "-I", "-S", "-c", "pass")

    def started(at: int) -> list[Command]:
        return bench.commands("pypm", bench.folder, [measured])

    return [
        Contender("pypm", lambda at: [replace(each, measures=True) for each in started(at)]),
        Contender(ISOLATED, lambda at: bench.commands("pypm", bench.folder, [python])),
    ]


# -- nothing to do -----------------------------------------------------------------------------------


def _no_op(workload: Workload) -> Callable[[Bench], list[Contender]]:
    def build(bench: Bench) -> list[Contender]:
        def prepare(tool: str) -> Prepare:
            def at_once(at: int) -> list[Command]:
                folder = bench.synced(tool, workload)
                # pip's first command makes the environment; it is there.
                return bench.commands(tool, folder, tools.sync(tool, bench.toolbox, workload)[-1:])

            return at_once

        names = ("pypm", "uv", "pip", "poetry") if isinstance(workload, Project) else ("pypm", "uv")
        return _contenders(bench, names, prepare)

    return build


# -- locking -----------------------------------------------------------------------------------------


def _lock(
    workload: Workload,
    names: Sequence[str],
    *,
    cold: bool = False,
    slow: bool = False,
    known: bool = False,
) -> Callable[[Bench], list[Contender]]:
    def build(bench: Bench) -> list[Contender]:
        def prepare(tool: str) -> Prepare:
            def at_once(at: int) -> list[Command]:
                folder = bench.written(tool, workload, slow)
                cache = bench.fresh(f"{tool}-cache") if cold else None
                if not known:
                    bench.forget_answers(tool)
                return bench.commands(tool, folder, tools.lock(tool, bench.toolbox), cache=cache, slow=slow)

            return at_once

        return _contenders(bench, names, prepare)

    return build


def _growth(large: Monorepo, small: Monorepo) -> Callable[[Bench], list[Contender]]:
    """`pypm lock` of *large* beside that of *small*."""

    def build(bench: Bench) -> list[Contender]:
        def prepare(workload: Monorepo) -> Prepare:
            def at_once(at: int) -> list[Command]:
                folder = bench.written("pypm", workload)
                bench.forget_answers("pypm")
                return bench.commands("pypm", folder, tools.lock("pypm", bench.toolbox))

            return at_once

        return [Contender("pypm", prepare(large)), Contender(TENTH, prepare(small))]

    return build


def _relock(workload: Workload, names: Sequence[str]) -> Callable[[Bench], list[Contender]]:
    def build(bench: Bench) -> list[Contender]:
        def prepare(tool: str) -> Prepare:
            def at_once(at: int) -> list[Command]:
                folder = bench.locked(tool, workload)
                # Once before the edit: whatever the tool keeps beside the manifests is there then.
                bench.run(tool, folder, tools.lock(tool, bench.toolbox))
                add_dependency(workload, folder, ADDED)
                bench.forget_answers(tool)
                return bench.commands(tool, folder, tools.lock(tool, bench.toolbox))

            return at_once

        return _contenders(bench, names, prepare)

    return build


def _lock_again(workload: Workload, *options: str) -> Callable[[Bench], list[Contender]]:
    def build(bench: Bench) -> list[Contender]:
        def prepare(tool: str) -> Prepare:
            def at_once(at: int) -> list[Command]:
                folder = bench.locked(tool, workload)
                (line,) = tools.lock(tool, bench.toolbox)
                # Once before: whatever the tool keeps beside the manifests is there then.
                bench.run(tool, folder, [line])
                return bench.commands(tool, folder, [(*line, *options)])

            return at_once

        return _contenders(bench, _BOTH, prepare)

    return build


# -- staying -----------------------------------------------------------------------------------------


def _stay(workload: Monorepo, kind: str, edits: int) -> Callable[[Bench], list[Contender]]:
    """A pypm that stays beside `uv lock` run for the same edit."""

    def build(bench: Bench) -> list[Contender]:
        script = str(Path(__file__).with_name("staying.py"))

        def stay(at: int) -> list[Command]:
            folder = bench.locked("pypm", workload)
            bench.run("pypm", folder, tools.lock("pypm", bench.toolbox))
            manifest = str(edited_manifest(workload, folder))
            words: tuple[str, ...]
            if kind == "resident":
                words = (kind, manifest, ADDED, str(edits))
            else:
                given = (str(edits),) if kind == "idle" else (manifest, "pypm.lock", ADDED, str(edits))
                words = (kind, *given, "--", *bench.toolbox.programs["pypm"], "watch", "--json")
            line = (str(bench.toolbox.pypm_python), script, *words)
            return [replace(each, measures=True) for each in bench.commands("pypm", folder, [line])]

        contenders = [Contender("pypm", stay)]
        if kind in ("watch", "resident"):
            contenders += [each for each in _relock(workload, _BOTH)(bench) if each.name == "uv"]
        return contenders

    return build


# -- installing --------------------------------------------------------------------------------------


def _install(
    workload: Workload,
    *,
    cold: bool = False,
    slow: bool = False,
    first_import: bool = False,
    new: bool = False,
) -> Callable[[Bench], list[Contender]]:
    """A new environment. *new*: of a project, too, that was never installed on this machine."""

    def build(bench: Bench) -> list[Contender]:
        def prepare(tool: str) -> Prepare:
            def at_once(at: int) -> list[Command]:
                if not cold:
                    bench.synced(tool, workload)
                if new:
                    bench.forget_recipes(tool)
                folder = bench.locked(tool, workload, slow)
                cache = bench.fresh(f"{tool}-cache") if cold else None
                lines = tools.sync(tool, bench.toolbox, workload, compile_bytecode=first_import)
                if first_import:
                    lines = [*lines, (str(venv_python(folder)), "-c", FIRST_IMPORT)]
                return bench.commands(tool, folder, lines, cache=cache, slow=slow)

            return at_once

        return _contenders(bench, ("pypm", "uv", "pip", "poetry"), prepare)

    return build


def _unpack(workload: Project, *, extra: bool) -> Callable[[Bench], list[Contender]]:
    """A new environment from wheels that are on this machine, of which none was ever unpacked; with or
    without the *extra* library that unpacks."""

    def build(bench: Bench) -> list[Contender]:
        def prepare(tool: str) -> Prepare:
            def at_once(at: int) -> list[Command]:
                _, wheels = bench.wheels(workload)
                folder = bench.locked(tool, workload)
                cache = bench.packed_cache() if tool == "pypm" else bench.fresh(f"{tool}-cache")
                lines = tools.unpack(tool, bench.toolbox, workload, wheels)
                if tool == "pypm" and not extra:
                    lines = [tools.with_zlib_alone(bench.toolbox, line) for line in lines]
                return bench.commands(tool, folder, lines, cache=cache)

            return at_once

        return _contenders(bench, _BOTH, prepare)

    return build


def _one_farm(workload: Workload) -> Callable[[Bench], list[Contender]]:
    """An environment of links into the store, where uv makes one of hard links."""

    def build(bench: Bench) -> list[Contender]:
        def prepare(tool: str) -> Prepare:
            def at_once(at: int) -> list[Command]:
                bench.synced(tool, workload)
                folder = bench.locked(tool, workload)
                (line,) = tools.sync(tool, bench.toolbox, workload)
                if tool == "pypm":
                    line = (*line, "--link-mode", "farm")
                return bench.commands(tool, folder, [line])

            return at_once

        return _contenders(bench, ("pypm", "uv"), prepare)

    return build


def _sandbox(monorepo: Monorepo) -> Callable[[Bench], list[Contender]]:
    """A command in an environment of one member alone; it ran there before."""
    member = member_names(monorepo.members)[-1]

    def build(bench: Bench) -> list[Contender]:
        folders: dict[str, Path] = {}

        def prepare(tool: str) -> Prepare:
            line = tools.isolated(tool, bench.toolbox, member, ("true",))

            def at_once(at: int) -> list[Command]:
                if tool not in folders:
                    folders[tool] = bench.locked(tool, monorepo)
                    bench.run(tool, folders[tool], [line])
                return bench.commands(tool, folders[tool], [line])

            return at_once

        return _contenders(bench, ("pypm", "uv"), prepare)

    return build


def _each(monorepo: Monorepo, *, again: bool = False) -> Callable[[Bench], list[Contender]]:
    """An environment for each member, made, or (*again*) there already; the cache is warm, all is locked."""
    members = member_names(monorepo.members)

    def commands(bench: Bench, tool: str, folder: Path) -> list[Command]:
        lines = tools.sync_each(tool, bench.toolbox, members)
        made = [replace(each, makes=folder / "packages") for each in bench.commands(tool, folder, lines)]
        if tool != "uv":
            return made
        return [
            replace(command, env={**command.env, **tools.each_environment(folder, member)})
            for command, member in zip(made, members, strict=True)
        ]

    def build(bench: Bench) -> list[Contender]:
        def ready(tool: str) -> Path:
            key = (tool, f"{monorepo.name}-each")
            if key not in bench.ready:
                folder = bench.locked(tool, monorepo)
                bench.stopwatch.run(commands(bench, tool, folder))
                bench.ready[key] = folder
            return bench.ready[key]

        def prepare(tool: str) -> Prepare:
            def at_once(at: int) -> list[Command]:
                folder = ready(tool)
                return commands(bench, tool, folder if again else bench.locked(tool, monorepo))

            return at_once

        return _contenders(bench, ("pypm", "uv"), prepare)

    return build


def _first_sync(monorepo: Monorepo) -> Callable[[Bench], list[Contender]]:
    """Members that were never built; what they depend on, and their backend, are in the warm cache."""

    def build(bench: Bench) -> list[Contender]:
        def prepare(tool: str) -> Prepare:
            def at_once(at: int) -> list[Command]:
                bench.synced(tool, Monorepo(100, "flit"))
                salted = replace(monorepo, salt=f"run {bench.numbers}")
                folder = bench.written(tool, salted)
                bench.run(tool, folder, tools.lock(tool, bench.toolbox))
                # The next case finds this environment with nothing left to do.
                bench.ready[tool, monorepo.name] = folder
                return bench.commands(tool, folder, tools.sync(tool, bench.toolbox, salted))

            return at_once

        return _contenders(bench, ("pypm", "uv"), prepare)

    return build


# -- bundles -----------------------------------------------------------------------------------------


def _bundle(workload: Project, peer: str, ending: str, *options: str) -> Callable[[Bench], list[Contender]]:
    """An archive of what is locked and in the cache, as pypm makes it with *options*, beside the one of
    *peer*, whose name has the *ending*."""

    def build(bench: Bench) -> list[Contender]:
        folder, wheels = bench.wheels(workload)

        def prepare(tool: str) -> Prepare:
            def at_once(at: int) -> list[Command]:
                file = bench.fresh(f"{tool}-bundle").with_suffix(".tar.gz" if tool == "pypm" else ending)
                line = tools.pack(tool, bench.toolbox, workload, wheels, file)
                more = options if tool == "pypm" else ()
                return [replace(each, makes=file) for each in bench.commands(tool, folder, [(*line, *more)])]

            return at_once

        return _contenders(bench, ("pypm", peer), prepare)

    return build


_ALL = ("pypm", "uv", "pip", "poetry")
_BOTH = ("pypm", "uv")
_100, _1000 = Monorepo(100), Monorepo(1000)
_20_WEB = Monorepo(20, everybody=WEB)
"""Twenty members that all ask for the web project's packages."""

CASES: tuple[Case, ...] = (
    Case(
        "version",
        "start-up: `pypm version` beside a bare interpreter of its own environment",
        _version,
        Bar(1.2, BARE),
    ),
    Case("launcher", "start-up through the launcher of `pypm self link`", _launcher, Bar(1.2, ISOLATED)),
    Case("plugin", "a plugin's first instruction, through the launcher", _plugin, Bar(1.3, ISOLATED)),
    Case("noop-1", "sync with nothing to do, one project (web)", _no_op(WEB_PROJECT)),
    Case("noop-100", "sync with nothing to do, 100 members", _no_op(_100), Bar(0.8)),
    Case("lock-warm-web", "lock, warm cache, no lock file: web", _lock(WEB_PROJECT, _ALL), Bar(1.3)),
    Case(
        "lock-warm-airflow",
        "the same: web and apache-airflow",
        _lock(AIRFLOW_PROJECT, _BOTH),
        Bar(1.3),
        quick=False,
    ),
    Case("lock-warm-100", "the same: 100 members", _lock(_100, _BOTH), Bar(1.3)),
    Case(
        "lock-known-web",
        "the same, locked before on this machine: web",
        _lock(WEB_PROJECT, _BOTH, known=True),
        Bar(1.3),
    ),
    Case(
        "lock-known-airflow",
        "the same: web and apache-airflow",
        _lock(AIRFLOW_PROJECT, _BOTH, known=True),
        Bar(1.3),
        quick=False,
    ),
    Case(
        "relock-web",
        "lock again after one dependency was added: web",
        _relock(WEB_PROJECT, ("pypm", "uv", "poetry")),
    ),
    Case("relock-100", "the same: one of 100 members", _relock(_100, _BOTH), Bar(1.0)),
    Case(
        "watch-100",
        "the same through `pypm watch`, from the manifest's rename to the lock's: 100 members",
        _stay(_100, "watch", 12),
        Bar(0.5),
    ),
    Case(
        "resident-100",
        "the same in a process that stays, without the watching: 100 members",
        _stay(_100, "resident", 12),
        Bar(0.25),
    ),
    Case(
        "watch-soak",
        "how much the memory of `pypm watch` grows over 800 edits after the first 200: 100 members",
        _stay(_100, "soak", 1000),
        Bar(megabytes=10),
        most_runs=1,
        warm_up=False,
        quick=False,
    ),
    Case(
        "watch-idle",
        "what `pypm watch` uses in 20 s in which nothing happens (CPU): 100 members",
        _stay(_100, "idle", 20),
        most_runs=1,
        warm_up=False,
    ),
    Case("lock-cold", "lock, empty cache: web", _lock(WEB_PROJECT, _ALL, cold=True), Bar(1.5)),
    Case(
        "lock-cold-slow",
        "the same, index with latency",
        _lock(WEB_PROJECT, _BOTH, cold=True, slow=True),
        Bar(1.0),
    ),
    Case(
        "lock-cold-airflow",
        "lock, empty cache: web and apache-airflow",
        _lock(AIRFLOW_PROJECT, _BOTH, cold=True),
        Bar(1.5),
        quick=False,
    ),
    Case("install-warm", "sync, warm cache, locked, no .venv: web", _install(WEB_PROJECT), Bar(0.9)),
    Case("install-new", "the same, project never installed here", _install(WEB_PROJECT, new=True)),
    Case("install-cold", "sync, empty cache, locked: web", _install(WEB_PROJECT, cold=True), Bar(1.2)),
    Case(
        "install-cold-slow",
        "the same, index with latency",
        _install(WEB_PROJECT, cold=True, slow=True),
        Bar(1.2),
    ),
    Case(
        "first-import",
        f"warm sync, then `{FIRST_IMPORT}`",
        _install(WEB_PROJECT, first_import=True),
        Bar(0.5),
    ),
    Case(
        "unpack",
        "sync, wheels in the cache but none unpacked: web",
        _unpack(WEB_PROJECT, extra=True),
        Bar(0.6),
    ),
    Case(
        "unpack-zlib",
        "the same, with the standard library's zlib",
        _unpack(WEB_PROJECT, extra=False),
        Bar(0.9),
    ),
    Case("farm-one", "one farm environment, warm cache, locked: web", _one_farm(WEB_PROJECT), Bar(0.2)),
    Case(
        "each-20",
        "20 members, 117 packages, an environment for each, warm cache, locked: all made",
        _each(_20_WEB),
        Bar(0.3, larger=1.0),
        most_runs=3,
    ),
    Case("each-20-noop", "the same, nothing to do", _each(_20_WEB, again=True), Bar(0.1)),
    Case(
        "sandbox",
        "`sandbox -p MEMBER -- true`, `uv run --isolated`, 117 packages",
        _sandbox(_20_WEB),
        Bar(0.4),
    ),
    Case(
        "first-sync-100",
        "first sync of 100 editable members (flit)",
        _first_sync(_100),
        Bar(0.2),
        most_runs=3,
    ),
    Case(
        "first-sync-100-hatchling",
        "the same (hatchling)",
        _first_sync(Monorepo(100, "hatchling")),
        Bar(0.2),
        most_runs=3,
        quick=False,
    ),
    Case(
        "first-sync-100-setuptools",
        "the same (setuptools)",
        _first_sync(Monorepo(100, "setuptools")),
        Bar(0.2),
        most_runs=3,
        quick=False,
    ),
    Case(
        "memory-1000",
        "lock, warm cache, no lock file: 1,000 members",
        _lock(_1000, _BOTH),
        Bar(megabytes=300),
        most_runs=3,
        quick=False,
    ),
    Case(
        "lock-growth",
        "the same beside 100 members",
        _growth(_1000, _100),
        Bar(cpu=8, against=TENTH),
        most_runs=3,
        quick=False,
    ),
    Case(
        "first-sync-1000",
        "first sync of 1,000 editable members (flit)",
        _first_sync(_1000),
        Bar(0.1),
        most_runs=1,
        warm_up=False,
        quick=False,
    ),
    Case("noop-1000", "sync with nothing to do, 1,000 members", _no_op(_1000), Bar(0.5), quick=False),
    Case(
        "lock-noop-1000",
        "lock with nothing to do, 1,000 members",
        _lock_again(_1000),
        Bar(0.7),
        quick=False,
    ),
    Case(
        "lock-check-1000",
        "`lock --check`, 1,000 members",
        _lock_again(_1000, "--check"),
        Bar(0.7),
        quick=False,
    ),
    Case(
        "bundle",
        "an archive of numpy, pandas, cryptography and lxml, warm cache, locked",
        _bundle(BUNDLED_PROJECT, "pex", ".pex", "--no-interpreter"),
        Bar(0.5, "pex", larger=1.05),
    ),
    Case(
        "bundle-whole",
        "the same with the interpreter; venv-pack has a link to it",
        _bundle(BUNDLED_PROJECT, "venv-pack", ".tar.gz"),
    ),
)
"""In the order of the table. Later ones use environments that earlier ones left ready, if those ran."""

__all__ = ["CASES", "MEGABYTE", "Bar", "Bench", "Case", "venv_python"]
