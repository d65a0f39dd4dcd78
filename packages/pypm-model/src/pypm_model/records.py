"""`record`: an immutable class of annotated fields that costs next to nothing to make.

A run makes more than two hundred kinds of records before it does anything. A standard dataclass compiles
its methods from text for each of them and imports `inspect`: together more than half of what starting pypm
cost. Here nothing is compiled a class: ``__init__`` is one of some templates, one for each number of fields,
with the fields' names put in; comparing, hashing and showing are shared functions over the fields.
That nobody assigns to a field is checked by the type checker (PEP 681), not at run time, which also makes
instances quicker to make. Decision 0014 has the measurements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter, itemgetter
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, dataclass_transform, overload

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple

try:
    from _collections import _tuplegetter as _at  # type: ignore[import-not-found]
except ImportError:

    def _at(index: int, doc: str) -> Any:
        return property(itemgetter(index), doc=doc)


T = TypeVar("T")

_NOTHING: Any = object()
"""Stands for a default that is not there."""
_MADE: Any = object()
"""Stands for a value that the field's factory makes."""

_keys: dict[type, Callable[[Any], Any]] = {}
_templates: dict[tuple[int, bool], CodeType] = {}
_tuple_templates: dict[int, CodeType] = {}
_TUPLE_WORLD: dict[str, Any] = {"_new": tuple.__new__}


class Field:
    """What is said of one field."""

    __slots__ = ("compare", "default", "factory", "repr")

    def __init__(
        self,
        default: Any = _NOTHING,
        factory: Callable[[], Any] | None = None,
        compare: bool = True,
        repr: bool = True,
    ) -> None:
        self.default = default
        self.factory = factory
        self.compare = compare
        self.repr = repr


_PLAIN = Field()


def field(
    *,
    default: Any = _NOTHING,
    default_factory: Callable[[], Any] | None = None,
    compare: bool = True,
    repr: bool = True,
) -> Any:
    """A field with more to say than its default: made anew by *default_factory* for each instance, left
    out of comparing and hashing, or not shown."""
    return Field(default, default_factory, compare, repr)


@overload
def record(cls: type[T], /) -> type[T]: ...
@overload
def record(
    *, slots: bool = True, order: bool = False, frozen: bool = True, eq: bool = True
) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True, eq_default=True, field_specifiers=(field,))
def record(
    cls: type[T] | None = None,
    /,
    *,
    slots: bool = True,
    order: bool = False,
    frozen: bool = True,
    eq: bool = True,
) -> type[T] | Callable[[type[T]], type[T]]:
    """Makes *cls* a record of its annotated fields: equal and hashed by class and values.

    *slots* False is for classes with a `functools.cached_property`; *order* compares values as tuples;
    *frozen* False tells the type checker that fields may be assigned to; without *eq* an instance is
    equal to itself only. ``match``, ``copy`` and ``pickle`` work as for any class with positional
    fields; for the rest there are `replace`, `field_names` and `as_dict`.
    """

    def make(plain: type[T]) -> type[T]:
        every, own = _fields(plain)
        space: dict[str, Any] = {"__repr__": _repr}
        if eq:
            space |= {"__eq__": _equal, "__hash__": _hash}
        if order:
            space |= {
                "__lt__": _less,
                "__le__": _less_or_equal,
                "__gt__": _greater,
                "__ge__": _greater_or_equal,
            }
        # What the class has itself stays; ``__hash__`` is None where ``__eq__`` is written out.
        written = plain.__dict__.items()
        space |= {n: value for n, value in written if value is not None and not isinstance(value, Field)}
        space |= _generated(plain, every, own)
        for name in ("__dict__", "__weakref__", *(own if slots else ())):
            space.pop(name, None)
        if slots:
            space["__slots__"] = own
        # Made again rather than changed: slots can only be had when a class is made, and each special
        # method that is set on a class afterwards has all of its slots looked through.
        kind: Any = type(plain)
        made = kind(plain.__name__, plain.__bases__, space)
        made.__qualname__ = plain.__qualname__
        return made  # type: ignore[no-any-return]

    return make if cls is None else make(cls)


