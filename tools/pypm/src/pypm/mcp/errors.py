"""What can be wrong with a call of an agent, and with how the server is started. None of these says what is
in a file outside of the workspace."""

from __future__ import annotations

from typing import ClassVar

from pypm_model.errors import PypmError


class NoSuchTool(PypmError):
    """There is no tool of this name, or only a server with ``--allow-write`` has it."""

    code: ClassVar[str] = "no-such-tool"
    exit: ClassVar[int] = 2
    tool: str
    writes: bool = False
    """It is one of those that change the workspace."""

    def __str__(self) -> str:
        return f"{self.tool} is not offered" if self.writes else f"no such tool: {self.tool}"

    @property
    def hint(self) -> str:
        if self.writes:
            return "it changes the workspace: who starts the server allows that with `pypm mcp --allow-write`"
        return "tools/list names the tools"


class BadCall(PypmError):
    """A tool was called with arguments that it does not take; nothing was done."""

    code: ClassVar[str] = "bad-arguments"
    exit: ClassVar[int] = 2
    tool: str
    argument: str
    reason: str

    def __str__(self) -> str:
        return f"{self.tool}: {self.argument} {self.reason}"


class OutsideWorkspace(PypmError):
    """What is asked for is not in the workspace's folder, or a symbolic link leads out of it."""

    code: ClassVar[str] = "outside-workspace"
    exit: ClassVar[int] = 2
    path: str
    """As it is spelled in the workspace, or was asked for."""

    def __str__(self) -> str:
        return f"{self.path} is outside of the workspace"

    @property
    def hint(self) -> str:
        return "agents are shown only what is in the workspace's folder; use the command line for the rest"


class NoAddressHere(PypmError):
    """A requirement says where it is to be had from, and the tool takes names of the indexes only."""

    code: ClassVar[str] = "no-address-here"
    exit: ClassVar[int] = 2
    requirement: str

    def __str__(self) -> str:
        return f"{self.requirement}: a requirement is a name here, with or without versions, and no address"

    @property
    def hint(self) -> str:
        return (
            "write it like httpx or 'httpx>=0.28'; `pypm add` on the command line takes addresses and files"
        )


class NotARevision(PypmError):
    """A lock is compared with a git revision here, and this is a file, or no name of a revision."""

    code: ClassVar[str] = "not-a-revision"
    exit: ClassVar[int] = 2
    text: str

    def __str__(self) -> str:
        return f"{self.text} is not taken for a git revision"

    @property
    def hint(self) -> str:
        return "name a branch, a tag or a commit; `pypm lock --diff --against FILE` compares with files"


class NoSuchTask(PypmError):
    """No member has a task of this name; agents run tasks, not commands."""

    code: ClassVar[str] = "no-such-task"
    exit: ClassVar[int] = 2
    task: str
    tasks: tuple[str, ...]
    """Those there are."""

    def __str__(self) -> str:
        return f"no member has a task {self.task!r}"

    @property
    def hint(self) -> str:
        return f"the tasks are: {', '.join(self.tasks)}" if self.tasks else "no member has a task"


class NoSuchResource(PypmError):
    """The address names nothing that can be read."""

    code: ClassVar[str] = "no-such-resource"
    exit: ClassVar[int] = 2
    uri: str

    def __str__(self) -> str:
        return f"no such resource: {self.uri}"

    @property
    def hint(self) -> str:
        return "there are pypm://workspace, pypm://lock and pypm://member/NAME"


class WorkspaceRestless(PypmError):
    """The workspace changed during each of several attempts to answer."""

    code: ClassVar[str] = "workspace-restless"
    attempts: int

    def __str__(self) -> str:
        return f"manifests or lock changed during each of {self.attempts} attempts to answer"

    @property
    def hint(self) -> str:
        return "ask again when they are left alone for a moment"


class ToolFailed(PypmError):
    """The process that did the work ended without an answer."""

    code: ClassVar[str] = "tool-failed"
    tool: str
    status: int
    """Its exit code, below zero: the signal that ended it."""
    said: str
    """The end of what it wrote, without secrets."""

    def __str__(self) -> str:
        return f"{self.tool} ended with {self.status} and no answer"


class McpMissing(PypmError):
    """The extra that speaks the protocol is not installed."""

    code: ClassVar[str] = "mcp-missing"
    exit: ClassVar[int] = 2
    module: str
    """What could not be imported."""

    def __str__(self) -> str:
        return f"`pypm mcp` needs the extra mcp of pypm, and {self.module} is not installed beside pypm"

    @property
    def hint(self) -> str:
        return "install it where pypm is: `pip install 'pypm[mcp]'`, or `uv tool install 'pypm[mcp]'`"


class BadListen(PypmError):
    """The server cannot listen where it is told to."""

    code: ClassVar[str] = "bad-listen"
    exit: ClassVar[int] = 2
    address: str
    reason: str

    def __str__(self) -> str:
        return f"--http {self.address}: {self.reason}"


class NotLoopback(PypmError):
    """Other machines could reach the address, and nobody said that they may."""

    code: ClassVar[str] = "not-loopback"
    exit: ClassVar[int] = 2
    host: str

    def __str__(self) -> str:
        return f"other machines can reach {self.host}, and the connection is not encrypted"

    @property
    def hint(self) -> str:
        return "listen on 127.0.0.1, or say by which name others may come: `--allow-host NAME`"


class BadToken(PypmError):
    """The token that clients are to show cannot be used."""

    code: ClassVar[str] = "bad-token"
    exit: ClassVar[int] = 2
    source: str
    """The file, or the variable."""
    reason: str

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"
