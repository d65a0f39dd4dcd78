"""What verbs work with, opened when first used and closed together: store, indexes, interpreter, builder.

Rooms are imported when they are first used as well: a lock that fits needs none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pypm.ops.opening import indexes_of, open_store
from pypm.ops.retained import Retained
from pypm.ops.world import World
from pypm_model.facts import Metadata, MetadataKey
from pypm_model.names import NormalizedName
from pypm_model.records import replace
from pypm_model.requests import BuildPolicy, Provision
from pypm_model.requirement_text import to_text
from pypm_workspace.asks import AskMaker
from pypm_workspace.configuration import Member, Settings
from pypm_workspace.workspace import Workspace

if TYPE_CHECKING:
    from pypm_env.build.builder import Builder
    from pypm_env.interpreters import Interpreter
    from pypm_env.probe import ProbeCache
    from pypm_index.catalog import Catalog
    from pypm_index.cutoffs import Cutoffs
    from pypm_index.ports import BuildNeed
    from pypm_index.settings import Indexes
    from pypm_store.metadata_cache import MetadataCache
    from pypm_store.store import Store

METADATA = "member-metadata"
"""Kind of a small fact: METADATA by what it was made from."""


class Tools:
    """Use it in a ``with`` block; one per run of a verb.

    *describe* answers what only a build backend can tell (see `pypm.ops.backends`).
    """

    def __init__(
        self,
        world: World,
        workspace: Workspace | None,
        describe: Callable[[Tools, BuildNeed], bytes],
        retained: Retained | None = None,
    ) -> None:
        self.world = world
        self.retained = retained if retained is not None else Retained()
        """What an earlier run in this process has left."""
        self.workspace = workspace
        self._describe = describe
        self._stack = ExitStack()
        self._scratches = 0
        self.addresses: Mapping[str, str] = {}
        """Where files are (by sha256) that no index is to be asked for, and that are nowhere else."""
        self.may_build: frozenset[NormalizedName] = frozenset()
        """Whose build backends may run besides those that the workspace allows."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    @property
    def root(self) -> Path:
        """The workspace's folder; without a workspace the current one."""
        return Path(self.workspace.root) if self.workspace else self.world.cwd

    @property
    def settings(self) -> Settings:
        """The workspace's settings, or the defaults."""
        return self.workspace.settings if self.workspace else Settings()

    @property
    def build_policy(self) -> BuildPolicy:
        """Whose build backends may run."""
        policy = self.workspace.build_policy if self.workspace else BuildPolicy()
        return replace(policy, allow=policy.allow | self.may_build) if self.may_build else policy

    @cached_property
    def ask_maker(self) -> AskMaker:
        """Puts the workspace's sources to what is asked."""
        members = self.workspace.members if self.workspace else ()
        return AskMaker(members, self.settings, str(self.root).replace("\\", "/"))

    @cached_property
    def provisions(self) -> tuple[Provision, ...]:
        """Where the workspace says that names come from, whoever asks for them."""
        return tuple(self.ask_maker.provisions()) if self.settings.sources else ()

    @cached_property
    def build_besides(self) -> Mapping[NormalizedName, tuple[str, ...]]:
        """What the workspace says that builds need besides what they say themselves, by name."""
        return {
            name: tuple([to_text(entry.requirement) for entry in asked])
            for name, asked in self.settings.build_requires
        }

    @cached_property
    def store(self) -> Store:
        """The machine's store."""
        return open_store(self.world)

    @cached_property
    def cache(self) -> MetadataCache:
        """What indexes, interpreters and builds said before."""
        from pypm_store.metadata_cache import MetadataCache

        if self.retained.cache is not None:
            return self.retained.cache
        return self._stack.enter_context(MetadataCache(self.store.path))

    @cached_property
    def indexes(self) -> Indexes:
        """The workspace's indexes, the machine's settings applied."""
        return indexes_of(self.world, self.workspace)

    @cached_property
    def catalog(self) -> Catalog:
        """The indexes, behind the cache."""
        return self._stack.enter_context(self.new_catalog())

    def new_catalog(self) -> Catalog:
        """A catalog of its own, for a resolution inside another one."""
        from pypm.ops.direct_sources import DirectSources
        from pypm_index.catalog import Catalog

        return Catalog(
            self.store,
            self.indexes,
            cache=self.cache,
            environ=self.world.environ,
            root=self.root,
            sourced=DirectSources(self.root),
            stated=stated_of(self.settings),
            offline=self.world.offline,
            refresh=self.world.refresh,
            cutoffs=cutoffs_of(self.settings),
            build_policy=self.build_policy,
            build_metadata=lambda need: self._describe(self, need),
            listener=self.world.listener,
        )

    @cached_property
    def builder(self) -> Builder:
        """Runs build backends; what they make is kept in the store."""
        from pypm_env.build.builder import Builder
        from pypm_env.build.jobs import Memory

        memory = Memory(
            lambda keys: self.cache.values(METADATA, keys),
            lambda texts: self.cache.put_values(METADATA, texts),
        )
        return self._stack.enter_context(Builder(store=self.store, memory=memory, environ=self.world.environ))

    def scratch(self) -> Path:
        """A new empty folder that goes away with these tools."""
        self._scratches += 1
        folder = self.builder.scratch / f"tree{self._scratches}"
        folder.mkdir()
        return folder

    def interpreter(
        self,
        requires_python: str = "",
        prefer: str = "",
        *,
        folder: Path | None = None,
        alone: bool = False,
    ) -> Interpreter:
        """The interpreter to install for: as asked for, else the first that fits. Raises `NoPython`.

        *folder* is where the search for a `.python-version` begins (the current one, if not given); *alone*
        leaves out what the workspace wants, and pins above that folder.
        """
        from pypm_env.finding import Places, choose

        named = self.world.environ.get("PYPM_PYTHON")
        # What is named by a path is named from where the user stands.
        start = self.world.cwd if named or folder is None else folder
        return choose(
            named or (self.settings.python if not alone else "") or None,
            requires_python,
            Places(self.world.environ, start),
            root=start if alone else self.root,
            prefer=prefer,
            cache=self.probes,
        )

    @cached_property
    def probes(self) -> ProbeCache:
        """What interpreters said of themselves."""
        from pypm_env.probe import folder_cache

        return folder_cache(self.store.path / "interpreters", self._expect_network)

    def _expect_network(self) -> None:
        """Loads what fetching needs. Where no interpreter has been asked before, little else is there."""
        if not self.world.offline:
            import pypm_index.catalog
            import pypm_index.network  # noqa: F401

    def member_at(self, path: str) -> Member:
        """The member in the folder *path*, relative to the root."""
        assert self.workspace is not None
        return self.workspace.by_path[path]

    @cached_property
    def member_paths(self) -> Mapping[NormalizedName, str]:
        """Folders of members by name."""
        return {m.name: m.path for m in self.workspace.members} if self.workspace else {}


def stated_of(settings: Settings) -> Mapping[NormalizedName, list[Metadata]]:
    """What the workspace says that packages depend on, by name."""
    found: dict[NormalizedName, list[Metadata]] = {}
    for stated in settings.stated:
        key = MetadataKey(stated.name, stated.version, "")
        requires = tuple([entry.requirement for entry in stated.requires])
        found.setdefault(stated.name, []).append(
            Metadata(key, requires, stated.extras, stated.requires_python)
        )
    return found


def cutoffs_of(settings: Settings) -> Cutoffs:
    """Which files are too new now: a fixed cut-off, a cooldown, and the exceptions from them."""
    from pypm_index.cutoffs import Cutoffs, earliest, moment

    fixed, now = settings.exclude_newer, datetime.now(UTC)
    relative = moment(f"{settings.cooldown}s", now) if settings.cooldown else ""
    packages = dict.fromkeys(settings.cooldown_except, fixed)
    packages.update((name, moment(when, now)) for name, when in settings.exclude_newer_package)
    return Cutoffs(earliest(fixed, relative), packages=packages)
