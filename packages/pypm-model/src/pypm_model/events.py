"""What a long operation tells whoever listens: progress lines, MCP notifications, tests.

A listener is any ``Callable[[Event], None]``; it must be quick and may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Callable

from pypm_model.records import record


@record
class Started:
    """Work of one kind begins: ``resolve``, ``download``, ``unpack``, ``build``, ``link``."""

    work: str
    subject: str = ""
    total: int = 0
    """Bytes for downloads, items for the rest; 0 when not known."""


@record
class Advanced:
    """*amount* more of it is done."""

    work: str
    subject: str = ""
    amount: int = 1


@record
class Finished:
    """Done, or given up: failures are raised, not sent."""

    work: str
    subject: str = ""


@record
class Warned:
    """Something the user should know and that stops nothing; *code* is documented, kebab-case."""

    code: str
    message: str


Event = Started | Advanced | Finished | Warned
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """A listener for callers that want none."""
