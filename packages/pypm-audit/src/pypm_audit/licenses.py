"""Under which licence a distribution is, as an SPDX expression, by what its metadata says.

``License-Expression`` (PEP 639) is believed. The older field and classifiers are mapped only where they can
mean one thing: ``Apache Software License`` may be any of three versions, ``BSD License`` a family. What is in
doubt has no expression, and is never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pypm_audit.core_metadata import About
from pypm_audit.license_expressions import InvalidLicense, canonical, leaves, parse, together
from pypm_model.patterns import pattern
from pypm_model.records import record

_space = pattern(r"[\s,_-]+")
_word = pattern(r"[a-z]+")
_LONG = 200
"""Characters from which on the older field is no name of a licence."""
_WORDS = (
    "agpl", "apache", "artistic", "bsd", "cc", "commercial", "cddl", "eclipse", "epl", "gnu", "gpl", "isc",
    "lgpl", "mit", "mozilla", "mpl", "proprietary", "psf", "python", "unlicense", "zlib", "zope", "zpl",
)  # fmt: skip
"""How the names of licences begin."""
_SHOWN = 60
"""Characters that are shown of what is no expression."""

_CLASSIFIERS: Mapping[str, str] = {
    "OSI Approved :: MIT License": "MIT",
    "OSI Approved :: MIT No Attribution License (MIT-0)": "MIT-0",
    "OSI Approved :: ISC License (ISCL)": "ISC",
    "OSI Approved :: Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "OSI Approved :: Eclipse Public License 1.0 (EPL-1.0)": "EPL-1.0",
    "OSI Approved :: Eclipse Public License 2.0 (EPL-2.0)": "EPL-2.0",
    "OSI Approved :: European Union Public Licence 1.2 (EUPL 1.2)": "EUPL-1.2",
    "OSI Approved :: GNU Affero General Public License v3": "AGPL-3.0-only",
    "OSI Approved :: GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "OSI Approved :: GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "OSI Approved :: GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "OSI Approved :: GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "OSI Approved :: GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "OSI Approved :: GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "OSI Approved :: GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "OSI Approved :: Mozilla Public License 1.0 (MPL)": "MPL-1.0",
    "OSI Approved :: Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
    "OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "OSI Approved :: The Unlicense (Unlicense)": "Unlicense",
    "OSI Approved :: University of Illinois/NCSA Open Source License": "NCSA",
    "OSI Approved :: Universal Permissive License (UPL)": "UPL-1.0",
    "OSI Approved :: Zero-Clause BSD (0BSD)": "0BSD",
    "OSI Approved :: zlib/libpng License": "Zlib",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
}
"""Those that mean one SPDX licence."""

_FAMILIES: Mapping[str, tuple[str, ...]] = {
    "DFSG approved": (),
    "OSI Approved": (),
    "OSI Approved :: Academic Free License (AFL)": ("AFL-",),
    "OSI Approved :: Apache Software License": ("Apache-",),
    "OSI Approved :: Artistic License": ("Artistic-",),
    "OSI Approved :: BSD License": ("BSD-", "0BSD"),
    "OSI Approved :: GNU Affero General Public License v3": ("AGPL-3.0",),
    "OSI Approved :: GNU General Public License (GPL)": ("GPL-",),
    "OSI Approved :: GNU General Public License v2 (GPLv2)": ("GPL-2.0",),
    "OSI Approved :: GNU General Public License v3 (GPLv3)": ("GPL-3.0",),
    "OSI Approved :: GNU Lesser General Public License v2 (LGPLv2)": ("LGPL-2",),
    "OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)": ("LGPL-3.0",),
    "OSI Approved :: GNU Library or Lesser General Public License (LGPL)": ("LGPL-",),
    "OSI Approved :: Historical Permission Notice and Disclaimer (HPND)": ("HPND",),
    "OSI Approved :: Python Software Foundation License": ("PSF-", "Python-", "CNRI-"),
    "OSI Approved :: Zope Public License": ("ZPL-",),
}
"""Those that a precise statement beside them makes precise: beginnings of the identifiers they go with.
Without beginnings any goes."""

_NAMES: Mapping[str, str] = {
    "mit license": "MIT",
    "the mit license": "MIT",
    "the mit license (mit)": "MIT",
    "mit license (mit)": "MIT",
    "expat": "MIT",
    "expat license": "MIT",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache2": "Apache-2.0",
    "apache2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0",
    "apache license v2.0": "Apache-2.0",
    "apache license 2": "Apache-2.0",
    "apache 2.0 license": "Apache-2.0",
    "apache software license 2.0": "Apache-2.0",
    "apache software license version 2.0": "Apache-2.0",
    "the apache license version 2.0": "Apache-2.0",
    "bsd 2 clause": "BSD-2-Clause",
    "bsd 2 clause license": "BSD-2-Clause",
    "2 clause bsd": "BSD-2-Clause",
    "2 clause bsd license": "BSD-2-Clause",
    "simplified bsd": "BSD-2-Clause",
    "simplified bsd license": "BSD-2-Clause",
    "bsd 3": "BSD-3-Clause",
    "bsd 3 clause": "BSD-3-Clause",
    "bsd 3 clause license": "BSD-3-Clause",
    "3 clause bsd": "BSD-3-Clause",
    "3 clause bsd license": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "new bsd license": "BSD-3-Clause",
    "modified bsd": "BSD-3-Clause",
    "modified bsd license": "BSD-3-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mpl2": "MPL-2.0",
    "mpl 2.0": "MPL-2.0",
    "mozilla public license 2.0": "MPL-2.0",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "mozilla public license version 2.0": "MPL-2.0",
    "gplv2": "GPL-2.0-only",
    "gplv2+": "GPL-2.0-or-later",
    "gplv3": "GPL-3.0-only",
    "gplv3+": "GPL-3.0-or-later",
    "lgplv3": "LGPL-3.0-only",
    "lgplv3+": "LGPL-3.0-or-later",
    "agplv3": "AGPL-3.0-only",
    "agplv3+": "AGPL-3.0-or-later",
    "unlicense": "Unlicense",
    "the unlicense": "Unlicense",
    "the unlicense (unlicense)": "Unlicense",
    "zlib license": "Zlib",
    "0bsd": "0BSD",
    "cc0": "CC0-1.0",
    "cc0 1.0": "CC0-1.0",
    "psf 2.0": "PSF-2.0",
}
"""What the older field is often filled with: in lower case, spaces, commas and hyphens as one space."""

EXPRESSION, FIELD, CLASSIFIERS, EXCEPTION = "License-Expression", "License", "classifiers", "exception"
BOTH = f"{FIELD} and {CLASSIFIERS}"


@record
class License:
    """What a distribution is under, and how that is known."""

    expression: str = ""
    """Canonical; empty: not known."""
    origin: str = ""
    """What it was taken from: one of the names above."""
    said: str = ""
    """Where there is no expression: what was written instead, shortened; empty: nothing."""

    @property
    def is_stated(self) -> bool:
        """Whether the distribution itself says it in SPDX's words."""
        return self.origin == EXPRESSION

    def to_json(self) -> dict[str, Any]:
        return {
            "expression": self.expression or None,
            "origin": self.origin or None,
            "said": self.said or None,
        }


