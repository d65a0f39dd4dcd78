"""``pypm doctor``: everything on this machine, in this shell and in this workspace that can go wrong.

Checks run in threads, because most of them wait: for a program, a server, a disk. One that fails, or that
does not come back, takes nothing with it: it is told as something that could not be found out.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pypm.ops.check import UnknownCheck
from pypm.ops.doctor.checks import CHECKS
from pypm.ops.doctor.finding import Check, Finding
from pypm.ops.doctor.patient import Patient
from pypm.ops.world import World
from pypm_index.addresses import redacted
from pypm_model.errors import PypmError
from pypm_model.records import record, replace

WORKERS = 12
PATIENCE = 30.0
"""Seconds for all checks together; what has not come back then is left behind."""
MOST = 125
"""The largest exit code that no shell uses for something else."""


@record
class DoctorOptions:
    """Which checks to run, on which members (all if none is named), and whether to mend."""

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    fix: bool = False


@record
class DoctorReport:
    """What was found, in the order of the list; of several findings of a check, in the check's own."""

    findings: tuple[Finding, ...]
    left_out: tuple[str, ...]
    """Checks of a workspace, where there is none."""
    fixed: tuple[Finding, ...] = ()
    """As they were before."""
    seconds: float = 0.0

    def count(self, verdict: str) -> int:
        """How many findings have that verdict."""
        return sum(finding.verdict == verdict for finding in self.findings)

    @property
    def exit(self) -> int:
        """The number of issues, as far as an exit code can say it."""
        return min(self.count("issue"), MOST)

    def to_json(self) -> dict[str, Any]:
        return {
            "issues": self.count("issue"),
            "notes": self.count("note"),
            "unknown": self.count("unknown"),
            "findings": [finding.to_json() for finding in self.findings],
            "left-out": list(self.left_out),
            "fixed": [finding.to_json() for finding in self.fixed],
        }


def chosen(options: DoctorOptions) -> tuple[Check, ...]:
    """The checks to run. Raises `UnknownCheck`."""
    known = tuple(check.name for check in CHECKS)
    for name in (*options.only, *options.skip):
        if name not in known:
            raise UnknownCheck(name, known)
    return tuple(
        check
        for check in CHECKS
        if (not options.only or check.name in options.only) and check.name not in options.skip
    )


def doctor(world: World, options: DoctorOptions, *, patience: float = PATIENCE) -> DoctorReport:
    """Runs the checks; changes nothing unless told to fix. Raises `UnknownCheck` and `UnknownMember`, and
    `NoWorkspace` where members are named and there is none."""
    began = time.monotonic()
    checks = chosen(options)
    patient = Patient(world, options.members)
    if options.members:
        if not patient.is_here:
            patient.seek()
        if patient.workspace is not None:
            patient.members()
    run = [
        check for check in checks if patient.is_here or not check.of_workspace or check.name in options.only
    ]
    left_out = tuple(check.name for check in checks if check not in run)
    findings = examine(patient, run, patience)
    fixed: list[Finding] = []
    if options.fix:
        findings, fixed = _mended(
            findings, lambda again: examine(Patient(world, options.members), again, patience)
        )
    return DoctorReport(tuple(findings), left_out, tuple(fixed), time.monotonic() - began)


def examine(patient: Patient, checks: Sequence[Check], patience: float) -> list[Finding]:
    """What *checks* find, in their order."""
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, list[Finding]]] = queue.SimpleQueue()
    for number in range(len(checks)):
        waiting.put(number)

    def work() -> None:
        while True:
            try:
                number = waiting.get_nowait()
            except queue.Empty:
                return
            done.put((number, look(checks[number], patient)))

    for _ in range(min(WORKERS, len(checks))):
        # Daemons: one that hangs in a system call must not keep the process.
        threading.Thread(target=work, name="doctor", daemon=True).start()
    end = time.monotonic() + patience
    found: dict[int, list[Finding]] = {}
    while len(found) < len(checks):
        try:
            number, findings = done.get(timeout=max(end - time.monotonic(), 0.001))
        except queue.Empty:
            break
        found[number] = findings
    late = f"could not check: no answer within {patience:g} seconds"
    nothing = {number: [Finding(check.name, "unknown", late)] for number, check in enumerate(checks)}
    return [finding for number in range(len(checks)) for finding in found.get(number, nothing[number])]


def look(check: Check, patient: Patient) -> list[Finding]:
    """What one check says; if it fails, that it could not find out. No password of an address is in it."""
    found: list[Finding] = []
    try:
        for said in check.run(patient):
            message, fix = redacted(_line(said.message)), redacted(_line(said.fix))
            found.append(Finding(check.name, said.verdict, message, fix, said.repair))
    except PypmError as error:
        found.append(Finding(check.name, "unknown", f"could not check: {redacted(_line(str(error)))}"))
    except OSError as error:
        subject = f": {error.filename}" if error.filename else ""
        told = f"{(error.strerror or str(error)).lower()}{subject}"
        found.append(Finding(check.name, "unknown", f"could not check: {redacted(_line(told))}"))
    except Exception as error:
        told = f"{type(error).__name__}: {_line(str(error))}"
        found.append(Finding(check.name, "unknown", f"could not check: {redacted(told)}"))
    return found


def _mended(
    findings: Iterable[Finding], again: Callable[[Sequence[Check]], list[Finding]]
) -> tuple[list[Finding], list[Finding]]:
    """Does what can be done safely, and looks once more: what is found now, and what is gone for it."""
    before = list(findings)
    failed: dict[str, str] = {}
    tried = [finding for finding in before if finding.repair is not None]
    for finding in tried:
        assert finding.repair is not None
        try:
            finding.repair()
        except (OSError, PypmError) as error:
            failed[finding.name] = _line(str(error))
    names = {finding.name for finding in tried}
    looked = again([check for check in CHECKS if check.name in names])
    now: list[Finding] = []
    for name in dict.fromkeys(finding.name for finding in before):
        of_check = [finding for finding in (looked if name in names else before) if finding.name == name]
        if name in failed:
            reason = f" (the fix failed: {failed[name]})"
            of_check = [replace(f, message=f.message + reason) if f.repair else f for f in of_check]
        now += of_check
    left = {(finding.name, finding.message.partition(" (the fix failed")[0]) for finding in now}
    return now, [finding for finding in tried if (finding.name, finding.message) not in left]


def _line(text: str) -> str:
    """*text* in one line."""
    return " ".join(text.split())
