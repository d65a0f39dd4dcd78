"""Requirements files as pip reads them and pip-compile writes them."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Collection, Iterable, Iterator

from pypm.ops.importing.addresses import file_address, index_address, is_default_index, repository_address
from pypm.ops.importing.local import name_in
from pypm.ops.importing.records import CannotImport, Draft, Lost, NewIndex, Pins, Read, Source, pins_of
from pypm_index.addresses import redacted
from pypm_model import requirement_text
from pypm_model.names import NormalizedName, is_valid, normalize
from pypm_model.patterns import pattern
from pypm_model.records import record
from pypm_model.requests import Preference
from pypm_model.requirement_text import InvalidRequirement
from pypm_model.requirements import Requirement

_comment = pattern(r"(?:^|\s)#.*")
_hash = pattern(r"\s--hash[= ](\S+)")
_option = pattern(r"(-[a-zA-Z]|--[a-z-]+)(?:\s*=\s*|\s+|(?<=^-[a-zA-Z]))?(.*)", re.DOTALL)
_egg = pattern(r"[#&]egg=([\w.-]+)(?:\[([\w.,\s-]*)\])?")
_repository = pattern(r"(git|hg|svn|bzr)\+")
_conda = pattern(r"file://.*/work(?:/.*)?")
"""Where conda's packages were built, on another machine: what `pip freeze` says of them."""
_archives = (".whl", ".tar.gz", ".zip", ".tgz", ".tar.bz2")
_pinned = pattern(r"===?([^*,\s]+)")
_long = {
    "-r": "--requirement",
    "-c": "--constraint",
    "-e": "--editable",
    "-i": "--index-url",
    "-f": "--find-links",
}


@record
class Line:
    """One logical line: without comments and hashes, continuations joined."""

    file: str
    number: int
    text: str
    via: tuple[str, ...] = ()
    """Who asks, as pip-compile writes it below."""
    hashes: tuple[str, ...] = ()


@record
class Asked:
    """A requirement that a file asks for."""

    line: Line
    text: str
    """As PEP 508 has it, without an address of its own."""
    name: NormalizedName
    version: str = ""
    """If it is pinned."""
    marker: str = ""
    source: Source | None = None
    constraint: bool = False


