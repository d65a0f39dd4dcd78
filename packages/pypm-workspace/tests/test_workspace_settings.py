"""pypm-workspace.toml and [tool.pypm]: the design's own example, and every kind of mistake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pypm_model.sources import GitSource, IndexSource
from pypm_workspace.configuration import CheckSettings
from pypm_workspace.discover import discover
from pypm_workspace.faults import InvalidManifest

Make = Callable[[Mapping[str, str]], Path]

EXAMPLE = """\
[workspace]
name = "acme"
members = ["packages/*"]
exclude = ["packages/attic-*"]
environments = ["sys_platform != 'win32'"]
required-environments = ["sys_platform == 'darwin' and platform_machine == 'arm64'"]
default-groups = ["dev"]
shared-environment = false

[catalog]
httpx = ">=0.28,<1"
Py_Test = { version = ">=8" }

[sources]
internal-lib = { index = "internal" }
patched = { git = "https://user:secret@git.example.test/patched", rev = "abc" }

[[index]]
name = "internal"
url = "https://pkgs.example.test/simple"
explicit = true

[resolution]
strategy = "lowest-direct"
prereleases = { only = ["Some_Name"] }
exclude-newer = 2026-11-01T00:00:00Z
cooldown = "7 days"
constraints = ["urllib3<3"]
overrides = ["protobuf>=5"]
build = { default = "never", allow = ["legacy-sdist-only"] }

[tasks.test]
command = "pytest -q"
needs = ["^build"]
inputs = ["src/**", "tests/**", "pyproject.toml"]
outputs = []

[tasks]
lint = "ruff check"

[lock]
export = ["pylock.toml"]

[plugins.hello]
url = "https://p.example.test/hello.so"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"

[boundaries]
layers = [["apps"], "libs"]
deny = [{ from = "core", to = ["web-*"], reason = "core is below" }]

[check]
ignore = ["psycopg*"]
imports = { cv2 = "OpenCV_Python" }
"""
LINT = '[tasks]\nlint = "ruff check"\n\n'


def test_the_example_of_the_design(make: Make) -> None:
    text = EXAMPLE.replace(LINT, "").replace("[tasks.test]", '[tasks]\nlint = "ruff check"\n[tasks.test]')
    workspace = discover(
        make({"pypm-workspace.toml": text, "packages/a/pyproject.toml": "[project]\nname='a'\nversion='1'\n"})
    )
    settings = workspace.settings
    assert (workspace.name, settings.shared_environment, settings.strategy) == (
        "acme",
        False,
        "lowest-direct",
    )
    assert [(c.name, c.specifier) for c in settings.catalog] == [("httpx", "<1,>=0.28"), ("py-test", ">=8")]
    assert [rule.source for rule in settings.sources] == [
        IndexSource("internal"),
        GitSource("https://git.example.test/patched", "abc"),
    ]
    assert [(i.name, i.explicit, i.default) for i in workspace.indexes] == [("internal", True, False)]
    assert (settings.prereleases, settings.prerelease_names) == ("only", ("some-name",))
    assert (settings.exclude_newer, settings.cooldown) == ("2026-11-01T00:00:00Z", 7 * 86400)
    assert workspace.build_policy.may_build("legacy-sdist-only") and not workspace.build_policy.may_build("x")  # type: ignore[arg-type]
    assert [(t.name, t.command) for t in workspace.tasks(workspace.members[0])] == [
        ("lint", "ruff check"),
        ("test", "pytest -q"),
    ]
    assert settings.layers == (("apps",), ("libs",)) and settings.boundaries[0].target == ("web-*",)
    assert settings.check == CheckSettings(("psycopg*",), imports=(("cv2", "opencv-python"),))
    assert settings.plugins[0].name == "hello" and settings.lock_export == ("pylock.toml",)
    assert str(workspace.place(settings.catalog[0].written)) == "pypm-workspace.toml:11:1"


def test_every_mistake_at_once_with_line_and_nearest_key(make: Make) -> None:
    text = """\
