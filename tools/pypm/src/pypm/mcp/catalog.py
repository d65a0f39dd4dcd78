"""The tools: which verbs agents may use, with which of their options, and what a call costs or changes."""

from __future__ import annotations

from typing import Any

from pypm.cli.arguments import Command, Group
from pypm.cli.verbs import add, audit, graph, lock, memory, outdated, remove, run, sync, why
from pypm.mcp.schemas import Schema, Value, input_schema, output_schema, values_of
from pypm_memory.answers import (
    Claimed,
    Failed,
    Flushed,
    Hit,
    Initialized,
    Miss,
    Pending,
    Resolved,
    Stored,
    Unresolved,
)
from pypm_model.records import field, record

INDEX_SECONDS = 60.0
"""How long an answer that hangs on the indexes is given again, as long as manifests and lock are the same."""
SELECTION = ("members", "extras", "all_extras", "groups", "only_groups", "all_groups", "no_default_groups")


@record
class Tool:
    """One tool, and the verb behind it."""

    name: str
    title: str
    summary: str
    """What an agent is told of it."""
    command: Command
    """Whose options and arguments it has."""
    verb: str = ""
    """What runs: empty for the memory, which is asked in the server itself."""
    takes: tuple[str, ...] = ()
    """The parameters that an agent may give."""
    fixed: tuple[str, ...] = ()
    """Flags that are always given."""
    told: dict[str, str] = field(default_factory=dict)
    """Sentences for parameters that have none of their own, or a wrong one here."""
    answers: tuple[type, ...] = ()
    """The shapes of what the memory answers."""
    writes: bool = False
    """It changes the workspace: offered only with ``--allow-write``."""
    read_only: bool = True
    destructive: bool = False
    idempotent: bool = True
    open_world: bool = False
    """It asks indexes, or other services."""
    keep_seconds: float = 0.0
    """How long its answer is given again for the same state; 0: to those who ask at the same time only."""

    @property
    def values(self) -> tuple[Value, ...]:
        """The records of what it takes."""
        return values_of(self.command, self.takes)

    @property
    def input_schema(self) -> Schema:
        """Of its arguments."""
        return input_schema(self.values, self.told)

    @property
    def output_schema(self) -> Schema:
        """Of its structured answer."""
        if self.answers:
            return output_schema(self.answers)
        return _acted(self) if self.writes else _answered(self)


def _object(properties: dict[str, Any]) -> Schema:
    return {"type": "object", "properties": properties, "required": sorted(properties)}


_DIGEST: Schema = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
STATE: Schema = _object(
    {"manifests": _DIGEST, "lock": {"anyOf": [_DIGEST, {"type": "null"}]}, "at": {"type": "string"}}
) | {"description": "What was answered from: digests of all manifests and of pypm.lock, and when (UTC)."}
_WARNINGS: Schema = {
    "type": "array",
    "items": _object({"code": {"type": "string"}, "message": {"type": "string"}}),
}
_EXIT: Schema = {"type": "integer", "description": "As of the command: 0 yes or done, 1 no or findings."}


def _answered(tool: Tool) -> Schema:
    line = " ".join(("pypm", tool.verb, *tool.fixed))
    answer = {"description": f"What `{line} --json` prints."}
    return _object({"state": STATE, "exit": _EXIT, "answer": answer, "warnings": _WARNINGS})


def _acted(tool: Tool) -> Schema:
    if tool.name == "run":
        text = {"type": "string", "description": "The end of it."}
        return _object({"state": STATE, "exit": _EXIT, "answer": _object({"stdout": text, "stderr": text})})
    schema = _answered(tool)
    schema["properties"]["state"] = STATE | {"description": "What there is now: as of other tools."}
    return schema


def _of_memory(word: str) -> Command:
    group: Group = memory.command
    return group.commands[word]


_MEMBERS = {"members": "Only these members (NAME... with what it needs, ...NAME with what needs it)."}
_SESSION = {"session_id": "Whose memory: any text. Sessions see nothing of each other."}
_KEY = {"key": "Any text."}
_FRESH = {"refresh": "Ask the indexes now, and take no answer of the last minute."}

