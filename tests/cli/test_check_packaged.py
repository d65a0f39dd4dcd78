"""What a flat project ships, by the settings of its build backend."""

from __future__ import annotations

import tomllib

import pytest

from pypm.ops.checks.packaged import packaged

HEADS = ("docs", "my_app", "my_app_cli", "other", "setup_helper", "tests", "utils")
PACKAGES = ("my_app", "my_app_cli", "tests")


@pytest.mark.parametrize(
    ("backend", "settings", "expected"),
    [
        ("flit_core.buildapi", "", "my_app"),
        ("flit_core.buildapi", "[tool.flit.module]\nname = 'other'", "other"),
        ("flit_core.buildapi", "[tool.flit.module]\nname = 'elsewhere'", None),
        ("hatchling.build", "", "my_app"),
        (
            "hatchling.build",
            "[tool.hatch.build.targets.wheel]\npackages = ['my_app', 'other/inner']",
            "my_app other",
        ),
        ("hatchling.build", "[tool.hatch.build.targets.wheel]\ninclude = ['*.py']", None),
        ("hatchling.build", "[tool.hatch.build]\nonly-include = ['other']", None),
        ("poetry.core.masonry.api", "", "my_app"),
        ("poetry.core.masonry.api", "[tool.poetry]\npackages = [{ include = 'my_*' }]", "my_app my_app_cli"),
        ("uv_build", "[tool.uv.build-backend]\nmodule-name = ['my_app', 'other.part']", "my_app other"),
        ("pdm.backend", "", "my_app my_app_cli tests"),
        ("pdm.backend", "[tool.pdm.build]\nincludes = ['other']", "other"),
        ("setuptools.build_meta", "", "my_app my_app_cli other setup_helper"),
        ("setuptools.build_meta", "[tool.setuptools]\npackages = ['my_app', 'my_app.inner']", "my_app"),
        ("setuptools.build_meta", "[tool.setuptools]\npy-modules = ['other']", "other"),
        ("setuptools.build_meta", "[tool.setuptools.packages.find]\ninclude = ['my_*']", "my_app my_app_cli"),
        (
            "setuptools.build_meta",
            "[tool.setuptools.packages.find]\nexclude = ['tests', 'tests.*', 'docs']",
            "my_app my_app_cli other setup_helper utils",
        ),
        ("setuptools.build_meta", "[tool.setuptools.packages.find]\nnamespaces = false", None),
        ("maturin", "", None),
        ("backend", "", None),
    ],
)  # fmt: skip
def test_what_the_settings_say(backend: str, settings: str, expected: str | None) -> None:
    found = packaged(tomllib.loads(settings), backend, "my-app", HEADS, PACKAGES)
    assert found == (None if expected is None else frozenset(expected.split()))


def test_a_setup_py_may_say_anything() -> None:
    assert packaged({}, "setuptools.build_meta", "my-app", (*HEADS, "setup"), PACKAGES) is None


def test_names_are_found_whatever_their_case() -> None:
    assert packaged({}, "flit_core.buildapi", "my-app", ("My_App", "utils"), ()) == {"My_App"}
