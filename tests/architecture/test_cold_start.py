"""What a run imports is pinned, because imports are most of what a short run costs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
    return set(done.stderr.rsplit("@@", 1)[1].split())


@pytest.mark.parametrize(
    "arguments", [["version"], ["--version"], ["--help"], ["help"], [], ["snyc"], ["--nonsense"]], ids=repr
)
def test_version_help_and_mistyped_verbs_import_next_to_nothing(arguments: list[str]) -> None:
    loaded = modules_after(f"from pypm._entry import main; main({arguments!r})")
    assert len(loaded) <= 10, sorted(loaded)
    assert not loaded & HEAVY


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
