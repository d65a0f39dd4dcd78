"""What the sources of members import, read by two workers and remembered by the files' size and time."""

from __future__ import annotations

import re
import sys
import time
import warnings
from collections.abc import Collection, Sequence
from typing import Any

from pypm._verbs import VERSION
from pypm.ops.checks.sources import MemberSources
from pypm.ops.tools import Tools
from pypm_store.shared_work import share_out
from pypm_workspace.imports import FORMAT, SourceFacts, facts_of, words_of
from pypm_workspace.snapshot import RACY_NS
from pypm_workspace.standard_library import minors

REMEMBERED = "imports"
"""Kind of a small fact: what the files of one member import."""
_words = re.compile(rb"[A-Za-z_]\w*")
_other_imports = re.compile(rb"\b(?:c?import|from)\s+([A-Za-z_]\w*)")


def oldest_minor(requires_python: str) -> int:
    """The oldest Python 3 a member is for; if it does not say, the one that runs this."""
    admitted = minors(requires_python) if requires_python else ()
    return admitted[0] if admitted else sys.version_info[1]


def facts_by_file(tools: Tools, every: Sequence[MemberSources]) -> list[dict[str, SourceFacts]]:
    """What is known of each member's files, by path, in the order of *every*. A file that cannot be opened
    has no facts."""
    keys = [f"{VERSION} {FORMAT} {sys.version_info[:2]} {tools.root} {one.member.path}" for one in every]
    known = tools.cache.values(REMEMBERED, keys)
    begin = time.time_ns()
    rows: list[dict[str, Any]] = []
    todo: list[tuple[int, str, str, int]] = []
    for number, (key, one) in enumerate(zip(keys, every, strict=True)):
        minor = oldest_minor(one.member.requires_python)
        before = known.get(key, {})
        kept = {}
        for file in one.files:
            row = before.get(file.path)
            if row is not None and row[:3] == [file.size, file.mtime_ns, minor]:
                kept[file.path] = row
            else:
                todo.append((number, file.path, str(one.folder / file.path), minor))
        rows.append(kept)
    changed = {number for number, *_ in todo}
    changed |= {n for n, key in enumerate(keys) if rows[n].keys() != known.get(key, {}).keys()}

    def read(job: int) -> list[Any]:
        _, _, path, minor = todo[job]
        try:
            with open(path, "rb") as file:
                return facts_of(file.read(), minor).to_row()
        except OSError:
            return []

    seen = [{file.path: file for file in one.files} for one in every]

    def take(job: int, row: list[Any]) -> None:
        number, path, _, minor = todo[job]
        if row:
            file = seen[number][path]
            rows[number][path] = [file.size, file.mtime_ns, minor, row]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of literals: whoever runs the code hears them
        share_out(len(todo), read, take)
    changed |= _read_by_newer(tools, every, rows)
    # What was written in this very moment may be written again without another time.
    tools.cache.put_values(
        REMEMBERED,
        {keys[n]: {path: row for path, row in rows[n].items() if row[1] < begin - RACY_NS} for n in changed},
    )
    return [{path: SourceFacts.from_row(row[3]) for path, row in kept.items()} for kept in rows]


def _read_by_newer(tools: Tools, every: Sequence[MemberSources], rows: Sequence[dict[str, Any]]) -> set[int]:
    """Has what could not be read until now read by the newest Python there is, unless that one could not;
    the numbers of the members whose *rows* have changed."""
    unread = [
        (number, path, row)
        for number, kept in enumerate(rows)
        for path, row in kept.items()
        if SourceFacts.from_row(row[3]).unread is not None
    ]
    if not unread:
        return set()
    from pypm.ops.checks.newer import minor_of, newest_interpreter, read_by

    newest = newest_interpreter(tools, [every[number] for number in sorted({n for n, *_ in unread})])
    if newest is None:
        return set()
    unread = [one for one in unread if SourceFacts.from_row(one[2][3]).unread_by < minor_of(newest)]
    files = [(str(every[number].folder / path), row[2]) for number, path, row in unread]
    found = read_by(newest, files) if files else []
    for (number, path, row), read in zip(unread, found, strict=False):
        if read:
            rows[number][path] = [*row[:3], read]
    return {number for number, *_ in unread}


def words_named(sources: MemberSources, wanted: Collection[str]) -> frozenset[str]:
    """Those of *wanted* that the texts of a member's sources name, or the settings of other tools beside its
    manifest, or that are imported in sources that are no Python: names that may be used without an import
    that is seen. Only files that have one of them in their bytes are parsed."""
    if not wanted:
        return frozenset()
    anywhere = re.compile(b"|".join(sorted(re.escape(word.encode()) for word in wanted)))
    found: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for file in sources.files:
            if file.path.endswith(".py") and not found.issuperset(wanted):
                data = _bytes(sources, file.path)
                if anywhere.search(data):
                    words = words_of(data)
                    # What only a newer Python reads may name any of its words in a text.
                    found |= {name.decode() for name in _words.findall(data)} if words is None else words
    for path in sources.others:
        found.update(name.decode() for name in _other_imports.findall(_bytes(sources, path)))
    told = [str({k: v for k, v in sources.tool.items() if k not in ("pypm", "uv")}).encode()]
    told += [_bytes(sources, path) for path in sources.settings]
    found.update(name.decode() for text in told for name in _words.findall(text))
    return frozenset(found.intersection(wanted))


def _bytes(sources: MemberSources, path: str) -> bytes:
    try:
        return (sources.folder / path).read_bytes()
    except OSError:
        return b""