def add_fields(cls: type) -> None:
    """Makes *cls*, a subclass that is just being made, a record too: for classes that are records by
    what they inherit. Raises TypeError if a field without a default follows one with a default."""
    every, own = _fields(cls)
    for name, value in _generated(cls, every, own).items():
        setattr(cls, name, value)


def _fields(cls: type) -> tuple[dict[str, Field], tuple[str, ...]]:
    """All fields, those of the bases first, and the names of the class's own."""
    every: dict[str, Field] = {}
    for base in reversed(cls.__mro__[1:]):
        every |= base.__dict__.get("__record_fields__", {})
    own = tuple(name for name, kind in cls.__annotations__.items() if not kind.startswith("ClassVar"))
    for name in own:
        said = cls.__dict__.get(name, _NOTHING)
        every[name] = said if isinstance(said, Field) else _PLAIN if said is _NOTHING else Field(said)
    return every, own


def _generated(cls: type, every: Mapping[str, Field], own: Sequence[str]) -> dict[str, Any]:
    """What a record's class gets besides what is written in it."""
    made: dict[str, Any] = {"__record_fields__": every, "__match_args__": tuple(every)}
    for name in own:
        if isinstance(cls.__dict__.get(name), Field) and every[name].default is not _NOTHING:
            made[name] = every[name].default
    if "__init__" not in cls.__dict__:
        made["__init__"] = _initializer(cls.__qualname__, every)
    return made


def _initializer(owner: str, every: Mapping[str, Field]) -> FunctionType:
    names = tuple(every)
    code = _template(len(names), any(each.factory for each in every.values()))
    put_in = {f"a{number}": name for number, name in enumerate(names)}
    code = code.replace(
        co_varnames=("self", *names), co_names=tuple(put_in.get(name, name) for name in code.co_names)
    )
    defaults = [_MADE if each.factory else each.default for each in every.values()]
    while defaults and defaults[0] is _NOTHING:
        del defaults[0]
    if any(default is _NOTHING for default in defaults):
        raise TypeError(f"{owner}: a field without a default follows one with a default")
    world = {"_MADE": _MADE, "_factories": [each.factory for each in every.values()]}
    function = FunctionType(code, world, "__init__", tuple(defaults))
    function.__qualname__ = f"{owner}.__init__"
    return function


def _template(fields: int, with_factories: bool) -> CodeType:
    """The code of an ``__init__`` with so many parameters, which it assigns; where some are *with_factories*,
    each is looked at first."""
    if (fields, with_factories) not in _templates:
        names = [f"a{number}" for number in range(fields)]
        lines = [f"def __init__({', '.join(('self', *names))}):"]
        for number, name in enumerate(names):
            made = f"_factories[{number}]() if {name} is _MADE else " if with_factories else ""
            lines.append(f"    self.{name} = {made}{name}")
        space: dict[str, Any] = {}
        exec("\n".join((*lines, "    return None")), space)
        _templates[fields, with_factories] = space["__init__"].__code__
    return _templates[fields, with_factories]


def field_names(cls: type) -> tuple[str, ...]:
    """The fields of a record's class, in order."""
    return tuple(cls.__record_fields__)  # type: ignore[attr-defined]


def replace(one: T, /, **changes: Any) -> T:
    """A copy of the record *one* with other values in some fields. Raises TypeError for unknown ones."""
    cls = one.__class__
    for name in cls.__record_fields__:  # type: ignore[attr-defined]
        if name not in changes:
            changes[name] = getattr(one, name)
    return cls(**changes)


def as_dict(one: object) -> dict[str, Any]:
    """The fields of the record *one* by name; records in it, also in tuples and lists, the same way."""
    return {name: _as_plain(getattr(one, name)) for name in field_names(one.__class__)}


def _as_plain(value: Any) -> Any:
    if hasattr(value.__class__, "__record_fields__"):
        return as_dict(value)
    if value.__class__ in (list, tuple):
        return value.__class__(map(_as_plain, value))
    return value


