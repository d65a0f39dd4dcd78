"""Asks package indexes what can be had, and fetches it."""
