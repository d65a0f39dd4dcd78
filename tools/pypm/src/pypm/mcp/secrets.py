"""Keeps secrets out of answers: whatever gets into one, no password of an address and no value of a variable
that is one goes to an agent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pypm_index.addresses import hidden_in, redacted, userinfo

HIDDEN = "****"
_SHORTEST = 6
"""Characters: what is shorter stands in too many texts by chance."""
_named_so = re.compile(
    r"(?i)(token|secret|passw|credential|api_?key|private_?key|access_?key|(?<![a-z])auth$)"
)


class Secrets:
    """What the variables *environ* have that nobody may see."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        found = {value for value in _secrets(environ) if len(value) >= _SHORTEST}
        # The longest first: one may be a part of another.
        texts = sorted(found, key=lambda text: (-len(text), text))
        self._pattern = re.compile("|".join(map(re.escape, texts))) if texts else None

    def hidden(self, value: Any) -> Any:
        """*value*, of JSON's kinds, with every secret in its texts blotted out."""
        return hidden_in(value, self._hidden)

    def _hidden(self, value: str) -> str:
        text = redacted(value) if "://" in value else value
        return self._pattern.sub(HIDDEN, text) if self._pattern else text


def _secrets(environ: Mapping[str, str]) -> Iterator[str]:
    for name, value in environ.items():
        if _named_so.search(name) and "/" not in value[:1]:
            yield value
        if "://" in value and "@" in value:
            for address in value.split():
                try:
                    found = userinfo(address)
                except ValueError:
                    continue
                if found is not None:
                    yield found[1] or found[0]  # a token may stand alone
