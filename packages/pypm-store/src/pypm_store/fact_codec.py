"""Facts as the texts that stand in the metadata cache, and back: made for quick reading.

Lists of simple texts are joined by control characters rather than written as JSON arrays: splitting
one text is several times quicker than building as many strings from JSON. What an index may fill
with anything (reasons for a yank, Requires-Python) is JSON, or has those characters taken out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from pypm_model.artifacts import Artifact
from pypm_model.facts import FileClass, Listing, ListingKey, Metadata, MetadataKey, NoMetadata
from pypm_model.names import NormalizedName
from pypm_model.requirements import Requirement
from pypm_store.pages import FileRow

_ITEM, _FIELD, _ROW, _PART = "\x1c", "\x1f", "\x1e", "\x1d"
_SDIST = "-"
_NOTHING = '["",[]]'
_WHOLE = "="
"""Before a path that does not end in the file's name."""

_clean = str.maketrans(dict.fromkeys((_ITEM, _FIELD, _ROW, _PART), " "))


_classes: dict[str, FileClass] = {}
"""Classes of files met so far: a few hundred among all packages, so most decoding is a look-up."""


def encode_listing(listing: Listing) -> str:
    """A listing without its key and index. Raises ValueError if a version holds a separator."""
    kinds = [
        f"{one.requires_python.translate(_clean)}{_FIELD}"
        + (_SDIST if one.tags is None else _joined(one.tags, _ITEM))
        for one, _ in listing.classes
    ]
    return _PART.join(
        (
            _joined(listing.versions, _ITEM),
            _joined(listing.keys, _ITEM),
            f"{listing.prereleases:x} {listing.yanked:x} {listing.too_new:x}",
            _joined(kinds, _ROW),
            " ".join([f"{mask:x}" for _, mask in listing.classes]),
            json.dumps([listing.status, listing.yank_reasons], separators=(",", ":")),
        )
    )


def decode_listing(text: str, key: ListingKey, index: str) -> Listing:
    """The listing, as the answer to *key* by the index named *index*."""
    versions, keys, masks, kinds, members, rest = text.split(_PART)
    prereleases, yanked, too_new = masks.split(" ")
    known = _classes.get
    # A package may have four hundred classes, nearly all met before.
    found = (
        [
            (known(kind) or _class(kind), int(mask, 16))
            for kind, mask in zip(kinds.split(_ROW), members.split(" "), strict=True)
        ]
        if members
        else []
    )
    status, reasons = ("", ()) if rest == _NOTHING else json.loads(rest)
    return Listing(
        key,
        key.name,
        index,
        tuple(versions.split(_ITEM)) if versions else (),
        tuple(keys.split(_ITEM)) if keys else (),
        int(prereleases, 16),
        int(yanked, 16),
        int(too_new, 16),
        tuple(found),
        tuple([(position, reason) for position, reason in reasons]),
        status,
    )


def _class(kind: str) -> FileClass:
    """The class written as *kind*, from now on known."""
    requires_python, _, tags = kind.partition(_FIELD)
    texts = None if tags == _SDIST else tuple(tags.split(_ITEM)) if tags else ()
    return _classes.setdefault(kind, FileClass(requires_python, texts))


def encode_files(rows: Iterable[FileRow]) -> str:
    """The files of one version. Raises ValueError if a file name holds a separator."""
    texts = []
    for row in rows:
        one = row.artifact
        # The path repeats the file name; written once it saves a fifth of the cache.
        path = one.path.removesuffix("/" + one.filename) if one.path else ""
        if path and path == one.path:
            path = _WHOLE + path
        fields = (
            one.filename,
            one.sha256,
            "" if one.size is None else str(one.size),
            one.uploaded,
            path,
            one.requires_python,
            "" if one.yanked is None else "!" + one.yanked,
            row.url,
            "" if row.metadata is None else "!" + row.metadata,
            *((row.provenance,) if row.provenance else ()),
        )
        text = _FIELD.join(fields)
        if text.count(_FIELD) != len(fields) - 1 or _ROW in text:
            if one.filename.translate(_clean) != one.filename:
                raise ValueError(f"no file name: {one.filename!r}")
            text = _FIELD.join(field.translate(_clean) for field in fields)
        texts.append(text)
    whole = _ROW.join(texts)
    # Half a surrogate pair, which JSON can smuggle in, is no text that sqlite stores.
    return whole if whole.isascii() else whole.encode(errors="replace").decode()


def decode_files(text: str) -> tuple[FileRow, ...]:
    """The files of one version, in the order they were written."""
    if not text:
        return ()
    rows = []
    for row in text.split(_ROW):
        filename, sha256, size, uploaded, path, python, yanked, url, metadata, *more = row.split(_FIELD)
        if path:
            path = path[1:] if path[0] == _WHOLE else f"{path}/{filename}"
        artifact = Artifact(
            filename,
            sha256,
            int(size) if size else None,
            uploaded,
            path,
            python,
            yanked[1:] if yanked else None,
        )
        rows.append(FileRow(artifact, url, metadata[1:] if metadata else None, more[0] if more else ""))
    return tuple(rows)


def same_files(left: str, right: str) -> bool:
    """Whether two encoded rows are of the same file names with the same digests."""
    return _identities(left) == _identities(right)


def _identities(text: str) -> set[tuple[str, ...]]:
    return {tuple(row.split(_FIELD, 2)[:2]) for row in text.split(_ROW)}


def encode_metadata(fact: Metadata | NoMetadata) -> str:
    """Dependencies of one version, or why there are none, without the key."""
    match fact:
        case Metadata():
            content: list[object] = [
                [[r.name, " ".join(r.extras), r.specifier, r.marker, r.url] for r in fact.requires],
                " ".join(fact.extras),
                fact.requires_python,
                fact.origin,
                fact.invalid,
            ]
        case NoMetadata():
            content = [fact.reason, fact.needs_build]
    return json.dumps(content, separators=(",", ":"))


def decode_metadata(text: str, key: MetadataKey) -> Metadata | NoMetadata:
    """The fact, as the answer to *key*."""
    content = json.loads(text)
    if len(content) == 2:
        return NoMetadata(key, content[0], content[1])
    requires, extras, python, origin, invalid = content
    return Metadata(
        key,
        tuple(
            [
                Requirement(name, _names(wanted) if wanted else (), specifier, marker, url)
                for name, wanted, specifier, marker, url in requires
            ]
        ),
        _names(extras),
        python,
        origin,
        tuple(invalid),
    )


def _names(text: str) -> tuple[NormalizedName, ...]:
    return tuple([NormalizedName(one) for one in text.split(" ")]) if text else ()


def _joined(texts: Sequence[str], separator: str) -> str:
    joined = separator.join(texts)
    if joined.count(separator) != max(len(texts) - 1, 0) or _PART in joined:
        raise ValueError(f"a version or tag holds a separator: {texts!r}")
    return joined
