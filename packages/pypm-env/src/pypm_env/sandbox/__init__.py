"""Sandboxes: a place that vanishes, a clean process environment, a shell, and the system's walls."""
