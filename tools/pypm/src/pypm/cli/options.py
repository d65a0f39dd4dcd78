"""Options that many verbs share, spelled the same everywhere, and the world they describe."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pypm.cli.arguments import Gathered, option
from pypm.cli.render.progress import Progress
from pypm.ops.selection import Selection
from pypm.ops.world import World, truth
from pypm_model.events import Event, Listener
from pypm_model.records import record

HEARERS: list[Listener] = []
"""Who else hears what verbs tell as they work: a face that has no terminal (`pypm.mcp.child`)."""


@record
class Common:
    """How to run: the same for all verbs."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    offline: bool = False
    refresh: bool = False
    no_progress: bool = False
    index_url: str | None = None
    cache_dir: str | None = None
    python: str | None = None


COMMON = Gathered(
    "common",
    Common,
    (
        option("--json", help="Print the report as JSON on stdout."),
        option("-q", "--quiet", help="Say nothing but errors."),
        option("-v", "--verbose", help="Say more."),
        option("--offline", help="Use no network: the cache must do. [PYPM_OFFLINE]"),
        option("--refresh", help="Ask the indexes again, however fresh the cache is."),
        option("--no-progress", help="Draw no progress line."),
        option("--index-url", metavar="URL", help="Stands in for the default index. [PYPM_INDEX_URL]"),
        option("--cache-dir", metavar="DIR", help="The store's folder. [PYPM_CACHE_DIR]"),
        option("--python", metavar="REQUEST", help="Interpreter: 3.12, >=3.11, a path. [PYPM_PYTHON]"),
    ),
)
"""The options every verb has."""

SELECTION = Gathered(
    "selection",
    Selection,
    (
        option(
            "-p",
            "--member",
            name="members",
            metavar="NAME",
            many=True,
            help="Only this member (repeatable; NAME... with what it needs, ...NAME with what needs it).",
        ),
        option("--extra", name="extras", metavar="E", many=True, help="With this extra of theirs."),
        option("--all-extras", help="With all extras."),
        option("--group", name="groups", metavar="G", many=True, help="With this dependency group."),
        option(
            "--only-group",
            name="only_groups",
            metavar="G",
            many=True,
            help="Only this group, not the members themselves.",
        ),
        option("--all-groups", help="With all dependency groups."),
        option("--no-default-groups", help="Without the default groups (dev)."),
        option("--no-dev", help="Without the group dev."),
    ),
)
"""The options that choose members, extras and groups."""


VARIABLES = {
    "--index-url": "PYPM_INDEX_URL",
    "--cache-dir": "PYPM_CACHE_DIR",
    "--python": "PYPM_PYTHON",
}
"""The variables that options stand in for."""


def file_of(output: str | None) -> str | None:
    """The file that ``-o`` names; None: stdout, which ``-`` means, too."""
    return None if output == "-" else output


@contextmanager
def world(common: Common) -> Iterator[World]:
    """The world a verb runs in, with a progress line for as long as it runs."""
    environ = dict(os.environ)
    cache_dir = str(Path(common.cache_dir).absolute()) if common.cache_dir else ""
    values = (common.index_url, cache_dir, common.python)
    environ |= {name: value for name, value in zip(VARIABLES.values(), values, strict=True) if value}
    offline = common.offline or truth(environ.get("PYPM_OFFLINE", ""))
    shown = False if common.no_progress or environ.get("CI") or common.json else None
    talks = not (common.json or common.quiet or environ.get("CI"))
    answers = talks and sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
    with Progress(shown=shown, quiet=common.quiet) as progress:
        yield World(
            cwd=Path.cwd(),
            environ=environ,
            listener=_all(progress) if HEARERS else progress,
            offline=offline,
            refresh=common.refresh or truth(environ.get("PYPM_REFRESH", "")),
            asker=progress.ask if answers else None,
        )


def _all(progress: Listener) -> Listener:
    """What tells everybody."""

    def tell(event: Event) -> None:
        for hear in (progress, *HEARERS):
            hear(event)

    return tell
