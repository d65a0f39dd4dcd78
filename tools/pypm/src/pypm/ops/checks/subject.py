"""What the checks look at: the workspace, and what its code says, read once for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cached_property

from pypm.ops.checks.contents import contents_of
from pypm.ops.checks.looking import look_into
from pypm.ops.checks.reading import facts_by_file
from pypm.ops.checks.sources import MemberSources, sources_of
from pypm.ops.checks.uses import Use, uses_of
from pypm.ops.old_lock import lock_text
from pypm.ops.tools import Tools
from pypm.ops.world import LOCK
from pypm_model.lock_errors import LockConflicted, LockUnreadable
from pypm_model.lock_text import read
from pypm_model.locks import Lock, LockedPackage, Manifest
from pypm_model.names import NormalizedName
from pypm_model.requirement_text import parse
from pypm_workspace.configuration import Member
from pypm_workspace.edges import asked_by
from pypm_workspace.imports import SourceFacts
from pypm_workspace.providers import Contents, Providers, guessed
from pypm_workspace.workspace import Workspace


class Subject:
    """One workspace under the checks."""

    def __init__(self, tools: Tools, workspace: Workspace) -> None:
        self.tools = tools
        self.workspace = workspace
        self._uses: dict[NormalizedName, tuple[Use, ...]] = {}
        self._can_look = True

    @cached_property
    def sources(self) -> Mapping[NormalizedName, MemberSources]:
        """The sources of each member; of one that is not in this checkout, none are known."""
        absent = self.workspace.absent
        return {
            member.name: sources_of(self.workspace, member)
            for member in self.workspace.members
            if member.path not in absent
        }

    @cached_property
    def facts(self) -> Mapping[NormalizedName, Mapping[str, SourceFacts]]:
        """What the files of each member import, by path."""
        return dict(zip(self.sources, facts_by_file(self.tools, tuple(self.sources.values())), strict=True))

    def uses(self, member: Member) -> tuple[Use, ...]:
        """What *member* imports that is not its own."""
        if member.name not in self._uses:
            sources, facts = self.sources[member.name], self.facts[member.name]
            self._uses[member.name] = tuple(
                uses_of(sources, facts, self._providers_of(member), self._shared_modules)
            )
        return self._uses[member.name]

    @cached_property
    def lock(self) -> Lock | None:
        """The lock there is; None if it is not there or does not read: another check says so."""
        text = lock_text(self.workspace)
        try:
            return None if text is None else read(text, LOCK)
        except (LockConflicted, LockUnreadable):
            return None

    @cached_property
    def locked(self) -> Mapping[NormalizedName, tuple[LockedPackage, ...]]:
        """What is locked, by name."""
        found: dict[NormalizedName, tuple[LockedPackage, ...]] = {}
        for package in self.lock.packages if self.lock else ():
            found[package.name] = (*found.get(package.name, ()), package)
        return found

    @cached_property
    def contents(self) -> Mapping[NormalizedName, Contents]:
        """What can be imported of each distribution that is locked, asked for or a member."""
        asked = (each.requirement.name for m in self.workspace.members for _, _, each in asked_by(m))
        found = contents_of(self.tools, self.workspace, self.lock, asked)
        for name, one in self.sources.items():
            found[name] = one.contents if one.contents.modules else guessed(name)
        return found

    def look_into(self, names: Iterable[NormalizedName]) -> None:
        """Finds out what is in those of *names* that are locked and that nobody has unpacked here, from the
        index if it must be. What cannot be had stays a guess, and is not asked for again."""
        packages = [
            package
            for name in sorted(set(names))
            if name not in self.workspace.by_name and self.contents[name].is_guess
            for package in self.locked.get(name, ())
        ]
        if packages and self._can_look:
            self._can_look = look_into(self.tools, packages)
            self._uses.clear()
            for known in ("contents", "_providers"):
                self.__dict__.pop(known, None)

    def _providers_of(self, member: Member) -> Providers:
        """Where *member* has its modules from; its own settings are stronger than the workspace's."""
        if not member.check.imports:
            return self._providers
        return Providers(self.contents, dict((*self.workspace.settings.check.imports, *member.check.imports)))

    @cached_property
    def _providers(self) -> Providers:
        return Providers(self.contents, dict(self.workspace.settings.check.imports))

    def ignores(self, member: Member, words: Iterable[str]) -> bool:
        """Whether settings say to be silent about one of *words*, names of distributions and modules."""
        globs = (*self.workspace.settings.check.ignore, *member.check.ignore)
        return any(fnmatchcase(word, glob) for word in words for glob in globs)

    @cached_property
    def _shared_modules(self) -> frozenset[str]:
        """Modules that the root's pytest settings put on everybody's path."""
        root = next((one for one in self.sources.values() if one.member.path == "."), None)
        if root is None:
            return frozenset()
        found: set[str] = set()
        for folder in root.python_path:
            for file in root.files:
                below = file.path if not folder else file.path.removeprefix(f"{folder}/")
                if not folder or below != file.path:
                    found.add(below.partition("/")[0].partition(".")[0])
        return frozenset(found)

    def runtime(self, member: Member) -> frozenset[NormalizedName] | None:
        """What *member* asks for to run; None if only its build backend knows and no lock tells."""
        stated = {asked.requirement.name for asked in member.dependencies}
        if "dependencies" not in member.dynamic:
            return frozenset(stated)
        told = self._locked_manifest(member)
        return None if told is None else frozenset(stated | set(_names(told.dependencies)))

    def extras(self, member: Member) -> Mapping[NormalizedName, tuple[str, ...]]:
        """What its extras add, and which they are."""
        found: dict[NormalizedName, tuple[str, ...]] = {}
        for extra, items in member.extras:
            for asked in items:
                name = asked.requirement.name
                found[name] = (*found.get(name, ()), extra)
        told = self._locked_manifest(member) if "optional-dependencies" in member.dynamic else None
        for extra, texts in told.extras if told else ():
            for name in _names(texts):
                found[name] = (*found.get(name, ()), extra)
        return found

    def groups(self, member: Member) -> Mapping[NormalizedName, tuple[str, ...]]:
        """What its groups add, and which they are."""
        found: dict[NormalizedName, tuple[str, ...]] = {}
        for group, items in member.groups:
            for asked in items:
                name = asked.requirement.name
                if group not in found.get(name, ()):
                    found[name] = (*found.get(name, ()), group)
        return found

    @cached_property
    def root_groups(self) -> frozenset[NormalizedName]:
        """What the root's groups bring into the environment that all share."""
        root = self.workspace.by_path.get(".")
        return frozenset(self.groups(root)) if root is not None else frozenset()

    def way_to(self, member: Member, name: NormalizedName) -> NormalizedName | None:
        """The dependency of *member* (itself, if that is one) through which it has *name*, as locked."""
        begins = [
            asked.requirement.name
            for kind, _, asked in asked_by(member)
            if kind != "build" and asked.requirement.name in self.locked
        ]
        via = {begin: begin for begin in begins if begin != member.name}
        todo = list(via)
        for at in todo:
            for package in self.locked.get(at, ()):
                for edge in (*package.dependencies, *(e for _, edges in package.extras for e in edges)):
                    if edge.name not in via:
                        via[edge.name] = via[at]
                        todo.append(edge.name)
        return via.get(name)

    def _locked_manifest(self, member: Member) -> Manifest | None:
        return next((p.manifest for p in self.locked.get(member.name, ()) if p.manifest is not None), None)


def _names(texts: Iterable[str]) -> Iterator[NormalizedName]:
    """What requirements in a lock's manifest are for: one with a source of its own is ``name @ source``."""
    for text in texts:
        yield parse(text.partition(" @ ")[0]).name
