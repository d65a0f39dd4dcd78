"""What was resolved before, answered again without resolving.

The lock that a resolution gives follows from the manifests, from the lock there was, from how it was asked
for, and from what the pages of the indexes say. Made once, it is kept in the store, under a digest of the
first three and together with one of the pages. When the same is asked and the pages (asked for again where
they are old) are still the same, it is the answer: after a ``--dry-run``, in a ``lock --upgrade`` on a day on
which nothing was released, or when an edit is taken back. `pypm.ops.recipes` does this for environments.

Whatever else might have a say (a build backend, a folder or repository, the interpreter at hand, a merge)
means that nothing is kept, and so does a warning, which is to be given every time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pypm._recipe import own_content
from pypm._verbs import VERSION
from pypm.ops.remembered import keep
from pypm_model.digests import of_text
from pypm_model.errors import PypmError
from pypm_model.events import Event, Finished, Listener, Started, Warned
from pypm_model.facts import DirectKey, ListingKey
from pypm_model.later import later
from pypm_model.locks import LockSettings
from pypm_model.names import NormalizedName
from pypm_model.records import replace
from pypm_store.atomic import make_room
from pypm_workspace.workspace import Workspace

if TYPE_CHECKING:
    from pypm.ops import incremental
    from pypm.ops.old_lock import OldLock
    from pypm.ops.tools import Tools
else:
    incremental = later("pypm.ops.incremental")

FOLDER = "answers"
"""In the store."""
_LONGEST = 64_000_000
"""Bytes of an answer."""
_MOST = 32
"""Answers that are kept on a machine."""


def place_of(
    tools: Tools,
    workspace: Workspace,
    settings: LockSettings,
    text: str | None,
    old: OldLock,
    asked: Iterable[str],
) -> Path | None:
    """Where the answer is kept to what is asked now, with *text*, which gives *old*, in the lock's file; None
    if none is to be kept. *asked* is everything else that was asked for."""
    if tools.retained.cache is not None or tools.may_build:
        return None  # a process that stays knows more
    if old.is_merge or old.amid_merge or old.salvaged:
        return None
    if not workspace.is_told_whole:
        return None
    before = "" if text is None else of_text(text)
    facts = [VERSION, workspace.state, repr(settings.values), before, str(tools.world.offline), *asked]
    return tools.store.path / FOLDER / of_text("\0".join(facts))[:40]


def recall(tools: Tools, place: Path) -> str | None:
    """The text of the lock that was kept at *place*, if the pages it came from are what they were."""
    content = own_content(place, _LONGEST)
    try:
        head, _, body = (content or b"").partition(b"\n")
        pages, digest, names = json.loads(head)
        keys = [ListingKey(NormalizedName(name), str(index)) for name, index in names]
        text = body.decode()
    except (ValueError, TypeError):
        return None
    if of_text(text) != digest:
        return None
    catalog, listener = tools.catalog, tools.world.listener
    if catalog.state_at_hand(keys) == pages:
        return text
    listener(Started("resolve"))
    try:
        catalog.request(keys)
        catalog.wait()
    except PypmError:
        return None  # whether it stands in the way of the answer, resolving tells
    if catalog.state(keys) != pages:
        return None
    listener(Finished("resolve"))
    return text


def note(tools: Tools, place: Path, text: str) -> None:
    """Keeps *text*, the lock that the last resolution has given, at *place*, if pages alone have told it."""
    asked = tools.retained.consulted
    keys = sorted({key for key in asked if isinstance(key, ListingKey)})
    pages = tools.catalog.state(keys)
    if pages is None or any(isinstance(key, DirectKey) for key in asked):
        return
    head = json.dumps([pages, of_text(text), keys], separators=(",", ":"))
    with suppress(OSError, UnicodeEncodeError):
        content = f"{head}\n{text}".encode()
        place.parent.mkdir(exist_ok=True)
        make_room(place.parent, _MOST)
        keep(place, content, mode=0o600)


def forget(tools: Tools) -> None:
    """Forgets all answers, and which locks were resolved: what some of them came from has turned out to be
    wrong."""
    for folder in (tools.store.path / FOLDER, tools.store.path / incremental.FOLDER):
        with suppress(OSError):
            for name in os.listdir(folder):
                (folder / name).unlink(missing_ok=True)


class Heard:
    """A listener that passes everything on, and knows whether there was a warning."""

    def __init__(self, listener: Listener) -> None:
        self.has_warned = False
        self._listener = listener

    def __call__(self, event: Event) -> None:
        self.has_warned = self.has_warned or isinstance(event, Warned)
        self._listener(event)


@contextmanager
def heard(tools: Tools) -> Iterator[Heard]:
    """Listens to what *tools* are used for meanwhile."""
    world = tools.world
    listening = Heard(world.listener)
    tools.world = replace(world, listener=listening)
    try:
        yield listening
    finally:
        tools.world = world
