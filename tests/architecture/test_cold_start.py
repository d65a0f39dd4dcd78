"""What a run imports is pinned, because imports are most of what a short run costs."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from kit.plugins import COMPILER, compile_library, exits
from pypm_plugins.adding import Origin, put, staged

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [str(p / "src") for p in [*ROOT.glob("packages/*"), *ROOT.glob("tools/*")] if (p / "src").is_dir()]
HEAVY = {
    "asyncio",
    "click",
    "httpx",
    "json",
    "logging",
    "networkx",
    "packaging",
    "pathlib",
    "pydantic",
    "re",
    "rich",
    "rtoml",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "tomlkit",
    "tomllib",
    "typing",
    "urllib",
}


def modules_after(code: str, cwd: Path = ROOT) -> set[str]:
    """Modules loaded when *code* has run in an isolated interpreter without site."""
    return set(_after(code, cwd).rsplit("@@", 1)[1].split())


def told(code: str, cwd: Path) -> str:
    """What *code* says on stderr, run in the same way."""
    return _after(code, cwd).rsplit("@@", 1)[0].strip()


def _after(code: str, cwd: Path) -> str:
    script = (
        "import sys\n"
        f"sys.path[:0] = {SOURCES!r}\n"
        "before = set(sys.modules)\n"
        f"{code}\n"
        "after = set(sys.modules) - before\n"
        "sys.stderr.write('\\n@@' + ' '.join(sorted(after)))\n"
    )
    # As a user's shell has it: a task that pypm runs, as these tests are, is told its workspace.
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYPM_", "PYP_"))}
    argv = [sys.executable, "-I", "-S", "-c", script]
    done = subprocess.run(argv, cwd=cwd, env=environ, capture_output=True, text=True, check=True)
    return done.stderr


@pytest.mark.parametrize(
    "arguments", [["version"], ["--version"], ["--help"], ["help"], [], ["snyc"], ["--nonsense"]], ids=repr
)
def test_version_help_and_mistyped_verbs_import_next_to_nothing(arguments: list[str], tmp_path: Path) -> None:
    # Not in this repository: a mistyped verb looks for plugins, and reads the pins of a workspace once.
    loaded = modules_after(f"from pypm._entry import main; main({arguments!r})", tmp_path)
    assert len(loaded) <= 10, sorted(loaded)
    assert not loaded & HEAVY


@pytest.mark.parametrize("line", ["lock --check", "memory peek s k", "why a", "mcp --help", "help mcp"])
def test_nobody_loads_what_only_agents_need(line: str, tmp_path: Path) -> None:
    """The SDK takes longer to load than most commands to run; the face for agents comes with it."""
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'a'\nversion = '1'\n", encoding="utf-8")
    site = sysconfig.get_path("purelib")
    code = f"sys.path.append({site!r}); from pypm._entry import main; main({line.split()!r})"
    loaded = modules_after(
        f"import os; os.environ['PYPM_HOME'] = os.environ['PYPM_CACHE_DIR'] = '.'; {code}", tmp_path
    )
    assert "pypm.cli.main" in loaded
    ours = {name for name in loaded if name.startswith("pypm.mcp")} - {"pypm.mcp", "pypm.mcp.errors"}
    assert not ours and not {
        name for name in loaded if name.partition(".")[0] in ("mcp", "mcp_types", "anyio")
    }
    assert "mcp" in line or "pypm.mcp" not in loaded


def test_a_sync_with_nothing_to_do_imports_no_parser(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    manifest = tmp_path / "pyproject.toml"
    manifest.write_text("[project]\nname = 'a'\nversion = '1'\n", encoding="utf-8")
    status = manifest.stat()
    write = (
        "from pypm._stamp import key_of, write\n"
        f"write({str(tmp_path)!r}, key_of([]), 'Nothing to do', "
        f"[('pyproject.toml', {status.st_mtime_ns}, {status.st_size}, {status.st_ino})], [], [])"
    )
    modules_after(write, tmp_path)
    loaded = modules_after("from pypm._entry import main; assert main(['sync']) == 0", tmp_path)
    assert "pypm._stamp" in loaded and "pypm.cli.main" not in loaded
    assert len(loaded) <= 25, sorted(loaded)
    assert not loaded & HEAVY


STARTED = """
import os, sys
def started(program, argv, environ):
    sys.stderr.write("started %s %s\\n" % (program, argv[1:]))
    raise SystemExit
os.execve = started
from pypm._entry import main
try:
    main({arguments!r})
except SystemExit:
    pass
