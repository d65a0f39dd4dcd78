"""What a Python source imports, and under which conditions: text in, records out.

Statements are walked by hand: a file has few that can hold an import and many expressions that cannot.
Expressions are looked at only where the text has one of the names that import by a call.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pypm_model import specifiers
from pypm_model.patterns import pattern
from pypm_model.records import NamedTuple, record
from pypm_model.specifiers import InvalidSpecifier
from pypm_workspace import f_strings

TYPING, OPTIONAL, LATE, ELSEWHERE, PROBED = 1, 2, 4, 8, 16
"""Circumstances of an import, as bits: see the properties of `Imported`."""

FORMAT = 7
"""Of the rows that `SourceFacts.to_row` makes; another number, when sources are understood otherwise."""

OLDEST = 7
"""`ast` tells apart the grammars of Python 3.7 and later."""

_calls = (b"import_module", b"__import__", b"importorskip", b"find_spec", b"pytest_plugins", b"resolve_name")
_probing = ("find_spec", "importorskip")
_importing = ("import_module", "__import__", "resolve_name")
_caught = frozenset(("ImportError", "ModuleNotFoundError", "Exception", "BaseException"))
_platforms = frozenset(("platform", "name", "system", "machine", "implementation"))
_since = pattern(
    r"_?(?:IS_)?PY(?:THON)?_?3_?(\d{1,2})(?:_?(?:PLUS|GTE|OR_(?:ABOVE|GREATER|HIGHER|LATER|NEWER)))?"
)
_FIRST_NAMED = 6
"""The first minor version that code still asks for by such names."""
_plugins = frozenset(
    (
        "pytester",
        "pytester_assertions",
        "legacypath",
        "tmpdir",
        "monkeypatch",
        "recwarn",
        "logging",
        "capture",
    )
)
"""What pytest has as plugins under these names and as modules in ``_pytest``."""
_word = pattern(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")


class Imported(NamedTuple):
    """One import of one module."""

    module: str
    """Dotted; a relative one begins with its dots."""
    names: tuple[str, ...]
    """Of ``from module import names``; each may be a module itself."""
    line: int
    column: int
    """From 1."""
    circumstances: int = 0
    pythons: str = ""
    """Specifier of the Pythons that get there, by tests of ``sys.version_info`` around it; empty: all."""
    instead_of: tuple[str, ...] = ()
    """Modules in whose place it is imported: those that the ``try`` around it could not."""

    @property
    def is_typing(self) -> bool:
        """Type checkers alone see it."""
        return bool(self.circumstances & TYPING)

    @property
    def is_optional(self) -> bool:
        """The code goes on without it: in a ``try`` that catches `ImportError`, under a ``suppress``, only
        asked for, or reached only where such a ``try`` or question has found it."""
        return bool(self.circumstances & OPTIONAL)

    @property
    def is_probed(self) -> bool:
        """It is only asked whether it is there (``find_spec``, ``importorskip``), or it comes after an
        ``importorskip`` of its package."""
        return bool(self.circumstances & PROBED)

    @property
    def is_late(self) -> bool:
        """In a function: not when its module is imported."""
        return bool(self.circumstances & LATE)

    @property
    def is_elsewhere(self) -> bool:
        """It hangs on the platform."""
        return bool(self.circumstances & ELSEWHERE)

    @property
    def level(self) -> int:
        """How many dots it begins with; 0: it is absolute."""
        return len(self.module) - len(self.module.lstrip("."))


@record
class Newer:
    """Syntax that the oldest Python the source is for does not know."""

    message: str
    line: int
    column: int


@record
class SourceFacts:
    """What is known of one source."""

    imports: tuple[Imported, ...] = ()
    """In order of lines."""
    newer: Newer | None = None
    unread: Newer | None = None
    """Why it could not be read at all."""
    unread_by: int = 0
    """The minor version of the Python that could not."""

    def to_row(self) -> list[Any]:
        """As lists and plain values: what `marshal` and `json` take."""
        faults = [[f.message, f.line, f.column] if f else None for f in (self.newer, self.unread)]
        return [
            [
                [i.module, list(i.names), i.line, i.column, i.circumstances, i.pythons, list(i.instead_of)]
                for i in self.imports
            ],
            *faults,
            self.unread_by,
        ]

    @classmethod
    def from_row(cls, row: list[Any]) -> SourceFacts:
        """What `to_row` gave."""
        imports, newer, unread, unread_by = row
        return cls(
            tuple([Imported(r[0], tuple(r[1]), r[2], r[3], r[4], r[5], tuple(r[6])) for r in imports]),
            Newer(*newer) if newer else None,
            Newer(*unread) if unread else None,
            unread_by,
        )


def facts_of(source: bytes, minor: int) -> SourceFacts:
    """What *source* imports, and whether a Python 3.*minor* can read it.

    The grammar is that of the Python that runs this: a source in a newer one's is ``unread``. Python may
    warn about its literals: the caller says whether that is heard.
    """
    newest = sys.version_info[1]
    oldest = min(max(minor, OLDEST), newest)
    newer: Newer | None = None
    try:
        tree = ast.parse(source, feature_version=(3, oldest))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as fault:
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return SourceFacts(unread=_told(error), unread_by=newest)
        newer = _begun(tree, _told(fault))
    if newer is None and oldest < f_strings.NESTED <= newest:
        place = f_strings.nested(source)
        newer = Newer(f_strings.MESSAGE, *place) if place else None
    walker = _Walker(any(name in source for name in _calls), b"sys.modules" in source)
    try:
        walker.walk(tree.body, 0, "", ())
    except RecursionError as error:
        return SourceFacts(unread=_told(error), unread_by=newest)
    return SourceFacts(tuple(walker.found), newer)


def words_of(source: bytes) -> frozenset[str] | None:
    """The first parts of the dotted names that stand in *source* as texts: frameworks import by them.
    None for what the Python that runs this cannot read."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return frozenset(
        node.value.partition(":")[0].partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and len(node.value) < 100
        and _word.fullmatch(node.value.partition(":")[0])
    )


