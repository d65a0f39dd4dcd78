"""Versions (PEP 440): parsed, spelled the normal way, and as texts that sort as the versions do.

A *sort key* is a text: comparing two keys with ``<`` compares the two versions, equal versions have
equal keys, and no key is a prefix of another except that a version's key is the beginning of the
keys of its local versions. It is made of these parts, each of which shows where it ends:

======== ==================================================================================
number   its length as a letter (``a`` is 1, ``y`` 25, ``z0026`` 26...), then its digits
epoch    one number
release  one number for each component, zeros at the end left out, then ``!``
pre      ``0`` if only a development release of the final one, ``a``, ``b`` or ``c`` (rc) with a
         number, ``f`` if final
post     ``0`` if none, else ``p`` with a number
dev      ``d`` with a number, else ``z``
local    nothing, or ``+`` and for each segment ``s`` text ``.``, or ``t`` with a number
======== ==================================================================================

So ``1.0`` is ``a0a1!f0z``, and a key can be cut off to make a boundary between versions
(`pypm_model.specifiers` does). Nothing here loads ``packaging``: one call costs about 1 µs.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pypm_model.patterns import pattern
from pypm_model.records import NamedTuple

MAX_DIGITS = 4000
"""A number with more digits makes a version invalid (Python converts no more than 4300)."""


class InvalidVersion(ValueError):
    """The text is no version according to PEP 440."""

    def __init__(self, version: str) -> None:
        self.version = version
        super().__init__(f"invalid version: {version!r}")


class Version(NamedTuple):
    """A version in pieces. Numbers are decimal texts without leading zeros.

    Equality is equality of pieces: ``1.0`` and ``1.0.0`` differ; compare `sort_key` to compare versions.
    """

    epoch: str
    release: tuple[str, ...]
    """At least one component, as written (zeros at the end included)."""
    pre: tuple[str, str] | None
    """(``a``, ``b`` or ``rc``, number)."""
    post: str | None
    dev: str | None
    local: tuple[str, ...]
    """Segments, lower case; empty if there is none."""

    @property
    def is_prerelease(self) -> bool:
        return self.pre is not None or self.dev is not None

    def __str__(self) -> str:
        text = ".".join(self.release)
        if self.epoch != "0":
            text = f"{self.epoch}!{text}"
        if self.pre is not None:
            text += "".join(self.pre)
        if self.post is not None:
            text += f".post{self.post}"
        if self.dev is not None:
            text += f".dev{self.dev}"
        if self.local:
            text += f"+{'.'.join(self.local)}"
        return text


PATTERN = r"""
    v?
    (?:([0-9]+)!)?                                                        # 1 epoch
    ([0-9]+(?:\.[0-9]+)*)                                                 # 2 release
    (?:[._-]?(alpha|a|beta|b|preview|pre|c|rc)[._-]?([0-9]+)?)?           # 3, 4 pre-release
    (?:-([0-9]+)|[._-]?(post|rev|r)[._-]?([0-9]+)?)?                      # 5, or 6 and 7 post-release
    (?:[._-]?(dev)[._-]?([0-9]+)?)?                                       # 8, 9 development release
    (?:\+([a-z0-9]+(?:[._-][a-z0-9]+)*))?                                 # 10 local
