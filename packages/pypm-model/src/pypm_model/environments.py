"""A target to install for: one interpreter on one platform."""

from __future__ import annotations

from collections.abc import Mapping

from pypm_model.records import record


@record
class Environment:
    """Marker values and wheel tags of one interpreter, best tag first (PEP 425, PEP 508)."""

    markers: Mapping[str, str]
    """All eleven PEP 508 variables but ``extra``."""
    tags: tuple[str, ...]
    """``cp312-cp312-manylinux_2_17_x86_64`` and so on, in order of preference."""

    @property
    def python(self) -> str:
        """``python_full_version``."""
        return self.markers["python_full_version"]
