"""A proof in words: who asked for what, what the indexes have not, and where that meets.

The leaves of the derivation are told, not its steps: requirements of many versions of one package
are one line, and lines come in the order in which a reader would look them up, from the members on.
Every line is a statement about the facts that were fed.
"""

from __future__ import annotations

from collections.abc import Iterable

from pypm_model.facts import Listing
from pypm_model.markers import FALSE, Diagram, all_of, describe, text
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_model.requests import Ask
from pypm_model.resolutions import Reason, Unsolvable
from pypm_resolver.evidence import Evidence, bounds
from pypm_resolver.graph import NodeKey
from pypm_resolver.hints import hints
from pypm_resolver.incompatibility import Barred, Constrained, Depends, Incompatibility, Wanted
from pypm_resolver.package import Package
from pypm_resolver.problem import flag_name
from pypm_resolver.region import Region
from pypm_resolver.wording import of_requirement, of_versions


@record(frozen=False, eq=False)
class Line:
    """A line in the making: about *subject*, and telling of *target*."""

    text: str
    subject: NormalizedName | None
    """The package whose candidates it is about; None: it speaks of a member."""
    target: NormalizedName | None
    asks: tuple[Ask, ...] = ()


def explain(region: Region, proof: Incompatibility) -> Unsolvable:
    """The story of *proof*, which has no terms and hangs on no marker in *region*."""
    return _Story(region, proof).told()


