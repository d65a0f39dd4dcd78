"""The parts below the session: the solver's core, covers, direct references, wording."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.laws import examples
from pypm_model.claims import Term
from pypm_model.facts import FileClass
from pypm_model.markers import FALSE, TRUE, any_of, atoms, both, implies, parse, requires_python
from pypm_model.names import normalize
from pypm_model.requirement_text import parse as parse_requirement
from pypm_model.sources import GitSource, PathSource, UrlSource
from pypm_resolver.direct_urls import direct_source, same_place
from pypm_resolver.files import class_cover, covers, lower_bound
from pypm_resolver.incompatibility import Incompatibility, Structure
from pypm_resolver.sentences import of_range, of_versions
from pypm_resolver.solver import Solver
from pypm_resolver.wording import of_requirement

SIZES = (2, 3, 2)
KNOWN = ("0.0", "1.0", "2.0", "3.0", "4.0", "5.0")

terms = st.dictionaries(st.integers(0, len(SIZES) - 1), st.integers(1, 14), min_size=1)


def run(clauses: list[tuple[tuple[int, int], ...]]) -> list[int] | None:
    """One state per node that no clause forbids, by the solver; None when it proves there is none."""
    solver = Solver()
    for size in SIZES:
        solver.add_node(size)
    for clause in clauses:
        solver.add(Incompatibility(clause, Structure()))
    while True:
        while not solver.settled:
            if solver.propagate() is not None:
                return None
        for node in range(len(SIZES)):
            bits = solver.bits[node]
            if bits & (bits - 1):
                solver.decide(node, bits.bit_length() - 1)
                break
        else:
            return list(solver.bits)


@settings(max_examples=examples(300), deadline=None, derandomize=True)
@given(st.lists(terms, max_size=14))
def test_the_solver_finds_a_model_or_proves_there_is_none(raw: list[dict[int, int]]) -> None:
    clauses = []
    for term in raw:
        clause = tuple((node, bits & ((2 << SIZES[node]) - 1)) for node, bits in term.items())
        if all(bits and bits != (2 << SIZES[node]) - 1 for node, bits in clause):
            clauses.append(clause)

    def forbidden(state: tuple[int, ...]) -> bool:
        return any(all(state[node] & bits for node, bits in clause) for clause in clauses)

    states = itertools.product(*([1 << bit for bit in range(size + 1)] for size in SIZES))
    models = [state for state in states if not forbidden(state)]
    found = run(clauses)
    if found is None:
        assert not models
    else:
        assert tuple(found) in models


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("", ""),
        (">=3.8", ">=3.8"),
        (">=3.6, <4", ">=3.6"),
        ("~=3.7", ">=3.7"),
        ("==3.9.*", ">=3.9"),
        ("!=3.0.*,>=2.7,>3.1", ">3.1"),
        ("<=3.8", ""),
        ("what is this", ""),
    ],
)
def test_lower_bounds(text: str, bound: str) -> None:
    assert lower_bound(text) == bound


def test_covers_of_wheels_and_sdists() -> None:
    wheel = FileClass(">=3.9", atoms(("cp311-cp311-win_amd64",)))
    cover = class_cover(wheel)
    assert cover.strict == requires_python(">=3.9")
    assert implies(cover.files, parse("sys_platform == 'win32' and python_version == '3.11'"))
    assert cover.pythons == requires_python("==3.11.*")
    groups = dict(covers(((wheel, 0b11), (FileClass("", None), 0b10)), 0b111))
    assert sorted(groups.values()) == [0b001, 0b010, 0b100]
    assert {cover.files: mask for cover, mask in groups.items()}[TRUE] == 0b010
    assert {cover.files: mask for cover, mask in groups.items()}[FALSE] == 0b100
    none = dict(covers(((wheel, 1),), 1, wheels=False))
    assert [cover.files for cover in none] == [FALSE]


def test_wheels_of_free_threaded_pythons_serve_no_ordinary_one() -> None:
    cover = class_cover(FileClass("", atoms(("cp313-cp313t-win_amd64",))))
    assert both(cover.files, parse("sys_platform == 'win32'")) == FALSE
    assert cover.pythons == FALSE


def test_direct_references() -> None:
    git = direct_source("git+https://user:secret@git.example.test/a.git@v1.0#subdirectory=sub")
    assert git == GitSource("https://git.example.test/a.git", "v1.0", "", "sub")
    assert direct_source("git+ssh://git@git.example.test/a") == GitSource("ssh://git@git.example.test/a")
    assert direct_source("file:///srv/a%20b") == PathSource("/srv/a b")
    url = direct_source("https://files.example.test/a.whl#sha256=AB")
    assert url == UrlSource("https://files.example.test/a.whl", "", "ab")
    assert same_place(git, GitSource("https://git.example.test/a", "v1.0", "f" * 40, "sub"))
    assert not same_place(git, GitSource("https://git.example.test/a", "v2.0", "", "sub"))
    assert not same_place(git, url)


def term(*versions: str, known: tuple[str, ...] = KNOWN, label: str = "a", absent: bool = False) -> Term:
    return Term(normalize("a"), label, versions, known, absent)


def test_versions_in_words() -> None:
    assert of_versions(term(*KNOWN)) == "every version of a"
    assert of_versions(term("2.0")) == "a 2.0"
    assert of_versions(term("4.0", "5.0")) == "a 4.0 and later"
    assert of_versions(term("0.0", "1.0", label="a[x]")) == "a[x] 1.0 and earlier"
    assert of_versions(term("1.0", "2.0", "4.0")) == "a 1.0 to 2.0, 4.0"
    assert of_versions(term()) == "no version of a"
    assert of_versions(term("1.0", known=("1.0",))) == "a 1.0 (the only version)"
    assert of_versions(term(known=(), label="app:dev")) == "app:dev"
    many = tuple(f"{n}.0" for n in range(9))
    assert of_versions(term(*many[::2], known=many)) == "5 versions of a from 0.0 to 8.0"


@pytest.mark.parametrize(
    ("chosen", "known", "expected"),
    [
        (("2.0", "3.0"), ("1.0", "2.0", "3.0"), ["a>=2"]),
        (("1.0",), ("1.0", "2.0", "3.0"), ["a<2"]),
        (("2.0",), ("1.0", "2.0", "3.0"), ["a==2.0"]),
        (("1.0", "1.5"), ("1.0", "1.5", "2.0.1"), ["a<2"]),
        (("1.4.2", "1.9"), ("1.4.1", "1.4.2", "1.9", "2.0"), ["a>=1.4.2,<2"]),
        (("1.0", "3.0"), ("1.0", "2.0", "3.0"), ["a!=2.0"]),
        (("2.0", "3.0", "5.0"), ("1.0", "2.0", "3.0", "4.0", "5.0"), ["a>=2,!=4.0"]),
        (("1.0", "6.0"), tuple(f"{n}.0" for n in range(1, 8)), ["a<2", "a==6.0"]),
        (("1.0",), ("1.0", "1.0.post1", "2.0"), ["a==1.0"]),
        (("1.0", "1.1"), ("1.0", "1.1", "2.0a1", "2.0"), ["a<2"]),
        (("1.0", "1.1", "2.0a1"), ("1.0", "1.1", "2.0a1", "2.0b1", "2.0"), ["a<2.0b1"]),
        (("1!1.0",), ("2.0", "1!1.0"), ["a>=1!1"]),
        (("1!1.0", "1!2.0"), ("2.0", "1!1.0", "1!2.0"), ["a>=1!1"]),
    ],
)
def test_t22_ranges_are_the_shortest_over_known_versions(
    chosen: tuple[str, ...], known: tuple[str, ...], expected: list[str]
) -> None:
    assert of_range(term(*chosen, known=known)) == " or ".join(expected)


def test_requirements_in_words() -> None:
    assert of_requirement(parse_requirement("A[x] <3,>=2 ; os_name == 'nt'")) == "a[x]>=2,<3; os_name == 'nt'"
    assert of_requirement(parse_requirement("a ; extra == 'x'")) == "a"
    secret = parse_requirement("a @ https://me:pw@files.example.test/a.whl")
    assert of_requirement(secret) == "a @ https://files.example.test/a.whl"


_kinds = st.builds(
    FileClass,
    st.sampled_from(["", ">=3.8", ">=3.12", "<3.13"]),
    st.sampled_from(
        [
            None,
            ("py3|*|*",),
            ("cp311|linux|x86_64",),
            ("cp312|linux|x86_64",),
            ("cp39+|win32|AMD64",),
            ("cp312|darwin|arm64", "cp312|darwin|x86_64"),
        ]
    ),
)


@given(st.dictionaries(_kinds, st.integers(0, 63), max_size=9), st.booleans(), st.booleans())
@settings(deadline=None)
def test_covers_of_a_version_do_not_hang_on_the_others(
    kinds: dict[FileClass, int], wheels: bool, sdists: bool
) -> None:
    together = covers(tuple(kinds.items()), 63, wheels=wheels, sdists=sdists)
    for version in range(6):
        alone = tuple((kind, 1) for kind, mask in kinds.items() if mask >> version & 1)
        (expected,) = (cover for cover, mask in covers(alone, 1, wheels=wheels, sdists=sdists) if mask)
        assert [cover for cover, mask in together if mask >> version & 1] == [expected]
        usable = [class_cover(kind) for kind, _ in alone if (sdists if kind.tags is None else wheels)]
        for cover in usable:
            assert implies(cover.files, expected.files)
        assert implies(expected.files, any_of(cover.files for cover in usable))