class Reader:
    """Reads one file with what it includes."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self.asked: list[Asked] = []
        self.indexes: list[NewIndex] = []
        self.find_links: list[str] = []
        self.lost: list[Lost] = []
        self.files: list[str] = []
        """Everything that was read, in order."""

    def file(self, path: str, *, constraint: bool = False, skip: frozenset[str] = frozenset()) -> None:
        """Reads *path* unless it was read before or is among *skip*. Raises `CannotImport`."""
        if path in self.files or path in skip:
            return
        text = self._read(path)
        if text is None:
            raise CannotImport(path, "there is no such file")
        self.files.append(path)
        for line in lines(text, path):
            if line.text.startswith("-"):
                self._option(line, constraint, skip)
            else:
                self._requirement(line, line.text, constraint)

    def lose(self, line: Line, reason: str) -> None:
        self.lost.append(Lost(line.file, f"line {line.number}", redacted(reason)))

    def _option(self, line: Line, constraint: bool, skip: frozenset[str]) -> None:
        match = _option.match(line.text)
        if match is None:
            self.lose(line, f"`{line.text}` is left out")
            return
        word, value = _long.get(match[1], match[1]), match[2].strip()
        if word == "--editable":
            self._requirement(
                line, _unquoted(value)[0] if value[:1] in "'\"" else value, constraint, editable=True
            )
            return
        value, more = _unquoted(value)
        below = posixpath.normpath(posixpath.join(posixpath.dirname(line.file), value))
        match word:
            case "--requirement" | "--constraint" if "://" in value:
                self.lose(line, f"`{value}` is not read: copy it beside this file, and import again")
            case "--requirement":
                self.file(below, constraint=constraint, skip=skip)
            case "--constraint":
                self.file(below, constraint=True, skip=skip)
            case "--index-url" | "--extra-index-url":
                url, reason = index_address(value)
                if reason:
                    self.lose(line, reason)
                default = word == "--index-url"
                name = "default" if default else f"extra-{sum(not each.default for each in self.indexes) + 1}"
                if all(each.url != url for each in self.indexes) and not is_default_index(url):
                    self.indexes.append(NewIndex(name, url, default=default))
                    if not default:
                        self.lose(
                            line, "this index is asked before the default one, and alone for what it has"
                        )
            case "--find-links":
                url, reason = file_address(value)
                if reason:
                    self.lose(line, reason)
                self.find_links.append(url if "://" in value else below)
            case _:
                self.lose(line, f"`{line.text}` is left out")
                return
        if more.startswith("-"):
            self._option(Line(line.file, line.number, more), constraint, skip)

    def _requirement(self, line: Line, text: str, constraint: bool, *, editable: bool = False) -> None:
        named = re.match(r"[A-Za-z0-9][\w.-]*\s*(\[[^\]]*\])?\s*@", text)
        if not named and (editable or "://" in text.partition(";")[0] or re.match(r"[./]|\w:\\", text)):
            self._unnamed(line, text, editable, constraint)
            return
        if " --" in text:
            text = text.partition(" --")[0].strip()
            self.lose(line, "options of a single requirement are left out")
        try:
            found = requirement_text.parse(text)
        except InvalidRequirement as error:
            self.lose(line, f"{text!r} is no requirement ({error.reason}); left out")
            return
        if found.name == "pkg-resources" and found.specifier == "==0.0.0":
            self.lose(line, f"{text} is no package: some systems' pip lists it; left out")
            return
        if found.url:
            said = self._as_said(line, found)
            if said is None:
                return
            found = said
        match = _pinned.fullmatch(found.specifier)
        version = match[1] if match else ""
        told = requirement_text.to_text(found)
        self.asked.append(Asked(line, told, found.name, version, found.marker, None, constraint))

    def _as_said(self, line: Line, found: Requirement) -> Requirement | None:
        """*found*, which has an address, as a manifest may say it; None if it may not."""
        if _conda.fullmatch(found.url):
            self.lose(
                line, f"was built by conda in {found.url}, which is not here: its name alone is asked for"
            )
            return found._replace(url="")
        kind = _repository.match(found.url)
        if kind and kind[1] != "git":
            self.lose(line, f"{found.name} is in a repository that is not git; left out")
            return None
        if "ssh://" in found.url:
            return found
        plain, reason = file_address(found.url)
        if reason:
            self.lose(line, reason)
        return found._replace(url=plain)

    def _unnamed(self, line: Line, text: str, editable: bool, constraint: bool) -> None:
        """An address or a folder without a name before it."""
        address, _, marker = (part.strip() for part in text.partition(" ;" if "://" in text else ";"))
        egg = _egg.search(address)
        extras = re.search(r"\[([\w.,\s-]+)\]$", address)
        where = re.sub(r"\[[\w.,\s-]+\]$", "", address.partition("#")[0])
        subdirectory = re.search(r"[#&]subdirectory=([^&]+)", address)
        source: dict[str, str | bool]
        reason = ""
        kind = _repository.match(where)
        if kind and kind[1] != "git":
            self.lose(line, f"`{text}` is in a repository that is not git; left out")
            return
        if where.startswith("git+"):
            head, at, ref = where.removeprefix("git+").rpartition("@")
            with_ref = bool(at) and "/" not in ref.partition("/")[0] and head.count("/") > 2
            plain, reason = repository_address(head if with_ref else where.removeprefix("git+"))
            source = {"git": plain}
            source |= {"rev": ref} if with_ref else {}
            if editable:
                self.lose(line, "a repository is not installed editable")
        elif "://" in where and not where.startswith("file:"):
            plain, reason = file_address(where)
            source = {"url": plain}
        else:
            path = where.removeprefix("file://").removeprefix("file:")
            if not posixpath.isabs(path):
                path = posixpath.normpath(posixpath.join(posixpath.dirname(line.file), path))
            source = {"path": path} | ({"editable": True} if editable else {})
        if subdirectory:
            source["subdirectory"] = subdirectory[1]
        if reason:
            self.lose(line, reason)
        name = egg[1] if egg else self._name_at(str(source.get("path", "")), where)
        if name is None:
            self.lose(line, f"`{text}` does not tell its name; add it with `pypm add`")
            return
        if name == ".":
            return  # the project itself
        wanted = (egg[2] if egg else None) or (extras[1] if extras else "")
        spelled = f"{name}[{wanted}]" if wanted else name
        full = spelled + (f"; {marker}" if marker else "")
        self.asked.append(Asked(line, full, normalize(name), "", marker, source, constraint))

    def _name_at(self, path: str, where: str) -> str | None:
        """The name of the project in a folder, or in a file's name; ``.`` for the folder itself."""
        if path == ".":
            return "."
        file = posixpath.basename(where)
        if file.endswith(_archives):
            # ``main.zip`` has no name in it.
            name, dash, _ = (
                re.split(r"(-)(?=\d)", file, maxsplit=1) if re.search(r"-\d", file) else (file, "", "")
            )
            return name if dash else None
        return name_in(self._read, path) if path else None