def license_of(about: About) -> License:
    """What *about* says, as far as it says one thing."""
    if about.license_expression:
        try:
            return License(canonical(about.license_expression), EXPRESSION)
        except InvalidLicense:
            return License(said=_short(about.license_expression))
    field = _named(about.license)
    marks = about.classifiers
    certain = [_CLASSIFIERS[mark] for mark in marks if mark in _CLASSIFIERS]
    if _names_another(about.license, certain):
        certain = []
    if field:
        ids = {leaf.id for leaf in leaves(parse(field))}
        if all(_goes_with(mark, ids) for mark in marks):
            return License(field, BOTH if marks else FIELD)
    elif certain and len(certain) == len(set(marks) - {"OSI Approved"}):
        # Whether several are a choice or a sum classifiers cannot say: that all hold is the safe reading.
        return License(together(certain), CLASSIFIERS)
    return License(said=_short("; ".join([*([about.license] if about.license else ()), *marks])))


def _named(text: str) -> str:
    """The expression that the older field *text* is; empty if it is none."""
    if not text or len(text) > _LONG:
        return ""
    try:
        return canonical(text)
    except InvalidLicense:
        return _NAMES.get(_space.sub(" ", text.lower().replace("licence", "license")).strip(" ."), "")


def _names_another(text: str, certain: list[str]) -> bool:
    """Whether the older field *text*, which is no expression, speaks of a licence that is not in *certain*. A
    licence's whole text is not looked into."""
    if len(text) > _LONG:
        return False
    known = " ".join(certain).lower()
    words = _word.findall(text.lower())
    return any(word.startswith(family) and family not in known for word in words for family in _WORDS)


def _goes_with(mark: str, ids: set[str]) -> bool:
    """Whether the classifier *mark* says nothing else than a statement that names *ids*."""
    if mark in _FAMILIES:
        starts = _FAMILIES[mark]
        return not starts or any(each.startswith(starts) for each in ids)
    return _CLASSIFIERS.get(mark, "?") in ids


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."
