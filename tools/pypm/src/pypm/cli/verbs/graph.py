"""``pypm graph``."""

from __future__ import annotations

import sys

from pypm.cli.arguments import option, verb
from pypm.cli.options import COMMON, Common, world
from pypm.ops.members import graph_text


@verb(
    option(
        "--format",
        name="form",
        choices=("text", "json", "dot", "mermaid"),
        default="text",
        help="How (text).",
    ),
    COMMON,
)
def command(common: Common, form: str) -> int:
    """Print the members' graph: who asks whom for what, and where."""
    with world(common) as here:
        sys.stdout.write(graph_text(here, "json" if common.json else form))
    return 0
