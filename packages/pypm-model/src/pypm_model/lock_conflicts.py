"""The versions that can be had from the text of a lock that does not read: both sides of a merge, damage."""

from __future__ import annotations

from pypm_model import versions
from pypm_model.lock_sides import sides
from pypm_model.names import NormalizedName, normalize
from pypm_model.patterns import pattern
from pypm_model.requests import Preference

_fact = pattern(r'^\s*(name|version|source)\s*=\s*(?:\{\s*(\w+)\s*=\s*)?"([^"\\]+)"')


def salvage(text: str) -> tuple[tuple[NormalizedName, tuple[Preference, ...]], ...]:
    """Every version of a package from an index that *text* still names, as preferences sorted by name.

    Looks at lines only, so that neither conflict markers nor broken TOML matter; of two sides both are
    kept, ours first. Use it when `pypm_model.lock_text.read` refuses the text.
    """
    found: dict[NormalizedName, dict[Preference, None]] = {}
    for side in sides(text):
        name: NormalizedName | None = None
        version = ""
        for line in side.splitlines():
            if line.startswith("["):
                name, version = None, ""
                continue
            match = _fact.match(line)
            if match is None:
                continue
            field, kind, value = match.groups()
            if field == "name" and kind is None:
                name, version = normalize(value), ""
            elif field == "version" and kind is None and versions.is_valid(value):
                version = value
            elif field == "source" and kind == "index" and name is not None and version:
                found.setdefault(name, {})[Preference(version, value)] = None
    return tuple([(name, tuple(found[name])) for name in sorted(found)])
