"""Statements as the lines that say them."""

from __future__ import annotations

from collections.abc import Iterable

from pypm_model.claims import (
    Allows,
    Bars,
    Claim,
    DependsOn,
    Member,
    NoneSuch,
    NoVersions,
    NoWheel,
    Requires,
    Term,
    Unknown,
)
from pypm_model.facts import Direct, Listing
from pypm_model.markers import FALSE, TRUE, WHEELS_ONLY, Diagram, both, describe, implies, simplify
from pypm_model.names import NormalizedName
from pypm_model.records import record, replace
from pypm_model.requests import Ask, Origin
from pypm_model.requirements import Requirement
from pypm_model.sources import GitSource, IndexSource, PathSource, UrlSource, plain_url
from pypm_model.targets import words
from pypm_model.versions import sort_key
from pypm_resolver.files import lower_bound
from pypm_resolver.grounds import Statement
from pypm_resolver.incompatibility import Barred, Constrained, Depends, Wanted
from pypm_resolver.package import Package
from pypm_resolver.problem import flag_name
from pypm_resolver.region import Region
from pypm_resolver.wording import of_requirement


@record
class Line:
    """A fact of the story: about *subject* (None: it speaks of a member), and leading to *target*."""

    claim: Claim
    subject: NormalizedName | None
    target: NormalizedName | None = None
    asks: tuple[Ask, ...] = ()


class Lines:
    """Says statements about one region; *where* is the part of it that the story is about."""

    def __init__(self, region: Region, where: Diagram) -> None:
        self.region = region
        self.problem = region.problem
        self.graph = region.graph
        self.where = where

    def of(self, statement: Statement) -> list[Line]:
        """The lines that say *statement*; none for what is true by construction."""
        match statement.cause:
            case Wanted() as wanted:
                return self._wanted(statement, wanted)
            case Depends(requirement=requirement, extra=extra):
                return self._depends(statement, requirement, extra)
            case Constrained(ask=ask):
                name = ask.requirement.name
                return [Line(Allows(of_requirement(ask.requirement), name), None, name, (ask,))]
            case Barred() as barred:
                return self._barred(statement, barred)
            case _:
                return []

    def term(self, node: int, bits: int) -> Term:
        """What *bits* of *node* say."""
        absent = bool(bits & self.graph.solver.absent[node])
        key = self.graph.keys[node]
        package = self.graph.packages.get(node)
        if package is not None:
            return self._term(package, bits, absent=absent)
        if key[0] == "extra":
            return Term(NormalizedName(key[1]), f"{key[1]}[{key[2]}]", absent=absent)
        return Term(NormalizedName(key[1]), self.item_words(node), absent=absent)

    def item_words(self, node: int) -> str:
        """``acme``, ``acme[http2]``, ``acme:dev``, ``the workspace``."""
        _, member, extra, group = self.graph.keys[node]
        flag = flag_name((NormalizedName(member), extra, group))
        return "the workspace" if flag == "(root)" else flag.replace("(root)", "the workspace")

    def package(self, name: NormalizedName) -> Package | None:
        """The package *name*; None for members."""
        if name in self.problem.members:
            return None
        package = self.region.universe.package(name)
        return package if isinstance(package, Package) else None

    # Kinds

    def _wanted(self, statement: Statement, wanted: Wanted) -> list[Line]:
        requirement = wanted.requirement
        override = _is_override(wanted, self.problem.overrides.get(requirement.name, ()))
        asks = (*([wanted.ask] if statement.item >= 0 else []), *override)
        after = self._nothing(requirement)
        if statement.item < 0:
            node, mask = statement.terms[0]
            owner = self._term(self.graph.packages[node], mask)
            within = self._within(statement, requirement)
            claim = DependsOn(owner, (of_requirement(requirement),), within, bool(override))
            return [Line(claim, owner.name, requirement.name, asks), *after]
        who = self.item_words(statement.item)
        asked = Requires(
            who, of_requirement(requirement), requirement.name, bool(override), source_words(wanted)
        )
        return [Line(asked, None, requirement.name, asks), *after, *self._member(statement, requirement)]

    def _depends(
        self, statement: Statement, requirement: Requirement, extra: NormalizedName | None
    ) -> list[Line]:
        node, mask = statement.terms[0]
        owner = self._term(self.graph.packages[node], mask, extra)
        claim = DependsOn(owner, statement.texts, self._within(statement, requirement))
        line = Line(claim, owner.name, requirement.name)
        return [line, *self._nothing(requirement), *self._member(statement, requirement)]

    def _within(self, statement: Statement, requirement: Requirement) -> Term:
        """What a dependency allows of its target."""
        package = self.package(requirement.name)
        if package is None:
            return Term(requirement.name, requirement.name)
        for node, term in statement.terms[1:]:
            if self.graph.packages.get(node) is package:
                return self._term(package, package.every & ~term)
        return self._term(package, package.bits(requirement.specifier))

    def _member(self, statement: Statement, requirement: Requirement) -> list[Line]:
        """That a member has another version than somebody else depends on."""
        member = self.problem.members.get(requirement.name)
        if member is None or member.version is None or len(statement.terms) > 1:
            return []
        return [Line(Member(member.name, member.version), requirement.name)]

    def _nothing(self, requirement: Requirement) -> list[Line]:
        """That no candidate at all is what is required."""
        package = self.package(requirement.name)
        if package is None:
            return []
        if package.absent is not None:
            return [Line(Unknown(package.name, package.absent), package.name)]
        if not package.versions:
            indexes = [o.fact.index for o in package.origins if isinstance(o.fact, Listing)]
            return [Line(NoVersions(package.name, tuple(dict.fromkeys(indexes))), package.name)]
        if not requirement.specifier or package.bits(requirement.specifier):
            return []
        return [Line(NoneSuch(package.name, requirement.specifier, package.versions[-1]), package.name)]

    def _barred(self, statement: Statement, barred: Barred) -> list[Line]:
        node, mask = statement.terms[0]
        package = self.graph.packages[node]
        if barred.kind == "python":
            return self._python(package, mask)
        detail = barred.detail
        match barred.kind:
            case "yanked":
                detail = _yank_reason(package, mask)
            case "files" | "required":
                setting = self._ruled_out(package, mask)
                if setting:
                    return [self._bar(package, mask, setting, "")]
                if implies(self.where, WHEELS_ONLY):
                    return [self._no_wheel(package, mask)]
                inside = simplify(self.where, self.problem.where)
                detail = describe(self.where if inside == TRUE else inside)
            case "build":
                detail = ""
        return [self._bar(package, mask, barred.kind, detail)]

    def _no_wheel(self, package: Package, mask: int) -> Line:
        """That versions have no wheel where nothing is built, and which is the newest that has."""
        having = 0
        for cover, versions in package.covers:
            if both(self.where, cover.files) != FALSE:
                having |= versions
        what = self._term(package, mask)
        with_one = self._term(package, having).versions
        claim = NoWheel(what, words(self.where, self.problem.environment), with_one[-1] if with_one else "")
        return Line(claim, package.name)

    def _python(self, package: Package, mask: int) -> list[Line]:
        """What Python versions need at least: one line, since it is more than there is anyway."""
        by_bound = bounds(package, mask)
        other = by_bound.pop("", 0)
        lines = [self._bar(package, other, "python", "another Python")] if other else []
        if by_bound:
            lowest = min(by_bound, key=lambda bound: sort_key(bound.lstrip(">=")))
            lines.append(self._bar(package, mask & ~other, "python", f"Python {lowest}"))
        return lines

    def _ruled_out(self, package: Package, mask: int) -> str:
        """The setting that leaves versions without a file, if it is one: ``no-binary`` or ``no-build``."""
        build = self.problem.request.build
        kinds = {
            files.tags is None
            for origin in package.origins
            if isinstance(origin.fact, Listing)
            for files, versions in origin.fact.classes
            if versions << origin.offset & mask
        }
        if kinds == {False} and not build.takes_wheels(package.name):
            return "no-binary"
        return "no-build" if kinds == {True} and not build.takes_sdists(package.name) else ""

    def _bar(self, package: Package, mask: int, kind: str, detail: str) -> Line:
        return Line(Bars(self._term(package, mask), kind, detail), package.name)

    def _term(
        self, package: Package, bits: int, extra: NormalizedName | None = None, *, absent: bool = False
    ) -> Term:
        label = f"{package.name}[{extra}]" if extra else package.name
        versions = [version for i, version in enumerate(package.versions) if bits >> i & 1]
        known = package.versions
        if len(package.origins) > 1:
            ranked = dict(sorted(zip(package.keys, known, strict=True)))
            known = tuple(dict.fromkeys(ranked.values()))
            versions = [version for version in known if version in versions]
        return Term(package.name, label, tuple(versions), known, absent)


