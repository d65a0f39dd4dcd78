"""What a watcher tells, as it happens: records for a terminal, and for editors one line of JSON each."""

from __future__ import annotations

from typing import Any

from pypm.ops.resident import Relocked
from pypm.ops.sync import SyncReport
from pypm_model.errors import PypmError
from pypm_model.records import record
from pypm_model.sources import MemberSource


@record
class Watching:
    """The first lock is there, or its trouble is told: changes are waited for from now on."""

    root: str
    folders: int
    """How many are watched."""

    def to_json(self) -> dict[str, Any]:
        return {"event": "watching", "root": self.root, "folders": self.folders}


@record
class Locked:
    """The lock fits the manifests: it has been written, or did so already."""

    done: Relocked

    def to_json(self) -> dict[str, Any]:
        done = self.done
        lock = done.locked.lock
        return {
            "event": "locked",
            "wrote": done.wrote,
            "foreign": done.foreign,
            "manifests": list(done.manifests),
            "milliseconds": round(done.seconds * 1000),
            "packages": sum(1 for each in lock.packages if not isinstance(each.source, MemberSource)),
            "members": lock.member_count,
            "diff": done.diff.to_json(),
            "exports": list(done.exports),
        }


@record
class Trouble:
    """The lock stays as it is: what stands in the way. Told once, until it is something else."""

    error: PypmError | OSError | Exception

    def to_json(self) -> dict[str, Any]:
        return {"event": "trouble", "error": error_json(self.error)}


@record
class Mended:
    """What stood in the way does not any more."""

    error: PypmError | OSError | Exception

    def to_json(self) -> dict[str, Any]:
        return {"event": "mended", "error": error_json(self.error)}


@record
class Synced:
    """The environment is in step."""

    report: SyncReport

    def to_json(self) -> dict[str, Any]:
        return {"event": "synced", **self.report.to_json()}


@record
class NotSynced:
    """The lock fits, and the environment could not be brought along."""

    error: PypmError | OSError | Exception

    def to_json(self) -> dict[str, Any]:
        return {"event": "not-synced", "error": error_json(self.error)}


@record
class TaskStarted:
    """The task runs."""

    task: str

    def to_json(self) -> dict[str, Any]:
        return {"event": "task-started", "task": self.task}


@record
class TaskEnded:
    """The task has ended, or was *stopped* because something changed."""

    task: str
    code: int
    stopped: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"event": "task-ended", "task": self.task, "code": self.code, "stopped": self.stopped}


@record
class Advised:
    """A warning that was not there the last time."""

    code: str
    message: str

    def to_json(self) -> dict[str, Any]:
        return {"event": "warning", "code": self.code, "message": self.message}


@record
class Stopped:
    """The end."""

    def to_json(self) -> dict[str, Any]:
        return {"event": "stopped"}


WatchEvent = (
    Watching | Locked | Trouble | Mended | Synced | NotSynced | TaskStarted | TaskEnded | Advised | Stopped
)


def error_json(error: Exception) -> dict[str, Any]:
    """Any error as JSON-ready data. Its places are all that it speaks of, as an editor wants to show them:
    also those of its story, and of the errors it stands for."""
    if not isinstance(error, PypmError):
        kind = "system" if isinstance(error, OSError) else "internal"
        return {"code": kind, "message": f"{type(error).__name__}: {error}", "hint": None, "places": []}
    data = error.to_json()
    if error.parts:
        data["parts"] = [error_json(part) for part in error.parts]
        data["places"] = [place for part in data["parts"] for place in part["places"]]
    told = dict.fromkeys(place for _, places in error.story for place in places)
    data["places"] += [{"file": p.file, "line": p.line, "column": p.column} for p in told]
    return data
