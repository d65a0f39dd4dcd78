"""Claims in words: versions and ranges as people write them, true of the versions that are known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from pypm_model.claims import (
    Allows,
    Bars,
    Claim,
    DependsOn,
    Ends,
    Follows,
    Member,
    NoneSuch,
    NoVersions,
    NoWheel,
    Requires,
    Supports,
    Term,
    Unknown,
)
from pypm_model.specifiers import contains, readable
from pypm_model.versions import parse

RUNS = 3
"""More runs of neighbouring versions than this are counted instead of listed."""

SHORT = 60
"""Two requirements are told side by side if they take no more characters than this."""


def said(claim: Claim) -> str:
    """The line that says *claim*."""
    match claim:
        case Requires():
            what = claim.target if claim.override else claim.requirement
            place = f", from {claim.source}" if claim.source else ""
            return f"{claim.who} requires {what}{_overridden(claim.requirement, claim.override)}{place}"
        case DependsOn():
            return _depends(claim)
        case Allows(requirement=requirement):
            return f"a constraint allows only {requirement}"
        case Bars():
            return _bars(claim)
        case NoWheel(what, target, newest):
            if not newest:
                return f"no version of {what.label} has a wheel for {target}"
            have = "has" if is_one(what) else "have"
            told = f"the newest version with one is {newest}"
            return f"{of_versions(what)} {have} no wheel for {target}: {told}"
        case Unknown(name, asked):
            return f"no index has a package named {name}" + (f" (asked: {', '.join(asked)})" if asked else "")
        case NoneSuch(name, specifier, newest):
            return f"no version of {name} is {readable(specifier)}: the newest is {newest}"
        case NoVersions(name, indexes):
            have = "has" if len(indexes) == 1 else "have"
            return f"{' and '.join(indexes)} {have} a page of {name} that names no wheel and no sdist"
        case Member(name, version):
            return f"{name} is a member of this workspace and has version {version}"
        case Supports(member, requires_python):
            return f"{member} is for Python {requires_python}"
        case Follows():
            return f"so {_follows(claim)}"
        case Ends():
            return f"so {_end(claim)}"


# Versions


def of_versions(term: Term) -> str:
    """Which versions a term holds: ``a 1.0``, ``a 1.0 to 1.9``, ``a 2.0 and later``, ``every version of
    a``, or just ``a[x]`` where there are none to tell apart."""
    if not term.known:
        return term.label
    if not term.versions:
        return f"no version of {term.label}"
    if len(term.versions) == len(term.known):
        if len(term.known) == 1:
            return f"{term.label} {term.known[0]} (the only version)"
        return f"every version of {term.label}"
    runs = _runs(term)
    if len(runs) > RUNS:
        return f"{len(term.versions)} versions of {term.label} from {term.versions[0]} to {term.versions[-1]}"
    last = len(term.known) - 1
    texts = []
    for first, end in runs:
        if first == end:
            texts.append(term.known[first])
        elif end == last:
            texts.append(f"{term.known[first]} and later")
        elif first == 0:
            texts.append(f"{term.known[end]} and earlier")
        else:
            texts.append(f"{term.known[first]} to {term.known[end]}")
    return f"{term.label} {', '.join(texts)}"


def is_one(term: Term) -> bool:
    """Whether the words of `of_versions` are singular."""
    return len(term.versions) <= 1 or len(term.versions) == len(term.known)


def of_range(term: Term) -> str:
    """The versions of a term as a requirement: ``a>=2,<3``, ``a==1.0``, ``a<1 or a>=3``, or ``a``."""
    if len(term.versions) == len(term.known):
        return term.label
    return " or ".join([f"{term.label}{specifier}" for specifier in specifiers(term)])


def specifiers(term: Term) -> list[str]:
    """The shortest specifiers that together allow, of the known versions, those of *term*; one if it can
    be said in one."""
    runs = _runs(term)
    holes = [
        term.known[position]
        for (_, before), (after, _) in pairwise(runs)
        for position in range(before + 1, after)
    ]
    if 0 < len(holes) <= RUNS and len(runs) > 1:
        whole = _interval(term.known, runs[0][0], runs[-1][1])
        text = ",".join([*filter(None, [whole]), *(f"!={hole}" for hole in holes)])
        if _allowed(text, term.known) == term.versions:
            return [text]
    return [_interval(term.known, first, end) for first, end in runs]


def _interval(known: Sequence[str], first: int, end: int) -> str:
    """The shortest specifier for the known versions from *first* to *end*."""
    wanted = tuple(known[first : end + 1])
    if first == 0 and end == len(known) - 1:
        return ""
    exact = f"=={known[first]}" if first == end else None
    lower = [""] if first == 0 else [f">={text}" for text in _prefixes(known[first])]
    upper = [""] if end == len(known) - 1 else [f"<{text}" for text in _prefixes(known[end + 1])]
    for low in lower:
        for high in upper:
            text = ",".join(filter(None, (low, high)))
            if exact is not None and len(text) >= len(exact):
                return exact
            if _allowed(text, known) == wanted:
                return text
    return exact or (f">={known[first]}," if first else "") + f"<={known[end]}"


def _prefixes(version: str) -> list[str]:
    """``1``, ``1.2``, ``1.2.3``: what a bound may be written as, shortest first."""
    parsed = parse(version)
    epoch = "" if parsed.epoch == "0" else f"{parsed.epoch}!"
    found = [epoch + ".".join(parsed.release[: count + 1]) for count in range(len(parsed.release))]
    return [*(text for text in found if text != version), version]


def _allowed(specifier: str, known: Iterable[str]) -> tuple[str, ...]:
    return tuple([version for version in known if not specifier or contains(specifier, version)])


def _runs(term: Term) -> list[tuple[int, int]]:
    chosen = set(term.versions)
    runs: list[tuple[int, int]] = []
    for position, version in enumerate(term.known):
        if version not in chosen:
            continue
        if runs and runs[-1][1] == position - 1:
            runs[-1] = (runs[-1][0], position)
        else:
            runs.append((position, position))
    return runs


def complement(term: Term) -> Term:
    """The known versions that are not in *term*."""
    gone = set(term.versions)
    rest = tuple([version for version in term.known if version not in gone])
    return Term(term.name, term.label, rest, term.known, not term.absent)


# Lines


def _overridden(requirement: str, override: bool) -> str:
    return f", which an override makes {requirement}" if override else ""


def _depends(claim: DependsOn) -> str:
    verb = "depends" if is_one(claim.owner) else "depend"
    who = of_versions(claim.owner)
    if len(claim.requirements) == 1:
        requirement = claim.requirements[0]
        if claim.override:
            return f"{who} {verb} on {claim.within.name}{_overridden(requirement, True)}"
        return f"{who} {verb} on {requirement}"
    either = " or ".join(claim.requirements)
    if len(claim.requirements) == 2 and len(either) <= SHORT:
        return f"{who} {verb} on {either}"
    if len(claim.within.versions) == len(claim.within.known):
        return f"{who} {verb} on {claim.within.label}"
    return f"{who} {verb} on {claim.within.label}, each within {' or '.join(specifiers(claim.within))}"


def _bars(claim: Bars) -> str:
    which = of_versions(claim.what)
    one = is_one(claim.what)
    be, have = ("is", "has") if one else ("are", "have")
    detail = f" ({claim.detail})" if claim.detail else ""
    match claim.kind:
        case "yanked":
            return f"{which} {be} yanked{detail}"
        case "too-new":
            return f"{which} {be} newer than allowed{detail}"
        case "prerelease":
            return f"{which} {'is a pre-release' if one else 'are pre-releases'}, which are not allowed"
        case "python":
            return f"{which} {'needs' if one else 'need'} {claim.detail}"
        case "files" | "required":
            return f"{which} {have} no usable file {claim.detail}"
        case "build":
            tell = "its build" if one else "a build"
            return (
                f"{which} {have} no wheel: only {tell} would tell the dependencies, and that is not allowed"
            )
        case "no-binary":
            return f"{which} {have} wheels only, and `no-binary` rules them out"
        case "no-build":
            return f"{which} {have} an sdist only, and `no-build` rules it out"
        case "source":
            return f"{which} {'comes' if one else 'come'} from a source not asked for here"
        case _:
            return f"{which}: {claim.detail}"


def _follows(claim: Follows) -> str:
    given = [term for term in claim.terms if not term.absent]
    needed = [complement(term) for term in claim.terms if term.absent]
    subject = " with ".join([of_versions(term) for term in given])
    if not needed:
        if len(given) == 1:
            return f"{subject} can not be used"
        return f"{subject} can not be used together"
    what = " or ".join([of_range(term) for term in needed])
    if not given:
        return f"{claim.who} needs {what}" if claim.who else f"{what} is needed"
    return f"{subject} {'needs' if len(given) == 1 and is_one(given[0]) else 'need'} {what}"


def _end(claim: Ends) -> str:
    place = f" {claim.place}" if claim.place else ""
    if claim.name is not None:
        if claim.is_unknown:
            return f"{claim.name} can not be had{place}"
        both = f" both {claim.members[0]} and {claim.members[1]}" if claim.members else ""
        return f"no version of {claim.name} fits{both}{place}"
    texts = claim.requirements
    if len(texts) == 1:
        return f"{texts[0]} can not be met{place}"
    if 1 < len(texts) <= RUNS:
        return f"{', '.join(texts[:-1])} and {texts[-1]} can not be met together{place}"
    return f"these requirements can not be met together{place}"
