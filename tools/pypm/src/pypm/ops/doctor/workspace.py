"""The workspace: whether it can be read, its lock, what version control has of it, its members."""

from __future__ import annotations

import os
from collections.abc import Iterator

from pypm.ops.counting import count
from pypm.ops.doctor.commands import git_of, run
from pypm.ops.doctor.finding import Said, issue, note, ok, unknown
from pypm.ops.doctor.patient import NotKnown, Patient
from pypm.ops.lock import problem_of
from pypm.ops.lock_faults import LockMissing
from pypm.ops.world import LOCK
from pypm_model.errors import PypmError
from pypm_workspace.errors import NoWorkspace
from pypm_workspace.faults import InvalidManifest

_SHOWN = 3


def manifests(patient: Patient) -> Iterator[Said]:
    """Whether the manifests can be read, and what is odd in them."""
    if patient.workspace is None:
        if patient.problem is None:
            raise NotKnown("there is no workspace here")
        for error in patient.problem.parts or (patient.problem,):
            if isinstance(error, InvalidManifest):
                yield from (issue(str(fault), f"edit {fault.place.file}") for fault in error.faults)
                continue
            places = [str(place) for place in error.places if str(place) not in str(error)]
            where = f"{places[0]}: " if places else ""
            fix = error.hint or ("pypm init" if isinstance(error, NoWorkspace) else "mend the manifest")
            yield issue(f"{where}{error}", fix)
        return
    workspace = patient.workspace
    for warning in workspace.warnings:
        yield note(str(warning.message))
    members = [member for member in workspace.members if not member.is_virtual]
    yield ok(f"{count(len(members), 'member')} in {workspace.root}")


def members(patient: Patient) -> Iterator[Said]:
    """What members leave open."""
    quiet = True
    unbounded = [
        m
        for m in patient.members()
        if not m.requires_python and not m.is_virtual and "requires-python" not in m.dynamic
    ]
    if unbounded and patient.here.kind != "uv":
        quiet = False
        shown = ", ".join(str(member.name) for member in unbounded[:_SHOWN])
        more = f" and {len(unbounded) - _SHOWN} more" if len(unbounded) > _SHOWN else ""
        yield note(
            f"{shown}{more} {'says' if len(unbounded) == 1 else 'say'} no requires-python:"
            " the lock depends on who makes the first one",
            f'requires-python = ">=3.11" in {unbounded[0].file}',
        )
    for member in patient.members():
        folder = patient.root / member.path
        real = os.path.realpath(folder)
        if not member.is_virtual and not os.access(folder, os.R_OK | os.X_OK):
            quiet = False
            yield issue(f"the folder of {member.name} cannot be read ({real})", f"ls -ld {real}")
    if quiet:
        yield ok("each says which Pythons it runs on")


def lock(patient: Patient) -> Iterator[Said]:
    """Whether the lock is what the manifests give."""
    if patient.here.absent:
        raise NotKnown(
            "some members are not in this checkout: `pypm lock --check --frozen` judges the others"
        )
    chosen = None
    if patient.chooses:
        chosen = {member.name for member in patient.members()}
    asked = [m.name for m in patient.here.members if m.unstated and (chosen is None or m.name in chosen)]
    if asked:
        whose = "backend of" if len(asked) == 1 else "backends of"
        told = f"the build {whose} {', '.join(asked[:_SHOWN])} must be asked"
        if not patient.lock_is_there:
            yield note(f"there is no {LOCK}", "pypm lock")
        else:
            yield unknown(told, "pypm lock --check")
        return
    problem: PypmError | None
    try:
        problem = problem_of(patient.tools, patient.here, chosen)
    except NotKnown:
        raise
    except PypmError as error:
        problem = error
    if problem is None:
        yield ok(f"{LOCK} is what the manifests give")
    elif isinstance(problem, LockMissing):
        wants = any(member.dependencies or member.groups or member.extras for member in patient.members())
        yield issue(str(problem), "pypm lock") if wants else note(str(problem), "pypm lock")
    else:
        hint = problem.hint or ""
        # The command alone, as it is typed; what is not mended by it says so itself (a newer format).
        yield issue(_told(problem), hint if hint and "pypm lock" not in hint else "pypm lock")


def _told(problem: PypmError) -> str:
    lines = [text for text, _ in problem.story]
    if not lines:
        return str(problem)
    more = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return f"{problem}: {'; '.join(lines[:_SHOWN])}{more}"


def version_control(patient: Patient) -> Iterator[Said]:
    """Whether git keeps the lock, and no environment."""
    command = git_of(patient)
    if command is None:
        yield ok("the workspace is in no git repository")
        return
    listed = run([command, "ls-files", "--", LOCK, ".venv"], patient.environ, cwd=patient.root)
    if listed.code:
        raise NotKnown(f"git does not work here: {listed.last_line}")
    files = listed.output.split("\n")
    quiet = True
    if any(file.startswith(".venv/") for file in files):
        quiet = False
        yield issue("the environment .venv is in the repository", "git rm -r -q --cached .venv")
    if LOCK not in files and (patient.root / LOCK).is_file():
        quiet = False
        ignored = run([command, "check-ignore", "-v", LOCK], patient.environ, cwd=patient.root)
        if ignored.code == 0:
            rule = ignored.output.partition("\t")[0]
            yield issue(
                f"git ignores {LOCK} ({rule}): others get other versions",
                f"take the rule out; git add {LOCK}",
            )
        else:
            yield note(f"{LOCK} is not in the repository yet", f"git add {LOCK}")
    if quiet:
        yield ok(f"git keeps {LOCK}" if LOCK in files else "nothing is amiss")
