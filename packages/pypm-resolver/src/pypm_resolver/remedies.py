"""Changes that may resolve a conflict. None is said before it has been tried (`pypm_resolver.trials`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pypm_model.markers import FALSE, Diagram, any_of, both, implies, requires_python, text
from pypm_model.names import ROOT, NormalizedName
from pypm_model.records import replace
from pypm_model.requests import Ask, Conflict, MemberRequest, Origin, PrereleasePolicy, Request
from pypm_model.requirements import Requirement
from pypm_model.resolutions import Remedy
from pypm_model.sources import IndexSource
from pypm_model.specifiers import InvalidSpecifier, merge, without_upper_bounds
from pypm_resolver.grounds import Grounds, Statement
from pypm_resolver.incompatibility import Barred, Constrained, Depends, Wanted
from pypm_resolver.lines import bounds, origin_key
from pypm_resolver.package import Package
from pypm_resolver.problem import ItemKey, flag_name
from pypm_resolver.region import Region
from pypm_resolver.wording import of_requirement

EVERY = NormalizedName("*")
"""Stands for every name among what a remedy lifts."""


def remedies(region: Region, found: Grounds, where: Diagram) -> tuple[Remedy, ...]:
    """What may help against *found*, which was found in *region*: the most telling first."""
    return tuple(_Remedies(region, found, where).all())


class _Remedies:
    def __init__(self, region: Region, found: Grounds, where: Diagram) -> None:
        self.region = region
        self.problem = region.problem
        self.request = replace(region.problem.request, members=tuple(region.problem.members.values()))
        self.statements = found.statements
        self.where = where
        self.asked = [
            (statement, statement.cause)
            for statement in found.statements
            if isinstance(statement.cause, Wanted) and statement.item >= 0
        ]
        """What members ask for, in the order of the manifests."""
        self.asked.sort(key=lambda entry: origin_key(entry[1].ask.origin))

    def all(self) -> Iterator[Remedy]:
        for statement in self.statements:
            if isinstance(statement.cause, Barred):
                yield from self._bar(statement, statement.cause.kind)
        for _, wanted in self.asked:
            yield from self._asked(wanted)
        for statement in self.statements:
            if isinstance(statement.cause, Constrained):
                yield from self._relaxations(statement.cause.ask, "the constraint ", self._without_constraint)
        for name in dict.fromkeys(self._unknown()):
            excluded = replace(self.request, excludes=self.request.excludes | {name})
            pinned = any(isinstance(pin.source, IndexSource) for pin in self.problem.pins(name))
            index = "the index that its source names" if pinned else "name the index that has it"
            said = f"without {name} there is a solution: check its spelling, or {index}"
            yield Remedy("spelling", excluded, said, name)
        yield from self._split()
        yield from self._parted()
        yield from self._overrides()

    # Requirements

    def _asked(self, wanted: Wanted) -> Iterator[Remedy]:
        name = wanted.requirement.name
        override = next((a for a in self.request.overrides if a.requirement is wanted.requirement), None)
        if override is not None:
            yield from self._relaxations(override, "the override ", self._without_override)
        elif name not in self.problem.members:
            change = _recataloged if wanted.ask.ranged is not None else _changed
            yield from self._relaxations(wanted.ask, "", lambda old, new: change(self.request, old, new))

    def _relaxations(self, ask: Ask, kind: str, change: Callable[[Ask, Ask], Request]) -> Iterator[Remedy]:
        old = ask.requirement
        if not old.specifier:
            return
        for specifier in _wider(old.specifier):
            new = replace_requirement(ask, old._replace(specifier=specifier))
            before, after = (of_requirement(r._replace(marker="")) for r in (old, new.requirement))
            said = f"relaxing {kind}{before} in {{place}} to {after} "
            origin = ask.ranged or ask.origin
            yield Remedy("relax", change(ask, new), said + "gives a solution{versions}", old.name, origin)

    def _without_constraint(self, old: Ask, new: Ask) -> Request:
        return replace(self.request, constraints=_swapped(self.request.constraints, old, new))

    def _without_override(self, old: Ask, new: Ask) -> Request:
        return replace(self.request, overrides=_swapped(self.request.overrides, old, new))

    # What bars versions

    def _bar(self, statement: Statement, kind: str) -> Iterator[Remedy]:
        package = self.region.graph.packages[statement.terms[0][0]]
        mask = statement.terms[0][1] & self._allowed(statement.terms[0][0], package)
        if not mask:
            return
        index = mask.bit_length() - 1
        name, newest = package.name, package.versions[index]
        request = self.request
        match kind:
            case "yanked" if self.asked:
                origin = self.asked[0][1].ask.origin
                pin = Ask(Requirement(name, (), f"=={newest}"), origin)
                member = self.problem.members[origin.member]
                more = replace(member, dependencies=(*member.dependencies, pin))
                yield Remedy(
                    "yanked",
                    _with_member(request, more),
                    f"{name} {newest} is yanked: requiring {name}=={newest} in {origin.file} "
                    "takes it all the same, and gives a solution",
                    name,
                )
            case "prerelease":
                names = request.prereleases.names if request.prereleases.mode == "only" else frozenset()
                policy = PrereleasePolicy("only", names | {name})
                listed = ", ".join(f'"{each}"' for each in sorted(policy.names))
                yield Remedy(
                    "prerelease",
                    replace(request, prereleases=policy),
                    f"allowing pre-releases of {name} gives a solution{{versions}}: "
                    f"[resolution] prereleases = {{ only = [{listed}] }}",
                    name,
                )
            case "too-new":
                yield Remedy(
                    "too-new",
                    request,
                    f"{name} {newest} would be in range, but exclude-newer or the cooldown leaves it out: "
                    f"[resolution] exclude-newer-package = {{ {name} = false }} lets it in",
                    name,
                    lifted=((name, "too-new"),),
                )
            case "build" if request.build.takes_sdists(name):
                build = replace(request.build, allow=request.build.allow | {name})
                yield Remedy(
                    "build",
                    replace(request, build=build),
                    f"allowing the build of {name} gives a solution, if what it then depends on fits: "
                    f'[resolution] build = {{ allow = ["{name}"] }}',
                    name,
                    lifted=((name, "build"),),
                )
                # Where one needs to be built others often do. Of one kind: not said if the first helped.
                yield Remedy(
                    "build",
                    replace(request, build=replace(request.build, default=True)),
                    "allowing the builds of {builds} gives a solution, if what they then depend on fits: "
                    "[resolution] build = {{ allow = [{quoted}] }}",
                    name,
                    lifted=((EVERY, "build"),),
                )
            case "python":
                yield from self._newer_python(package, mask)
                yield from self._only_where(package, mask)
            case "files" | "required":
                yield from self._only_where(package, mask)

    def _allowed(self, node: int, package: Package) -> int:
        """The candidates that all requirements of the story allow."""
        allowed = package.every
        for statement in self.statements:
            if isinstance(statement.cause, (Wanted, Depends, Constrained)):
                target = dict(statement.terms).get(node)
                name = (
                    statement.cause.ask.requirement.name
                    if isinstance(statement.cause, Constrained)
                    else statement.cause.requirement.name
                )
                if target is not None and name == package.name:
                    allowed &= ~target
        return allowed & package.every

    def _newer_python(self, package: Package, mask: int) -> Iterator[Remedy]:
        members = [
            self.problem.members[name]
            for name in dict.fromkeys(wanted.ask.origin.member for _, wanted in self.asked)
            if name != ROOT
        ]
        for bound in reversed(bounds(package, mask)):
            raised = [
                m for m in members if not implies(requires_python(m.requires_python), requires_python(bound))
            ]
            if not bound or not raised:
                continue
            request = self.request
            for member in raised:
                try:
                    python = merge(member.requires_python, bound)
                except InvalidSpecifier:
                    return
                if both(requires_python(python), self.problem.environment) == FALSE:
                    return
                request = _with_member(
                    request, replace(member, requires_python=_lowest_dropped(python, bound))
                )
            who = " and ".join(member.name for member in raised)
            file = next(w.ask.origin.file for _, w in self.asked if w.ask.origin.member == raised[0].name)
            origin = Origin(raised[0].name, file, "project.requires-python")
            yield Remedy(
                "python",
                request,
                f"raising requires-python of {who} to {bound} ({{place}}) gives a solution{{versions}}",
                package.name,
                origin,
            )

    def _only_where(self, package: Package, mask: int) -> Iterator[Remedy]:
        """A marker for those environments that some version of *mask* has files for."""
        files = any_of(cover.files for cover, versions in package.covers if versions & mask)
        marker = text(files, self.problem.environment)
        if both(files, self.problem.environment) == FALSE or not marker:
            return
        for _, wanted in self.asked:
            old = wanted.ask.requirement
            if old.name != package.name or (old.marker and " or " in old.marker):
                continue
            inner = f"({marker})" if " or " in marker and old.marker else marker
            whole = f"{old.marker} and {inner}" if old.marker else inner
            new = replace_requirement(wanted.ask, old._replace(marker=whole))
            yield Remedy(
                "marker",
                _changed(self.request, wanted.ask, new),
                f"requiring {package.name} only where it can be used gives a solution: "
                f"{of_requirement(_written(new))} in {{place}}",
                package.name,
                wanted.ask.origin,
            )

    # The rest

    def _unknown(self) -> Iterable[NormalizedName]:
        for statement in self.statements:
            if isinstance(statement.cause, (Wanted, Depends)):
                name = statement.cause.requirement.name
                if name in self.problem.members:
                    continue
                package = self.region.universe.package(name)
                if isinstance(package, Package) and package.absent is not None:
                    yield name

    def _split(self) -> Iterator[Remedy]:
        members = list(dict.fromkeys(wanted.ask.origin.member for _, wanted in self.asked))
        if len(members) < 2 or not self.request.shared_environment:
            return
        who = f"{', '.join(members[:-1])} and {members[-1]}"
        yield Remedy(
            "split",
            replace(self.request, shared_environment=False),
            f"with `shared-environment = false` under [workspace], {who} need not fit into one environment: "
            "that gives a solution",
        )

    def _parted(self) -> Iterator[Remedy]:
        """Two extras or groups that exclude each other may be declared to."""
        keys = (self.region.graph.keys[statement.item] for statement, _ in self.asked)
        items = list(dict.fromkeys((NormalizedName(m), e, g) for _, m, e, g in keys))
        if len(items) != 2 or not all(extra or group for _, extra, group in items):
            return
        sides = ", ".join(_side(item) for item in items)
        yield Remedy(
            "conflict",
            replace(self.request, conflicts=(*self.request.conflicts, Conflict(tuple(items)))),
            f"declaring that {' and '.join(map(flag_name, items))} exclude each other gives a solution: "
            f"[resolution] conflicts = [[{sides}]]",
        )

    def _overrides(self) -> Iterator[Remedy]:
        names = dict.fromkeys(
            statement.cause.requirement.name
            for statement in reversed(self.statements)
            if isinstance(statement.cause, Depends)
        )
        for name in names:
            if name in self.problem.members or name in self.problem.overrides:
                continue
            package = self.region.universe.package(name)
            if not isinstance(package, Package) or not package.versions:
                continue
            specifier = ""
            for _, wanted in self.asked:
                if wanted.requirement.name == name:
                    specifier = merge(specifier, wanted.requirement.specifier)
            written = of_requirement(Requirement(name, (), specifier))
            ask = Ask(
                Requirement(name, (), specifier), self.asked[0][1].ask.origin if self.asked else _NOWHERE
            )
            yield Remedy(
                "override",
                replace(self.request, overrides=(*self.request.overrides, ask)),
                f"an override gives a solution{{versions}}, against what {{against}} for: "
                f'[resolution] overrides = ["{written}"]',
                name,
            )


def _side(item: ItemKey) -> str:
    """A member's extra or group as ``conflicts`` has it."""
    member, extra, group = item
    kind, name = ("extra", extra) if extra else ("group", group)
    home = "" if member == ROOT else f'member = "{member}", '
    return f'{{ {home}{kind} = "{name}" }}'


