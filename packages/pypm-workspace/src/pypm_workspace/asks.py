"""From what members ask to what the resolver is asked: sources, the catalog and siblings applied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pypm_model import markers, names
from pypm_model.later import later
from pypm_model.names import ROOT, NormalizedName
from pypm_model.patterns import pattern
from pypm_model.records import record, replace
from pypm_model.requests import Ask, MemberRequest, Origin, Provision
from pypm_model.requirements import Requirement
from pypm_model.sources import IndexSource, MemberSource
from pypm_workspace.configuration import Asked, Member, Settings, SourceRule

if TYPE_CHECKING:
    from pypm_workspace import direct_reference
else:
    direct_reference = later("pypm_workspace.direct_reference")


_extra = pattern(r"""\bextra *== *['"]([^'"]+)['"]""")


@record
class Backend:
    """What a member's build backend said about fields its manifest leaves to it."""

    requires: tuple[Requirement, ...] = ()
    """Requires-Dist, with ``extra == "x"`` in the markers of an extra's requirements."""
    extras: tuple[NormalizedName, ...] = ()
    requires_python: str = ""


class AskMaker:
    """Makes `Ask` records for the members of one workspace."""

    def __init__(self, members: Sequence[Member], settings: Settings, root: str) -> None:
        self._paths = {member.name: member.path for member in members if not member.is_virtual}
        self._catalog = {entry.name: entry for entry in settings.catalog}
        self._root = root
        self._shared = _by_name(settings.sources)
        self._own = {member.name: _by_name(member.sources) for member in members if member.sources}
        self._sources = {path: MemberSource(path) for path in self._paths.values()}

    def member_request(self, member: Member, requires_python: str, backend: Backend | None) -> MemberRequest:
        """*member* as it enters a resolution, for the Pythons of *requires_python*."""
        if backend is not None:
            member = _completed(member, backend)
        member = _without_extras(member)
        pythons = dict(member.group_pythons)
        return MemberRequest(
            member.name,
            member.path,
            member.version,
            requires_python,
            tuple(self._asks(member, member.dependencies)),
            tuple((name, tuple(self._asks(member, asked, extra=name))) for name, asked in member.extras),
            tuple(
                (name, tuple(self._asks(member, _bounded(asked, pythons.get(name, "")), group=name)))
                for name, asked in member.groups
            ),
        )

    def sourced(self, member: Member, requirements: Iterable[Requirement]) -> Iterator[tuple[Ask, ...]]:
        """For each of *requirements*, which somebody else says *member* has (``extra == "x"`` in the markers
        of those of an extra), what it comes to with the sources that hold for the member."""
        for item, requirement in enumerate(requirements):
            extra = _extra.search(requirement.marker)
            asked = (Asked(requirement, "project.dependencies", item),)
            yield tuple(self._asks(member, asked, extra=names.normalize(extra[1]) if extra else ""))

    def workspace_asks(self, asked: Iterable[Asked], file: str) -> Iterator[Ask]:
        """Constraints and overrides as the workspace states them: sources apply, the catalog does not."""
        for requirement, table, item in asked:
            written_in = "pyproject.toml" if table.startswith("tool.") else file
            yield from self._sourced(
                requirement, Origin(ROOT, written_in, table, item), self._shared, ".", "", ""
            )

    def build_asks(self, member: Member | None, requirement: Requirement, origin: Origin) -> Iterator[Ask]:
        """One build requirement of *member* (None: of one that has no sources) with the sources that hold for
        it."""
        own = self._own.get(member.name, {}) if member is not None else {}
        rules = own if requirement.name in own else self._shared
        yield from self._sourced(requirement, origin, rules, member.path if member else ".", "", "")

    def script_asks(
        self, rules: Iterable[SourceRule], requirement: Requirement, origin: Origin, base: str
    ) -> Iterator[Ask]:
        """One requirement of a script in the folder *base*, by the script's own sources."""
        yield from self._sourced(requirement, origin, _by_name(rules), base, "", "")

    def provisions(self) -> Iterator[Provision]:
        """Where names come from for everybody: what pypm's own file says, by name. uv's table is for what
        members ask for, as are sources for one extra or group."""
        for name, rules in sorted(self._shared.items()):
            for rule in rules:
                if name not in self._paths and not (rule.extra or rule.group) and _table(rule)[1] == "pypm":
                    yield Provision(name, rule.source, rule.marker)

    def _asks(
        self, member: Member, asked: Iterable[Asked], *, extra: str = "", group: str = ""
    ) -> Iterator[Ask]:
        name, file, own = member.name, member.file, self._own.get(member.name)
        for requirement, table, item in asked:
            origin = Origin(name, file, table, item)
            target = requirement.name
            ranged: Origin | None = None
            if target in self._paths:
                plain = requirement._replace(url="") if requirement.url else requirement
                yield Ask(plain, origin, self._sources[self._paths[target]])
                continue
            if not requirement.specifier and not requirement.url and target in self._catalog:
                entry = self._catalog[target]
                requirement = requirement._replace(specifier=entry.specifier)
                ranged = Origin(ROOT, entry.written.file, entry.written.table)
            rules = own if own is not None and target in own else self._shared
            asks = self._sourced(requirement, origin, rules, member.path, extra, group)
            yield from asks if ranged is None else (replace(ask, ranged=ranged) for ask in asks)

    def _sourced(
        self,
        requirement: Requirement,
        origin: Origin,
        rules: Mapping[NormalizedName, tuple[SourceRule, ...]],
        base: str,
        extra: str,
        group: str,
    ) -> Iterator[Ask]:
        """One ask per source that may serve the requirement, each with the source's region, and one
        without source for the region no source speaks of."""
        if requirement.name in self._paths:
            source = self._sources[self._paths[requirement.name]]
            yield Ask(requirement._replace(url=""), origin, source)
            return
        found = [
            rule
            for rule in rules.get(requirement.name, ())
            if rule.extra in ("", extra) and rule.group in ("", group)
        ]
        scoped = [rule for rule in found if rule.extra or rule.group]
        found = scoped or found
        if not found:
            if requirement.url:
                source_here = direct_reference.direct_reference(requirement.url, base=base, root=self._root)
                yield Ask(requirement._replace(url=""), origin, source_here)
            else:
                yield Ask(requirement, origin)
            return
        rest = markers.parse(requirement.marker)
        for rule in found:
            plain = requirement if isinstance(rule.source, IndexSource) else requirement._replace(url="")
            if not rule.marker:
                yield Ask(plain, origin, rule.source)
                return
            region = markers.parse(rule.marker)
            here = markers.both(rest, region)
            if here != markers.FALSE:
                yield Ask(_in(plain, here), origin, rule.source)
            rest = markers.minus(rest, region)
        if rest != markers.FALSE:
            yield Ask(_in(requirement, rest), origin)