def merged(terms: Iterable[Term]) -> tuple[Term, ...]:
    """*terms* with extras said together with their package: ``a[x] 2.0`` for ``a 2.0`` and ``a[x]``."""
    found = list(terms)
    for extra in [term for term in found if "[" in term.label and not term.known and not term.absent]:
        for position, term in enumerate(found):
            if term.known and term.name == extra.name and not term.absent and term.label == term.name:
                found[position] = replace(term, label=extra.label)
                found.remove(extra)
                break
    return tuple(found)


def bounds(package: Package, mask: int) -> dict[str, int]:
    """The versions of *mask* by the lower bound their files have in common, newest bound first."""
    found: dict[str, int] = {}
    while mask:
        index = mask.bit_length() - 1
        mask &= ~(1 << index)
        origin = package.origin(index)
        texts: set[str] = set()
        if isinstance(origin.fact, Listing):
            bit = 1 << (index - origin.offset)
            texts = {lower_bound(files.requires_python) for files, m in origin.fact.classes if m & bit}
        elif isinstance(origin.fact, Direct):
            texts = {lower_bound(origin.fact.requires_python)}
        bound = texts.pop() if len(texts) == 1 else ""
        found[bound] = found.get(bound, 0) | 1 << index
    return found


def source_words(wanted: Wanted) -> str:
    """Where a member wants a package from, if it says so beside its requirement."""
    match wanted.ask.source:
        case IndexSource(index=index):
            return f"index {index}"
        case PathSource(path=path):
            return f"the path {path}"
        case GitSource(url=url, ref=ref):
            return f"git+{plain_url(url)}" + (f"@{ref}" if ref else "")
        case UrlSource(url=url) if not wanted.requirement.url:
            return plain_url(url)
        case _:
            return ""


def origin_key(origin: Origin) -> tuple[str, str, str, int]:
    """The order of the manifests."""
    return (origin.member, origin.file, origin.table, origin.item)


def _is_override(wanted: Wanted, overrides: tuple[Ask, ...]) -> tuple[Ask, ...]:
    """The override that made *wanted* what it is."""
    return tuple(ask for ask in overrides if ask.requirement is wanted.requirement)[:1]


def _yank_reason(package: Package, mask: int) -> str:
    reasons: list[str] = []
    for origin in package.origins:
        if isinstance(origin.fact, Listing):
            reasons += [
                reason for i, reason in origin.fact.yank_reasons if mask >> (i + origin.offset) & 1 and reason
            ]
    return reasons[-1] if reasons and mask.bit_count() == 1 else ""
