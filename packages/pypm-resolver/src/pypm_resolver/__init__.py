"""Finds one universal set of versions, or proves and explains that there is none."""
