"""Twenty awkward packages as they are published work in a farm as they do in a linked environment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kit.transcripts import run

pytestmark = [
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="needs symbolic links"),
]

# Compiled, namespaces of all kinds, data beside modules and outside site-packages, programs in wheels,
# plug-ins by entry points, who looks for files of their own, and who rewrites, traces or serves others.
PACKAGES = (
    "numpy", "pandas", "scikit-learn", "matplotlib", "zope.interface", "zope.component", "google-api-core",
    "azure-core", "ruamel.yaml", "lxml", "certifi", "tzdata", "babel", "sphinx", "django", "cmake", "ninja",
    "ruff", "mypy", "pytest-cov", "debugpy", "ipython", "jupyterlab-server", "setuptools<81", "pip",
    "virtualenv",
)  # fmt: skip
IMPORTS = (
    "numpy", "pandas", "sklearn.linear_model", "matplotlib.pyplot", "mpl_toolkits.mplot3d", "zope.interface",
    "zope.component", "google.api_core", "azure.core", "ruamel.yaml", "lxml.etree", "django.contrib.admin",
    "cmake", "ninja", "debugpy", "IPython", "pkg_resources", "jupyterlab_server",
)  # fmt: skip
LOOKS = {
    "every listed file is there": "assert all(f.locate().exists() or str(f).endswith('.pyc')"
    " for d in m.distributions() for f in d.files)",
    "names of packages": "assert {'numpy','google','zope','sklearn','_pytest','PIL','pkg_resources'}"
    " <= set(m.packages_distributions())",
    "parts of namespaces": "import zope; assert {'interface','component'}"
    " <= {i.name for i in pkgutil.iter_modules(zope.__path__)}",
    "data beside modules": "import certifi; assert open(certifi.where()).read()",
    "time zones": "import importlib.resources as r; assert (r.files('tzdata') / 'zoneinfo/UTC').is_file()",
    "languages": "import babel; assert babel.Locale('de').english_name == 'German'",
    "headers": "import numpy; assert os.path.isfile(numpy.get_include() + '/numpy/arrayobject.h')",
    "entry points": "[e.load() for e in m.entry_points(group='pytest11')]",
}
COMMANDS = (
    "ruff --version", "mypy --version", "cmake --version", "ninja --version", "pip check", "pip list",
    "pip show -f numpy", "virtualenv --version", "django-admin --version", "sphinx-build --version",
    "f2py --version", "pybabel --version",
)  # fmt: skip


@pytest.mark.parametrize("mode", ["farm", "hardlink"])
def test_they_work(tmp_path: Path, mode: str) -> None:
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PYPM_", "PYP_"))}
    environ.pop("PYTHONPATH", None)
    asked = "".join(f'    "{name}",\n' for name in PACKAGES)
    (tmp_path / "pyproject.toml").write_text(
        f'[project]\nname = "all"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = [\n{asked}]\n'
    )
    made = run(["pypm", "sync", "-q", "--link-mode", mode], tmp_path, environ)
    assert made.returncode == 0, made.stdout
    programs = tmp_path / ".venv" / "bin"
    failed: dict[str, str] = {}

    def attempt(what: str, *argv: str, **more: str) -> str:
        ended = subprocess.run(
            [programs / argv[0], *argv[1:]], cwd=tmp_path, env=environ | more, capture_output=True, text=True
        )
        if ended.returncode:
            failed[what] = (ended.stdout + ended.stderr)[-600:]
        return ended.stdout

    for module in IMPORTS:
        attempt(f"import {module}", "python", "-c", f"import {module}", MPLBACKEND="Agg")
    for what, code in LOOKS.items():
        attempt(what, "python", "-c", f"import importlib.metadata as m, os, pkgutil; {code}")
    for command in COMMANDS:
        attempt(command, *command.split())
    (tmp_path / "pkg.py").write_text("def f(a: int) -> int:\n    return a + 1\n")
    (tmp_path / "test_pkg.py").write_text(
        "import sys, pkg\n"
        "def test_f(): assert pkg.f(1) == 2\n"
        "def test_rewriting():\n"
        "    hooks = [h for h in sys.meta_path if type(h).__name__ == 'AssertionRewritingHook']\n"
        "    assert 'pytest_cov' in hooks[0]._must_rewrite\n"
    )
    told = attempt("pytest", "python", "-m", "pytest", "-q", "--cov=pkg", "test_pkg.py")
    assert "100%" in told or "pytest" in failed
    attempt("mypy", "mypy", "--strict", "pkg.py")
    assert not failed, "\n".join(f"{what}: {text}" for what, text in failed.items())
