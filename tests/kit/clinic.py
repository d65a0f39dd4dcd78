"""One check at a time, on a machine that has nothing: an empty home, an index on loopback."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from kit.transcripts import environment
from pypm.ops.doctor.checks import CHECKS
from pypm.ops.doctor.examine import look
from pypm.ops.doctor.finding import Finding
from pypm.ops.doctor.patient import Once, Patient
from pypm.ops.world import World
from pypm_env.interpreters import Interpreter
from pypm_model.records import replace

NAMED = {check.name: check for check in CHECKS}


class Clinic:
    """A home, a workspace's folder, the variables of a shell; and the checks. *known* is a folder with what
    interpreters said before: starting them takes most of a check's time."""

    def __init__(self, folder: Path, known: Path | None = None) -> None:
        self.home = folder / "home"
        self.root = folder / "work"
        self.home.mkdir()
        self.root.mkdir()
        self.environ = environment(self.home, "http://127.0.0.1:9/simple/")
        if known is not None:
            shutil.copytree(known, self.home / "cache" / "v1" / "interpreters")
        for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "SOURCE_DATE_EPOCH", "CC"):
            self.environ.pop(name, None)
        for name in [name for name in self.environ if name.lower().endswith("_proxy")]:
            del self.environ[name]
        for name in ("PYENV_ROOT", "PYENV_VERSION", "UV_PYTHON_INSTALL_DIR", "CONDA_PREFIX"):
            self.environ.pop(name, None)
        self.environ["PIP_CONFIG_FILE"] = os.devnull
        self.offline = False
        self.members: tuple[str, ...] = ()
        self.changes: Callable[[Interpreter], Interpreter] = lambda found: found

    def file(self, path: str, text: str = "") -> Path:
        """Writes a file of the workspace."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def project(self, more: str = "", **fields: str) -> None:
        """A workspace of one."""
        lines = "".join(f"{key.replace('_', '-')} = {value}\n" for key, value in fields.items())
        python = "" if "requires_python" in fields else 'requires-python = ">=3.11"\n'
        self.file("pyproject.toml", f'[project]\nname = "app"\nversion = "1.0"\n{python}{lines}{more}')

    def program(self, name: str, script: str = "exit 0\n", folder: str = "bin") -> Path:
        """A program on PATH, before all others."""
        place = self.home / folder
        place.mkdir(exist_ok=True)
        file = place / name
        file.write_text(f"#!/bin/sh\n{script}", encoding="utf-8")
        file.chmod(0o755)
        if str(place) not in self.environ["PATH"].split(os.pathsep):
            self.environ["PATH"] = f"{place}{os.pathsep}{self.environ['PATH']}"
        return file

    def bare(self) -> None:
        """PATH with nothing on it but what `program` puts there."""
        self.environ["PATH"] = str(self.home / "bin")

    def patient(self) -> Patient:
        patient = Patient(World(self.root, self.environ, offline=self.offline), self.members)
        found = patient.interpreter
        patient.interpreter = Once(lambda: self.changes(found()))
        return patient

    def look(self, name: str, patient: Patient | None = None) -> list[Finding]:
        """What the check of that name says."""
        found = look(NAMED[name], patient or self.patient())
        assert found, f"{name} says nothing"
        return found

    def verdicts(self, name: str) -> list[str]:
        return [finding.verdict for finding in self.look(name)]

    def one(self, name: str, verdict: str) -> Finding:
        """The only finding of that verdict."""
        found = self.look(name)
        (only,) = [finding for finding in found if finding.verdict == verdict]
        assert verdict != "issue" or only.fix, "an issue says what to do"
        return only


def with_paths(**paths: str) -> Callable[[Interpreter], Interpreter]:
    """An interpreter that has some of its folders elsewhere."""
    return lambda found: replace(found, paths={**found.paths, **paths})