class _Story:
    def __init__(self, region: Region, proof: Incompatibility) -> None:
        self.region = region
        self.problem = region.problem
        self.evidence = Evidence(region, proof)
        self.where = self._where()

    def told(self) -> Unsolvable:
        lines = self._ordered(self._lines())
        reasons = [Reason(line.text, line.asks) for line in lines]
        everywhere = self.where == self.problem.where
        place = "" if everywhere else f" {describe(self.where)}"
        reasons.append(Reason(self._end() + place, (), tuple(range(len(reasons)))))
        names = dict.fromkeys(name for line in lines for name in (line.subject, line.target) if name)
        return Unsolvable(
            tuple(reasons),
            "" if everywhere else text(self.where, self.problem.where),
            tuple(dict.fromkeys(hints(self.evidence))),
            tuple(names),
        )

    def _where(self) -> Diagram:
        """Where the proof holds: where all its leaves do; files and Requires-Python were judged
        for the region that was solved."""
        judged = any(
            isinstance(leaf.cause, Barred) and leaf.cause.kind in ("python", "files", "required")
            for leaf in self.evidence.leaves
        )
        if judged:
            return self.region.where
        where = all_of((self.problem.where, *(leaf.marker for leaf in self.evidence.leaves)))
        return where if where != FALSE else self.region.where

    # Lines

    def _lines(self) -> list[Line]:
        lines: list[Line] = []
        depends: dict[tuple[NormalizedName, NormalizedName], list[Incompatibility]] = {}
        barred: dict[tuple[NormalizedName, str], list[Incompatibility]] = {}
        for leaf in self.evidence.leaves:
            match leaf.cause:
                case Wanted() as wanted:
                    lines += self._wanted(leaf, wanted)
                case Depends(requirement=requirement):
                    owner = self.evidence.owner(leaf, requirement.name)
                    if owner is not None:
                        depends.setdefault((owner.name, requirement.name), []).append(leaf)
                case Constrained(ask=ask):
                    said = f"a constraint allows only {of_requirement(ask.requirement)}"
                    lines.append(Line(said, None, ask.requirement.name, (ask,)))
                case Barred(kind=kind):
                    owner = self.evidence.only(leaf)
                    if owner is not None:
                        barred.setdefault((owner.name, kind), []).append(leaf)
                case _:
                    pass
        for (name, target), group in depends.items():
            lines += self._depends(name, target, group)
        for (name, kind), group in barred.items():
            lines += self._barred(name, kind, group)
        for name in self._targets():
            lines += self._nothing(name)
        unique: dict[str, Line] = {}
        for line in lines:
            unique.setdefault(line.text, line)
        return list(unique.values())

    def _wanted(self, leaf: Incompatibility, wanted: Wanted) -> Iterable[Line]:
        origin = wanted.ask.origin
        said = of_requirement(wanted.requirement)
        if wanted.requirement.name in self.problem.members:
            member = self.problem.members[wanted.requirement.name]
            if len(leaf.terms) == 1 and member.version is not None:
                yield Line(
                    f"{member.name} is a member of this workspace and has version {member.version}",
                    None,
                    None,
                )
        yield Line(
            f"{_item_words(self._item_of(leaf), origin.member)} requires {said}",
            None,
            wanted.requirement.name,
            (wanted.ask,),
        )

    def _item_of(self, leaf: Incompatibility) -> NodeKey | None:
        for node, _ in leaf.terms:
            if self.region.graph.keys[node][0] == "item":
                return self.region.graph.keys[node]
        return None

    def _depends(
        self, name: NormalizedName, target: NormalizedName, group: list[Incompatibility]
    ) -> Iterable[Line]:
        by_text: dict[tuple[str, str | None], int] = {}
        package: Package | None = None
        for leaf in group:
            assert isinstance(leaf.cause, Depends)
            package = self.evidence.owner(leaf, target)
            assert package is not None
            said = (of_requirement(leaf.cause.requirement), leaf.cause.extra)
            by_text[said] = by_text.get(said, 0) | self.evidence.mask(leaf, package)
        assert package is not None
        if len(by_text) > 3:
            mask = 0
            for one in by_text.values():
                mask |= one
            latest = max(by_text, key=lambda said: by_text[said])
            newest = package.versions[by_text[latest].bit_length() - 1]
            yield Line(
                f"{of_versions(package, mask)} {_verb(package, mask)} on {target}, each on versions "
                f"of its own: {newest} on {latest[0]}",
                name,
                target,
            )
            return
        for (text_, extra), mask in by_text.items():
            yield Line(f"{of_versions(package, mask, extra)} {_verb(package, mask)} on {text_}", name, target)

    def _barred(self, name: NormalizedName, kind: str, group: list[Incompatibility]) -> Iterable[Line]:
        package = self.evidence.only(group[0])
        assert package is not None
        mask = 0
        details: dict[str, int] = {}
        for leaf in group:
            own = self.evidence.mask(leaf, package)
            mask |= own
            assert isinstance(leaf.cause, Barred)
            details[leaf.cause.detail] = details.get(leaf.cause.detail, 0) | own
        relevant = mask & self.evidence.allowed.get(name, package.every) or mask
        which = of_versions(package, relevant)
        one = relevant.bit_count() == 1 or which.startswith("every ")
        match kind:
            case "yanked":
                reasons = _yank_reasons(package, relevant)
                yield Line(f"{which} {'is' if one else 'are'} yanked{reasons}", name, None)
            case "too-new":
                date = (
                    f" ({self.problem.request.exclude_newer})" if self.problem.request.exclude_newer else ""
                )
                yield Line(f"{which} {'is' if one else 'are'} newer than allowed{date}", name, None)
            case "prerelease":
                yield Line(
                    f"{which} {'is a pre-release' if one else 'are pre-releases'}, which are not allowed",
                    name,
                    None,
                )
            case "python":
                for bound, versions in bounds(package, relevant).items():
                    verb = "needs" if versions.bit_count() == 1 else "need"
                    needed = f"Python {bound}" if bound else "another Python"
                    yield Line(f"{of_versions(package, versions)} {verb} {needed}", name, None)
            case "files" | "required":
                verb = "has" if one else "have"
                yield Line(f"{which} {verb} no usable file {describe(self.where)}", name, None)
            case "build":
                has, tell = ("has", "its build") if one else ("have", "a build")
                yield Line(
                    f"{which} {has} no wheel: only {tell} would tell the dependencies, "
                    "and that is not allowed",
                    name,
                    None,
                )
            case "source":
                yield Line(
                    f"{which} {'comes' if one else 'come'} from a source not asked for here", name, None
                )
            case _:
                for detail, versions in details.items():
                    yield Line(f"{of_versions(package, versions)}: {detail}", name, None)

    def _targets(self) -> list[NormalizedName]:
        targets: dict[NormalizedName, None] = {}
        for leaf in self.evidence.leaves:
            match leaf.cause:
                case Wanted(requirement=requirement) | Depends(requirement=requirement):
                    targets.setdefault(requirement.name)
                case _:
                    pass
        return list(targets)

    def _nothing(self, name: NormalizedName) -> Iterable[Line]:
        """What to say of a package no candidate of which is allowed by a single requirement."""
        package = self.evidence.package(name)
        if package is None:
            return
        absent = package.absent
        if absent is not None:
            asked = f" (asked: {', '.join(absent)})" if absent else ""
            yield Line(f"no index has a package named {name}{asked}", name, None)
            return
        for leaf in self.evidence.leaves:
            match leaf.cause:
                case Wanted(requirement=requirement) | Depends(requirement=requirement):
                    if requirement.name != name or package.bits(requirement.specifier):
                        continue
                    newest = package.versions[-1]
                    if requirement.specifier:
                        yield Line(
                            f"no version of {name} is {requirement.specifier}: the newest is {newest}",
                            name,
                            None,
                        )
                case _:
                    pass

    def _ordered(self, lines: list[Line]) -> list[Line]:
        """Lines about members first, then each line after one that mentions its subject."""
        ordered: list[Line] = []
        told: set[NormalizedName] = set()
        waiting = sorted(lines, key=_place)
        while waiting:
            ready = [line for line in waiting if line.subject is None or line.subject in told] or waiting[:1]
            line = ready[0]
            waiting.remove(line)
            ordered.append(line)
            if line.target is not None:
                told.add(line.target)
        return ordered

    def _end(self) -> str:
        for name in reversed(self._targets()):
            package = self.evidence.package(name)
            if package is None or not self.evidence.is_forced(name):
                continue
            if package.absent is not None:
                return f"so {name} can not be had"
            if not self.evidence.allowed.get(name, package.every) & ~self.evidence.barred(name):
                return f"so no version of {name} fits"
        wanted = [
            of_requirement(leaf.cause.requirement)
            for leaf in self.evidence.leaves
            if isinstance(leaf.cause, Wanted)
        ]
        texts = list(dict.fromkeys(wanted))
        if len(texts) == 1:
            return f"so {texts[0]} can not be met"
        if len(texts) <= 3:
            return f"so {', '.join(texts[:-1])} and {texts[-1]} can not be met together"
        return "so these requirements can not be met together"


def _place(line: Line) -> tuple[bool, str, str, str, int]:
    """Lines about members in the order of their manifests, the others after them as they come."""
    if line.subject is not None or not line.asks:
        return (line.subject is not None, "", "", "", 0)
    origin = line.asks[0].origin
    return (False, origin.member, origin.file, origin.table, origin.item)


def _verb(package: Package, mask: int) -> str:
    return "depends" if mask.bit_count() == 1 or mask == package.every else "depend"


def _item_words(key: NodeKey | None, member: NormalizedName) -> str:
    if key is None:
        return str(member)
    flag = flag_name((NormalizedName(key[1]), key[2], key[3]))
    return "the workspace" if flag == "(root)" else flag.replace("(root)", "the workspace")


def _yank_reasons(package: Package, mask: int) -> str:
    reasons: list[str] = []
    for origin in package.origins:
        if isinstance(origin.fact, Listing):
            reasons += [
                reason for i, reason in origin.fact.yank_reasons if mask >> (i + origin.offset) & 1 and reason
            ]
    return f" ({reasons[-1]})" if reasons else ""
