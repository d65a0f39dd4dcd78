"""Metadata that only a build tells: asks the build side, and remembers what it said."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from pypm_index import metadata_text
from pypm_index.direct import DirectNeedsBuild
from pypm_index.errors import BadSource
from pypm_index.metadata_fetch import NeedsBuild
from pypm_index.ports import BuildMetadata, BuildNeed
from pypm_model.facts import Direct, Metadata, NoMetadata
from pypm_model.requests import BuildPolicy
from pypm_store.metadata_cache import MetadataCache
from pypm_store.sdist_archive import unpack_sdist

KIND = "built-metadata"
"""Kind of a small fact: METADATA by sha256 of the sdist. Apart from what an index said, so that a run
that may not build is not answered by what another one built."""


def refused(need: NeedsBuild) -> NoMetadata:
    """The answer where a build is not allowed."""
    reason = (
        f"only building {need.row.artifact.filename} would tell what it depends on, and that is not allowed"
    )
    return NoMetadata(need.key, reason, needs_build=True)


def known(need: NeedsBuild, cache: MetadataCache) -> Metadata | NoMetadata | None:
    """What an earlier build said, or None."""
    text = cache.value(KIND, _digest(need)) if _digest(need) else None
    return None if text is None else _facts(need, text.encode())


def built(
    need: NeedsBuild | DirectNeedsBuild,
    cache: MetadataCache,
    build: BuildMetadata | None,
    policy: BuildPolicy,
) -> Metadata | NoMetadata | Direct:
    """What a build says. Of an sdist of an index the caller has seen to it that it may be built; a
    direct source may be unless its name is under ``no-build``.

    Raises what *build* raises, `pypm_store.archive_rules.UnsafeArchive`, and `BadSource`.
    """
    if isinstance(need, NeedsBuild):
        assert build is not None, "only what may be built waits for it"
        return _of_index(need, cache, build)
    try:
        if build is None or not policy.takes_sdists(need.key.name):
            raise BadSource(
                need.key.name,
                need.need.source,
                "only a build would tell what it depends on, and that is not allowed",
            )
        return need.finished(build(need.need), cache)
    finally:
        need.discard()


def _of_index(need: NeedsBuild, cache: MetadataCache, build: BuildMetadata) -> Metadata | NoMetadata:
    filename = need.row.artifact.filename
    assert need.sdist is not None, "it was fetched whole because it may be built"
    scratch = Path(tempfile.mkdtemp(prefix="pypm-sdist-"))
    try:
        tree = unpack_sdist(need.sdist, scratch / "tree", filename=filename)
        text = build(BuildNeed(need.key.name, need.key.version, tree, filename, _digest(need)))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if _digest(need):
        cache.put_values(KIND, {_digest(need): text.decode("utf-8", "replace")})
    return _facts(need, text)


def _facts(need: NeedsBuild, text: bytes) -> Metadata | NoMetadata:
    return metadata_text.facts(metadata_text.read(text), need.key, need.row.artifact.filename)


def _digest(need: NeedsBuild) -> str:
    return need.row.artifact.sha256
