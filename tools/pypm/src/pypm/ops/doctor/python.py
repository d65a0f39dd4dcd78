"""Interpreters: the one pypm runs on, the one the workspace uses, and what stands in their way."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pypm.ops.counting import count
from pypm.ops.doctor.commands import find, run
from pypm.ops.doctor.finding import Said, issue, note, ok, unknown
from pypm.ops.doctor.patient import NotKnown, Once, Patient
from pypm_env.asking import clean_environment
from pypm_env.finding import NoPython, Places, candidates
from pypm_env.interpreters import Interpreter
from pypm_env.probe import Skipped, probe

PYPM_NEEDS = (3, 11)
_ENDS = {
    (3, 8): date(2024, 10, 7),
    (3, 9): date(2025, 10, 31),
    (3, 10): date(2026, 10, 31),
    (3, 11): date(2027, 10, 31),
    (3, 12): date(2028, 10, 31),
    (3, 13): date(2029, 10, 31),
    (3, 14): date(2030, 10, 31),
}
"""When the last security release of a Python is due (devguide.python.org/versions); months are kept by the
project, days are the last of the month where none was said."""
_NEEDED = ("sqlite3", "ssl", "zlib")
_USEFUL = ("bz2", "ctypes", "lzma", "readline", "tkinter")
_WITHOUT_EFFECT = frozenset(("readline", "tkinter"))
_SCRIPT = """
import importlib.util, json, site, sys, sysconfig, os
def there(name):
    try:
        __import__(name)
        return True
    except Exception:
        return False
print(json.dumps({
    "missing": [name for name in %r if not there(name)],
    "stdlib": sysconfig.get_path("stdlib"),
    "user-site": site.getusersitepackages(),
    "sitecustomize": [
        getattr(importlib.util.find_spec(name), "origin", None) for name in ("sitecustomize", "usercustomize")
    ],
}))
"""
_LANDMARK = "EXTERNALLY-MANAGED"


def today() -> date:
    """The date by the machine's clock."""
    return datetime.now(UTC).date()


def pypm_python(patient: Patient) -> Iterator[Said]:
    """The Python that pypm itself runs on."""
    shown = f"pypm runs on {platform.python_implementation()} {platform.python_version()} ({sys.executable})"
    if sys.version_info < PYPM_NEEDS:
        yield issue(f"{shown}; it needs {PYPM_NEEDS[0]}.{PYPM_NEEDS[1]} or later", "install a newer Python")
    elif not _is_supported(sys.version_info[:2]):
        yield note(f"{shown}, which gets no security releases any more", "install pypm with a newer Python")
    else:
        yield ok(shown)


def interpreter(patient: Patient) -> Iterator[Said]:
    """The interpreter that `sync` would take, for each range of Pythons that members need."""
    if patient.workspace is None:
        if patient.problem is not None:
            raise NotKnown("the workspace cannot be read")
        groups = {"": ""}
    elif patient.is_shared:
        groups = {"": patient.python_of(patient.members())}
    else:
        groups = {}
        for member in patient.members():
            python = patient.python_of([member])
            groups[python] = groups.get(python, "") or python
        groups = {f"requires-python {text or 'any'}: ": text for text in groups}
    for label, python in groups.items():
        try:
            found = patient.interpreter() if patient.is_shared else patient.tools.interpreter(python)
        except NoPython as error:
            reasons = "; ".join(f"{path} {reason}" for path, reason in error.found[:4])
            more = f" ({reasons})" if reasons else ""
            yield issue(f"{label}{error}{more}", _install_python(python))
            continue
        shown = f"{label}{_named(found)} at {found.path}"
        if not _is_supported(found.release):
            yield note(
                f"{shown}: Python {found.version} gets no security releases any more", "use a newer Python"
            )
        else:
            yield ok(shown)


def interpreters(patient: Patient) -> Iterator[Said]:
    """Which others there are, and what looks like an interpreter and is none."""
    found: dict[str, Interpreter] = {}
    broken: list[Skipped] = []
    seen: set[str] = set()
    for candidate in candidates(Places(patient.environ, patient.world.cwd)):
        real = os.path.realpath(candidate.path)
        if real in seen:
            continue
        seen.add(real)
        answer = probe(candidate.path, patient.tools.probes, timeout=10)
        if isinstance(answer, Skipped):
            broken.append(answer)
        else:
            found.setdefault(answer.real_path, answer)
    for each in broken:
        if not each.reason.startswith("is older"):
            yield note(f"{each.path} {each.reason}", "install it again, or remove it")
    counted = ", ".join(f"{each.version}" for each in found.values())
    yield ok(f"{len(found)} on this machine: {counted}") if found else unknown("no interpreter was found")


