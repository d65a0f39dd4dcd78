"""Names of files that say what an environment is, or is to be."""

from __future__ import annotations

STATE = "pypm-state"
"""In its folder: the record of what is in it (`pypm_env.state_file`)."""
JOURNAL = "pypm-journal"
"""There while an apply is at work, and after one was killed: the .dist-info folders it touches."""
PIN_FILE = ".python-version"
"""Says which Python a folder wants, and those below it."""