[workspce]
name = "x"
[workspace]
nmae = "acme"
members = "packages/*"
environments = ["sys_platform ="]
shared-environment = "yes"
[catalog]
httpx = "0.28"
[resolution]
stratgy = "highest"
strategy = "hihgest"
constraints = ["urllib3 <"]
exclude-newer = "yesterday"
cooldown = "a while"
prereleases = { onyl = [] }
[[index]]
nam = "x"
url = 3
[tasks.test]
comand = "pytest"
[sources]
lib = { git = "https://x.example.test/y", rev = "1", tag = "2" }
other = { pth = ".." }
two = [{ index = "a", marker = "sys_platform == 'linux'" }, { index = "b" }]
[plugins]
p = { url = "u", sha256 = "12" }
[lock]
environments = []
tasks = {}
zzz = 1
"""
    with pytest.raises(InvalidManifest) as caught:
        discover(make({"pypm-workspace.toml": text}))
    found = {}
    for fault in caught.value.faults:
        assert fault.place.file == "pypm-workspace.toml"
        found.setdefault(fault.place.line, []).append(str(fault))
    wanted = {
        1: "did you mean `workspace`?",
        4: "did you mean `name`?",
        5: "must be an array, not a string",
        6: "environments",
        7: "must be a boolean, not a string",
        9: "0.28",
        11: "did you mean `strategy`?",
        12: "did you mean `highest`?",
        13: "urllib3",
        14: "yesterday",
        15: "a while",
        16: "did you mean `only`?",
        17: "`name` is missing",
        18: "did you mean `name`?",
        19: "must be a string, not an integer",
        21: "did you mean `command`?",
        23: "`rev` and `tag` exclude each other",
        24: "did you mean `path`?",
        25: "overlap",
        27: "sha256",
        29: "it belongs in [workspace]",
        30: "it belongs at the top of the file",
        31: "known: export",
    }
    for line, part in wanted.items():
        assert any(part in told for told in found.get(line, [])), (line, part, found.get(line))
    assert set(found) == set(wanted)


def test_faults_of_all_files_together(make: Make) -> None:
    root = make(
        {
            "pypm-workspace.toml": '[workspace]\nmembers = ["p/*"]\n',
            "p/a/pyproject.toml": "[project]\nname='a'\n",
            "p/b/pyproject.toml": "[project]\nname='b'\nversion='1'\n[tool.pypm]\ntag=['x']\n",
        }
    )
    with pytest.raises(InvalidManifest) as caught:
        discover(root)
    assert [fault.place.file for fault in caught.value.faults] == ["p/a/pyproject.toml", "p/b/pyproject.toml"]
    assert "did you mean `tags`?" in str(caught.value.faults[1])
    assert caught.value.to_json()["code"] == "invalid-manifest"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('[[index]]\nname="a"\nurl="u"\n[[index]]\nname="a"\nurl="v"\n', "two indexes are named `a`"),
        (
            '[[index]]\nname="a"\nurl="u"\ndefault=true\n[[index]]\nname="b"\nurl="v"\ndefault=true\n',
            "only one",
        ),
        ('[catalog]\na_b=">1"\nA-B=">2"\n', "same name"),
        ('[sources]\nx = { path = "a", git = "b" }\n', "exactly one"),
        ('[sources]\nx = { index = "nowhere" }\n', "not defined"),
    ],
)
def test_what_fits_the_types_but_makes_no_sense(make: Make, text: str, part: str) -> None:
    with pytest.raises(InvalidManifest, match=part):
        discover(make({"pypm-workspace.toml": text}))


def test_member_table_wins_over_the_workspace(make: Make) -> None:
    root = make(
        {
            "pypm-workspace.toml": '[workspace]\nmembers=["a"]\n'
            '[tasks]\ntest="one"\nlint="l"\n[sources]\nx={path="w"}\n',
            "a/pyproject.toml": "[project]\nname='a'\nversion='1'\ndependencies=['x']\n"
            "[tool.pypm]\ndefault-groups='all'\n[tool.pypm.tasks]\ntest='two'\n[tool.pypm.sources]\nx={path='m'}\n"
            "[dependency-groups]\none=[]\ntwo=[]\n[tool.uv.sources]\nx={path='uv'}\n",
        }
    )
    workspace = discover(root)
    (member,) = workspace.members
    assert [(t.name, t.command) for t in workspace.tasks(member)] == [("lint", "l"), ("test", "two")]
    assert workspace.default_groups(member) == ("one", "two")
    (ask,) = workspace.request().members[0].dependencies
    assert ask.source is not None and ask.source.path == "a/m"  # type: ignore[union-attr]
