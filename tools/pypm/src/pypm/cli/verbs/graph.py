"""``pypm graph``."""

from __future__ import annotations

import sys

import click

from pypm.cli.options import Common, common, world
from pypm.ops.view import graph_text


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "dot", "mermaid"]),
    default="text",
    help="How (text).",
)
@common
def command(common: Common, form: str) -> int:
    """Print the members' graph: who asks whom for what, and where."""
    with world(common) as here:
        sys.stdout.write(graph_text(here, "json" if common.json else form))
    return 0
