"""What can be asked of a builder, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from pypm_env.build.environment import BuildEnvironment
from pypm_env.build.inputs import Kind
from pypm_env.build.system import BuildSystem
from pypm_model.errors import PypmError
from pypm_model.records import field, record

Settings = Mapping[str, str | list[str]]
"""Config settings as PEP 517 passes them to hooks."""


@record
class Job:
    """One result wanted from one source tree."""

    folder: Path
    kind: Kind
    environment: BuildEnvironment
    name: str = ""
    """The project's normalised name: the result must bear it. Empty where it is not known."""
    version: str = ""
    """The version the result must have; empty where any will do."""
    source: str = ""
    """The sha256 of the archive, or the commit, that *folder* was unpacked from; empty for a folder that may
    be edited."""
    subdirectory: str = ""
    """Where in the *source* the project is; empty: at its root."""
    settings: Settings = field(default_factory=dict)
    system: BuildSystem | None = None
    """The tree's build system if it was read already."""
    shown: str = ""
    """How the tree's manifest is called in messages; empty: by its path."""

    @property
    def subject(self) -> str:
        """What messages call it."""
        return self.name or self.folder.name


@record
class Built:
    """A wheel, editable or not."""

    job: Job
    wheel: Path
    """In the store, or, where nothing could be kept, in a folder that goes away with the builder."""
    sha256: str
    kept: bool
    """It was in the store already."""
    key: str | None
    """What it is kept under; None: it is not kept."""


@record
class Described:
    """Core metadata of a project, as its backend gives it."""

    job: Job
    text: str
    """METADATA."""
    kept: bool
    """It was remembered."""


Result = Built | Described | PypmError
"""An error is the job's own: others are not touched by it."""


@record
class Memory:
    """Where texts are remembered by key; called in the thread of the builder's caller only."""

    get: Callable[[list[str]], Mapping[str, str]]
    """Those that are known."""
    put: Callable[[Mapping[str, str]], None]


FORGETFUL = Memory(lambda keys: {}, lambda texts: None)
