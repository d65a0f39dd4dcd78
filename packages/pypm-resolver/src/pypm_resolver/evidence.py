"""The leaves of a proof, looked up by package."""

from __future__ import annotations

from pypm_model.facts import Direct, Listing
from pypm_model.names import NormalizedName
from pypm_resolver.files import lower_bound
from pypm_resolver.incompatibility import Barred, Constrained, Depends, Incompatibility, Wanted, leaves
from pypm_resolver.package import Package
from pypm_resolver.region import Region


class Evidence:
    """What a proof rests on, in the order in which its leaves are met."""

    def __init__(self, region: Region, proof: Incompatibility) -> None:
        self.region = region
        self.problem = region.problem
        self.leaves = leaves(proof)
        self.allowed: dict[NormalizedName, int] = {}
        """By name: the candidates that every requirement in the story allows."""
        self._intersect()

    def _intersect(self) -> None:
        for leaf in self.leaves:
            if not isinstance(leaf.cause, (Wanted, Depends, Constrained)):
                continue
            for node, term in leaf.terms:
                package = self.region.node_package(node)
                if package is not None and self.is_target(leaf, package):
                    known = self.allowed.get(package.name, package.every)
                    self.allowed[package.name] = known & package.every & ~term

    def is_target(self, leaf: Incompatibility, package: Package) -> bool:
        """Whether *leaf* is a requirement on *package*."""
        cause = leaf.cause
        match cause:
            case Wanted() | Depends():
                return cause.requirement.name == package.name
            case Constrained(ask=ask):
                return ask.requirement.name == package.name
            case _:
                return False

    def owner(self, leaf: Incompatibility, target: NormalizedName) -> Package | None:
        """The package whose candidate has the dependency of *leaf*."""
        packages = [self.region.node_package(node) for node, _ in leaf.terms]
        for package in packages:
            if package is not None and package.name != target:
                return package
        return next((package for package in packages if package is not None), None)

    def only(self, leaf: Incompatibility) -> Package | None:
        """The first package whose candidates *leaf* speaks of."""
        for node, _ in leaf.terms:
            package = self.region.node_package(node)
            if package is not None:
                return package
        return None

    def mask(self, leaf: Incompatibility, package: Package) -> int:
        """The candidates of *package* in *leaf*."""
        for node, term in leaf.terms:
            if self.region.node_package(node) is package:
                return term & package.every
        return 0

    def is_forced(self, name: NormalizedName) -> bool:
        """Whether all requirements on *name* in the story hold at once: they are those of members, or of
        every version of a package that could be chosen."""
        for leaf in self.leaves:
            if not isinstance(leaf.cause, Depends) or leaf.cause.requirement.name != name:
                continue
            owner = self.owner(leaf, name)
            if owner is None or owner.name == name:
                return False
            choice = self.allowed.get(owner.name, owner.every) & ~self.barred(owner.name)
            if not choice or choice & ~self.mask(leaf, owner):
                return False
        return True

    def barred(self, name: NormalizedName) -> int:
        """Candidates of *name* that are barred whatever else is chosen."""
        mask = 0
        for leaf in self.leaves:
            package = self.only(leaf)
            if package is not None and package.name == name and isinstance(leaf.cause, Barred):
                mask |= self.mask(leaf, package) if len(leaf.terms) == 1 else 0
        return mask

    def package(self, name: NormalizedName) -> Package | None:
        """The package *name*; None for members."""
        if name in self.problem.members:
            return None
        package = self.region.universe.package(name)
        return package if isinstance(package, Package) else None


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
