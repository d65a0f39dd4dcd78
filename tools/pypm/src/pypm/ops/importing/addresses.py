"""Addresses as pypm writes them into files: without secrets."""

from __future__ import annotations

from pypm_index.addresses import without_userinfo


def index_address(url: str) -> tuple[str, str]:
    """*url* without credentials, and what to tell if it had any (or if it is made of variables)."""
    plain = without_userinfo(url)
    if plain != url:
        return plain, "its user name and password are left out: see the how-to on private packages"
    if "${" in url or "$(" in url:
        return url, "its address is made of variables, which pypm does not fill in"
    return url, ""
