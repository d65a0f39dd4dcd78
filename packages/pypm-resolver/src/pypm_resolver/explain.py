"""A proof in words: who asked for what, what the indexes have not, and where that meets.

The leaves of the derivation are told, not its steps: requirements of many versions of one package
are one line, and lines come in the order in which a reader would look them up, from the members on.
Every line is a statement about the facts that were fed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pypm_model.facts import Direct, Listing
from pypm_model.markers import FALSE, Diagram, all_of, describe, text
from pypm_model.names import NormalizedName
from pypm_model.requests import Ask
from pypm_model.resolutions import Reason, Unsolvable

from pypm_resolver.files import lower_bound
from pypm_resolver.incompatibility import (
    Barred,
    Constrained,
    Depends,
    Incompatibility,
    Wanted,
    leaves,
)
from pypm_resolver.package import Package
from pypm_resolver.problem import flag_name
from pypm_resolver.region import NodeKey, Region
from pypm_resolver.wording import of_requirement, of_versions


@dataclass(slots=True)
class Line:
    """A line in the making: about *subject*, and telling of *target*."""

    text: str
    subject: NormalizedName | None
    """The package whose candidates it is about; None: it speaks of a member."""
    target: NormalizedName | None
    asks: tuple[Ask, ...] = ()
    names: tuple[NormalizedName, ...] = field(default=())


def explain(region: Region, proof: Incompatibility) -> Unsolvable:
    """The story of *proof*, which has no terms and hangs on no marker in *region*."""
    return _Story(region, proof).told()


class _Story:
    def __init__(self, region: Region, proof: Incompatibility) -> None:
        self.region = region
        self.problem = region.problem
        self.proof = proof
        self.leaves = leaves(proof)
        self.where = self._where()
        self.allowed: dict[NormalizedName, int] = {}
        """By name: the candidates that every requirement in the story allows."""
        self._intersect()

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
            tuple(dict.fromkeys(self._hints())),
            tuple(names),
        )

    def _where(self) -> Diagram:
        """Where the proof holds: where all its leaves do; files and Requires-Python were judged
        for the region that was solved."""
        judged = any(
            isinstance(leaf.cause, Barred) and leaf.cause.kind in ("python", "files", "required")
            for leaf in self.leaves
        )
        if judged:
            return self.region.where
        where = all_of((self.problem.where, *(leaf.marker for leaf in self.leaves)))
        return where if where != FALSE else self.region.where

    def _intersect(self) -> None:
        for leaf in self.leaves:
            if not isinstance(leaf.cause, (Wanted, Depends, Constrained)):
                continue
            for node, term in leaf.terms:
                package = self.region.node_package(node)
                if package is not None and self._is_target(leaf, package):
                    known = self.allowed.get(package.name, package.every)
                    self.allowed[package.name] = known & package.every & ~term

    def _is_target(self, leaf: Incompatibility, package: Package) -> bool:
        cause = leaf.cause
        match cause:
            case Wanted() | Depends():
                return cause.requirement.name == package.name
            case Constrained(ask=ask):
                return ask.requirement.name == package.name
            case _:
                return False

    # Lines

    def _lines(self) -> list[Line]:
        lines: list[Line] = []
        depends: dict[tuple[NormalizedName, NormalizedName], list[Incompatibility]] = {}
        barred: dict[tuple[NormalizedName, str], list[Incompatibility]] = {}
        for leaf in self.leaves:
            match leaf.cause:
                case Wanted() as wanted:
                    lines += self._wanted(leaf, wanted)
                case Depends(requirement=requirement):
                    owner = self._owner(leaf, requirement.name)
                    if owner is not None:
                        depends.setdefault((owner.name, requirement.name), []).append(leaf)
                case Constrained(ask=ask):
                    said = f"a constraint allows only {of_requirement(ask.requirement)}"
                    lines.append(Line(said, None, ask.requirement.name, (ask,)))
                case Barred(kind=kind):
                    owner = self._only(leaf)
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
            if self.region.keys[node][0] == "item":
                return self.region.keys[node]
        return None

    def _owner(self, leaf: Incompatibility, target: NormalizedName) -> Package | None:
        """The package whose candidate has the dependency of *leaf*."""
        packages = [self.region.node_package(node) for node, _ in leaf.terms]
        for package in packages:
            if package is not None and package.name != target:
                return package
        return next((package for package in packages if package is not None), None)

    def _only(self, leaf: Incompatibility) -> Package | None:
        for node, _ in leaf.terms:
            package = self.region.node_package(node)
            if package is not None:
                return package
        return None

    def _mask(self, leaf: Incompatibility, package: Package) -> int:
        for node, term in leaf.terms:
            if self.region.node_package(node) is package:
                return term & package.every
        return 0

    def _depends(
        self, name: NormalizedName, target: NormalizedName, group: list[Incompatibility]
    ) -> Iterable[Line]:
        by_text: dict[tuple[str, str | None], int] = {}
        package: Package | None = None
        for leaf in group:
            assert isinstance(leaf.cause, Depends)
            package = self._owner(leaf, target)
            assert package is not None
            said = (of_requirement(leaf.cause.requirement), leaf.cause.extra)
            by_text[said] = by_text.get(said, 0) | self._mask(leaf, package)
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
        package = self._only(group[0])
        assert package is not None
        mask = 0
        details: dict[str, int] = {}
        for leaf in group:
            own = self._mask(leaf, package)
            mask |= own
            assert isinstance(leaf.cause, Barred)
            details[leaf.cause.detail] = details.get(leaf.cause.detail, 0) | own
        relevant = mask & self.allowed.get(name, package.every) or mask
        which = of_versions(package, relevant)
        one = relevant.bit_count() == 1
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
                for bound, versions in _bounds(package, relevant).items():
                    verb = "needs" if versions.bit_count() == 1 else "need"
                    needed = f"Python {bound}" if bound else "another Python"
                    yield Line(f"{of_versions(package, versions)} {verb} {needed}", name, None)
            case "files" | "required":
                verb = "has" if one else "have"
                yield Line(f"{which} {verb} no usable file {describe(self.where)}", name, None)
            case "source":
                yield Line(
                    f"{which} {'comes' if one else 'come'} from a source not asked for here", name, None
                )
            case _:
                for detail, versions in details.items():
                    yield Line(f"{of_versions(package, versions)}: {detail}", name, None)

    def _targets(self) -> list[NormalizedName]:
        targets: dict[NormalizedName, None] = {}
        for leaf in self.leaves:
            match leaf.cause:
                case Wanted(requirement=requirement) | Depends(requirement=requirement):
                    targets.setdefault(requirement.name)
                case _:
                    pass
        return list(targets)

    def _nothing(self, name: NormalizedName) -> Iterable[Line]:
        """What to say of a package no candidate of which is allowed by a single requirement."""
        package = self._package(name)
        if package is None:
            return
        absent = package.absent
        if absent is not None:
            asked = f" (asked: {', '.join(absent)})" if absent else ""
            yield Line(f"no index has a package named {name}{asked}", name, None)
            return
        for leaf in self.leaves:
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
        waiting = list(lines)
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
            package = self._package(name)
            if package is None or not self._is_forced(name):
                continue
            if package.absent is not None:
                return f"so {name} can not be had"
            if not self.allowed.get(name, package.every) & ~self._barred_mask(name):
                return f"so no version of {name} fits"
        wanted = [
            of_requirement(leaf.cause.requirement) for leaf in self.leaves if isinstance(leaf.cause, Wanted)
        ]
        texts = list(dict.fromkeys(wanted))
        if len(texts) == 1:
            return f"so {texts[0]} can not be met"
        if len(texts) <= 3:
            return f"so {', '.join(texts[:-1])} and {texts[-1]} can not be met together"
        return "so these requirements can not be met together"

    def _is_forced(self, name: NormalizedName) -> bool:
        """Whether all requirements on *name* in the story hold at once: they are those of members, or of
        every version of a package that could be chosen."""
        for leaf in self.leaves:
            if not isinstance(leaf.cause, Depends) or leaf.cause.requirement.name != name:
                continue
            owner = self._owner(leaf, name)
            if owner is None or owner.name == name:
                return False
            choice = self.allowed.get(owner.name, owner.every) & ~self._barred_mask(owner.name)
            if not choice or choice & ~self._mask(leaf, owner):
                return False
        return True

    def _barred_mask(self, name: NormalizedName) -> int:
        mask = 0
        for leaf in self.leaves:
            package = self._only(leaf)
            if package is not None and package.name == name and isinstance(leaf.cause, Barred):
                mask |= self._mask(leaf, package) if len(leaf.terms) == 1 else 0
        return mask

    def _package(self, name: NormalizedName) -> Package | None:
        if name in self.problem.members:
            return None
        package = self.region.universe.package(name)
        return package if isinstance(package, Package) else None

    # Hints

    def _hints(self) -> Iterable[str]:
        for leaf in self.leaves:
            match leaf.cause:
                case Barred(kind=kind):
                    package = self._only(leaf)
                    if package is not None:
                        mask = self._mask(leaf, package) & self.allowed.get(package.name, package.every)
                        yield from self._bar_hints(package, kind, mask)
                case Wanted() | Depends():
                    yield from self._spelling(leaf.cause.requirement.name)
                case _:
                    pass
        yield from self._relaxations()

    def _bar_hints(self, package: Package, kind: str, mask: int) -> Iterable[str]:
        if not mask:
            return
        newest = package.versions[mask.bit_length() - 1]
        match kind:
            case "yanked":
                yield f"{package.name} {newest} is yanked: {package.name}=={newest} would use it all the same"
            case "prerelease":
                yield f"{package.name} {newest} would fit: the settings allow no pre-releases of it"
            case "too-new":
                yield f"{package.name} {newest} would fit: exclude-newer or the cooldown leaves it out"
            case "python":
                bounds = _bounds(package, 1 << (mask.bit_length() - 1))
                bound = next(iter(bounds))
                if bound:
                    yield (
                        f"{package.name} {newest} needs Python {bound}: "
                        "raise requires-python, or require it only there with a marker"
                    )
            case "files" | "required":
                yield f"{package.name} {newest} has files for other environments only: add a marker"

    def _spelling(self, name: NormalizedName) -> Iterable[str]:
        package = self._package(name)
        if package is not None and package.absent is not None:
            yield f"check the spelling of {name}, or name the index that has it"

    def _relaxations(self) -> Iterable[str]:
        """Requirements of members without which the others in the story have a version in common."""
        by_name: dict[NormalizedName, list[tuple[Incompatibility, Package, int]]] = {}
        barred: dict[NormalizedName, int] = {}
        for leaf in self.leaves:
            for node, term in leaf.terms:
                package = self.region.node_package(node)
                if package is None:
                    continue
                if self._is_target(leaf, package):
                    by_name.setdefault(package.name, []).append((leaf, package, package.every & ~term))
                elif isinstance(leaf.cause, Barred):
                    barred[package.name] = barred.get(package.name, 0) | term
        for name, entries in by_name.items():
            if self.allowed.get(name) or len(entries) < 2:
                continue
            for position, (leaf, package, _) in enumerate(entries):
                if not isinstance(leaf.cause, (Wanted, Constrained)):
                    continue
                rest = package.every & ~barred.get(name, 0)
                for other, (_, _, mask) in enumerate(entries):
                    if other != position:
                        rest &= mask
                if rest:
                    ask = leaf.cause.ask
                    newest = package.versions[rest.bit_length() - 1]
                    yield (
                        f"without {of_requirement(ask.requirement)} in {ask.origin.file}, "
                        f"the other requirements on {name} would allow {newest}"
                    )


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


def _bounds(package: Package, mask: int) -> dict[str, int]:
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
