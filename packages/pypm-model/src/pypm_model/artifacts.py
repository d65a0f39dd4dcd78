"""Files that can be installed or built: wheels and sdists as an index or a lock describes them."""

from __future__ import annotations

from pypm_model.records import record


@record
class Artifact:
    """One wheel or sdist. Facts the index does not give are empty or None."""

    filename: str
    sha256: str
    """Lower-case hexadecimal; empty only in a listing, never in a lock."""
    size: int | None = None
    """Bytes."""
    uploaded: str = ""
    """RFC 3339 in UTC, whole seconds, ``2026-11-01T09:30:00Z``."""
    path: str = ""
    """Mirror-independent location: the part of the address from ``packages/`` on, only where it has
    the content-addressed form ``packages/xx/yy/<60 hex digits>/<filename>`` that the default index
    and its mirrors share. Empty elsewhere: the index's page is asked for the address."""
    requires_python: str = ""
    """The file's own Requires-Python as the index gives it (not in a lock, where the package's
    counts); needed to choose a file per interpreter while resolving."""
    yanked: str | None = None
    """The reason (may be empty) if this file is yanked, else None."""

    @property
    def is_wheel(self) -> bool:
        return self.filename.endswith(".whl")

    def as_locked(self) -> Artifact:
        """The same without what only a listing says."""
        return Artifact(self.filename, self.sha256, self.size, self.uploaded, self.path)


@record
class Located:
    """An artifact with where to get it now. ``url`` may hold credentials: never store or print it."""

    artifact: Artifact
    url: str
    index: str = ""
    """The index's name, or empty for a direct address; decides which credentials are sent."""
