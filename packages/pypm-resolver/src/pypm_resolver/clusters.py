"""Sets that belong together because they have something in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def united(clusters: Iterable[frozenset[T]]) -> list[frozenset[T]]:
    """*clusters*, those that have something in common made one, also through others: no two of the result
    share anything. In the order in which the last of each came."""
    found: list[frozenset[T]] = []
    for cluster in clusters:
        touching = [each for each in found if each & cluster]
        found = [each for each in found if not each & cluster]
        found.append(cluster.union(*touching))
    return found
