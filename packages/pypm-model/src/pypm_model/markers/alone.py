"""A diagram as it is for one owner of flags at a time, the flags of all others being off.

Asked of a thousand members that are installed one at a time. To put the flags of all others in for each of
them would be a walk through the diagram for each; here one walk serves all. It goes from flag to flag as if
all were off, and only what hangs on an owner's own flags is worked out for that owner.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pypm_model.markers.diagram import Diagram, branches, node, reachable, top
from pypm_model.markers.inquiry import flag_number
from pypm_model.markers.variables import ORDER, Variable

Owner = TypeVar("Owner")


def alone(d: Diagram, owners: Mapping[str, Owner]) -> tuple[Diagram, dict[Owner, Diagram]]:
    """*d* where none of the flags in *owners* is active; and for each of their owners for whom it is another
    one, *d* where no flags but that owner's may be active. Flags that are not in *owners* stay open."""
    owned = {flag_number(name): owner for name, owner in owners.items()}
    last: dict[Owner, Variable] = {}
    mask = 0
    for variable, owner in owned.items():
        mask |= 1 << variable
        last[owner] = max(last.get(owner, ORDER[variable]), ORDER[variable])
    # 1. What each part of it is with all flags off.
    off: dict[Diagram, Diagram] = {}
    for each in reachable(d, mask):
        below = [off.get(child, child) for child in branches(each)[1]]
        off[each] = below[0] if top(each) in owned else node(top(each), branches(each)[0], tuple(below))
    # 2. Where a walk with all flags off meets each owner's first flag, from each point where it forks.
    forks = [each for each in _walked(d, owned) if top(each) not in owned and each in off]
    meets: dict[Diagram, tuple[dict[Owner, Diagram], Diagram]] = {}
    for start in {d, *(child for fork in forks for child in branches(fork)[1])}:
        first: dict[Owner, Diagram] = {}
        at = start
        while top(at) in owned:
            first.setdefault(owned[top(at)], at)
            at = branches(at)[1][0]
        meets[start] = first, at
    # 3. For each owner: from its own flags up through the forks.
    found: dict[Owner, Diagram] = {}
    for owner in {owner for first, _ in meets.values() for owner in first}:
        done: dict[Diagram, Diagram] = {}

        def of(start: Diagram, owner: Owner = owner, done: dict[Diagram, Diagram] = done) -> Diagram:
            first, end = meets[start]
            if owner in first:
                return _own(first[owner], owner, owned, last[owner], off)
            return done.get(end, off.get(end, end))

        for fork in forks:
            done[fork] = node(top(fork), branches(fork)[0], tuple([of(c) for c in branches(fork)[1]]))
        whole = of(d)
        if whole != off.get(d, d):
            found[owner] = whole
    return off.get(d, d), found


def _walked(d: Diagram, owned: Mapping[int, object]) -> list[Diagram]:
    """What is met with all flags off; children before parents."""
    seen = {d}
    stack = [d]
    while stack:
        at = stack.pop()
        children = branches(at)[1]
        for child in children[:1] if top(at) in owned else children:
            if child not in seen:
                seen.add(child)
                stack.append(child)
    return sorted(seen)  # a node is made after its children


def _own(
    d: Diagram, owner: Owner, owned: Mapping[int, Owner], last: Variable, off: Mapping[Diagram, Diagram]
) -> Diagram:
    """*d* with all flags but those of *owner* off, the last of which is *last*."""
    seen = {d}
    stack = [d]
    while stack:
        at = stack.pop()
        children = branches(at)[1]
        for child in children if owned.get(top(at), owner) == owner else children[:1]:
            if child not in seen and ORDER[top(child)] <= last:
                seen.add(child)
                stack.append(child)
    done: dict[Diagram, Diagram] = {}
    for at in sorted(seen):
        keys, children = branches(at)
        below = [done.get(child, off.get(child, child)) for child in children]
        done[at] = node(top(at), keys, tuple(below)) if owned.get(top(at), owner) == owner else below[0]
    return done[d]
