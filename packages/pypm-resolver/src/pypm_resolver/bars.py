"""What bars candidates whatever else is chosen: facts about them, and what the workspace allows."""

from __future__ import annotations

from pypm_model.facts import Listing
from pypm_model.markers import FALSE, TRUE, Diagram, any_of, either, negate, parse
from pypm_model.specifiers import InvalidSpecifier
from pypm_model.versions import InvalidVersion
from pypm_resolver.candidates import bars_prereleases
from pypm_resolver.fitting import Fitting
from pypm_resolver.graph import Graph
from pypm_resolver.incompatibility import Barred, Constrained
from pypm_resolver.package import Package


def unfit(fitting: Fitting, package: Package) -> dict[str, int]:
    """Candidates that can be used nowhere in the region, by the kind of reason (`Fitting.barred`)."""
    found: dict[str, int] = {}
    for cover, mask in package.covers:
        kind = fitting.barred(cover)
        if kind:
            found[kind] = found.get(kind, 0) | mask
    return found


def bar(graph: Graph, fitting: Fitting, node: int) -> None:
    """Add what is known about all candidates of the package at *node*."""
    package = graph.packages[node]
    problem = graph.problem
    pins = problem.pins(package.name)
    regions = {pin.source: pin.where for pin in pins}
    pinned = any_of(pin.where for pin in pins)
    listed = 0
    for origin in package.origins:
        if isinstance(origin.fact, Listing):
            listed |= origin.mask
        if origin.pinned is not None:
            _bar(graph, node, origin.mask, "source", marker=negate(regions[origin.pinned]))
        elif pinned != FALSE:
            _bar(graph, node, origin.mask, "source", marker=pinned)
    _bar(graph, node, package.too_new, "too-new", problem.request.exclude_newer)
    if bars_prereleases(problem.request.prereleases, package.name):
        _bar(graph, node, package.prereleases & listed, "prerelease")
    for kind, mask in unfit(fitting, package).items():
        _bar(graph, node, mask, kind)
    _bar_yanked(graph, node, package)
    for ask in problem.constraints.get(package.name, ()):
        outside = package.every & ~package.bits(ask.requirement.specifier)
        if outside:
            graph.add(((node, outside),), Constrained(ask), parse(ask.requirement.marker))


def _bar(graph: Graph, node: int, mask: int, kind: str, detail: str = "", marker: Diagram = TRUE) -> None:
    if mask:
        graph.add(((node, mask),), Barred(kind, detail), marker)


def _bar_yanked(graph: Graph, node: int, package: Package) -> None:
    """Yanked candidates are for exact pins of members, where they hold, and for an old lock."""
    yanked = package.yanked
    if not yanked:
        return
    allowed: dict[int, Diagram] = {}
    for version, where in graph.problem.exact.get(package.name, ()):
        _allow(package, _pinned(package, version) & yanked, allowed, where)
    for version, _, where in graph.problem.preferences.get(package.name, ()):
        mask = sum(1 << at for at in package.positions(version))
        _allow(package, mask & yanked, allowed, where)
    for index, where in allowed.items():
        yanked &= ~(1 << index)
        _bar(graph, node, 1 << index, "yanked", marker=negate(where))
    _bar(graph, node, yanked, "yanked")


def _pinned(package: Package, version: str) -> int:
    try:
        return package.bits(f"=={version}")
    except (InvalidSpecifier, InvalidVersion):
        return package.bits(f"==={version}")


def _allow(package: Package, mask: int, allowed: dict[int, Diagram], where: Diagram) -> None:
    for index in range(len(package.versions)):
        if mask >> index & 1:
            allowed[index] = either(allowed.get(index, FALSE), where)
