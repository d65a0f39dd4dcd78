"""``[tool.poetry]`` of a manifest as a draft in PEP 621's words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pypm.ops.importing import constraints
from pypm.ops.importing.addresses import file_address, index_address, repository_address
from pypm.ops.importing.records import NO_VERSION, Draft, Lost, NewIndex, Source
from pypm_model import names, requirement_text, specifiers
from pypm_model.patterns import pattern
from pypm_model.requirement_text import InvalidRequirement

_person = pattern(r"\s*(?P<name>[^<]*?)\s*(?:<(?P<email>[^>]+)>)?\s*")

_KEPT = ("packages", "include", "exclude", "build")
_DYNAMIC = ("version", "description", "readme", "authors", "maintainers", "keywords", "classifiers")
_ASKED = ("dependencies", "optional-dependencies", "requires-python")
"""What is written into ``[project]`` although that leaves it to the backend."""
_CORE = "poetry-core>=2.0,<3"
"""poetry-core reads ``[project]`` from its version 2 on."""
_BACKEND = "poetry.core.masonry.api"
_OLD_BACKENDS = ("poetry.masonry.api", "")
_known = {
    "name", "version", "description", "license", "authors", "maintainers", "readme", "homepage", "repository",
    "documentation", "keywords", "classifiers", "urls", "scripts", "extras", "plugins", "dependencies",
    "dev-dependencies", "group", "source", "package-mode", *_KEPT,
}  # fmt: skip


def stays(document: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    """Whether what stands at *path* below ``[tool.poetry]`` of *document* is read by poetry-core beside a
    ``[project]`` too: what says of which files the project is, what ``[project]`` calls dynamic, and
    scripts that are files."""
    table = document.get("tool", {}).get("poetry", {})
    match path:
        case ("scripts",):
            return any(_is_file(value) for value in table["scripts"].values())
        case ("scripts", name):
            return _is_file(table["scripts"][name])
        case (key,):
            return key in _KEPT or (key in _DYNAMIC and key in _dynamic(document))
        case _:
            return True


def _dynamic(document: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(document.get("project", {}).get("dynamic", ()))


def _is_file(script: Any) -> bool:
    return isinstance(script, Mapping) and script.get("type") == "file"


def read_poetry(
    document: Mapping[str, Any], file: str = "pyproject.toml", *, imported: bool = False
) -> Draft:
    """The draft for the manifest *document*, which has a ``[tool.poetry]``. One that was *imported* before
    has groups that are ours, unless Poetry's table has more than an import leaves in it."""
    if imported and all(stays(document, (key,)) for key in document["tool"]["poetry"]):
        return Draft(file)
    return _Reader(document, file).draft()


