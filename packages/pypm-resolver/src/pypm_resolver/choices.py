"""Which members, extras and groups a region is about.

A *choice* is what is installed together: where members share an environment any items, else items of one
member, alone. A region of the diagrams holds more than that, since a flag knows nothing of the others; what
nobody can choose is nothing to solve.
"""

from __future__ import annotations

from pypm_model.markers import (
    FALSE,
    TRUE,
    Diagram,
    alone,
    any_of,
    both,
    either,
    flag,
    flags,
    implies,
    minus,
)
from pypm_model.names import NormalizedName
from pypm_resolver.problem import Item, ItemKey, Problem


def entered(problem: Problem, where: Diagram) -> dict[ItemKey, bool]:
    """The items that are active for some choice in *where*, in the problem's order: whether they are for
    every one. Empty: nobody can choose anything in *where*."""
    if not problem.are_apart:
        return {i.key: implies(where, i.flag) for i in problem.items.values() if _is_active(i, where)}
    asked = flags(where) & problem.by_flag.keys()  # an old lock may have had others
    nobody, one_by_one = alone(where, {name: problem.by_flag[name][0] for name in asked})
    found = [item for item in problem.items.values() if _is_active(item, one_by_one.get(item.key[0], nobody))]
    only = {item.key[0] for item in found}
    one = one_by_one.get(only.pop(), nobody) if len(only) == 1 else None
    return {item.key: one is not None and implies(one, item.flag) for item in found}


def is_possible(problem: Problem, where: Diagram) -> bool:
    """Whether there is an environment in *where* for something that can be chosen."""
    if where == FALSE or problem.request.shared_environment:
        return where != FALSE
    known = problem.possible.get(where)
    if known is None:
        known = problem.possible[where] = bool(entered(problem, where))
    return known


def one_at_a_time(problem: Problem, *regions: Diagram) -> Diagram:
    """What there is to choose where members share no environment, as far as it is about flags that *regions*
    hang on: those of one member, or none of them."""
    by_member: dict[NormalizedName, list[str]] = {}
    asked = frozenset().union(*map(flags, regions)) & problem.by_flag.keys()
    for name in sorted(asked):
        by_member.setdefault(problem.by_flag[name][0], []).append(name)
    nobody, one = TRUE, FALSE
    # From the last of a diagram's variables to the first: each step puts something above what is there.
    for names in reversed(by_member.values()):
        active = any_of(map(flag, names))
        one = either(minus(one, active), both(nobody, active))
        nobody = minus(nobody, active)
    return either(nobody, one)


def _is_active(item: Item, where: Diagram) -> bool:
    """Whether *item* is active somewhere in *where*."""
    return both(where, both(item.flag, item.where)) != FALSE


def may_meet(problem: Problem, one: ItemKey, other: ItemKey) -> bool:
    """Whether nothing says that two items are never chosen together."""
    if not problem.request.shared_environment and one[0] != other[0]:
        return False
    first, second = problem.items[one].flag, problem.items[other].flag
    return both(both(first, second), problem.exclusions(first, second)) != FALSE
