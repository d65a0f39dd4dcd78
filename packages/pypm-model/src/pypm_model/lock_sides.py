"""The sides of a merge that git left in the text of a lock."""

from __future__ import annotations

_begin, _base, _middle, _end = "<<<<<<<", "|||||||", "=======", ">>>>>>>"


def _is(line: str, mark: str) -> bool:
    return line == mark or line.startswith(f"{mark} ")


def places(text: str) -> tuple[int, ...]:
    """The lines (from 1) on which conflicts of a merge begin; empty if there are none."""
    if _begin not in text:
        return ()
    return tuple([n for n, line in enumerate(text.splitlines(), 1) if _is(line, _begin)])


def sides(text: str) -> tuple[str, str]:
    """The two texts that a merge left in *text*: ours and theirs; both *text* if there is no conflict.

    The common ancestor that some styles of conflict add is in neither.
    """
    ours: list[str] = []
    theirs: list[str] = []
    into = (ours, theirs)
    inside = False
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\r\n")
        if not inside and _is(bare, _begin):
            into, inside = (ours, ours), True
        elif inside and _is(bare, _base):
            into = ([], [])
        elif inside and bare == _middle:
            into = (theirs, theirs)
        elif inside and _is(bare, _end):
            into, inside = (ours, theirs), False
        else:
            into[0].append(line)
            if into[1] is not into[0]:
                into[1].append(line)
    return "".join(ours), "".join(theirs)