class _Reader:
    def __init__(self, document: Mapping[str, Any], file: str) -> None:
        self.file = file
        self.document = document
        self.table: Mapping[str, Any] = document["tool"]["poetry"]
        self.project: Mapping[str, Any] = document.get("project", {})
        self.lost: list[Lost] = []
        self.sources: dict[str, list[Source]] = {}

    def lose(self, key: str, reason: str) -> None:
        self.lost.append(Lost(self.file, f"tool.poetry.{key}", reason))

    def draft(self) -> Draft:
        table = self.table
        for key in table:
            if key not in _known:
                self.lose(key, "is Poetry's own, left out")
        main = dict(table.get("dependencies", {}))
        dynamic = _dynamic(self.document)
        python = self.python(main.pop("python", "")) if not self.project.get("requires-python") else ""
        # With a [project] of its own, Poetry's table only says where its dependencies come from.
        enriches = "dependencies" in self.project
        known = self.project_names() if enriches else frozenset[str]()
        optional: dict[str, list[str]] = {}
        dependencies: list[str] = []
        for name, value in main.items():
            for entry in value if isinstance(value, list) else [value]:
                text = self.requirement(name, entry, f"dependencies.{name}", sourced_only=enriches)
                if text is None:
                    continue
                if enriches:
                    if names.normalize(name) not in known:
                        self.lose(f"dependencies.{name}", "[project] does not ask for it; left out")
                    continue
                if isinstance(entry, Mapping) and entry.get("optional"):
                    optional.setdefault(names.normalize(name), []).append(text)
                else:
                    dependencies.append(text)
        groups, defaults = self.groups()
        if not (self.project or "version" in table or table.get("package-mode") is False):
            self.lose("version", f"is not given; {NO_VERSION} is written")
        return Draft(
            file=self.file,
            name=str(table.get("name", "")),
            version=str(table.get("version", "")),
            requires_python=python,
            more=tuple(
                (key, value)
                for key, value in self.more()
                if key not in self.project and not (key in _DYNAMIC and key in dynamic)
            ),
            dependencies=tuple(dependencies),
            extras=tuple(self.extras(optional)),
            groups=groups,
            sources=tuple((name, tuple(found)) for name, found in self.sources.items()),
            default_groups=defaults,
            undynamic=tuple(key for key in _ASKED if key in dynamic and self.says(key)),
            build=self.build(),
            package=False
            if table.get("package-mode") is False and self.document.get("build-system")
            else None,
            indexes=tuple(self.indexes()),
            lost=tuple(self.lost),
        )

    def says(self, key: str) -> bool:
        """Whether Poetry's tables have what is *key* in ``[project]``."""
        main = self.table.get("dependencies", {})
        if key == "requires-python":
            return "python" in main
        return "dependencies" in self.table if key == "dependencies" else "extras" in self.table

    def project_names(self) -> frozenset[str]:
        """The names that ``[project]`` asks for."""
        lists = [self.project["dependencies"], *self.project.get("optional-dependencies", {}).values()]
        found = set()
        for text in (text for texts in lists for text in texts):
            match = re.match(r"\s*([\w.-]+)", text)
            found.add(names.normalize(match[1]) if match else "")
        return frozenset(found)

    def build(self) -> tuple[tuple[str, Any], ...]:
        """The keys of ``[build-system]`` that must change: what else the build needs, and a backend that
        only goes by poetry-core, stay."""
        system = self.document.get("build-system")
        if self.table.get("package-mode") is False:
            return ()
        if not system:
            return (("requires", [_CORE]), ("build-backend", _BACKEND))
        requires = [self.build_requirement(str(each)) for each in system.get("requires", ())]
        backend = str(system.get("build-backend", ""))
        changed: list[tuple[str, Any]] = []
        if requires != system.get("requires"):
            changed.append(("requires", list(dict.fromkeys(requires))))
        if backend in _OLD_BACKENDS and _CORE in requires:
            changed.append(("build-backend", _BACKEND))
        return tuple(changed)

    def build_requirement(self, text: str) -> str:
        """*text*, or poetry-core's version 2 if it asks for Poetry or for a poetry-core that may be older."""
        try:
            found = requirement_text.parse(text)
        except InvalidRequirement:
            return text
        old = any(specifiers.contains(found.specifier, version) for version in ("1.0.0", "1.4.0", "1.9.1"))
        poetry = found.name == "poetry" or (found.name == "poetry-core" and old)
        return _CORE if poetry else text

    def python(self, text: Any) -> str:
        if not isinstance(text, str) or not text:
            return ""
        try:
            found = constraints.parse(text)
        except constraints.BadConstraint as error:
            self.lose("dependencies.python", f"{error}; left out")
            return ""
        if found.hull:
            self.lose("dependencies.python", f"{text!r} has gaps; {found.specifier} is taken")
        return found.specifier

    def more(self) -> Iterator[tuple[str, Any]]:
        """The keys of ``[project]`` that only tell about the project."""
        table = self.table
        if table.get("description"):
            yield "description", table["description"]
        readme = table.get("readme")
        if isinstance(readme, list) and "readme" not in _dynamic(self.document):
            for other in readme[1:]:
                self.lose("readme", f"{other} is left out: a project has one readme")
            readme = readme[0] if readme else None
        if isinstance(readme, str) and readme:
            yield "readme", readme
        if table.get("license"):
            yield "license", {"text": table["license"]}
        for key in ("authors", "maintainers"):
            people = [person for text in table.get(key, ()) if (person := self.person(key, text))]
            if people:
                yield key, people
        for key in ("keywords", "classifiers"):
            if table.get(key):
                yield key, list(table[key])
        if table.get("classifiers") and "classifiers" not in (*self.project, *_dynamic(self.document)):
            self.lose(
                "classifiers", "to those in [project] poetry-core adds none for the licence and Pythons"
            )
        urls = {
            key.capitalize(): table[key]
            for key in ("homepage", "repository", "documentation")
            if table.get(key)
        }
        urls |= dict(table.get("urls", {}))
        if urls:
            yield "urls", urls
        scripts = dict(self.scripts())
        if scripts:
            yield "scripts", scripts
        if table.get("plugins"):
            yield "entry-points", {group: dict(found) for group, found in table["plugins"].items()}

    def person(self, key: str, text: str) -> dict[str, str] | None:
        match = _person.fullmatch(text)
        if match is None:
            self.lose(key, f"{text!r} is no name with an address; left out")
            return None
        return {part: value for part, value in match.groupdict().items() if value}

    def scripts(self) -> Iterator[tuple[str, str]]:
        for name, value in self.table.get("scripts", {}).items():
            if isinstance(value, str):
                yield name, value
            elif (
                isinstance(value, Mapping)
                and value.get("type", "console") == "console"
                and (found := value.get("reference") or value.get("callable"))
            ):
                if value.get("extras"):
                    self.lose(f"scripts.{name}", "its extras are left out: a script is always there")
                yield name, str(found)
            elif not _is_file(value):
                self.lose(f"scripts.{name}", "is no function; left out")

    def extras(self, optional: Mapping[str, list[str]]) -> Iterator[tuple[str, tuple[str, ...]]]:
        used = set()
        for extra, wanted in self.table.get("extras", {}).items():
            texts: list[str] = []
            for name in wanted:
                key = names.normalize(re.split(r"[\s\[<>=!~;(]", name)[0])
                used.add(key)
                if key not in optional:
                    self.lose(f"extras.{extra}", f"{name} is no optional dependency; left out")
                texts += optional.get(key, [])
            yield names.normalize(extra), tuple(texts)
        for name in optional.keys() - used:
            self.lose(f"dependencies.{name}", "is optional and in no extra; left out")

    def groups(self) -> tuple[tuple[tuple[str, tuple[Any, ...]], ...], tuple[str, ...] | None]:
        """The groups, and those that are installed by default if that is not as usual."""
        found: dict[str, list[Any]] = {}
        optional = set()
        tables = dict(self.table.get("group", {}))
        # Those that [dependency-groups] has are groups of Poetry's too.
        for group in self.document.get("dependency-groups", {}):
            found.setdefault(names.normalize(group), [])
        old = self.table.get("dev-dependencies")
        if old:
            for name, value in old.items():
                self.group_entry(found, "dev", name, value, f"dev-dependencies.{name}")
        for group, table in tables.items():
            key = names.normalize(group)
            found.setdefault(key, [])
            if table.get("optional"):
                optional.add(key)
            for other in table.get("include-groups", ()):
                found[key].append({"include-group": names.normalize(other)})
            for name, value in table.get("dependencies", {}).items():
                self.group_entry(found, key, name, value, f"group.{group}.dependencies.{name}")
        defaults = tuple(name for name in found if name not in optional)
        usual = tuple(name for name in found if name == "dev")
        groups = tuple((name, tuple(entries)) for name, entries in found.items())
        return groups, None if defaults == usual else defaults

    def group_entry(self, found: dict[str, list[Any]], group: str, name: str, value: Any, key: str) -> None:
        for entry in value if isinstance(value, list) else [value]:
            text = self.requirement(name, entry, key)
            if text is not None:
                found.setdefault(group, []).append(text)

    def requirement(self, name: str, value: Any, key: str, *, sourced_only: bool = False) -> str | None:
        """One requirement; where it comes from is added to the sources. None if it is no requirement."""
        table: Mapping[str, Any] = {"version": value} if isinstance(value, str) else value
        if not isinstance(table, Mapping):
            self.lose(key, "is neither a text nor a table; left out")
            return None
        try:
            wanted = constraints.parse(str(table.get("version", "*")))
            python = constraints.python_marker(str(table.get("python", "*")))
        except constraints.BadConstraint as error:
            self.lose(key, f"{error}; left out")
            return None
        if wanted.hull and not sourced_only:
            self.lose(key, f"{table['version']!r} has gaps; {wanted.specifier or 'any version'} is taken")
        platform = f"sys_platform == '{table['platform']}'" if table.get("platform") else ""
        marker = constraints.all_of(python, platform, str(table.get("markers", "")))
        if table.get("allow-prereleases"):
            self.lose(
                key, "allow-prereleases: pre-releases of it are asked for with `[resolution] prereleases`"
            )
        source = self.source(table, key)
        if source is not None:
            self.add_source(name, source, marker)
        extras = f"[{','.join(table['extras'])}]" if table.get("extras") else ""
        specifier = "" if source is not None and "index" not in source else wanted.specifier
        return f"{name}{extras}{specifier}" + (f"; {marker}" if marker else "")

    def add_source(self, name: str, source: Source, marker: str) -> None:
        known = self.sources.setdefault(name, [])
        entry = {**source, **({"marker": marker} if marker else {})}
        if entry not in known:
            known.append(entry)

    def source(self, table: Mapping[str, Any], key: str) -> Source | None:
        subdirectory = {"subdirectory": table["subdirectory"]} if table.get("subdirectory") else {}
        if table.get("git"):
            refs = {ref: table[ref] for ref in ("branch", "tag", "rev") if table.get(ref)}
            if table.get("develop"):
                self.lose(key, "develop: a repository is not installed editable")
            address, reason = repository_address(table["git"])
            if reason:
                self.lose(key, reason)
            return {"git": address, **refs, **subdirectory}
        if table.get("path"):
            if subdirectory:
                return {"path": f"{table['path']}/{table['subdirectory']}"}
            return {"path": table["path"], **({"editable": True} if table.get("develop") else {})}
        if table.get("file"):
            return {"path": table["file"]}
        if table.get("url"):
            address, reason = file_address(str(table["url"]))
            if reason:
                self.lose(key, reason)
            return {"url": address, **subdirectory}
        if table.get("source") and names.normalize(table["source"]) != "pypi":
            return {"index": table["source"]}
        return None

    def indexes(self) -> Iterator[NewIndex]:
        for entry in self.table.get("source", ()):
            name, url = str(entry.get("name", "")), str(entry.get("url", ""))
            key = f"source.{name}"
            priority = str(entry.get("priority", "default" if entry.get("default") else "primary")).lower()
            if names.normalize(name or "x") == "pypi":
                if priority == "explicit":
                    self.lose(key, "the default index cannot be explicit; it is asked last")
                continue
            plain, reason = index_address(url)
            if reason:
                self.lose(key, reason)
            if priority in ("supplemental", "secondary"):
                self.lose(key, f"is {priority}: pypm asks it before the default index")
            yield NewIndex(name, plain, priority == "explicit", priority == "default")