def _unquoted(value: str) -> tuple[str, str]:
    """The first word of *value*, without its quotes, and what stands after it."""
    try:
        words = shlex.split(value)
    except ValueError:
        return value, ""
    if len(words) < 2:
        return "".join(words), ""
    after = re.match(r"""\s*(?:'[^']*'|"[^"]*"|[^\s'"])+\s+(.*)""", value, re.DOTALL)
    return words[0], after[1].strip() if after else ""


def lines(text: str, file: str) -> Iterator[Line]:
    """The logical lines of *text*, with pip-compile's ``via`` comments gathered from below them."""
    found: list[tuple[int, str, list[str]]] = []
    held, start = "", 0
    in_via = False
    for number, raw in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        stripped = raw.strip()
        if stripped.startswith("#"):
            told = stripped.lstrip("# ").strip()
            in_via = found != [] and (in_via or told.startswith("via")) and raw.startswith(" ")
            told = told.removeprefix("via").strip()
            if in_via and told:
                found[-1][2].append(told)
            continue
        via = re.search(r"\s#\s*via\s+(.*)", raw)
        plain = _comment.sub("", raw).rstrip()
        start = start or number
        if plain.endswith("\\"):
            held += plain[:-1] + " "
            continue
        whole, held = " " + held + plain, ""
        if whole.strip():
            found.append((start, whole, [via[1]] if via else []))
            in_via = via is not None
        start = 0
    if held.strip():
        found.append((start, " " + held, []))
    for number, whole, asked_by in found:
        hashes = tuple(_hash.findall(whole))
        yield Line(file, number, _hash.sub("", whole).strip(), tuple(asked_by), hashes)


def is_direct(line: Line, listed: Collection[str]) -> bool:
    """Whether somebody wrote the requirement, rather than a tool because others need it: packages of a name
    that is *listed*. Who is not is the project itself, as uv has it."""
    asking = [who.strip() for each in line.via for who in each.split(",") if not who.strip().startswith("-c")]
    return not asking or any(
        who.startswith("-r") or "(" in who or normalize(who.partition("[")[0]) not in listed for who in asking
    )


