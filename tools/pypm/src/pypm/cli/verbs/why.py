"""``pypm why``."""

from __future__ import annotations

import json
import sys

from pypm.cli.arguments import argument, option, verb
from pypm.cli.options import COMMON, Common, world
from pypm.cli.render.regions import in_words
from pypm.cli.render.report import say
from pypm.ops.view import why_package
from pypm_model.markers import describe, parse
from pypm_workspace.why import Step


@verb(
    argument("name"),
    option("--limit", least=1, default=100, help="Show so many paths (100)."),
    COMMON,
)
def command(common: Common, name: str, limit: int) -> int:
    """Show every path from a member to package NAME, with the requirement on each edge and its place."""
    with world(common) as here:
        answer = why_package(here, name, limit)
    if common.json:
        sys.stdout.write(json.dumps(answer.to_json()) + "\n")
        return 0 if answer.why.paths else 1
    if not answer.why.paths:
        say(f"{answer.why.name} is not in the workspace's graph")
        if not answer.is_locked:
            say("  there is no lock yet: only what members ask for is known")
        return 1
    for path in answer.why.paths:
        sys.stdout.write(f"{path[0].parent.name}\n")
        for depth, step in enumerate(path, 1):
            version = f" {step.child.version}" if step.child.version else ""
            region = answer.regions.get(step.child)
            asked = _asked(step)
            if region is not None and depth == len(path):
                version += in_words(region.whom, region.words)
                asked = asked.removesuffix(f" {region.words}")
            told = (
                f" ({step.kind} {step.label})" if step.label else (" (build)" if step.kind == "build" else "")
            )
            place = answer.places.get(step)
            where = f"  {place}" if place else ""
            sys.stdout.write(f"{'  ' * depth}-> {step.child.name}{version}: {asked}{told}{where}\n")
    if answer.why.more:
        say(f"... and more; --limit shows more than {limit}")
    return 0


def _asked(step: Step) -> str:
    """The requirement of a step as it is written, or, where only the lock knows it, in words."""
    if step.origin is not None:
        return step.requirement
    name, _, marker = step.requirement.partition("; ")
    return f"{name} {describe(parse(marker))}" if marker else name
