"""The Pythons that several members run on together, or who of them do not."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import ClassVar

from pypm_model import markers, specifiers
from pypm_model.errors import Place, PypmError
from pypm_model.names import NormalizedName
from pypm_workspace.configuration import Written
from pypm_workspace.workspace import Workspace

_FEW = 6
"""Members that are named in an error."""


class PythonsApart(PypmError):
    """No Python is one that all of these members are for, so they cannot be in one environment."""

    code: ClassVar[str] = "pythons-apart"
    exit: ClassVar[int] = 2
    asks: tuple[tuple[str, str], ...]
    """(member, its range): one for each range, or the two that exclude each other."""
    where: tuple[Place, ...]

    def __str__(self) -> str:
        told = ", ".join(f"`{member}` is for Python {text}" for member, text in self.asks[:_FEW])
        more = f" and {len(self.asks) - _FEW} more" if len(self.asks) > _FEW else ""
        return f"no Python fits all members: {told}{more}"

    @property
    def hint(self) -> str | None:
        return "`pypm sync --each` makes an environment for each member; -p MEMBER takes that of one"

    @property
    def places(self) -> tuple[Place, ...]:
        return self.where[:_FEW]

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(f"`{member}` is for Python {text}" for member, text in self.asks[:_FEW])


def check_common_python(workspace: Workspace, pythons: Mapping[NormalizedName, str]) -> None:
    """Raises `PythonsApart` if there is no Python on which all members run, by their ranges *pythons*."""
    first: dict[str, NormalizedName] = {}
    together = ""
    for name, text in pythons.items():
        if text:
            first.setdefault(text, name)
            together = specifiers.merge(together, text)
    if _is_possible(together):
        return
    texts = list(first)
    pair = next((two for two in combinations(texts, 2) if not _is_possible(specifiers.merge(*two))), texts)
    chosen = [(first[text], text) for text in pair]
    raise PythonsApart(
        tuple((str(name), specifiers.readable(text)) for name, text in chosen),
        tuple(
            workspace.place(Written(workspace.by_name[name].file, "project.requires-python"))
            for name, _ in chosen
        ),
    )


def _is_possible(text: str) -> bool:
    return markers.requires_python(text) != markers.FALSE
