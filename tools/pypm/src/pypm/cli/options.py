"""Options that many verbs share, spelled the same everywhere, and the world they describe."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from pypm.cli.render.progress import Progress
from pypm.ops.selection import Selection
from pypm.ops.world import World, truth
from pypm_model.records import field_names, record

F = TypeVar("F", bound=Callable[..., Any])


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


_COMMON = [
    click.option("--json", "json", is_flag=True, help="Print the report as JSON on stdout."),
    click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors."),
    click.option("-v", "--verbose", is_flag=True, help="Say more."),
    click.option("--offline", is_flag=True, help="Use no network: the cache must do. [PYPM_OFFLINE]"),
    click.option("--refresh", is_flag=True, help="Ask the indexes again, however fresh the cache is."),
    click.option("--no-progress", is_flag=True, help="Draw no progress line."),
    click.option("--index-url", metavar="URL", help="Stands in for the default index. [PYPM_INDEX_URL]"),
    click.option("--cache-dir", metavar="DIR", help="The store's folder. [PYPM_CACHE_DIR]"),
    click.option("--python", metavar="REQUEST", help="Interpreter: 3.12, >=3.11, a path. [PYPM_PYTHON]"),
]

_SELECTION = [
    click.option(
        "-p",
        "--member",
        "members",
        multiple=True,
        metavar="NAME",
        help="Only this member (repeatable; NAME... with what it needs, ...NAME with what needs it).",
    ),
    click.option("--extra", "extras", multiple=True, metavar="E", help="With this extra of theirs."),
    click.option("--all-extras", is_flag=True, help="With all extras."),
    click.option("--group", "groups", multiple=True, metavar="G", help="With this dependency group."),
    click.option(
        "--only-group",
        "only_groups",
        multiple=True,
        metavar="G",
        help="Only this group, not the members themselves.",
    ),
    click.option("--all-groups", is_flag=True, help="With all dependency groups."),
    click.option("--no-default-groups", is_flag=True, help="Without the default groups (dev)."),
]


def common(command: F) -> F:
    """Adds the options every verb has; they arrive as one `Common` record named ``common``."""
    return _gathered(command, _COMMON, Common, "common")


def selection(command: F) -> F:
    """Adds the options that choose members, extras and groups; they arrive as ``selection``."""
    return _gathered(command, _SELECTION, Selection, "selection")


def _gathered(
    command: F, options: Sequence[Callable[[Any], Any]], record: type[Common] | type[Selection], name: str
) -> F:
    names = field_names(record)

    def gathering(*args: Any, **values: Any) -> Any:
        own = {each: values.pop(each) for each in names}
        return command(*args, **{name: record(**own)}, **values)

    gathering.__name__ = command.__name__
    gathering.__doc__ = command.__doc__
    gathering.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined]
    wrapped: Any = gathering
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


@contextmanager
def world(common: Common) -> Iterator[World]:
    """The world a verb runs in, with a progress line for as long as it runs."""
    environ = dict(os.environ)
    if common.index_url:
        environ["PYPM_INDEX_URL"] = common.index_url
    if common.cache_dir:
        environ["PYPM_CACHE_DIR"] = str(Path(common.cache_dir).absolute())
    if common.python:
        environ["PYPM_PYTHON"] = common.python
    offline = common.offline or truth(environ.get("PYPM_OFFLINE", ""))
    shown = False if common.no_progress or environ.get("CI") or common.json else None
    with Progress(shown=shown, quiet=common.quiet) as progress:
        yield World(
            cwd=Path.cwd(),
            environ=environ,
            listener=progress,
            offline=offline,
            refresh=common.refresh or truth(environ.get("PYPM_REFRESH", "")),
        )
