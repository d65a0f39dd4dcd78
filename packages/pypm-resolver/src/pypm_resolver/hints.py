"""What would help: sentences that are checked against the facts before they are said."""

from __future__ import annotations

from collections.abc import Iterable

from pypm_model.names import NormalizedName
from pypm_resolver.evidence import Evidence, bounds
from pypm_resolver.incompatibility import Barred, Constrained, Depends, Incompatibility, Wanted
from pypm_resolver.package import Package
from pypm_resolver.wording import of_requirement


def hints(evidence: Evidence) -> Iterable[str]:
    """One sentence each, most telling first; may repeat itself."""
    for leaf in evidence.leaves:
        match leaf.cause:
            case Barred(kind=kind):
                package = evidence.only(leaf)
                if package is not None:
                    mask = evidence.mask(leaf, package) & evidence.allowed.get(package.name, package.every)
                    yield from _bar_hints(package, kind, mask)
            case Wanted() | Depends():
                yield from _spelling(evidence, leaf.cause.requirement.name)
            case _:
                pass
    yield from _relaxations(evidence)


def _bar_hints(package: Package, kind: str, mask: int) -> Iterable[str]:
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
        case "build":
            yield f'allow its build: [resolution] build = {{ allow = ["{package.name}"] }}'
        case "python":
            bound = next(iter(bounds(package, 1 << (mask.bit_length() - 1))))
            if bound:
                yield (
                    f"{package.name} {newest} needs Python {bound}: "
                    "raise requires-python, or require it only there with a marker"
                )
        case "files" | "required":
            yield f"{package.name} {newest} has files for other environments only: add a marker"


def _spelling(evidence: Evidence, name: NormalizedName) -> Iterable[str]:
    package = evidence.package(name)
    if package is not None and package.absent is not None:
        yield f"check the spelling of {name}, or name the index that has it"


def _relaxations(evidence: Evidence) -> Iterable[str]:
    """Requirements of members without which the others in the story have a version in common."""
    by_name: dict[NormalizedName, list[tuple[Incompatibility, Package, int]]] = {}
    barred: dict[NormalizedName, int] = {}
    for leaf in evidence.leaves:
        for node, term in leaf.terms:
            package = evidence.region.node_package(node)
            if package is None:
                continue
            if evidence.is_target(leaf, package):
                by_name.setdefault(package.name, []).append((leaf, package, package.every & ~term))
            elif isinstance(leaf.cause, Barred):
                barred[package.name] = barred.get(package.name, 0) | term
    for name, entries in by_name.items():
        if evidence.allowed.get(name) or len(entries) < 2:
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
