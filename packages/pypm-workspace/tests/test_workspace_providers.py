"""Which distribution a module comes from, and which modules the standard library has."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from pypm_model.names import normalize
from pypm_workspace.imports import Imported
from pypm_workspace.providers import Contents, Providers, guessed
from pypm_workspace.standard_library import NEWEST, has_changed, is_standard, minors, since, until

MINOR = sys.version_info[1]
modules = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(".".join)
NAMES = [normalize(name) for name in ("one", "two", "three")]


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(modules, unique=True)), modules, st.booleans())
def test_the_innermost_known_package_decides(known: dict[str, list[str]], module: str, typing: bool) -> None:
    contents = {normalize(name): Contents(tuple(some)) for name, some in known.items()}
    found = Providers(contents, {}).of(module, typing=typing)
    around = [module.split(".")[:n] for n in range(module.count(".") + 1, 0, -1)]
    exact = next((w for w in map(".".join, around) if any(w in some for some in known.values())), None)
    if exact is not None:
        assert set(found) == {name for name, some in known.items() if exact in some}
    else:
        below = {name for name, some in known.items() if any(m.startswith(f"{module}.") for m in some)}
        assert set(found) == below


def test_what_is_imported_from_a_namespace_is_a_module_each() -> None:
    storage, vision = normalize("google-storage"), normalize("google-vision")
    providers = Providers({storage: Contents(("google.storage",)), vision: Contents(("google.vision",))}, {})
    both = Imported("google", ("storage", "vision"), 1, 1)
    assert list(providers.modules_of(both)) == ["google.storage", "google.vision"]
    assert list(providers.modules_of(Imported("google.vision", ("x",), 1, 1))) == ["google.vision"]
    assert providers.of("google") == (storage, vision)
    assert providers.of("google.other") == ()


def test_guesses_are_weaker_than_what_is_known_and_told() -> None:
    shown = ("Pillow", "types-requests", "zope.interface", "Flask", "mcp", "mcp-types")
    names = [normalize(name) for name in shown]
    providers = Providers({name: guessed(name) for name in names}, {"PIL": "Pillow", "a.b": "x"})
    assert providers.of("PIL.Image") == ("pillow",)
    assert providers.of("a.b.c") == ("x",)
    assert providers.of("a.c") == ()
    assert providers.of("flask") == providers.of("Flask") == ("flask",)
    assert providers.of("requests") == ()
    assert providers.of("requests", typing=True) == ("types-requests",)
    assert list(providers.modules_of(Imported("zope", ("interface", "event"), 1, 1))) == [
        "zope.interface",
        "zope",
    ]
    assert providers.of("zope") == ()
    assert providers.of("mcp.types") == ("mcp",)
    assert providers.of("mcp_types.x") == ("mcp-types",)


def test_the_table_fits_the_python_that_runs_this() -> None:
    here = set(sys.stdlib_module_names)
    assert all(is_standard(name) for name in here)
    assert [name for name in here if since(name) > MINOR or 0 < until(name) <= MINOR] == []
    gone = {"imp", "distutils", "cgi", "asyncore", "binhex", "sre_parse"}
    assert {name for name in gone if not 0 < until(name) <= MINOR} <= here
    assert since("concurrent.interpreters.x") == 14
    assert since("concurrent.futures") == 0
    assert has_changed("distutils.core")
    assert not has_changed("os.path")


@given(st.integers(3, NEWEST), st.integers(3, NEWEST))
def test_minor_versions_of_a_range(low: int, high: int) -> None:
    assert minors(f">=3.{low},<3.{high}") == tuple(range(low, high))
    assert minors(f">3.{low}.0,<3.{high}.2") == tuple(range(low, high + 1))
    assert minors("") == tuple(range(NEWEST + 1))
