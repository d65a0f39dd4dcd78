"""What the lines of a conflict's story claim, as data: the prose is made from these and from nothing else.

So a test can check a story against the facts line by line, and another program can tell it in other words.
"""

from __future__ import annotations

from pypm_model.names import NormalizedName
from pypm_model.records import record


@record
class Term:
    """That a package is among *versions*, or that an extra or a member's item is asked for.

    *known* are all versions there are, ascending; *absent* says that the term is also met where the
    package is not there at all. Of extras (``a[x]``) and items (``acme:dev``) there are no versions: the
    term is met where they are asked for, or, with *absent*, where they are not.
    """

    name: NormalizedName
    label: str
    """The name as it is said, with its extra."""
    versions: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    absent: bool = False


@record
class Requires:
    """*who* (a member, its extra or group) asks for something; *override* replaces what it wrote, *source*
    is where it must come from, if that is said."""

    who: str
    requirement: str
    target: NormalizedName
    override: bool = False
    source: str = ""


@record
class DependsOn:
    """Each version of *owner* depends on the target with one of *requirements* (as written, without the
    ``extra ==`` of their markers); *within* is what of the target these allow together."""

    owner: Term
    requirements: tuple[str, ...]
    within: Term
    override: bool = False


@record
class Allows:
    """A constraint of the workspace allows only what *requirement* does."""

    requirement: str
    target: NormalizedName


@record
class Bars:
    """No version of *what* may be chosen: *kind* is one of those of `pypm_resolver.incompatibility.Barred`,
    *detail* what there is to add (a reason, a date, a bound, a region)."""

    what: Term
    kind: str
    detail: str = ""


@record
class NoWheel:
    """No version of *what* has a wheel for *target* (in words), where nothing else can be installed; *newest*
    is the newest version that has one, empty if there is none."""

    what: Term
    target: str
    newest: str


@record
class Unknown:
    """None of the indexes *asked* has the package."""

    name: NormalizedName
    asked: tuple[str, ...]


@record
class NoneSuch:
    """No known version is in *specifier*; *newest* is the newest there is."""

    name: NormalizedName
    specifier: str
    newest: str


@record
class NoVersions:
    """The *indexes* know the package, and have not one version of it."""

    name: NormalizedName
    indexes: tuple[str, ...]


@record
class Member:
    """*name* is a member of the workspace and has this version."""

    name: NormalizedName
    version: str


@record
class Supports:
    """A member is to work on these Pythons."""

    member: NormalizedName
    requires_python: str


@record
class Follows:
    """The terms can not all be met in the region of the story: it follows from earlier lines."""

    terms: tuple[Term, ...]
    who: str = ""
    """The member whose requirement it all comes from, if it is one."""


@record
class Ends:
    """The contradiction: nothing meets all requirements of the story in its region.

    *name* is the package at which they meet, *requirements* what members ask where there is none to
    name, *members* the two that can not share an environment, *place* the region in words."""

    name: NormalizedName | None
    requirements: tuple[str, ...] = ()
    members: tuple[NormalizedName, ...] = ()
    is_unknown: bool = False
    place: str = ""


Claim = (
    Requires
    | DependsOn
    | Allows
    | Bars
    | NoWheel
    | Unknown
    | NoneSuch
    | NoVersions
    | Member
    | Supports
    | Follows
    | Ends
)
