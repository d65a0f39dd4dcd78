"""Builds: wheels, editables and metadata from source trees through their own backends (PEP 517, PEP 660)."""
