"""What an install from a warm store loads is pinned: imports are half of what a run that only links costs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kit.index_server import IndexServer
from kit.wheels import make_wheel

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [str(p / "src") for p in [*ROOT.glob("packages/*"), *ROOT.glob("tools/*")] if (p / "src").is_dir()]

UNUSED = {
    "_hashlib",
    "concurrent.futures",
    "csv",
    "ctypes",
    "http.client",
    "logging",
    "packaging",
    "sqlite3",
    "ssl",
    "subprocess",
    "zipfile",
    "pypm_env.asking",
    "pypm_env.compiling",
    "pypm_index.catalog",
    "pypm_store.archive",
    "pypm_store.archive_rules",
    "pypm_store.metadata_cache",
    "pypm_store.unpacking",
    "pypm_store.upkeep",
}
"""What fetching, unpacking, resolving, starting interpreters and compiling need."""

LONG_WAY = {"rtoml", "pypm.ops.sync", "pypm_env.finding", "pypm_model.locks", "pypm_workspace.discover"}
"""What reading manifests and the lock needs: a sync that was done before in the same way reads neither."""

LINKING = {
    "pypm",
    "pypm._again",
    "pypm._entry",
    "pypm._recipe",
    "pypm._stamp",
    "pypm._stamp_rows",
    "pypm._verbs",
    "pypm.cli",
    "pypm.cli.render",
    "pypm.cli.render.style",
    "pypm_audit",
    "pypm_audit.places",
    "pypm_env",
    "pypm_env.from_blueprint",
    "pypm_env.own_files",
    "pypm_env.probe_key",
    "pypm_env.record_hash",
    "pypm_model",
    "pypm_model.digests",
    "pypm_model.later",
    "pypm_store",
    "pypm_store.atomic",
    "pypm_store.boot",
    "pypm_store.forking",
    "pypm_store.lease_file",
    "pypm_store.locations",
    "pypm_store.lock_file",
    "pypm_store.looking",
    "pypm_store.manifest",
    "pypm_store.open_folder",
    "pypm_store.shared_work",
}
"""All of the house that an environment made once more needs."""
HEAVY = {"collections", "contextlib", "enum", "functools", "json", "pathlib", "re", "struct", "typing"}

_SCRIPT = """
import sys
before = set(sys.modules)
sys.path[:0] = {sources!r}
from pypm._entry import main
code = main(["sync", "-q", *sys.argv[1:]])
print(*sorted(set(sys.modules) - before), file=sys.stdout)
sys.exit(code)
"""


def _sync(folder: Path, environ: dict[str, str], *options: str) -> set[str]:
    # With site: its packages are pypm's own requirements.
    command = [sys.executable, "-c", _SCRIPT.format(sources=SOURCES), *options]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return set(done.stdout.split())


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="launchers for Windows are zip files")
def test_an_install_from_a_warm_store_loads_only_what_links(tmp_path: Path) -> None:
    wheels, project = tmp_path / "wheels", tmp_path / "project"
    make_wheel(wheels, "acme", "1.0", entry_points={"console_scripts": {"acme": "acme:main"}})
    project.mkdir()
    manifest = '[project]\nname = "web"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["acme"]\n'
    (project / "pyproject.toml").write_text(manifest, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYPM_", "PYP_"))}
    cache, home = str(tmp_path / "cache"), str(tmp_path)
    with IndexServer(wheels) as index:
        environ = {
            **kept,
            "HOME": home,
            "PYPM_CACHE_DIR": cache,
            "PYPM_INDEX_URL": index.url,
            "PYPM_PYTHON": getattr(sys, "_base_executable", sys.executable),
            "PYPM_BACKGROUND_COMPILE": "0",
        }
        cold = _sync(project, environ)
        assert "pypm_store.unpacking" in cold and "pypm_env.asking" in cold
        shutil.rmtree(project / ".venv")
        again = _sync(project, environ)
        shutil.rmtree(project / ".venv")
        linked: set[str] = set()
        for options in (["--compile"], [], []):
            linked = _sync(project, environ, *options)
            shutil.rmtree(project / ".venv")
        (recipes,) = (tmp_path / "cache").rglob("recipes")
        shutil.rmtree(recipes)
        shutil.rmtree(recipes.with_name("blueprints"))
        warm = _sync(project, environ)
    assert (project / ".venv" / "bin" / "acme").exists()
    assert "pypm_store.linking" in warm
    assert not warm & UNUSED, sorted(warm & UNUSED)
    assert not again & (UNUSED | LONG_WAY), sorted(again & (UNUSED | LONG_WAY))
    assert {name for name in linked if name.split(".")[0].startswith("pypm")} == LINKING
    assert not linked & HEAVY
