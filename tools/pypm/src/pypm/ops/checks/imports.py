"""What members import without asking for it."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher

from pypm.ops.bounds import lowest, takes_bound, with_bound
from pypm.ops.checks.boundaries import why_forbidden
from pypm.ops.checks.finding import Finding, Remedy
from pypm.ops.checks.pythons import unread
from pypm.ops.checks.sources import BUILD, SHIPPED, is_vendored
from pypm.ops.checks.subject import Subject
from pypm.ops.checks.uses import Use, loaded_at_import
from pypm_model import markers, specifiers
from pypm_model.errors import Place
from pypm_model.names import NormalizedName, is_valid, normalize
from pypm_model.requirement_text import parse, to_text
from pypm_workspace.configuration import Member
from pypm_workspace.edges import asked_by
from pypm_workspace.edit import Target
from pypm_workspace.providers import Contents
from pypm_workspace.standard_library import is_standard, minors, since, until

_test_groups = ("test", "tests", "dev")
_of_python_2 = frozenset(
    (
        *("BaseHTTPServer", "ConfigParser", "Cookie", "HTMLParser", "Queue", "SocketServer", "StringIO"),
        *("Tkinter", "__builtin__", "cPickle", "cStringIO", "httplib", "urllib2", "urlparse", "xmlrpclib"),
    )
)
"""What it had under other names: no distribution is tried where these are."""
_builders = frozenset(("setuptools", "pkg_resources", "wheel"))


def imports(subject: Subject) -> Iterator[Finding]:
    """``undeclared-import`` and ``undeclared-member`` for what a member imports of a distribution or a
    sibling that it does not ask for, once for each file; ``undeclared-at-runtime`` for what shipped code
    imports and only a group, or an extra it does not wait for, asks for; warnings ``optional-import`` and
    ``unknown-import`` for what may be missing, and what cannot be told; and what is not read, as
    `pypm.ops.checks.pythons.unread` has it."""
    yield from unread(subject)
    found, unknown, spare = _judged(subject)
    if spare:
        subject.look_into(spare)
        found, unknown, _ = _judged(subject)
    if unknown:
        # What a sibling asks for, or something else brings, may have it.
        subject.look_into(list(subject.contents))
        found, *_ = _judged(subject)
    yield from found


def _judged(subject: Subject) -> tuple[list[Finding], bool, frozenset[NormalizedName]]:
    """What is found by what is known; whether something is imported that nothing known has; and what is
    asked for that may have it and has not been looked into."""
    judges = [
        _Judge(subject, member)
        for member in subject.workspace.members
        if member.name in subject.sources and member.managed
    ]
    found = [finding for judge in judges for finding in judge.findings()]
    spare = frozenset(name for judge in judges for name in judge.unseen)
    return found, any(judge.has_unknown for judge in judges), spare


class _Judge:
    """Judges the imports of one member."""

    def __init__(self, subject: Subject, member: Member) -> None:
        self._subject = subject
        self._member = member
        self._runtime = subject.runtime(member)
        self._extras = subject.extras(member)
        self._groups = subject.groups(member)
        build = {asked.requirement.name for asked in member.build.requires} if member.build else set()
        self._build = frozenset(build | _builders)
        self._loaded: frozenset[str] | None = None
        self.has_unknown = False
        """Whether something is imported that nothing known has, and that must be there."""
        self.unseen: set[NormalizedName] = set()
        """What may have it, and has not been looked into."""

    def findings(self) -> Iterator[Finding]:
        if self._runtime is None:
            return  # its build backend decides what it asks for, and nothing is locked
        told: set[tuple[str, str]] = set()
        uses = [use for use in self._subject.uses(self._member) if use.is_foreign]
        for use in uses:
            if is_vendored(use.file.path):
                continue
            finding = self._judged(use, uses)
            if finding is None:
                continue
            about = (use.file.path, use.providers[0] if use.providers else use.module.partition(".")[0])
            if finding.code == "unknown-import":
                about = ("", about[1])
            if about not in told:
                told.add(about)
                yield finding

    def _judged(self, use: Use, uses: list[Use]) -> Finding | None:
        if any(self._may_use(use, name) for name in use.providers):
            return None
        if use.imported.pythons and not self._is_reached(use.imported.pythons):
            return None
        if self._subject.ignores(self._member, (*use.providers, use.module, use.module.partition(".")[0])):
            return None
        if use.imported.is_probed or is_standard(use.module) or self._has_substitute(use, uses):
            return None
        if not use.providers and self._is_of_build(use):
            return None
        if not use.providers:
            return self._unknown(use, uses)
        name = use.providers[0]
        if use.imported.is_optional:
            if self._subject.way_to(self._member, name):
                return None  # something it asks for may bring it, and it goes on without
            message = (
                f"`{self._member.name}` imports `{use.module}` of `{name}` where it is there, "
                "but nothing it asks for brings it: an extra could"
            )
            return Finding("optional-import", message, self._place(use), is_error=False)
        return self._undeclared(use, name)

    def _may_use(self, use: Use, name: NormalizedName) -> bool:
        """Whether what *member* asks for covers a use of *name* there."""
        assert self._runtime is not None
        if name in self._runtime or name == self._member.name:
            return True
        if self._member.is_virtual and name in self._everything:
            return True
        if use.file.kind == SHIPPED and not use.is_typing:
            if name not in self._extras:
                return False
            # A module for those who have the extra may import it; what is loaded without asking may not.
            waits = use.imported.is_optional or use.imported.is_late
            return waits or use.file.path not in self._loaded_files()
        asked = name in self._extras or name in self._groups or name in self._subject.root_groups
        return asked or (_may_build(use) and name in self._build)

    def _is_of_build(self, use: Use) -> bool:
        """Whether it is what builds the member, which need not be locked, and is known by its name."""
        top = use.module.partition(".")[0]
        return _may_build(use) and is_valid(top) and normalize(top) in self._build

    @property
    def _everything(self) -> frozenset[NormalizedName]:
        """What the environment has that all share: the members, and what they ask for."""
        members = self._subject.workspace.members
        asked = {each.requirement.name for m in members for _, _, each in asked_by(m)}
        return frozenset(asked | {m.name for m in members})

    def _loaded_files(self) -> frozenset[str]:
        if self._loaded is None:
            name = self._member.name
            self._loaded = loaded_at_import(self._subject.sources[name], self._subject.facts[name])
        return self._loaded

    def _has_substitute(self, use: Use, uses: list[Use]) -> bool:
        """Whether it is imported in place of something that is always there."""
        tried = use.imported.instead_of
        if not tried:
            return False
        missing = {
            other.imported.module
            for other in uses
            if other.file is use.file
            and other.imported.module in tried
            and not any(self._may_use(other, name) for name in other.providers)
        }
        return any(module not in missing and not self._is_late_standard(module) for module in tried)

    def _is_reached(self, pythons: str) -> bool:
        """Whether any Python that the member is for is one of *pythons*."""
        merged = specifiers.merge(self._member.requires_python, pythons)
        return markers.requires_python(merged) != markers.FALSE

    def _is_late_standard(self, module: str) -> bool:
        if not is_standard(module):
            return False
        admitted = minors(self._member.requires_python)
        return any(minor < since(module) or 0 < until(module) <= minor for minor in admitted)

    def _unknown(self, use: Use, uses: list[Use]) -> Finding | None:
        """Nothing that is known has the module: what nobody has looked into may have it."""
        if use.file.kind != SHIPPED and self._subject.sources[self._member.name].has_beside(use.module):
            return None  # of its own: who runs the file puts a folder on the path
        spare = self._spare(use, uses)
        if any(name in self._elsewhere for name in spare) and use.imported.is_elsewhere:
            return None
        top = use.module.partition(".")[0]
        place = self._place(use)
        if top.startswith("_") and (use.imported.pythons or use.imported.is_elsewhere):
            return None  # a part of some Python's own
        if use.imported.is_optional:
            if spare or top.startswith("_") or top in _of_python_2:
                # It may be there; what begins so is no distribution's: the platform has it or not.
                return None
            message = (
                f"`{self._member.name}` imports `{use.module}` where it is there, and nothing known has it"
            )
            return Finding("optional-import", message, place, is_error=False)
        unseen = [name for name in spare if self._is_unseen(name)]
        self.unseen.update(unseen)
        self.has_unknown = True
        if spare:
            may = unseen or spare
            told = ", ".join(f"`{name}`" for name in may[:4]) + (" ..." if len(may) > 4 else "")
            message = (
                f"`{self._member.name}` imports `{use.module}`, and nothing known has it, "
                f"unless it is {told}, {self._why_vague(unseen)}"
            )
            return Finding("unknown-import", message, place, is_error=False, is_open=bool(unseen))
        guess = normalize(top) if is_valid(top) else ""
        suggestion = (
            f'add "{guess}" to {self._remedy(use, guess).table} (a guess by its name), or ' if guess else ""
        )
        message = (
            f"`{self._member.name}` imports `{use.module}`, and nothing that is locked has it: "
            f"{suggestion}say in [check] imports what has"
        )
        return Finding("undeclared-import", message, place)

    def _why_vague(self, unseen: list[NormalizedName]) -> str:
        """Why it cannot be told which modules there are, and what to do about *unseen*, not unpacked."""
        if not unseen:
            return "whose modules are not all known"
        assert self._runtime is not None
        groups = self._subject.workspace.default_groups(self._member)
        synced = self._runtime | {n for n, where in self._groups.items() if not {*groups}.isdisjoint(where)}
        more = "" if synced.issuperset(unseen) else " --all-extras --all-groups"
        return f"which nobody has unpacked here (`pypm sync{more}` does)"

    def _is_unseen(self, name: NormalizedName) -> bool:
        """Whether all that is known of *name*, which is no member, is how it is called."""
        return name not in self._subject.workspace.by_name and self._subject.contents[name].is_guess

    def _asked_names(self) -> list[NormalizedName]:
        return [each.requirement.name for kind, _, each in asked_by(self._member) if kind != "build"]

    def _spare(self, use: Use, uses: list[Use]) -> tuple[NormalizedName, ...]:
        """What the member asks for that may have more modules than are known, and that nothing known is
        imported of."""
        imported = {name for other in uses for name in other.providers}
        names = [*self._asked_names()]
        if use.file.kind != SHIPPED:
            names += sorted(self._subject.root_groups)
        found = dict.fromkeys(name for name in names if name not in imported)
        vague = [name for name in found if _is_vague(self._subject.contents[name])]
        # Those first whose names are most like the module's.
        return tuple(sorted(vague, key=lambda name: -SequenceMatcher(None, name, use.module).ratio()))

    @property
    def _elsewhere(self) -> frozenset[NormalizedName]:
        """What is asked for on some platforms or Pythons only."""
        return frozenset(
            each.requirement.name for _, _, each in asked_by(self._member) if each.requirement.marker
        )

    def _undeclared(self, use: Use, name: NormalizedName) -> Finding:
        member, subject = self._member, self._subject
        forbidden = self._why_forbidden(name)
        if forbidden is not None:
            message = (
                f"`{member.name}` imports `{use.module}` of its sibling `{name}`, which it does not ask for, "
                f"and may not: {forbidden}"
            )
            return Finding("undeclared-member", message, self._place(use))
        remedy = self._remedy(use, name)
        add = f'add "{remedy.requirement}" to {remedy.table}'
        groups, extras = self._groups.get(name, ()), self._extras.get(name, ())
        if use.file.kind == SHIPPED and (groups or extras):
            who = f"its extra {extras[0]}" if extras else f"its group {groups[0]}"
            message = f"`{member.name}` imports `{use.module}` of `{name}`, which only {who} asks for: {add}"
            return Finding("undeclared-at-runtime", message, self._place(use), remedy=remedy)
        if name in subject.workspace.by_name:
            message = (
                f"`{member.name}` imports `{use.module}` of its sibling `{name}`, "
                f"which it does not ask for: {add}"
            )
            return Finding("undeclared-member", message, self._place(use), remedy=remedy)
        via = subject.way_to(member, name)
        how = f"which is only there because of `{via}`" if via else "which it does not ask for"
        guess = " (by its name: it is not unpacked here)" if subject.contents[name].is_guess else ""
        message = f"`{member.name}` imports `{use.module}` of `{name}`{guess}, {how}: {add}"
        return Finding("undeclared-import", message, self._place(use), remedy=remedy)

    def _why_forbidden(self, name: NormalizedName) -> str | None:
        """Why the member may not ask for *name*, if that is a sibling that it may not depend on."""
        workspace = self._subject.workspace
        sibling = workspace.by_name.get(name)
        return None if sibling is None else why_forbidden(workspace, self._member, sibling)

    def _remedy(self, use: Use, name: str) -> Remedy:
        target = Target()
        if self._member.is_virtual or use.file.kind != SHIPPED or use.is_typing:
            groups = [group for group, _ in self._member.groups]
            target = Target("group", next((group for group in _test_groups if group in groups), "dev"))
        requirement, is_open = self._requirement(normalize(name))
        return Remedy(self._member.name, self._member.file, target, requirement, is_open=is_open)

    def _requirement(self, name: NormalizedName) -> tuple[str, bool]:
        """What to ask for: as the member does elsewhere, else as `pypm add` would; and whether it is left
        open which version, since those that are locked are not for all Pythons of the member."""
        subject = self._subject
        known = next(
            (
                each.requirement
                for kind, _, each in asked_by(self._member)
                if kind != "build" and each.requirement.name == name
            ),
            None,
        )
        if known is not None and not known.url:
            return to_text(known), False
        locked = lowest(name, subject.locked.get(name, ()))
        if locked is None or not takes_bound(parse(name), subject.workspace):
            return name, False
        mine, its = (markers.requires_python(of.requires_python) for of in (self._member, locked))
        if not markers.implies(mine, its):
            return name, True
        return with_bound(name, locked.version), False

    def _place(self, use: Use) -> Place:
        path = use.file.path if self._member.path == "." else f"{self._member.path}/{use.file.path}"
        return Place(path, use.imported.line, use.imported.column)


def _may_build(use: Use) -> bool:
    """Whether the file is run when its member is built: also what lies beside the manifest and is not
    shipped, as what setup.py imports, and hatch_build.py."""
    return use.file.kind == BUILD or (use.file.kind != SHIPPED and "/" not in use.file.path)


def _is_vague(contents: Contents) -> bool:
    return contents.is_open or (contents.is_guess and bool(contents.modules))
