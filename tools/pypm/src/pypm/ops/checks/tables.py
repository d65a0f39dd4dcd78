"""Settings of other tools, in which anything may stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def table_at(table: Mapping[str, Any], key: str, kind: type[Any] = dict) -> Any:
    """What *table* has under *key*; an empty one where there is nothing of that *kind*."""
    found = table.get(key)
    return found if isinstance(found, kind) else kind()


def texts_in(value: object) -> list[str]:
    """The text *value*, or the texts in the list *value*; none in anything else."""
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
