"""Names of the files by which pypm knows an environment, in its folder."""

from __future__ import annotations

STATE = "pypm-state"
"""The record of what is in it (`pypm_env.state_file`)."""
JOURNAL = "pypm-journal"
"""There while an apply is at work, and after one was killed: the .dist-info folders it touches."""
