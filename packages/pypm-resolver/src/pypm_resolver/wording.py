"""Requirements in words."""

from __future__ import annotations

from pypm_model.requirements import Requirement
from pypm_model.sources import plain_url
from pypm_model.specifiers import readable


def of_requirement(requirement: Requirement) -> str:
    """The requirement as one would write it, without its ``extra ==`` marker."""
    extras = f"[{','.join(requirement.extras)}]" if requirement.extras else ""
    text = f"{requirement.name}{extras}{readable(requirement.specifier)}"
    if requirement.url:
        text += f" @ {plain_url(requirement.url)}"
    if requirement.marker and "extra" not in requirement.marker:
        text += f"; {requirement.marker}"
    return text
