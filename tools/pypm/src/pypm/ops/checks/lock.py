"""Whether the lock, and what is kept in step with it, is what the manifests give."""

from __future__ import annotations

from collections.abc import Iterator

from pypm.ops.checks.finding import Finding
from pypm.ops.checks.subject import Subject
from pypm.ops.lock import problem_of
from pypm.ops.lock_faults import LockStale
from pypm.ops.world import LOCK
from pypm_model.errors import Place


def lock(subject: Subject) -> Iterator[Finding]:
    """What `pypm lock --check` says: one finding for each difference."""
    problem = problem_of(subject.tools, subject.workspace)
    if problem is None:
        return
    if isinstance(problem, LockStale):
        for stale, place in problem.reasons:
            yield Finding(problem.code, f"{stale} ({problem.hint})", place)
        return
    message = f"{problem} ({problem.hint})" if problem.hint else str(problem)
    for place in problem.places or (Place(LOCK),):
        yield Finding(problem.code, message, place)
