"""`pattern`: a regular expression that is compiled when it is first used.

Compiling the hundred expressions of the modules that a lock loads took 20 ms, and a run uses a third of them.
"""

from __future__ import annotations

import re
from typing import Any, cast


class _Pattern:
    def __init__(self, text: str, flags: int) -> None:
        self._text = text
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        # Kept here, so that the next time there is nothing between the caller and the compiled expression.
        value = getattr(re.compile(self._text, self._flags), name)
        setattr(self, name, value)
        return value


def pattern(text: str, flags: int = 0) -> re.Pattern[str]:
    """The regular expression *text*, with the methods of a compiled one. Mistakes show at the first use."""
    return cast(re.Pattern[str], _Pattern(text, flags))