_NOWHERE = Origin(ROOT, "", "")


def replace_requirement(ask: Ask, requirement: Requirement) -> Ask:
    """*ask* for something else."""
    return replace(ask, requirement=requirement)


def _wider(specifier: str) -> list[str]:
    """What *specifier* may be relaxed to: without its upper bounds, and without any."""
    try:
        upward = without_upper_bounds(specifier)
    except InvalidSpecifier:
        return [""]
    return [upward, ""] if upward not in (specifier, "") else [""]


def _written(ask: Ask) -> Requirement:
    """What *ask* is where its name stands."""
    return ask.requirement if ask.ranged is None else ask.requirement._replace(specifier="")


def _changed(request: Request, old: Ask, new: Ask) -> Request:
    """*request* with *new* wherever a member asks *old*."""
    return _each(request, lambda ask: new if ask == old else ask)


def _recataloged(request: Request, old: Ask, new: Ask) -> Request:
    """*request* with the range of *new* for all who have theirs from where *old* has it."""
    specifier = new.requirement.specifier

    def changed(ask: Ask) -> Ask:
        if ask.ranged != old.ranged:
            return ask
        return replace_requirement(ask, ask.requirement._replace(specifier=specifier))

    return _each(request, changed)


def _each(request: Request, change: Callable[[Ask], Ask]) -> Request:
    """*request* with what members ask changed."""

    def of(asks: tuple[Ask, ...]) -> tuple[Ask, ...]:
        return tuple(map(change, asks))

    members = tuple(
        replace(
            member,
            dependencies=of(member.dependencies),
            extras=tuple((extra, of(asks)) for extra, asks in member.extras),
            groups=tuple((group, of(asks)) for group, asks in member.groups),
        )
        for member in request.members
    )
    return replace(request, members=members)


def _swapped(asks: tuple[Ask, ...], old: Ask, new: Ask) -> tuple[Ask, ...]:
    return tuple(new if ask == old else ask for ask in asks)


def _with_member(request: Request, member: MemberRequest) -> Request:
    return replace(request, members=tuple(member if m.name == member.name else m for m in request.members))


def _lowest_dropped(specifier: str, bound: str) -> str:
    """*specifier*, which holds *bound*, without lower bounds that say less."""
    inside = requires_python(bound)
    kept = [c for c in specifier.split(",") if c == bound or not implies(inside, requires_python(c))]
    return ",".join(kept)
