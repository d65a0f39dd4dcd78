"""Bytes and unpacked wheels by digest, and the metadata cache."""
