"""Addresses as pypm writes them into files: without secrets."""

from __future__ import annotations

from pypm_index.addresses import origin_text, without_userinfo
from pypm_index.settings import DEFAULT_INDEX_URL
from pypm_workspace.direct_reference import git_url

_LEFT_OUT = "its user name and password are left out: see the how-to on private packages"


def is_default_index(url: str) -> bool:
    """Whether *url* is the index that is asked anyway."""
    return origin_text(url).lower() == origin_text(DEFAULT_INDEX_URL)


def index_address(url: str) -> tuple[str, str]:
    """*url* without credentials, and what to tell if it had any (or if it is made of variables)."""
    plain = without_userinfo(url)
    if plain != url:
        return plain, _LEFT_OUT
    if "${" in url or "$(" in url:
        return url, "its address is made of variables, which pypm does not fill in"
    return url, ""


def repository_address(url: str) -> tuple[str, str]:
    """The address of a git repository without credentials, and what to tell if it had any."""
    plain = git_url(url)
    secret = "@" in url.partition("://")[2].partition("/")[0] and not plain.startswith("ssh://")
    return plain, _LEFT_OUT if secret else ""


def file_address(url: str) -> tuple[str, str]:
    """*url* of a file or archive without credentials, and what to tell if it had any."""
    plain = without_userinfo(url)
    return plain, _LEFT_OUT if plain != url else ""
