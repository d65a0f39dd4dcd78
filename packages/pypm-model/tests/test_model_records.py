"""A record behaves like a frozen dataclass, but for what only the type checker forbids."""

from __future__ import annotations

import copy
import pickle
import types
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar
from typing import NamedTuple as Standard

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypm_model import records
from pypm_model.errors import PypmError
from pypm_model.records import NamedTuple, as_dict, field, field_names, record, replace


@record
class Point:
    x: int
    y: int = 0
    note: str = field(default="", compare=False)
    secret: str = field(default="s3", repr=False, compare=False)


@record
class Other:
    x: int
    y: int = 0
    note: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, order=True)
class Model:
    a: int
    b: tuple[int, ...] = ()


@record(order=True)
class Ordered:
    a: int
    b: tuple[int, ...] = ()


@record(slots=False)
class Lazy:
    a: int

    @cached_property
    def double(self) -> int:
        return self.a * 2


@record(frozen=False, eq=False)
class Bag:
    name: str
    items: list[int] = field(default_factory=list)


@record
class Longer(Point):
    z: int = 0


class Lost(PypmError):
    code: ClassVar[str] = "lost"
    file: str
    line: int = 0


values = st.tuples(st.integers(-2, 2), st.lists(st.integers(-1, 1), max_size=2).map(tuple))


def test_fields_replace_match_and_copies_work_as_for_a_dataclass() -> None:
    point = Point(1, note="n")
    assert field_names(Point) == ("x", "y", "note", "secret")
    assert replace(point, y=5) == Point(1, 5) and as_dict(point)["note"] == "n"
    assert copy.copy(point) == point and pickle.loads(pickle.dumps(point)) == point
    match point:
        case Point(x, y):
            assert (x, y) == (1, 0)
    assert not hasattr(point, "__dict__")


def test_equality_counts_the_class_and_the_compared_fields() -> None:
    assert Point(1, note="a") == Point(1, note="b") and hash(Point(1, note="a")) == hash(Point(1, note="b"))
    assert Point(1) != Other(1) and Point(1) != (1, 0) and len({Point(1), Other(1), Point(1)}) == 2


def test_what_is_not_to_be_shown_is_not() -> None:
    assert repr(Point(1, note="n")) == "Point(x=1, y=0, note='n')"


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(TypeError):
        Point()  # type: ignore[call-arg]


def test_fields_made_by_a_factory_are_each_instances_own() -> None:
    one, two = Bag("a"), Bag("b")
    one.items.append(1)
    assert one.items == [1] and two.items == [] and Bag("c", [3]).items == [3]


def test_a_record_of_a_record_has_its_bases_fields_first() -> None:
    assert field_names(Longer) == ("x", "y", "note", "secret", "z")
    assert Longer(1, z=3) == Longer(1, 0, "n", z=3) != Point(1)


def test_a_field_without_a_default_after_one_with_is_refused() -> None:
    with pytest.raises(TypeError, match="Wrong: a field without a default"):

        @record
        class Wrong:
            a: int = 0
            b: int  # type: ignore[misc]


def test_records_in_records_become_dicts() -> None:
    assert as_dict(Ordered(1, (Lazy(2), "x"))) == {"a": 1, "b": ({"a": 2}, "x")}  # type: ignore[arg-type]


def test_unknown_fields_are_not_replaced() -> None:
    with pytest.raises(TypeError):
        replace(Lazy(1), b=2)


def test_an_errors_annotated_names_are_its_facts() -> None:
    error = Lost("a.toml", line=3)
    assert (error.file, error.line) == ("a.toml", 3) and error.to_json()["line"] == 3
    with pytest.raises(Lost):
        raise error


def test_without_slots_properties_are_cached() -> None:
    lazy = Lazy(2)
    assert lazy.double == 4 and lazy.__dict__["double"] == 4 and lazy == Lazy(2)


@given(values, values)
def test_order_and_equality_are_those_of_a_dataclass(
    one: tuple[int, tuple[int, ...]], two: tuple[int, tuple[int, ...]]
) -> None:
    ours, theirs = (Ordered(*one), Ordered(*two)), (Model(*one), Model(*two))
    for compare in ("__eq__", "__lt__", "__le__", "__gt__", "__ge__"):
        assert getattr(ours[0], compare)(ours[1]) == getattr(theirs[0], compare)(theirs[1])
    assert (hash(ours[0]) == hash(ours[1])) or one != two


class Pair(NamedTuple):
    """Two."""

    first: int
    second: tuple[str, ...] = ()

    @property
    def both(self) -> str:
        return f"{self.first}{''.join(self.second)}"


class StandardPair(Standard):
    first: int
    second: tuple[str, ...] = ()


texts = st.lists(st.text(max_size=3), max_size=3).map(tuple)


@given(st.integers(), texts, st.integers())
def test_a_named_tuple_is_that_of_the_standard_library(
    first: int, second: tuple[str, ...], other: int
) -> None:
    ours, theirs = Pair(first, second), StandardPair(first, second)
    assert ours == theirs == (first, second) and hash(ours) == hash(theirs)
    assert (ours.first, ours.second) == (first, second) and ours.both == f"{first}{''.join(second)}"
    assert repr(ours) == repr(theirs).replace("StandardPair", "Pair")
    assert ours._replace(first=other) == theirs._replace(first=other)
    assert ours._asdict() == theirs._asdict() and Pair._make([first, second]) == ours
    assert Pair._fields == StandardPair._fields and Pair._field_defaults == StandardPair._field_defaults
    for copied in (copy.copy(ours), copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert copied == ours and type(copied) is Pair
    match ours:
        case Pair(a, second=b):
            assert (a, b) == (first, second)


def test_a_named_tuple_has_no_other_fields_and_all_it_needs() -> None:
    made: Any = Pair
    with pytest.raises(TypeError, match=r"__new__\(\) missing 1 required positional argument: 'first'"):
        made()
    with pytest.raises(ValueError, match="Pair has no 'third'"):
        made(1)._replace(third=3)
    with pytest.raises(TypeError, match="Pair has 2 fields, not 3"):
        made._make([1, 2, 3])
    with pytest.raises(AttributeError):
        made(1).first = 2
    with pytest.raises(TypeError, match="a field without a default follows one with a default"):
        exec("class Wrong(NamedTuple):\n    a: int = 1\n    b: int\n", {"NamedTuple": NamedTuple})
    assert not hasattr(Pair(1), "__dict__") and Pair.__doc__ == "Two."


def test_named_tuples_of_as_many_fields_are_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []

    def noted(text: str, space: dict[str, Any]) -> None:
        compiled.append(text)
        exec(text, space)

    monkeypatch.setattr(records, "exec", noted, raising=False)
    fields: dict[str, Any] = {f"f{number}": "int" for number in range(17)}
    for _ in range(3):
        kind: Any = types.new_class(
            "Seventeen", (NamedTuple,), exec_body=lambda space: space.update(__annotations__=fields)
        )
        assert kind(*range(17)) == tuple(range(17))
    assert len(compiled) == 1
