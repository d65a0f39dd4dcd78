"""What a warm sandbox loads is pinned: a shell that opens at once is what it is for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kit.wheels import make_project

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [str(p / "src") for p in [*ROOT.glob("packages/*"), *ROOT.glob("tools/*")] if (p / "src").is_dir()]
UNUSED = {
    "argparse",
    "bz2",
    "concurrent.futures",
    "ctypes",
    "hashlib",
    "json",
    "packaging",
    "pydantic",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "tomllib",
    "pypm.ops.opening",
    "pypm.ops.sandboxing.environment",
    "pypm.ops.tools",
    "pypm_env.finding",
    "pypm_env.sandbox.landlock",
    "pypm_env.sandbox.linux",
    "pypm_env.sandbox.namespaces",
    "pypm_model.locks",
    "pypm_store.leases",
    "pypm_store.store",
    "pypm_workspace.discover",
}
"""What looking at a workspace, making an environment and walls need."""
_SCRIPT = """
import sys
sys.path[:0] = {sources!r}
from pypm._entry import main
code = main({arguments!r})
print("@@", *sorted(sys.modules))
sys.exit(code)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there a process is started in another way")
def test_a_warm_sandbox_loads_what_starts_a_process(tmp_path: Path) -> None:
    root = tmp_path / "ws"
    make_project(root / "packages" / "a", "a", "1.0", backend="in-tree")
    (root / "pypm-workspace.toml").write_text('[workspace]\nmembers = ["packages/*"]\n', encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYPM_", "PYP_"))}
    environ = {
        **kept,
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "PYPM_CACHE_DIR": str(tmp_path / "cache"),
        "PYPM_OFFLINE": "1",
        "PYPM_BACKGROUND_COMPILE": "0",
    }

    def modules(*arguments: str) -> set[str]:
        script = _SCRIPT.format(sources=SOURCES, arguments=["sandbox", "-p", "a", *arguments])
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=root, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return set(done.stdout.rpartition("@@")[2].split())

    cold = modules("--", "true")
    assert "pypm_workspace.discover" in cold and "pypm_store.store" in cold
    warm = modules("--", "python", "-c", "import a")
    assert "pypm_env.sandbox.session" in warm
    assert not warm & UNUSED, sorted(warm & UNUSED)
    ours = {name for name in warm if name.startswith("pypm")}
    assert len(ours) <= 40, sorted(ours)
