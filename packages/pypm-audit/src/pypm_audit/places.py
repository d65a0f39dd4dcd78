"""Where advisories are kept: names alone, for those who only look whether there are any."""

from __future__ import annotations

FOLDER = "advisories"
"""In the store."""
MARK = "malware"
"""In that folder: a file that is there if a record about malware is."""