"""
"""A command line whose command is told rather than started."""


@pytest.fixture
def in_step(tmp_path: Path) -> Path:
    """A project whose environment is in step by its stamp, and that of a member beside it; its tasks are
    known."""
    for folder in (tmp_path / ".venv" / "bin", tmp_path / "m" / ".venv" / "bin"):
        folder.mkdir(parents=True)
        (folder / "tool").write_text("#!/bin/sh\n", encoding="utf-8")
        (folder / "tool").chmod(0o755)
    manifest = tmp_path / "pyproject.toml"
    manifest.write_text("[project]\nname = 'a'\nversion = '1'\n", encoding="utf-8")
    status = manifest.stat()
    seen = f"[('pyproject.toml', {status.st_mtime_ns}, {status.st_size}, {status.st_ino})], [], []"
    root = str(tmp_path)
    write = (
        "from pypm._stamp import key_of, write\n"
        "from pypm._tasks import NAME, Alone, key, to_text\n"
        f"write({root!r}, key_of([]), 'Nothing to do', {seen}, environments=['.venv'])\n"
        f"write({root!r}, key_of(['-p', 'm']), '', {seen}, environments=['m/.venv'], of_members=True)\n"
        f"tasks = {{'lint': Alone('a:lint', 'tool .', {root!r}, {{'X': '1'}}), 'all': None}}\n"
        f"write({root!r}, key(), to_text(tasks), {seen}, name=NAME)"
    )
    modules_after(write, tmp_path)
    return tmp_path


@pytest.mark.skipif(os.name == "nt", reason="a process cannot be replaced there")
@pytest.mark.parametrize(
    ("arguments", "started", "more"),
    [
        (["exec", "tool", "-x"], "{venv}/bin/tool ['-x']", {"pypm._command"}),
        (["exec", "-q", "-p", "m", "--", "tool"], "{root}/m/.venv/bin/tool []", {"pypm._command"}),
        (["-q", "exec", "--member=m", "tool"], "{root}/m/.venv/bin/tool []", {"pypm._command"}),
        (["run", "tool", "-x"], "{venv}/bin/tool ['-x']", {"pypm._command", "pypm._tasks"}),
        (["run", "-q", "lint", "-x", "a b"], "/bin/sh ['-c', \"tool . -x 'a b'\"]", {"pypm._tasks"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_with_nothing_to_do_imports_no_more(
    in_step: Path, arguments: list[str], started: str, more: set[str]
) -> None:
    loaded = modules_after(STARTED.format(arguments=arguments), in_step)
    assert more | {"pypm._stamp"} <= loaded and "pypm.cli.main" not in loaded
    assert len(loaded) <= 25, sorted(loaded)
    assert not loaded & HEAVY
    assert told(STARTED.format(arguments=arguments), in_step) == "started " + started.format(
        root=in_step, venv=in_step / ".venv"
    )


@pytest.mark.skipif(os.name == "nt", reason="a process cannot be replaced there")
@pytest.mark.parametrize(
    "arguments",
    [
        ["exec", "none-such"],
        ["exec", "-p", "m...", "tool"],
        ["exec", "-p", "m", "-p", "n", "tool"],
        ["exec", "--nonsense", "tool"],
        ["exec", "--group"],
        ["run", "all"],
        ["run", "-p", "m", "lint"],
        ["run", "-j2", "lint"],
        ["run", "some.py"],
    ],
    ids=" ".join,
)
def test_what_is_unusual_takes_the_long_way(in_step: Path, arguments: list[str]) -> None:
    assert "pypm.cli.main" in modules_after(STARTED.format(arguments=arguments), in_step)


def test_no_process_is_replaced_where_that_cannot_be(in_step: Path) -> None:
    code = STARTED.replace("import os, sys", "import os, sys\nos.name = 'nt'")
    code = code.replace("from pypm._entry import main", "from pypm import _command, _tasks")
    code = code.replace("main({arguments!r})", "_command.become(['tool'])\n    _tasks.become(['lint'])")
    assert told(code, in_step) == ""


NO_PART = (
    "pypm_resolver",
    "pypm_index",
    "pypm_env.apply",
    "pypm_model.lock_text",
    "pypm.ops.locking",
    "pypm.ops.syncing",
    "networkx",
    "pydantic",
    "sqlite3",
)
"""What reading the workspace has no part in."""


@pytest.mark.parametrize("verb", ["exec", "run", "ls"])
def test_verbs_load_what_syncs_and_locks_only_to_do_so(verb: str) -> None:
    loaded = modules_after(
        "import site; site.main()\n"
        f"from pypm.cli.verbs.{verb} import command\n"
        "from pypm.ops import execute, members\n"
    )
    assert "pypm_workspace.discover" in loaded
    assert not [name for name in loaded if name.startswith(NO_PART)], sorted(loaded)


def test_a_plugin_is_started_with_next_to_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if COMPILER is None or not sys.platform.startswith("linux"):
        pytest.skip("a library is made, and run in a fork")
    library = compile_library(exits(3), tmp_path / "one.so")
    with staged("one", "one.so", lambda: [library.read_bytes()]) as made:
        put(tmp_path / ".pypm", "one", made, Origin(str(library)))
    monkeypatch.setenv("HOME", str(tmp_path))
    for words in (["one", "a"], ["plugin", "run", "one"]):
        loaded = modules_after(f"from pypm._entry import main; assert main({words!r}) == 3", tmp_path)
        assert len(loaded) <= 14 and not loaded & HEAVY, sorted(loaded)