def shadowed(patient: Patient) -> Iterator[Said]:
    """Whether `python` in this shell is the one the workspace uses, and no shim."""
    python = find("python3", patient.environ) or find("python", patient.environ)
    if python is None:
        yield note("PATH has no python3: scripts that begin with `#!/usr/bin/env python3` do not run here")
        return
    shims = Places(patient.environ, patient.world.cwd).pyenv / "shims"
    if Path(python).parent == shims or _is_shim(python):
        yield note(
            f"{python} is a shim: each start of python3 goes through a shell script, a tenth of a second",
            f"put the folder of a real interpreter before {Path(python).parent} on PATH (pypm has no need)",
        )
        return
    chosen = patient.interpreter()
    here = probe(python, patient.tools.probes, timeout=10)
    if isinstance(here, Skipped):
        yield note(f"python3 on PATH, {python}, {here.reason}", f"take {Path(python).parent} off PATH")
    elif here.real_path != chosen.real_path:
        yield note(
            f"python3 on PATH is {_named(here)} ({python}), pypm uses {_named(chosen)} ({chosen.path})",
            "run programs with `pypm run` or `pypm exec`, or activate the environment",
        )
    else:
        yield ok(f"python3 on PATH is the interpreter in use: {python}")


def externally_managed(patient: Patient) -> Iterator[Said]:
    """Whether a distributor manages the interpreter (PEP 668)."""
    found = patient.interpreter()
    if (Path(found.paths["stdlib"]) / _LANDMARK).is_file():
        yield note(
            f"{found.path} is managed by the system (PEP 668): pypm makes environments from it, and puts"
            " nothing into it; neither will pip"
        )
    else:
        yield ok(f"{found.path} is not managed by anybody else")


def modules(patient: Patient) -> Iterator[Said]:
    """Optional modules of the standard library that the interpreter was built without."""
    found = patient.interpreter()
    missing = facts_of(patient, found)["missing"]
    lacking = [name for name in _NEEDED if name in missing]
    for name in lacking:
        yield issue(
            f"{found.path} was built without the module {name}: much does not work in its environments",
            f"install {_PACKAGES.get(name, name)} and build that Python again, or use another with --python",
        )
    lesser = [name for name in _USEFUL if name in missing and name not in _WITHOUT_EFFECT]
    if lesser:
        yield note(f"{found.path} was built without {', '.join(lesser)}: what needs them fails")
    if not lacking and not lesser:
        absent = [name for name in sorted(_WITHOUT_EFFECT) if name in missing]
        yield ok(f"{found.path} has them all" + (f" but {', '.join(absent)}" if absent else ""))


_PACKAGES = {
    "ssl": "OpenSSL's headers (libssl-dev, openssl-devel)",
    "sqlite3": "SQLite's headers (libsqlite3-dev, sqlite-devel)",
    "zlib": "zlib's headers (zlib1g-dev, zlib-devel)",
}


def user_site(patient: Patient) -> Iterator[Said]:
    """Packages in the user's own site folder, and modules that run at every start."""
    found = patient.interpreter()
    facts = facts_of(patient, found)
    folder = Path(facts["user-site"])
    startup = [origin for origin in facts["sitecustomize"] if origin]
    quiet = True
    for origin in startup:
        if not origin.startswith(facts["stdlib"]) and not origin.startswith("/etc/"):
            quiet = False
            yield note(f"{origin} runs at every start of {found.path}", f"remove {origin} unless you need it")
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    dists = [name for name in names if name.endswith((".dist-info", ".egg-info", ".egg-link"))]
    if dists:
        quiet = False
        yield note(
            f"{count(len(dists), 'package')} {'is' if len(dists) == 1 else 'are'} in {folder}: {found.path}"
            " imports from there, environments do not",
            f"remove {folder}, or set PYTHONNOUSERSITE=1",
        )
    if quiet:
        yield ok("nothing is installed into the user's site folder")


def facts_of(patient: Patient, found: Interpreter) -> dict[str, Any]:
    """What an interpreter tells when it is asked, without the caller's PYTHON variables; asked once."""
    asked: Once[dict[str, Any]] = Once(lambda: _ask(patient, found))
    return patient.shared.setdefault(f"facts {found.path}", asked)()  # type: ignore[no-any-return]


def _ask(patient: Patient, found: Interpreter) -> dict[str, Any]:
    script = _SCRIPT % ((*_NEEDED, *_USEFUL),)
    # Without -I: it would hide the user's site folder, which is asked for.
    ended = run([found.path, "-B", "-c", script], clean_environment(patient.environ))
    try:
        told: dict[str, Any] = json.loads(ended.output.splitlines()[-1])
    except (ValueError, IndexError):
        raise NotKnown(f"{found.path} does not answer: {ended.last_line}") from None
    return told


def _named(found: Interpreter) -> str:
    return f"{found.markers.get('platform_python_implementation', found.implementation)} {found.version}"


def _is_supported(release: tuple[int, ...]) -> bool:
    end = _ENDS.get((release[0], release[1]))
    return today() <= end if end is not None else release >= (3, 8)


def _is_shim(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


def _install_python(python: str) -> str:
    wanted = f" {python}" if python else ""
    return f"install a Python that fits{wanted}, or name one with --python PATH"
