"""The base of every error a user may see.

An error is a record: what happened, as data. Words are chosen by ``__str__`` (one line), colours
and layout at the edge (``pypm.cli.render.errors``). Each room defines its own kinds beside the
code that raises them.
"""

from __future__ import annotations

from typing import Any, ClassVar, dataclass_transform

from pypm_model.records import add_fields, field_names, record


@record
class Place:
    """A place in a user's file: the file as the user would type it, and the line (from 1) if known."""

    file: str
    line: int | None = None
    column: int | None = None
    unwritten: bool = False
    """It is something that would be added to the file, and is in no line of it yet."""

    def __str__(self) -> str:
        if self.unwritten:
            return f"{self.file} (to be added)"
        text = self.file
        if self.line is not None:
            text += f":{self.line}"
            if self.column is not None:
                text += f":{self.column}"
        return text

    def to_json(self) -> dict[str, Any]:
        """The place as data."""
        found: dict[str, Any] = {"file": self.file, "line": self.line, "column": self.column}
        return found | ({"unwritten": True} if self.unwritten else {})


@dataclass_transform(eq_default=False)
class PypmError(Exception):
    """Something went wrong that the user can understand; the annotated names of a subclass are the facts,
    given when it is raised, as in a `record`.

    ``code`` is the documented kebab-case name of the kind, ``exit`` the process's exit code (1: no,
    2: the input cannot be used, 3: undecided). ``__str__`` is one line that names the member, file and
    line where there is one. ``hint`` says what would help; ``places`` point into the user's files, the first
    one is where the error is.
    """

    code: ClassVar[str]
    exit: ClassVar[int] = 1
    askers: tuple[Place, ...] = ()
    """Requirements that led here, set on the error by who knows them: most rooms know only a name."""

    def __init_subclass__(cls) -> None:
        add_fields(cls)

    @property
    def hint(self) -> str | None:
        """What would help, as one sentence, or None."""
        return None

    @property
    def helps(self) -> tuple[str, ...]:
        """Everything that would help, one sentence each: the hint, unless there are several."""
        return (self.hint,) if self.hint else ()

    @property
    def places(self) -> tuple[Place, ...]:
        """Where in the user's files; the error itself first."""
        return ()

    @property
    def notes(self) -> tuple[str, ...]:
        """A clause for each of `places`, where there is more to say than that it is there; else none."""
        return ()

    @property
    def parts(self) -> tuple[PypmError, ...]:
        """The errors this one stands for, when it is several that were found at once."""
        return ()

    @property
    def story(self) -> tuple[tuple[str, tuple[Place, ...]], ...]:
        """Further lines in reading order, each with the places it speaks of; for most errors none."""
        return ()

    @property
    def printed(self) -> tuple[str, ...]:
        """The last lines of what a program printed that failed here; for most errors none."""
        return ()

    def to_json(self) -> dict[str, Any]:
        """The error as JSON-ready data: code, message, hint, places and the record's own fields."""
        own = {name: _plain(getattr(self, name)) for name in field_names(self.__class__)}
        places = [place.to_json() for place in (*self.places, *self.askers)]
        return {"code": self.code, "message": str(self), "hint": self.hint, "places": places, **own}


def _plain(value: object) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(v) for v in value]
    return str(value)