"""
"""For ``re.VERBOSE | re.ASCII`` and lower-case text: every spelling that PEP 440 accepts."""

_pattern = pattern(PATTERN, re.VERBOSE | re.ASCII)
_local_separator = pattern(r"[._-]")
_letters = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}
_pre_keys = {"a": "a", "b": "b", "rc": "c"}


def _encode(number: str) -> str:
    """The key of a number without leading zeros."""
    length = len(number)
    return f"{chr(96 + length)}{number}" if length < 26 else f"z{length:04}{number}"


_numbers = {str(n): _encode(str(n)) for n in (*range(200), *range(2000, 2050))}
"""Keys of the numbers that versions are usually made of, years among them."""


def number_key(number: str) -> str:
    """The sort key of a decimal text without leading zeros."""
    return _numbers.get(number) or _encode(number)


def _plain(number: str) -> str:
    return number if number == "0" else number.lstrip("0") or "0"


@lru_cache(maxsize=32768)
def parse(version: str) -> Version:
    """The pieces of *version*, whose spelling may be any that PEP 440 allows; remembers answers.

    Raises `InvalidVersion`.
    """
    text = version.strip()
    numbers = text.split(".")
    if len(text) < MAX_DIGITS and text.isascii() and all(map(str.isdigit, numbers)):
        return Version("0", tuple([_plain(number) for number in numbers]), None, None, None, ())
    match = _pattern.fullmatch(text.lower()) if text.isascii() else None
    if match is None:
        raise InvalidVersion(version)
    epoch, release, pre, pre_number, post_bare, post, post_number, dev, dev_number, local = match.groups()
    if len(text) > MAX_DIGITS and max(map(len, re.split(r"[^0-9]+", text))) > MAX_DIGITS:
        raise InvalidVersion(version)
    return Version(
        _plain(epoch) if epoch else "0",
        tuple([_plain(n) for n in release.split(".")]),
        (_letters.get(pre, pre), _plain(pre_number or "0")) if pre else None,
        _plain(post_bare or post_number or "0") if post_bare or post else None,
        _plain(dev_number or "0") if dev else None,
        tuple([_plain(s) if s.isdigit() else s for s in _local_separator.split(local)]) if local else (),
    )


def is_valid(version: str) -> bool:
    """Whether *version* is a version according to PEP 440."""
    try:
        parse(version)
    except InvalidVersion:
        return False
    return True


def sort_key(version: str) -> str:
    """The sort key of *version*. Raises `InvalidVersion`."""
    try:
        release = "".join([_numbers[n] for n in version.split(".")])
    except KeyError:
        return key_of(parse(version))
    while release.endswith("a0"):
        release = release[:-2]
    return f"a0{release}!f0z"


def key_of(version: Version) -> str:
    """The sort key of a parsed version."""
    key = public_key(version)
    if version.local:
        segments = [f"t{number_key(s)}" if s.isdigit() else f"s{s}." for s in version.local]
        key = f"{key}+{''.join(segments)}"
    return key


def public_key(version: Version) -> str:
    """The sort key of *version* without its local part."""
    post = "0" if version.post is None else f"p{number_key(version.post)}"
    dev = "z" if version.dev is None else f"d{number_key(version.dev)}"
    return f"{stage_key(version)}{post}{dev}"


def release_key(epoch: str, release: tuple[str, ...]) -> str:
    """The beginning, up to ``!``, of the keys of all versions with that release segment.

    It is lower than all of these and higher than every version that is lower than all of them.
    """
    end = len(release)
    while end and release[end - 1] == "0":
        end -= 1
    return f"{number_key(epoch)}{''.join([number_key(n) for n in release[:end]])}!"


def stage_key(version: Version) -> str:
    """The beginning, up to the pre-release part, of the key of *version*: its post-releases share it."""
    if version.pre is not None:
        letter, number = version.pre
        stage = _pre_keys[letter] + number_key(number)
    else:
        stage = "0" if version.dev is not None and version.post is None else "f"
    return release_key(version.epoch, version.release) + stage


def canonical(version: str) -> str:
    """*version* spelled as PEP 440 normalises it; zeros at the end stay. Raises `InvalidVersion`."""
    return str(parse(version))


def is_prerelease(version: str) -> bool:
    """Whether *version* is a pre-release or a development release. Raises `InvalidVersion`."""
    return parse(version).is_prerelease


def public(version: str) -> str:
    """*version*, normalised, without its local part. Raises `InvalidVersion`."""
    return str(parse(version)._replace(local=()))


def local(version: str) -> str:
    """The local part of *version*, normalised, or empty. Raises `InvalidVersion`."""
    return ".".join(parse(version).local)


def base(version: str) -> str:
    """The epoch and release of *version*, normalised. Raises `InvalidVersion`."""
    return str(parse(version)._replace(pre=None, post=None, dev=None, local=()))


def release(version: str) -> tuple[int, ...]:
    """The release segment of *version* as numbers: ``(3, 12, 1)``. Raises `InvalidVersion`."""
    return tuple([int(n) for n in parse(version).release])