def _in(requirement: Requirement, region: markers.Diagram) -> Requirement:
    """*requirement* in *region* only; as it was written if that changes nothing."""
    if markers.parse(requirement.marker) == region:
        return requirement
    return requirement._replace(marker=markers.text(region))


def _by_name(rules: Iterable[SourceRule]) -> dict[NormalizedName, tuple[SourceRule, ...]]:
    """Rules by name; of several tables that speak of a name, the first one counts."""
    found: dict[NormalizedName, list[SourceRule]] = {}
    for rule in rules:
        if isinstance(rule.source, MemberSource):
            continue  # members are known by their names; a rule adds nothing
        mine = found.setdefault(rule.name, [])
        if not mine or _table(mine[0]) == _table(rule):
            mine.append(rule)
    return {name: tuple(mine) for name, mine in found.items()}


def _table(rule: SourceRule) -> tuple[str, str]:
    return rule.file, "tool.uv" if rule.table.startswith("tool.uv") else "pypm"


def _bounded(asked: Iterable[Asked], python: str) -> Iterable[Asked]:
    """Requirements of a group that is for some Pythons only: their markers say so."""
    if not python:
        return asked
    region = markers.requires_python(python)
    found = []
    for entry in asked:
        here = markers.both(markers.parse(entry.requirement.marker), region)
        if here != markers.FALSE:
            found.append(entry._replace(requirement=_in(entry.requirement, here)))
    return found


def _without_extras(member: Member) -> Member:
    """*member* with ``extra == "x"`` in a marker carried out, as whoever installs what is built would: in the
    table of an extra it holds for that extra, elsewhere it makes the requirement one of the extra."""
    tables = [member.dependencies, *(asked for _, asked in (*member.extras, *member.groups))]
    if not any("extra" in entry.requirement.marker for asked in tables for entry in asked):
        return member
    base = member.dependencies
    return replace(
        member,
        dependencies=tuple(_given(base)),
        extras=tuple((name, (*_given(asked, name), *_added(base, name))) for name, asked in member.extras),
        groups=tuple((name, tuple(_given(asked))) for name, asked in member.groups),
    )


def _given(asked: Iterable[Asked], *extras: NormalizedName) -> Iterator[Asked]:
    """What *asked* comes to if just *extras* are asked for."""
    for entry in asked:
        here = markers.without_extras(markers.parse(entry.requirement.marker), frozenset(extras))
        if here != markers.FALSE:
            yield entry._replace(requirement=_in(entry.requirement, here))


def _added(asked: Iterable[Asked], extra: NormalizedName) -> Iterator[Asked]:
    """What *extra* adds to *asked*, which is asked for without it."""
    for entry in asked:
        marker = markers.parse(entry.requirement.marker)
        without = markers.without_extras(marker, frozenset())
        here = markers.minus(markers.without_extras(marker, frozenset({extra})), without)
        if here != markers.FALSE:
            yield entry._replace(requirement=_in(entry.requirement, here))


def _completed(member: Member, backend: Backend) -> Member:
    """*member* with the fields its manifest calls dynamic taken from its backend, whose answer
    includes what the manifest states."""
    table = "project.dynamic"
    base: list[Asked] = []
    extras: dict[NormalizedName, list[Asked]] = {name: [] for name in backend.extras}
    for item, requirement in enumerate(backend.requires):
        marker = markers.parse(requirement.marker)
        always = markers.without_extras(marker, frozenset())
        if always != markers.FALSE:
            base.append(Asked(_in(requirement, always), table, item))
        for name, asked in extras.items():
            here = markers.minus(markers.without_extras(marker, frozenset({name})), always)
            if here != markers.FALSE:
                asked.append(Asked(_in(requirement, here), table, item))
    if "dependencies" in member.dynamic:
        member = replace(member, dependencies=tuple(base))
    if "optional-dependencies" in member.dynamic:
        found = tuple(sorted((name, tuple(asked)) for name, asked in extras.items()))
        member = replace(member, extras=found)
    return member
