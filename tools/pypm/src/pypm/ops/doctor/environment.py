"""Environments: what is in them against what the lock says, and what runs when they start."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from pypm.ops.activation import scripts_folder
from pypm.ops.counting import count
from pypm.ops.doctor.commands import run
from pypm.ops.doctor.finding import Said, issue, note, ok, unknown
from pypm.ops.doctor.mending import mend_environments, stale_in
from pypm.ops.doctor.patient import EnvironmentFound, NotKnown, Patient
from pypm_env.dists import MEMBERS_PTH
from pypm_env.own_files import STATE
from pypm_env.stale import torn
from pypm_env.state_file import read_state
from pypm_env.venv import read_config
from pypm_model.errors import PypmError
from pypm_model.locks import Pin
from pypm_model.sources import IndexSource, MemberSource

_SHOWN = 3
_SLOW_START = 0.05
"""Seconds."""
_TIMED = """
import site, time
began = time.process_time()
site.main()
print(time.process_time() - began)
"""
_executes = re.compile(r"import[ \t]")
"""Lines of a ``.pth`` that `site` runs as code."""


def environments(patient: Patient) -> Iterator[Said]:
    """Whether each environment holds what the lock says."""
    found = patient.environments()
    if not found:
        yield note("there is none yet", "pypm sync")
    for each in found:
        yield from _drift(patient, each)


def _drift(patient: Patient, found: EnvironmentFound) -> Iterator[Said]:
    installed = found.installed
    sync = "pypm sync" if found.shown == ".venv" else f"pypm sync -p {found.members[0].name}"
    if installed.kind == "occupied":
        yield issue(f"{found.shown} is no environment, and in the way of one", f"move {found.shown} away")
        return
    if installed.kind == "foreign":
        yield issue(f"{found.shown} was made by another tool: pypm leaves it alone", f"{sync} --force")
        return
    if installed.kind == "absent":
        yield note(f"{found.shown} is empty", sync)
        return
    if installed.problem:
        yield issue(f"{found.shown} must be made anew: {installed.problem}", sync)
        return
    if installed.unfinished:
        yield issue(f"{found.shown} was left half-way by a run that was killed", sync)
        return
    if installed.stale:
        yield issue(
            f"{found.shown} has files that were damaged, and made anew in the store: "
            f"{_some(stale_in(installed))}",
            sync,
            partial(mend_environments, patient.world, (found.folder,)),
        )
    interpreter = patient.interpreter_of(found)
    lost = torn(installed, patient.store, interpreter.layout.site_packages)
    if lost:
        yield issue(
            f"{found.shown} has links that lead to nothing in the store {patient.store.root}: {_some(lost)}",
            sync,
            partial(mend_environments, patient.world, (found.folder,)),
        )
    if installed.interpreter and installed.interpreter != interpreter.identity:
        yield issue(f"{found.shown} was made with another interpreter than it starts now", sync)
        return
    try:
        pins = patient.select(found.members, interpreter)
    except NotKnown:
        raise
    except PypmError as error:
        yield issue(
            f"{found.shown}, for Python {interpreter.version}: {error}",
            error.hint or "pypm lock, then pypm sync",
        )
        return
    wrong, absent = _differences(patient, pins, found)
    # Whoever synced without the default groups has what they wanted.
    without = patient.select(found.members, interpreter, groups=False) if absent else ()
    bare = {pin.package.name for pin in without}
    of_groups = [name for name in absent if name not in bare]
    absent = [name for name in absent if name in bare]
    if of_groups:
        yield note(f"{found.shown} lacks {len(of_groups)} of the default groups ({_some(of_groups)})", sync)
    if wrong or absent:
        told = [f"{len(wrong)} with another version than is locked ({_some(wrong)})"] if wrong else []
        told += [f"{len(absent)} missing ({_some(absent)})"] if absent else []
        yield issue(f"{found.shown} is not what the lock says: {'; '.join(told)}", sync)
    elif not (of_groups or installed.stale or lost):
        held = f"{count(len(pins), 'package')} for Python {interpreter.version}"
        yield ok(f"{found.shown} holds what is locked: {held}")
    locked = {package.name for package in patient.lock().packages}
    strange = sorted(one.name for one in installed.dists if one.name not in locked)
    if strange:
        yield note(
            f"{found.shown} has packages that are not in the lock: {_some(strange)}", f"{sync}, or add them"
        )


def _differences(
    patient: Patient, pins: Sequence[Pin], found: EnvironmentFound
) -> tuple[list[str], list[str]]:
    """Packages of another version (or other files) than *pins*, and those that are not there."""
    present = {one.name: one for one in found.installed.dists}
    wrong, absent = [], []
    for pin in pins:
        package = pin.package
        source = package.source
        if isinstance(source, MemberSource) and patient.tools.member_at(source.path).build is None:
            continue
        one = present.get(package.name)
        if one is None:
            absent.append(str(package.name))
        elif package.version and one.dist.version != package.version:
            wrong.append(f"{package.name} {one.dist.version} for {package.version}")
        elif isinstance(source, IndexSource) and pin.file is not None and pin.file.is_wheel:
            if not one.is_ours:
                wrong.append(f"{package.name} {one.dist.version}, put there by another tool")
            elif one.dist.tree != pin.file.sha256:
                wrong.append(f"{package.name} {one.dist.version} from another file")
    return wrong, absent


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def leaks(patient: Patient) -> Iterator[Said]:
    """Whether an environment sees packages from outside."""
    quiet = True
    for each in _pythons(patient):
        config = read_config(each.folder) or {}
        if config.get("include-system-site-packages", "").lower() == "true":
            quiet = False
            yield issue(
                f"{each.shown} sees the packages of its interpreter (include-system-site-packages):"
                " what is not declared can be imported",
                f"set include-system-site-packages = false in {each.shown}/pyvenv.cfg",
            )
    if quiet:
        yield ok("environments see their own packages alone")


def startup_files(patient: Patient) -> Iterator[Said]:
    """``.pth`` files: code that runs at every start of an environment, and paths that lead nowhere."""
    counted = 0
    quiet = True
    for each in _pythons(patient):
        site = _site_packages(each)
        if site is None:
            continue
        owned = _owned(site)
        found: list[Said] = []
        for file in sorted(site.glob("*.pth")):
            counted += 1
            shown = f"{each.shown}/{file.relative_to(each.folder).as_posix()}"
            found += _pth(file, shown, owned=file.name in owned or file.name == MEMBERS_PTH)
        yield from found
        if found and (slow := _start_cost(patient, each)) > _SLOW_START:
            yield note(f"site-packages of {each.shown} take {slow * 1000:.0f} ms of every start of Python")
        quiet &= not found
    if quiet:
        yield ok(f"{counted} looked at: none runs code" if counted else "there are none")


def _pth(file: Path, shown: str, *, owned: bool) -> Iterator[Said]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        yield unknown(f"{shown} cannot be read: {(error.strerror or str(error)).lower()}")
        return
    code = [number for number, line in enumerate(lines, 1) if _executes.match(line)]
    if code and not owned:
        yield issue(
            f"{shown}, line {code[0]}, runs code at every start and belongs to no installed package",
            f"look into it; unless you put it there, rm {shown}",
        )
    elif code:
        yield note(f"{shown} runs code at every start (line {code[0]})")
    for number, line in enumerate(lines, 1):
        path = line.strip()
        if path and not path.startswith("#") and not _executes.match(line):
            target = os.path.join(file.parent, path)
            if not os.path.exists(target):
                yield issue(f"{shown}, line {number}, leads to {path}, which is not there", "pypm sync")


def _start_cost(patient: Patient, found: EnvironmentFound) -> float:
    """Seconds of its processor that Python spends on an environment's site-packages at a start."""
    python = str(scripts_folder(found.folder) / "python")
    ended = run([python, "-I", "-S", "-c", _TIMED], patient.environ)
    try:
        return float(ended.output.split()[-1])
    except (ValueError, IndexError):
        return 0.0


def _owned(site: Path) -> set[str]:
    """Names of ``.pth`` files that some distribution's RECORD lists."""
    found: set[str] = set()
    for record in site.glob("*.dist-info/RECORD"):
        try:
            text = record.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found.update(re.findall(r'(?m)^"?([^/,"\r\n]+\.pth)"?,', text))
    return found


def _pythons(patient: Patient) -> list[EnvironmentFound]:
    return [each for each in patient.environments() if each.installed.kind in ("ours", "foreign")]


def _site_packages(found: EnvironmentFound) -> Path | None:
    """Where an environment's packages are, by its record or else by the places there are."""
    try:
        state = read_state((found.folder / STATE).read_text(encoding="utf-8", errors="surrogateescape"))
    except OSError:
        state = None
    if state is not None:
        return found.folder / state.site
    places = [*found.folder.glob("lib/*/site-packages"), found.folder / "Lib" / "site-packages"]
    return next((place for place in places if place.is_dir()), None)