def _begun(tree: ast.Module, newer: Newer) -> Newer:
    """*newer* where its statement begins: of long ones, the end is told."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Match, _star)) and node.end_lineno == newer.line:
            return Newer(newer.message, node.lineno, node.col_offset + 1)
    return newer


def _told(error: BaseException) -> Newer:
    if isinstance(error, SyntaxError):
        return Newer(error.msg or "invalid syntax", error.lineno or 1, error.offset or 1)
    deep = isinstance(error, (RecursionError, MemoryError))
    return Newer("it is nested too deeply" if deep else str(error), 1, 1)


class _Walker:
    """Gathers imports from statements, with what holds around them."""

    def __init__(self, calls: bool, looks_into_modules: bool) -> None:
        self.found: list[Imported] = []
        self._calls = calls
        self._looks_into_modules = looks_into_modules
        self._aliases: dict[str, str] = {}
        """Functions that import by the names they have here: ``import_module as load``."""
        self._found: dict[str, int] = {}
        """Packages that are there where the walk has got to, or it would not have: what is imported of
        them has these circumstances, too."""
        self._flags: dict[str, frozenset[str]] = {}
        """Names that say whether packages are there: ``HAS_NUMPY``, ``numpy = None``."""
        self._versions: dict[str, tuple[str, str]] = {}
        """Names that say which Python runs: ``PY_3_14_PLUS = sys.version_info >= (3, 14)``."""

    def walk(self, body: Iterable[ast.stmt], bits: int, pythons: str, instead: tuple[str, ...]) -> None:
        before = self._found
        self._walk(body, bits, pythons, instead)
        self._found = before

    def _walk(self, body: Iterable[ast.stmt], bits: int, pythons: str, instead: tuple[str, ...]) -> None:
        for node in body:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self._add(node, alias.name, (), bits, pythons, instead)
                continue
            if isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                self._add(node, module, tuple(a.name for a in node.names), bits, pythons, instead)
                for alias in node.names:
                    if alias.asname and alias.name in (*_importing, *_probing):
                        self._aliases[alias.asname] = alias.name
                continue
            if isinstance(node, ast.Assign):
                tests = _version_tests(node.value, self._versions)
                if any(tests):
                    self._versions |= dict.fromkeys(_assigned([node]), tests)
            if self._calls:
                self._look(node, bits, pythons, instead)
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    self.walk(node.body, bits | LATE, pythons, instead)
                case ast.If():
                    self._branches(node, bits, pythons, instead)
                case ast.Try():
                    self._attempts(node, bits, pythons, instead)
                case ast.With() | ast.AsyncWith():
                    optional = OPTIONAL if any(_suppresses(item.context_expr) for item in node.items) else 0
                    self.walk(node.body, bits | optional, pythons, instead)
                case ast.ClassDef():
                    self.walk(node.body, bits, pythons, instead)
                case ast.For() | ast.AsyncFor() | ast.While():
                    self.walk(node.body, bits, pythons, instead)
                    self.walk(node.orelse, bits, pythons, instead)
                case ast.Match():
                    for case in node.cases:
                        self.walk(case.body, bits, pythons, instead)
                case _ if isinstance(node, _star):
                    self._attempts(node, bits, pythons, instead)

    def _branches(self, node: ast.If, bits: int, pythons: str, instead: tuple[str, ...]) -> None:
        then, other = _version_tests(node.test, self._versions)
        here, there = _typing_test(node.test)
        if _asks_platform(node.test):
            bits |= ELSEWHERE
        before, asked = self._found, self._asked(node.test)
        if asked:
            self._found = before | dict.fromkeys(asked, OPTIONAL)
        self.walk(node.body, bits | here, _narrowed(pythons, then), instead)
        self.walk(node.orelse, bits | there, _narrowed(pythons, other), instead)
        if not _leaves(node.body):
            self._found = before

    def _flag(self, node: ast.stmt, packages: frozenset[str]) -> None:
        """From here on, what *node* assigns to says whether *packages* are there."""
        for name in _assigned([node]):
            self._flags[name] = self._flags.get(name, frozenset()) | packages

    def _asked(self, test: ast.expr) -> frozenset[str]:
        """The packages whose presence *test* asks for."""
        if not self._flags and not self._calls and not self._looks_into_modules:
            return frozenset()
        found: set[str] = set()
        for part in ast.walk(test):
            if isinstance(part, ast.Name):
                found |= self._flags.get(part.id, frozenset())
            elif isinstance(part, ast.Call) and self._name(part) == "find_spec":
                match _first_argument(part):
                    case ast.Constant(str(text)):
                        found.add(_package(text))
            elif isinstance(part, ast.Compare):
                match part:
                    case ast.Compare(
                        ast.Constant(str(text)), [ast.In() | ast.NotIn()], [ast.Attribute(attr="modules")]
                    ):
                        found.add(_package(text))
        return frozenset(found)

    def _name(self, call: ast.Call) -> str:
        """What is called, by the name it has where it is from."""
        name = _called(call.func)
        return self._aliases.get(name, name)

    def _attempts(self, node: Any, bits: int, pythons: str, instead: tuple[str, ...]) -> None:
        """A ``try``: what it imports is optional if a failure is caught; what is imported then stands in."""
        catching = [handler for handler in node.handlers if _catches(handler.type)]
        begin = len(self.found)
        self.walk(node.body, bits | (OPTIONAL if catching else 0), pythons, instead)
        tried = tuple(one.module for one in self.found[begin:] if not one.level)
        packages = frozenset(map(_package, tried))
        if packages:
            bodies = (node.body, node.orelse, *[handler.body for handler in catching])
            for statement in (statement for body in bodies for statement in body if _is_flag(statement)):
                self._flag(statement, packages)
        for handler in node.handlers:
            stands_in = (*instead, *tried) if handler in catching else instead
            self.walk(handler.body, bits, pythons, stands_in)
        self.walk(node.orelse, bits | (OPTIONAL if catching else 0), pythons, instead)
        self.walk(node.finalbody, bits, pythons, instead)
        if packages and catching and all(_leaves(handler.body) for handler in catching):
            self._found = self._found | dict.fromkeys(packages, OPTIONAL)

    def _look(self, node: ast.stmt, bits: int, pythons: str, instead: tuple[str, ...]) -> None:
        """Imports by calls, in the expressions of a statement itself."""
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named = any(isinstance(target, ast.Name) and target.id == "pytest_plugins" for target in targets)
            if named and node.value is not None:
                for part in ast.walk(node.value):
                    if isinstance(part, ast.Constant) and part.value in _plugins:
                        self._add(part, f"_pytest.{part.value}", (), bits, pythons, instead)
                    elif isinstance(part, ast.Constant):
                        self._constant(part, part, bits, pythons, instead)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.stmt, ast.excepthandler, ast.match_case)):
                continue
            for part in ast.walk(child):
                if isinstance(part, ast.Call) and (value := _first_argument(part)) is not None:
                    name = self._name(part)
                    if name in _importing or name in _probing:
                        more = OPTIONAL | PROBED if name in _probing else 0
                        if name == "resolve_name":
                            value = _without_object(part.func, value)
                        self._constant(part, value, bits | more, pythons, instead)
                        if name in _probing:
                            self._probed(node, name, value)

    def _probed(self, node: ast.stmt, name: str, value: ast.expr) -> None:
        """What a question in *node* says of all that comes after it."""
        match value:
            case ast.Constant(str(text)) if name == "importorskip":
                if isinstance(node, (ast.Expr, ast.Assign, ast.AnnAssign)):
                    self._found = self._found | {_package(text): OPTIONAL | PROBED}
            case ast.Constant(str(text)):
                self._flag(node, frozenset((_package(text),)))

    def _constant(
        self, node: ast.expr, value: ast.expr, bits: int, pythons: str, instead: tuple[str, ...]
    ) -> None:
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and _word.fullmatch(value.value):
            self._add(node, value.value, (), bits, pythons, instead)

    def _add(
        self,
        node: ast.stmt | ast.expr,
        module: str,
        names: tuple[str, ...],
        bits: int,
        pythons: str,
        instead: tuple[str, ...],
    ) -> None:
        if self._found:
            bits |= self._found.get(_package(module), 0)
        self.found.append(Imported(module, names, node.lineno, node.col_offset + 1, bits, pythons, instead))


_star: Any = getattr(ast, "TryStar", ())
"""``except*`` (Python 3.11)."""


def _first_argument(call: ast.Call) -> ast.expr | None:
    """What names the module in a call of a function that imports."""
    if call.args:
        return call.args[0]
    return next((one.value for one in call.keywords if one.arg in ("name", "modname")), None)


def _without_object(function: ast.expr, value: ast.expr) -> ast.expr:
    """What names the module in a call of ``pkgutil.resolve_name``, which may name an object in it as well;
    ``importlib.util`` has a function of this name that imports nothing."""
    match function, value:
        case ast.Attribute(ast.Name("util") | ast.Attribute(attr="util")), _:
            return function
        case _, ast.Constant(str(text)):
            return ast.Constant(text.partition(":")[0])
        case _:
            return value


def _called(function: ast.expr) -> str:
    """The last name of what is called."""
    match function:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _catches(kind: ast.expr | None) -> bool:
    """Whether a handler of *kind* (None: of everything) catches a failed import."""
    if kind is None:
        return True
    return any(_called(one) in _caught for one in (kind.elts if isinstance(kind, ast.Tuple) else [kind]))


_ending = frozenset(("exit", "_exit", "skip", "fail", "abort"))


def _leaves(body: list[ast.stmt]) -> bool:
    """Whether what stands after *body* is not reached through it."""
    match body[-1]:
        case ast.Return() | ast.Raise() | ast.Continue() | ast.Break():
            return True
        case ast.Expr(ast.Call(function)):
            return _called(function) in _ending
        case _:
            return False


def _is_flag(node: ast.stmt) -> bool:
    """Whether *node* gives a name the value of a flag, or none."""
    match node:
        case ast.Assign(value=ast.Constant(value)) | ast.AnnAssign(value=ast.Constant(value)):
            return value is None or isinstance(value, bool)
        case _:
            return False


def _assigned(body: Iterable[ast.stmt]) -> Iterator[str]:
    """The names that statements give values to."""
    for node in body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    yield target.id


def _package(module: str) -> str:
    return module.partition(".")[0]


def _suppresses(context: ast.expr) -> bool:
    return (
        isinstance(context, ast.Call)
        and _called(context.func) == "suppress"
        and any(_called(one) in _caught for one in context.args)
    )


def _typing_test(test: ast.expr) -> tuple[int, int]:
    """`TYPING` for the branches of an ``if`` that only type checkers take: (then, else)."""
    match test:
        case ast.UnaryOp(ast.Not(), operand):
            then, other = _typing_test(operand)
            return other, then
        case ast.BoolOp(ast.And(), values) if any(_typing_test(value)[0] for value in values):
            return TYPING, 0
        case ast.Constant(value) if not value:
            return TYPING, 0  # never run: what was written so before there was TYPE_CHECKING
        case ast.Name("TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return TYPING, 0
        case _:
            return 0, 0


def _asks_platform(test: ast.expr) -> bool:
    """Whether *test* has ``sys.platform``, ``os.name``, ``platform.system()`` and the like in it."""
    return any(
        isinstance(part, ast.Attribute)
        and part.attr in _platforms
        and isinstance(part.value, ast.Name)
        and part.value.id in ("sys", "os", "platform")
        for part in ast.walk(test)
    )


def _version_tests(test: ast.expr, known: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    """The Pythons for which *test* holds, and for which it does not; empty: not told by it. *known* is this
    of names; others are gone by as they are called everywhere (``PY312``, ``compat.PY_3_12_PLUS``)."""
    match test:
        case ast.UnaryOp(ast.Not(), operand):
            then, other = _version_tests(operand, known)
            return other, then
        case ast.BoolOp(ast.And(), values):
            return _all(_version_tests(value, known)[0] for value in values), ""
        case ast.BoolOp(ast.Or(), values):
            return "", _all(_version_tests(value, known)[1] for value in values)
        case ast.Compare(ast.Subscript(value, ast.Constant(0)), [operator], [ast.Constant(int() as major)]):
            return _bounds(operator, str(major), str(major + 1)) if _is_version(value) else ("", "")
        case ast.Compare(left, [operator], [ast.Tuple(elements)]):
            value = left.value if isinstance(left, ast.Subscript) else left
            parts = [e.value for e in elements if isinstance(e, ast.Constant) and isinstance(e.value, int)]
            if not _is_version(value) or not parts or len(parts) != len(elements):
                return "", ""
            text = ".".join(map(str, parts))
            # The tuple of a release is longer than (3, 11), so greater: > is >=, and <= is <.
            return _bounds(operator, text, text)
        case ast.Name(name) if name in known:
            return known[name]
        case ast.Name(name) | ast.Attribute(attr=name):
            found = _since.fullmatch(name)
            minor = int(found[1]) if found else 0
            return (f">=3.{minor}", f"<3.{minor}") if minor >= _FIRST_NAMED else ("", "")
        case _:
            return "", ""


def _bounds(operator: ast.cmpop, text: str, after: str) -> tuple[str, str]:
    match operator:
        case ast.GtE():
            return f">={text}", f"<{text}"
        case ast.Lt():
            return f"<{text}", f">={text}"
        case ast.Gt():
            return f">={after}", f"<{after}"
        case ast.LtE():
            return f"<{after}", f">={after}"
        case ast.Eq() if after != text:
            return f">={text},<{after}", ""
        case _:
            return "", ""


def _is_version(node: ast.expr) -> bool:
    return _called(node) == "version_info"


def _all(texts: Iterator[str]) -> str:
    found = ""
    for text in texts:
        found = _narrowed(found, text)
    return found


def _narrowed(one: str, other: str) -> str:
    if not (one and other):
        return one or other
    try:
        return specifiers.merge(one, other)
    except InvalidSpecifier:
        return one