def _key(one: Any) -> Any:
    """The values that count in comparing *one*: a tuple, or the one value alone."""
    cls = one.__class__
    try:
        return _keys[cls](one)
    except KeyError:
        names = [name for name, each in cls.__record_fields__.items() if each.compare]
        _keys[cls] = attrgetter(*names) if names else lambda _: ()
        return _keys[cls](one)


def _equal(self: Any, other: object) -> Any:
    if self is other:
        return True
    return _key(self) == _key(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash((self.__class__, _key(self)))


def _repr(self: Any) -> str:
    every = self.__record_fields__.items()
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name, each in every if each.repr)
    return f"{self.__class__.__qualname__}({shown})"


def _less(self: Any, other: object) -> Any:
    return _key(self) < _key(other) if other.__class__ is self.__class__ else NotImplemented


def _less_or_equal(self: Any, other: object) -> Any:
    return _key(self) <= _key(other) if other.__class__ is self.__class__ else NotImplemented


def _greater(self: Any, other: object) -> Any:
    return _key(self) > _key(other) if other.__class__ is self.__class__ else NotImplemented


def _greater_or_equal(self: Any, other: object) -> Any:
    return _key(self) >= _key(other) if other.__class__ is self.__class__ else NotImplemented


# --- records that are tuples -------------------------------------------------------------------------


class _Tuple(tuple[Any, ...]):
    """What every named tuple can do; see `typing.NamedTuple`."""

    __slots__ = ()
    _fields: ClassVar[tuple[str, ...]] = ()
    _field_defaults: ClassVar[dict[str, Any]] = {}

    @classmethod
    def _make(cls, values: Iterable[Any]) -> Self:
        made = tuple.__new__(cls, values)
        if len(made) != len(cls._fields):
            raise TypeError(f"{cls.__qualname__} has {len(cls._fields)} fields, not {len(made)}")
        return made

    def _replace(self, **changes: Any) -> Self:
        made = tuple.__new__(self.__class__, map(changes.pop, self._fields, self))
        if changes:
            raise ValueError(f"{self.__class__.__qualname__} has no {', '.join(map(repr, changes))}")
        return made

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self._fields, self, strict=True))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True))
        return f"{self.__class__.__qualname__}({shown})"

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)


class _TupleMaker(type):
    """Makes of a class's annotated fields a tuple's names."""

    def __new__(cls, name: str, bases: tuple[type, ...], written: dict[str, Any]) -> Any:
        if not bases:
            return super().__new__(cls, name, bases, written)
        names = tuple(written.get("__annotations__", ()))
        defaults = {field: written[field] for field in names if field in written}
        if tuple(defaults) != names[len(names) - len(defaults) :]:
            raise TypeError(f"{name}: a field without a default follows one with a default")
        space = {
            "__slots__": (),
            "__match_args__": names,
            "_fields": names,
            "_field_defaults": defaults,
            **written,
            "__new__": _tuple_maker(name, names, tuple(defaults.values())),
        }
        for number, field in enumerate(names):
            space[field] = _at(number, "")
        return type(name, (_Tuple, *bases[1:]), space)


if not TYPE_CHECKING:

    class NamedTuple(metaclass=_TupleMaker):
        """`typing.NamedTuple`, made in a twentieth of the time: nothing is compiled for a class but the
        first of its number of fields, and annotations are not looked at."""


def _tuple_maker(owner: str, names: tuple[str, ...], defaults: tuple[Any, ...]) -> FunctionType:
    code = _tuple_templates.get(len(names))
    if code is None:
        values = [f"a{number}" for number in range(len(names))]
        space: dict[str, Any] = {}
        row = "".join(f"{value}, " for value in values)
        exec(f"def __new__(_cls, {row}):\n    return _new(_cls, ({row}))", space)
        code = _tuple_templates[len(names)] = space["__new__"].__code__
    made = FunctionType(code.replace(co_varnames=("_cls", *names)), _TUPLE_WORLD, "__new__", defaults)
    made.__qualname__ = f"{owner}.__new__"
    return made
