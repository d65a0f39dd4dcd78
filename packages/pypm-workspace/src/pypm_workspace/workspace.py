"""A discovered workspace: members, settings, and the request they make to the resolver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from pypm_model import names
from pypm_model.errors import Place
from pypm_model.events import Warned
from pypm_model.names import ROOT, NormalizedName
from pypm_model.records import field, record
from pypm_model.requests import (
    MAX_STEPS,
    BuildPolicy,
    Conflict,
    MemberRequest,
    Origin,
    Preference,
    PrereleasePolicy,
    Request,
)
from pypm_workspace.asks import AskMaker, Backend
from pypm_workspace.checks import Checked, all_indexes
from pypm_workspace.configuration import IndexSetting, Member, Settings, Task, Written
from pypm_workspace.edges import MemberEdge, edges_between
from pypm_workspace.inputs import Inputs
from pypm_workspace.places import Places
from pypm_workspace.snapshot import Remembered, to_snapshot

UNNAMED = "workspace"
"""A workspace that says no name, in what is made of it."""


@record(slots=False)
class Workspace:
    """Everything the manifests of one workspace say. Equal manifests give equal workspaces."""

    root: str
    """Absolute path of the folder."""
    kind: str
    """``pypm`` (a pypm-workspace.toml), ``uv`` (a ``[tool.uv.workspace]``) or ``project`` (one member)."""
    name: str
    members: tuple[Member, ...]
    """Sorted by name; the virtual root, named ``(root)``, among them."""
    settings: Settings
    checked: Checked
    warnings: tuple[Warned, ...]
    inputs: Inputs = field(compare=False)
    """What discovery looked at."""
    remembered: tuple[Remembered, ...] = field(compare=False, repr=False)
    state: str = field(compare=False, repr=False)
    """Digest over all manifests."""
    read: Callable[[str], str] = field(compare=False, repr=False)
    """The text of a file of the workspace, by its relative path; empty if it cannot be read."""
    on_disk: Callable[[str], str] | None = field(default=None, compare=False, repr=False)
    """As `read`, for the files as they are, where the workspace is one that there would be."""
    absent: tuple[str, ...] = ()
    """Folders of members that are not in this checkout, and stand in for themselves as far as the lock
    knows them."""
    title: str = UNNAMED
    """Its name in files that are the same for all clones: *name*, unless that is only the folder's."""

    @cached_property
    def by_name(self) -> Mapping[NormalizedName, Member]:
        """Members by name."""
        return {member.name: member for member in self.members}

    @cached_property
    def by_path(self) -> Mapping[str, Member]:
        """Members by folder, relative to the root."""
        return {member.path: member for member in self.members}

    @cached_property
    def edges(self) -> tuple[MemberEdge, ...]:
        """Who depends on whom."""
        return edges_between(self.members)

    @cached_property
    def indexes(self) -> tuple[IndexSetting, ...]:
        """Indexes in order of priority, without the built-in default."""
        return all_indexes(self.members, self.settings)

    @cached_property
    def pythons(self) -> Mapping[NormalizedName, str]:
        """The range each member is locked for."""
        return dict(self.checked.pythons)

    def tasks(self, member: Member) -> tuple[Task, ...]:
        """The member's tasks: its own, and the workspace's that it does not define. By name. A virtual
        root inherits only those that are run once for all."""
        found = {
            task.name: task
            for task in self.settings.tasks
            if task.scope == "workspace" or not member.is_virtual
        }
        found.update((task.name, task) for task in member.tasks)
        return tuple(found[name] for name in sorted(found))

    def default_groups(self, member: Member) -> tuple[NormalizedName, ...]:
        """Groups of *member* that are installed unless told otherwise; only ones it has."""
        wanted = self.settings.default_groups if member.default_groups is None else member.default_groups
        return tuple(name for name, _ in member.groups if "*" in wanted or name in wanted)

    def request(
        self,
        *,
        preferences: tuple[tuple[NormalizedName, tuple[Preference, ...]], ...] = (),
        preferred_splits: tuple[str, ...] = (),
        backends: Mapping[NormalizedName, Backend] | None = None,
        default_python: str = "",
        build: BuildPolicy | None = None,
        strategy: str | None = None,
        prereleases: PrereleasePolicy | None = None,
        exclude_newer: str | None = None,
    ) -> Request:
        """What this workspace asks the resolver for; the options replace the workspace's settings.

        *backends* answers for members with `Member.unstated` fields; *default_python* is the range
        of a member when no member states one. Raises nothing: manifests were checked when read.
        """
        settings = self.settings
        maker = AskMaker(self.members, settings, self.root.replace("\\", "/"))
        requests: list[MemberRequest] = []
        for member in self.members:
            backend = (backends or {}).get(member.name)
            python = self.pythons.get(member.name, member.requires_python)
            if backend is not None and "requires-python" in member.dynamic:
                python = backend.requires_python
            requests.append(maker.member_request(member, python or default_python, backend))
        return Request(
            members=tuple(requests),
            environments=settings.environments,
            required_environments=settings.required_environments,
            strategy=strategy or settings.strategy,
            fork_strategy=settings.fork_strategy,
            prereleases=prereleases
            or PrereleasePolicy(settings.prereleases, frozenset(settings.prerelease_names)),
            constraints=tuple(maker.workspace_asks(settings.constraints, settings.file)),
            overrides=tuple(maker.workspace_asks(settings.overrides, settings.file)),
            provisions=tuple(maker.provisions()),
            excludes=frozenset(settings.excludes),
            build=build or self.build_policy,
            conflicts=self._conflicts(),
            shared_environment=settings.shared_environment,
            preferences=preferences,
            preferred_splits=preferred_splits,
            exclude_newer=settings.exclude_newer if exclude_newer is None else exclude_newer,
            max_steps=settings.max_steps or MAX_STEPS,
        )

    @property
    def build_policy(self) -> BuildPolicy:
        """Whose build backends may run, by the settings. Where uv is used sdists are built unless its
        settings refuse it, as its users have it from uv; elsewhere only what is allowed by name."""
        settings = self.settings
        return BuildPolicy(
            settings.build_default or (settings.of_uv and not settings.build_refused),
            frozenset(settings.build_allow),
            frozenset(settings.no_binary),
            frozenset(settings.no_build),
        )

    @property
    def is_told_whole(self) -> bool:
        """Whether the manifests alone say what members ask for: no build backend, interpreter at hand or
        member that is not in this checkout has a say."""
        return (
            any(self.pythons.values())
            and not any(member.unstated for member in self.members)
            and not self.absent
        )

    def place(self, origin: Origin | Written) -> Place:
        """The file and line of a requirement or setting; without the line if the file is gone."""
        return self._places.of(origin)

    @cached_property
    def _places(self) -> Places:
        return Places(self.read, self.on_disk)

    def _conflicts(self) -> tuple[Conflict, ...]:
        root = self.by_path.get(".")
        said = [(root.name if root else ROOT, conflict) for conflict in self.settings.conflicts]
        said += [(member.name, conflict) for member in self.members for conflict in member.conflicts]
        found = (
            Conflict(
                tuple(
                    [
                        (names.normalize(side.member) if side.member else home, side.extra, side.group)
                        for side in conflict
                    ]
                )
            )
            for home, conflict in said
        )
        # What the root of a uv workspace says is its own and the workspace's.
        return tuple(dict.fromkeys(found))

    def snapshot(self) -> bytes:
        """What to keep for the next run: see `pypm_workspace.snapshot.members_from_snapshot`."""
        return to_snapshot(self.root, self.remembered, self.state, self.checked)