def read_requirements(read: Read, files: tuple[tuple[str, str], ...]) -> tuple[Draft, Pins]:
    """The project that *files* (path, group; an empty group is the project's own dependencies) describe,
    and the versions they pin. Where ``NAME.in`` stands beside ``NAME.txt``, it says what is asked for, and
    the other only what is pinned. Raises `CannotImport`."""
    lost: list[Lost] = []
    pins: dict[NormalizedName, list[Preference]] = {}
    hashes: dict[NormalizedName, list[str]] = {}
    lists: dict[str, list[str]] = {}
    constraints: list[str] = []
    sources: dict[str, tuple[Source, ...]] = {}
    indexes: dict[str, NewIndex] = {}
    find_links: list[str] = []
    # A group's file that includes what the project's own do asks for nothing new by that.
    own: set[str] = set()
    seen: list[str] = []
    for path, group in files:
        source_file = _source_of(path)
        skip = frozenset(own | set(map(_source_of, own))) if group else frozenset[str]()
        if path in skip:
            continue
        compiled = Reader(read)
        compiled.file(path, skip=skip)
        readers = [compiled]
        asking = compiled
        if source_file != path and read(source_file) is not None:
            asking = Reader(read)
            asking.file(source_file, skip=skip)
            readers.append(asking)
        if not group:
            own.update(*(reader.files for reader in readers))
        for reader in readers:
            seen += reader.files
            lost += reader.lost
            find_links += reader.find_links
            indexes |= {index.url: index for index in reader.indexes}
            for each in reader.asked:
                if each.version:
                    pins.setdefault(each.name, []).append(Preference(each.version, marker=each.marker))
                    hashes.setdefault(each.name, []).extend(each.line.hashes)
                elif each.constraint:
                    constraints.append(each.text)
        listed = {each.name for each in compiled.asked if not each.constraint}
        for each in asking.asked:
            if each.constraint or (asking is compiled and not is_direct(each.line, listed)):
                continue
            if each.source is not None:
                sources[each.name] = (each.source,)
            lists.setdefault(group, []).append(each.text)
    draft = Draft(
        file=files[0][0],
        read=tuple(dict.fromkeys(seen)),
        dependencies=tuple(dict.fromkeys(lists.get("", ()))),
        groups=tuple((group, tuple(dict.fromkeys(found))) for group, found in lists.items() if group),
        sources=tuple(sources.items()),
        indexes=tuple(indexes.values()),
        constraints=tuple(dict.fromkeys(constraints)),
        find_links=tuple(dict.fromkeys(find_links)),
        lost=tuple(dict.fromkeys(lost)),
    )
    return draft, pins_of(files[0][0], pins, (), hashes)


def _source_of(file: str) -> str:
    """What `pip-compile` makes *file* of."""
    return re.sub(r"\.txt$", ".in", file)


_OWN_IN_FOLDER = ("requirements", "base", "common", "main", "core", "default", "production", "prod")
"""What the file of the project's own dependencies may be called in a folder of requirements files."""
_named = (
    pattern(r"requirements[-_.]([\w.-]+)\.(?:txt|in)"),
    pattern(r"([\w.-]+)[-_.]requirements\.(?:txt|in)"),
    pattern(r"requirements/([\w.-]+)\.(?:txt|in)"),
)


def groups_of(names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The requirements files among *names*, each with the group it is for, that of the project's own
    requirements (whose group is empty) first. What is compiled stands for its source, and files of
    constraints ask for nothing. Without a ``requirements.txt`` a folder ``requirements`` has the own ones."""
    found = {name: group for name in names if (group := group_of(name)) is not None}
    found = {
        name: group
        for name, group in found.items()
        if re.sub(r"\.in$", ".txt", name) == name or re.sub(r"\.in$", ".txt", name) not in found
    }
    if "" not in found.values():
        for own in _OWN_IN_FOLDER:
            inside = [f"requirements/{own}{ending}" for ending in (".txt", ".in")]
            chosen = [name for name in inside if name in found]
            if chosen:
                found[chosen[0]] = ""
                break
    return tuple(sorted(found.items(), key=lambda pair: (pair[1], pair[0])))


def group_of(file: str) -> str | None:
    """The group that a file of this name is for: empty for the project's own requirements; None if it is
    no requirements file by its name."""
    if file in ("requirements.txt", "requirements.in"):
        return ""
    if "constraint" in file:
        return None
    match = next((match for each in _named if (match := each.fullmatch(file))), None)
    return normalize(match[1]) if match and is_valid(match[1]) else None