TOOLS: tuple[Tool, ...] = (
    Tool(
        "graph",
        "The workspace's graph",
        "The members with their folders, versions, extras and groups, and who asks whom for what, and where.",
        graph.command,
        "graph",
    ),
    Tool(
        "why",
        "Why a package is there",
        "Every path from a member to a package, by the lock, with the requirement on each edge and its line.",
        why.command,
        "why",
        ("name", "limit"),
        told={"name": "The package."},
    ),
    Tool(
        "lock_check",
        "Is the lock current",
        "Whether pypm.lock is what the manifests give; if not, why. Asks no index.",
        lock.command,
        "lock",
        ("members", "frozen"),
        ("--check",),
        {
            "members": "Judge only what these members ask.",
            "frozen": "Take absent members as the lock has them.",
        },
    ),
    Tool(
        "lock_diff",
        "What locking would change",
        "What locking now would change, per package and member; or, with `against`, what the lock has that "
        "the one of a git revision has not. Writes nothing.",
        lock.command,
        "lock",
        ("against", "upgrade", "upgrade_packages", "refresh"),
        ("--diff",),
        {"against": "A branch, tag or commit.", **_FRESH},
        open_world=True,
        keep_seconds=INDEX_SECONDS,
    ),
    Tool(
        "what_if",
        "What a requirement would change",
        "Resolves as if the requirements were added, and writes nothing: what would be locked and what would "
        "change, or the error `conflict` with its story, line by line.",
        add.command,
        "add",
        ("requirements", "members", "group", "extra", "refresh"),
        ("--dry-run", "--raw", "--no-sync"),
        {"requirements": "Names, with or without versions, extras and markers.", **_FRESH},
        open_world=True,
        keep_seconds=INDEX_SECONDS,
    ),
    Tool(
        "outdated",
        "What could be newer",
        "Packages that could be newer: locked, wanted (what an update gives), latest, and who asks.",
        outdated.command,
        "outdated",
        ("members", "everything", "refresh"),
        told=_MEMBERS | _FRESH,
        open_world=True,
        keep_seconds=INDEX_SECONDS,
    ),
    Tool(
        "audit",
        "Known vulnerabilities",
        "Locked versions with known vulnerabilities, malware, or withdrawn by their projects: severity, "
        "versions that fix it, and how the package comes into each member.",
        audit.command,
        "audit",
        ("members", "no_groups", "refresh"),
        told=_MEMBERS | _FRESH,
        open_world=True,
        keep_seconds=INDEX_SECONDS,
    ),
    Tool(
        "sync_plan",
        "What a sync would do",
        "What `sync` would install, update and remove. Changes nothing.",
        sync.command,
        "sync",
        (*SELECTION, "each", "frozen", "locked", "inexact"),
        ("--dry-run",),
        open_world=True,
    ),
    Tool(
        "init",
        "Make a session",
        "Makes a session of the memory, or gives one another size; in a smaller one what was used last "
        "stays.",
        _of_memory("init"),
        takes=("session_id", "silo_size"),
        told=_SESSION,
        answers=(Initialized,),
        read_only=False,
        destructive=True,
    ),
    Tool(
        "peek",
        "Look into the memory",
        "What is kept under a key, or the promise of whoever is at work on it. Changes nothing, unless "
        "`claim` makes the work the caller's: then do it, and give the result to `resolve`.",
        _of_memory("peek"),
        takes=("session_id", "key", "claim", "lease_seconds"),
        told=_SESSION | _KEY,
        answers=(Hit, Pending, Claimed, Miss),
        read_only=False,
        idempotent=False,
    ),
    Tool(
        "set",
        "Keep a text",
        "Keeps a text in the memory under a key; in a full session the entry used least recently makes room.",
        _of_memory("set"),
        takes=("session_id", "key", "value", "ttl_seconds"),
        told=_SESSION | _KEY | {"value": "Any text, of at most 1 MiB."},
        answers=(Stored,),
        read_only=False,
        destructive=True,
    ),
    Tool(
        "resolve",
        "Keep a promise, or wait for one",
        "With `payload` (or `failure`) the work of a promise is done, and all who wait are told; with "
        "neither, the result of another's work, waited for if `wait_seconds` says so.",
        _of_memory("resolve"),
        takes=(
            "session_id",
            "promise_id",
            "payload",
            "failure",
            "wait_seconds",
            "claim",
            "lease_seconds",
            "ttl_seconds",
        ),
        told=_SESSION | {"promise_id": "As `peek` gave it.", "payload": "The result."},
        answers=(Resolved, Failed, Unresolved),
        read_only=False,
        idempotent=False,
    ),
    Tool(
        "flush",
        "Forget a session's texts",
        "Forgets all entries of a session; the session stays.",
        _of_memory("flush"),
        takes=("session_id",),
        told=_SESSION,
        answers=(Flushed,),
        read_only=False,
        destructive=True,
    ),
    Tool(
        "add",
        "Add dependencies",
        "Adds requirements to a member's manifest, locks and syncs; all of it or nothing.",
        add.command,
        "add",
        ("requirements", "members", "group", "extra", "bounds", "no_sync", "dry_run"),
        told={
            "requirements": "Names, with or without versions, extras and markers; or the folder of a project "
            "in the workspace, as ./folder."
        },
        writes=True,
        read_only=False,
        open_world=True,
    ),
    Tool(
        "remove",
        "Remove dependencies",
        "Removes requirements from a member's manifest, locks and syncs; all of it or nothing.",
        remove.command,
        "remove",
        ("names", "members", "group", "extra", "no_sync", "dry_run"),
        told={"names": "The packages' names."},
        writes=True,
        read_only=False,
        destructive=True,
        open_world=True,
    ),
    Tool(
        "lock",
        "Write the lock",
        "Writes pypm.lock: one universal lock for all members. Pins are kept while they fit.",
        lock.command,
        "lock",
        ("upgrade", "upgrade_packages", "refresh"),
        told=_FRESH,
        writes=True,
        read_only=False,
        destructive=True,
        open_world=True,
    ),
    Tool(
        "sync",
        "Make environments match",
        "Locks if needed, then makes .venv match: what is not in the lock is removed from it.",
        sync.command,
        "sync",
        (*SELECTION, "each", "frozen", "locked", "inexact", "reinstall"),
        writes=True,
        read_only=False,
        destructive=True,
        open_world=True,
    ),
    Tool(
        "run",
        "Run a task",
        "Runs a task of the workspace in every selected member that has it, in graph order, after a sync. "
        "Only tasks that manifests define are run.",
        run.command,
        "run",
        ("task", "arguments", *SELECTION, "no_sync", "frozen", "jobs_at_once"),
        told={"task": "Its name.", "arguments": "Added to the task's command."},
        writes=True,
        read_only=False,
        destructive=True,
        idempotent=False,
        open_world=True,
    ),
)


def offered(*, allow_write: bool) -> tuple[Tool, ...]:
    """The tools of a server."""
    return tuple(tool for tool in TOOLS if allow_write or not tool.writes)


def find(name: str) -> Tool | None:
    """The tool of that name, offered or not."""
    return next((tool for tool in TOOLS if tool.name == name), None)
