"""Executable files of the three platforms, read without loading them."""
