"""Environment variables that change what Python, pip and pypm do, and shells with another environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pypm.ops.doctor.commands import find
from pypm.ops.doctor.finding import Said, issue, note, ok
from pypm.ops.doctor.patient import Patient
from pypm.ops.venvs import environment_in
from pypm.ops.world import truth

_ISSUES = {
    "PYTHONHOME": "every interpreter looks for its standard library there",
    "PYTHONPATH": "every interpreter, in environments too, imports from there first",
    "PYTHONPLATLIBDIR": "interpreters look for their modules in another folder",
}
_NOTES = {
    "PYTHONCASEOK": "imports do not mind upper and lower case: what works here fails elsewhere",
    "PYTHONDONTWRITEBYTECODE": "no bytecode is kept: every start compiles anew",
    "PYTHONINSPECT": "every script ends in a prompt",
    "PYTHONOPTIMIZE": "assert statements are not run",
    "PYTHONSTARTUP": "an interactive interpreter runs it first",
    "PYTHONUSERBASE": "the user's site folder is elsewhere",
    "PYTHONWARNINGS": "warnings are treated in another way than elsewhere",
}
_PIP = {
    "PIP_BREAK_SYSTEM_PACKAGES": "pip changes interpreters that the system manages",
    "PIP_CONSTRAINT": "pip installs other versions than it is asked for; pypm has `constraints` for that",
    "PIP_EXTRA_INDEX_URL": "pip mixes the indexes; pypm does not take it: give it as [[index]]",
    "PIP_FIND_LINKS": "pypm does not take it: `[resolution] find-links` is its setting",
    "PIP_NO_BINARY": "pip builds what it could install; pypm does not take it",
    "PIP_NO_INDEX": "pip asks no index; pypm has --offline",
    "PIP_PREFIX": "pip installs into another place than the environment it runs in",
    "PIP_REQUIRE_VIRTUALENV": "pip runs in activated environments only",
    "PIP_ROOT": "pip installs into another place than the environment it runs in",
    "PIP_TARGET": "pip installs into another place than the environment it runs in",
    "PIP_TRUSTED_HOST": "pip does not look at certificates; pypm always does",
    "PIP_USER": "pip installs into the user's site folder",
}


def variables(patient: Patient) -> Iterator[Said]:
    """Variables that change what every Python imports."""
    found = False
    for name, effect in _ISSUES.items():
        if patient.environ.get(name):
            found = True
            yield issue(f"{name} is set: {effect}", _unset(name))
    for name, effect in _NOTES.items():
        if patient.environ.get(name):
            found = True
            yield note(f"{name} is set: {effect}", _unset(name))
    epoch = patient.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch and not (epoch.isascii() and epoch.isdigit()):
        found = True
        yield issue("SOURCE_DATE_EPOCH is no number: builds of wheels fail", _unset("SOURCE_DATE_EPOCH"))
    elif epoch and int(epoch) < 315532800:
        found = True
        yield note(
            "SOURCE_DATE_EPOCH is before 1980, which a wheel's file times cannot say: some builds fail",
            "export SOURCE_DATE_EPOCH=315532800",
        )
    if not found:
        yield ok("none that changes what Python does")


def pip_variables(patient: Patient) -> Iterator[Said]:
    """Variables of pip's that pypm does not take, or that spoil environments."""
    found = [name for name in _PIP if _is_on(name, patient.environ.get(name, ""))]
    for name in found:
        yield note(f"{name} is set: {_PIP[name]}", _unset(name))
    if not found:
        yield ok("none that stands in the way")


def activated(patient: Patient) -> Iterator[Said]:
    """Which environment is activated in this shell."""
    active = patient.environ.get("VIRTUAL_ENV", "")
    conda = patient.environ.get("CONDA_PREFIX", "")
    if active and not Path(active).is_dir():
        yield issue(
            f"the environment {active} is activated in this shell, and is not there any more",
            "deactivate, or open another shell",
        )
        return
    if active and patient.workspace is not None:
        own = [environment_in(patient.root / member.path) for member in patient.workspace.members]
        own.append(environment_in(patient.root))
        real = os.path.realpath(active)
        if real not in {os.path.realpath(folder) for folder in own}:
            yield note(
                f"{active} is activated in this shell, which is no environment of this workspace",
                f"deactivate && {_activation(patient.root)}",
            )
        else:
            yield ok(f"{active}, of this workspace")
    elif active:
        yield ok(active)
    if conda:
        yield note(
            f"a conda environment is active ({conda}): its programs and libraries come first",
            "conda deactivate",
        )
    if not active and not conda:
        yield ok("no environment is activated")


def several_pypms(patient: Patient) -> Iterator[Said]:
    """How many pypm there are on PATH."""
    found: dict[str, str] = {}
    separator = os.pathsep
    for folder in patient.environ.get("PATH", "").split(separator):
        if os.path.isabs(folder) and (path := find("pypm", {"PATH": folder})) is not None:
            found.setdefault(os.path.realpath(path), path)
    if len(found) > 1:
        first, *others = found.values()
        yield note(f"`pypm` is {first}; there are others on PATH: {', '.join(others)}", f"remove {others[0]}")
    elif found:
        yield ok(f"`pypm` is {next(iter(found.values()))}")
    else:
        yield note("PATH has no `pypm`: tasks and hooks that call it do not find it", "pypm self link")


def _is_on(name: str, value: str) -> bool:
    switches = ("PIP_USER", "PIP_NO_INDEX", "PIP_REQUIRE_VIRTUALENV", "PIP_BREAK_SYSTEM_PACKAGES")
    return truth(value) if name in switches else bool(value.strip())


def _unset(name: str) -> str:
    return f"set {name}=" if os.name == "nt" else f"unset {name}"


def _activation(root: Path) -> str:
    return f"{root}\\.venv\\Scripts\\activate" if os.name == "nt" else f". {root}/.venv/bin/activate"
