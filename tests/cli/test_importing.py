"""Other tools' files as records: what is understood, and that nothing is lost without a word."""

from __future__ import annotations

import json
import random
import tomllib

import pytest
from packaging.specifiers import SpecifierSet

from pypm.ops.importing.constraints import BadConstraint, all_of, parse, python_marker
from pypm.ops.importing.finding import NoManifest, NothingToImport, find
from pypm.ops.importing.manifest import converted
from pypm.ops.importing.pdm import read_pdm, read_pdm_lock
from pypm.ops.importing.pipenv import read_pipfile, read_pipfile_lock
from pypm.ops.importing.poetry import read_poetry
from pypm.ops.importing.poetry_lock import read_poetry_lock
from pypm.ops.importing.pylock import read_pylock_pins
from pypm.ops.importing.records import CannotImport, Draft, Pins
from pypm.ops.importing.requirements import group_of, lines, read_requirements
from pypm.ops.importing.sections import without
from pypm.ops.importing.uv_lock import read_uv_lock
from pypm_model.records import replace
from pypm_model.requests import Preference
from pypm_model.sources import GitSource


@pytest.mark.parametrize(
    ("text", "specifier"),
    [
        ("^1.2.3", ">=1.2.3,<2.0.0"),
        ("^1.2", ">=1.2,<2.0"),
        ("^1", ">=1,<2"),
        ("^0.2.3", ">=0.2.3,<0.3.0"),
        ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("^0.0", ">=0.0,<0.1"),
        ("^0", ">=0,<1"),
        ("^1.2.3b1", ">=1.2.3b1,<2.0.0"),
        ("~1.2.3", ">=1.2.3,<1.3.0"),
        ("~1.2", ">=1.2,<1.3"),
        ("~1", ">=1,<2"),
        ("~=1.2", "~=1.2"),
        ("1.2.3", "==1.2.3"),
        ("=1.2.3", "==1.2.3"),
        ("1.2.*", "==1.2.*"),
        ("==1.*", "==1.*"),
        ("*", ""),
        (">=1, <2", ">=1,<2"),
        (">=1 <2 !=1.5", ">=1,<2,!=1.5"),
        ("^1.0 || ^2.0", ">=1.0,<3.0"),
        ("2.7.* | >=3", None),
        ("^3.0 || *", ""),
    ],
)
def test_poetrys_constraints(text: str, specifier: str | None) -> None:
    found = parse(text)
    if specifier is not None:
        assert (found.specifier, found.hull) == (specifier, False)
    else:
        assert (found.specifier, found.hull) == (">=2.7", True)
    with pytest.raises(BadConstraint):
        parse(f"{text} and more")


@pytest.mark.parametrize("seed", range(40))
def test_a_caret_allows_what_changes_right_of_the_first_digit_that_is_not_zero(seed: int) -> None:
    chance = random.Random(seed)
    base = [chance.choice([0, 0, 1, 2]) for _ in range(3)]
    allowed = SpecifierSet(parse("^" + ".".join(map(str, base))).specifier)
    first = next((at for at, part in enumerate(base) if part), 2)
    for other in ([chance.choice([0, 1, 2, 3]) for _ in range(3)] for _ in range(50)):
        same = other[: first + 1] == base[: first + 1]
        assert (".".join(map(str, other)) in allowed) == (same and other >= base), (base, other)


@pytest.mark.parametrize(
    ("text", "marker"),
    [
        ("*", ""),
        ("^3.8", "python_version < '4.0' and python_version >= '3.8'"),
        ("<3.9", "python_version < '3.9'"),
        ("3.8.*", "python_version == '3.8'"),
        (">=3.8.1", "python_full_version >= '3.8.1'"),
        (">3.8", "python_full_version > '3.8'"),
        ("<3.8 || >=3.10", "(python_version < '3.8') or (python_version >= '3.10')"),
    ],
)
def test_pythons_as_markers(text: str, marker: str) -> None:
    assert python_marker(text) == marker
    assert all_of("", "a == 'b' or c == 'd'", "e == 'f'") == "(a == 'b' or c == 'd') and e == 'f'"


def poetry(text: str) -> Draft:
    return read_poetry(tomllib.loads(text))


def told(draft: Draft | Pins) -> list[str]:
    return [each.key for each in draft.lost]


def test_poetrys_groups_say_which_are_installed() -> None:
    draft = poetry(
        """
[tool.poetry]
version = "1"
[tool.poetry.group.dev.dependencies]
pytest = "*"
[tool.poetry.group.Docs]
optional = true
include-groups = ["dev"]
[tool.poetry.group.Docs.dependencies.sphinx]
version = "^7"
extras = ["x", "y"]
platform = "linux"
markers = "os_name == 'posix' or os_name == 'x'"
[tool.poetry.group.lint.dependencies]
ruff = [{ version = "1", python = "<3.9" }, { version = "2", python = ">=3.9" }]
"""
    )
    marker = "sys_platform == 'linux' and (os_name == 'posix' or os_name == 'x')"
    assert draft.groups == (
        ("dev", ("pytest",)),
        ("docs", ({"include-group": "dev"}, f"sphinx[x,y]>=7,<8; {marker}")),
        ("lint", ("ruff==1; python_version < '3.9'", "ruff==2; python_version >= '3.9'")),
    )
    assert draft.default_groups == ("dev", "lint") and told(draft) == []


def test_poetrys_sources() -> None:
    draft = poetry(
        f"""
[tool.poetry]
version = "1"
[tool.poetry.dependencies]
a = {{ git = "git@example.test:x/a.git", tag = "v1", subdirectory = "py" }}
b = {{ git = "https://example.test/b.git", develop = true }}
c = {{ path = "../c" }}
d = {{ url = "https://example.test/d-1.tar.gz", python = "<3.12" }}
e = {{ file = "e-1-py3-none-any.whl" }}
f = {{ version = "^1", source = "PyPI" }}
g = {{ version = "^1", allow-prereleases = true }}
[[tool.poetry.source]]
name = "mine"
url = "https://{"user"}:{"word"}@example.test/simple/"
priority = "supplemental"
[[tool.poetry.source]]
name = "PyPI"
"""
    )
    assert dict(draft.sources) == {
        "a": ({"git": "ssh://git@example.test/x/a.git", "tag": "v1", "subdirectory": "py"},),
        "b": ({"git": "https://example.test/b.git"},),
        "c": ({"path": "../c"},),
        "d": ({"url": "https://example.test/d-1.tar.gz", "marker": "python_version < '3.12'"},),
        "e": ({"path": "e-1-py3-none-any.whl"},),
    }
    assert draft.dependencies[5] == "f>=1,<2"
    assert [(index.name, index.url) for index in draft.indexes] == [("mine", "https://example.test/simple/")]
    prefix = "tool.poetry."
    assert told(draft) == [
        f"{prefix}dependencies.b",
        f"{prefix}dependencies.g",
        f"{prefix}source.mine",
        f"{prefix}source.mine",
    ]


def test_what_poetry_says_and_we_cannot_is_told() -> None:
    draft = poetry(
        """
[tool.poetry]
version = "1"
unheard-of = 1
authors = ["a <b> c"]
[tool.poetry.dependencies]
python = "2.7.* || ^3.8"
lonely = { version = "1", optional = true }
broken = "not a version at all"
gaps = "^1 || ^3"
[tool.poetry.extras]
x = ["missing"]
"""
    )
    assert set(told(draft)) == {
        "tool.poetry.unheard-of",
        "tool.poetry.authors",
        "tool.poetry.dependencies.python",
        "tool.poetry.dependencies.lonely",
        "tool.poetry.dependencies.broken",
        "tool.poetry.dependencies.gaps",
        "tool.poetry.extras.x",
    }
    assert draft.requires_python == ">=2.7,<4.0" and draft.dependencies == ("gaps>=1,<4",)


def test_a_poetry_project_with_its_own_project_table_keeps_it() -> None:
    text = """\
[project]
name = "a"  # ours
version = "1.0"
requires-python = ">=3.11"
dependencies = [
    "b>=1",  # the best
]

[tool.poetry]
package-mode = false

[tool.poetry.dependencies]
b = { path = "../b", develop = true }
"""
    draft = poetry(text)
    result, lost = converted(text, draft, name="x", requires_python="")
    assert result == text[: text.index("[tool.poetry]")] + (
        '[tool.pypm.sources]\nb = { path = "../b", editable = true }\n'
    )
    assert lost == () and draft.dependencies == ()


def test_sections_go_with_their_own_comments_only() -> None:
    text = """\
# the file
x = [
    ["a", "b"],
]

[tool.poetry]  # gone
# gone too
name = "a"

# about ruff
[tool.ruff]
text = '''
[tool.poetry.fake]
'''

[[tool.poetry.source]]
name = "b"

# the end
[last]
"""
    kept = without(text, lambda path: path == ("tool", "poetry"))
    assert kept is not None
    assert "# gone" not in kept and "[[tool" not in kept
    assert all(each in kept for each in ("# the file", "# about ruff", "[tool.poetry.fake]", "# the end"))
    assert tomllib.loads(kept)["tool"] == {"ruff": {"text": "[tool.poetry.fake]\n"}}
    dotted = "[tool]\npoetry.name = 'a'\nruff.x = 1\n"
    assert tomllib.loads(without(dotted, lambda path: path == ("tool", "poetry")) or "") == {
        "tool": {"ruff": {"x": 1}}
    }


def test_requirements_lines() -> None:
    text = """\
a==1 \\
    --hash=sha256:00 \\
    --hash=sha256:11
    # via -r base.in
b==1  # via a
c==1
    # via
    #   a
    #   site (pyproject.toml)
# a comment
d @ https://example.test/d.zip#sha256=00
"""
    found = [(line.number, line.text, line.via) for line in lines(text, "r.txt")]
    assert next(line.hashes for line in lines(text, "r.txt")) == ("sha256:00", "sha256:11")
    assert found == [
        (1, "a==1", ("-r base.in",)),
        (5, "b==1", ("a",)),
        (6, "c==1", ("a", "site (pyproject.toml)")),
        (11, "d @ https://example.test/d.zip#sha256=00", ()),
    ]


def test_requirements_files_and_what_they_include() -> None:
    files = {
        "requirements.txt": "a==1\nb>=2 ; python_version<'4'\n-r sub/more.txt\n",
        "sub/more.txt": "-e ../lib\n-e .\n-c limits.txt\ngit+https://example.test/g.git@v1#egg=g&subdirectory=py\n",
        "sub/limits.txt": "z<3\ny==1\n",
        "lib/pyproject.toml": '[project]\nname = "Lib"\n',
        "requirements-dev.txt": "-r requirements.txt\nt\n",
        "cyclic.txt": "-r cyclic.txt\nq==1.*\n",
    }
    read = files.get
    draft, pins = read_requirements(read, (("requirements.txt", ""), ("requirements-dev.txt", "dev")))
    assert draft.dependencies == ("a==1", "b>=2; python_version < '4'", "Lib", "g")
    assert draft.groups == (("dev", ("t",)),) and draft.constraints == ("z<3",)
    assert dict(draft.sources) == {
        "lib": ({"path": "lib", "editable": True},),
        "g": ({"git": "https://example.test/g.git", "rev": "v1", "subdirectory": "py"},),
    }
    # The folder that the files are in is the project itself only from beside its manifest.
    assert [(each.file, each.key) for each in draft.lost] == [("sub/more.txt", "line 2")]
    assert pins.versions == (("a", (Preference("1"),)), ("y", (Preference("1"),)))
    assert read_requirements(read, (("cyclic.txt", ""),))[0].dependencies == ("q==1.*",)
    with pytest.raises(CannotImport, match="no such file"):
        read_requirements({"a.txt": "-r b.txt"}.get, (("a.txt", ""),))


def test_a_compiled_file_gives_versions_and_its_source_what_is_asked() -> None:
    files = {"requirements.txt": "a==1\nb==2\n", "requirements.in": "a\n"}
    draft, pins = read_requirements(files.get, (("requirements.txt", ""),))
    assert draft.dependencies == ("a",) and [name for name, _ in pins.versions] == ["a", "b"]
    names = ["requirements.txt", "requirements-dev.txt", "test_requirements.txt", "notes.txt"]
    assert [group_of(name) for name in names] == ["", "dev", "test", None]


def test_locks_give_versions_with_their_regions() -> None:
    poetry_lock = """
[[package]]
name = "A"
version = "1"
markers = "os_name == 'nt'"
[[package]]
name = "a"
version = "2"
markers = {main = "os_name == 'posix'", dev = "os_name == 'posix'"}
[[package]]
name = "odd"
version = "not one"
[[package]]
name = "g"
version = "1"
source = { type = "git", url = "x" }
"""
    found = read_poetry_lock(poetry_lock)
    regions = (Preference("1", marker="os_name == 'nt'"), Preference("2", marker="(os_name == 'posix')"))
    assert found.versions == (("a", regions),) and told(found) == ["package.g"]
    pdm = '[[package]]\nname = "a"\nversion = "1"\n[[package]]\nname = "a"\nversion = "1"\nextras = ["x"]\n'
    assert read_pdm_lock(pdm).versions == (("a", (Preference("1"),)),)
    pipfile = {
        "_meta": {},
        "default": {"a": {"version": "==1"}, "b": {"git": "x"}},
        "docs": {"c": {"version": "==2"}},
    }
    pipenv = read_pipfile_lock(json.dumps(pipfile))
    assert [name for name, _ in pipenv.versions] == ["a", "c"] and told(pipenv) == ["default.b"]
    for reader, text in ((read_uv_lock, "package = 1"), (read_poetry_lock, "a ="), (read_pipfile_lock, "[]")):
        with pytest.raises(CannotImport):
            reader(text)


def test_locks_say_where_branches_are() -> None:
    commit = "1f" * 20
    at = GitSource("https://example.test/a.git", "main", commit, "py")
    url = "https://example.test/a.git"
    uv = f'source = {{ git = "{url}?subdirectory=py&branch=main#{commit}" }}\n'
    poetry = (
        f'source = {{ type = "git", url = "{url}", reference = "main", resolved_reference = "{commit}", '
        'subdirectory = "py" }\n'
    )
    pdm = f'git = "{url}"\nref = "main"\nrevision = "{commit}"\nsubdirectory = "py"\n'
    package = '[[package]]\nname = "a"\nversion = "1"\n'
    vcs = f'type = "git", url = "{url}", requested-revision = "main", commit-id = "{commit}"'
    pylock = (
        'lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "a"\nversion = "1"\n'
        f'vcs = {{ {vcs}, subdirectory = "py" }}\n'
    )
    for pins in (
        read_uv_lock(package + uv),
        read_poetry_lock(package + poetry),
        read_pdm_lock(package + pdm),
        read_pylock_pins(pylock),
    ):
        assert pins.commits == (("a", (at,)),), pins.file
        assert not pins.versions and not pins.lost
    head = read_poetry_lock(package + poetry.replace('"main"', '"HEAD"'))
    assert head.commits == (("a", (replace(at, ref=""),)),)
    (lost,) = read_uv_lock(package + uv.replace(commit, "main")).lost
    assert "is from git" in str(lost)


def test_pdms_names_of_an_index_are_sources() -> None:
    """An index that is for some names only is asked for nothing else."""
    source = {"name": "private", "url": "https://p.example/simple", "include_packages": ["Foo", "acme-*"]}
    draft = read_pdm({"project": {"name": "x"}, "tool": {"pdm": {"source": [source]}}})
    assert draft is not None
    assert [(index.name, index.explicit) for index in draft.indexes] == [("private", True)]
    assert draft.sources == (("foo", ({"index": "private"},)),)
    assert [(lost.key, "acme-*" in lost.reason) for lost in draft.lost] == [
        ("tool.pdm.source.private.include_packages", True)
    ]
    plain = read_pdm(
        {"project": {"name": "x"}, "tool": {"pdm": {"source": [{**source, "include_packages": []}]}}}
    )
    assert plain is not None
    assert [index.explicit for index in plain.indexes] == [False]


def test_pdms_groups_are_all_installed_and_its_overrides_are_ours() -> None:
    project = {"name": "x"}
    plain = {"project": project, "dependency-groups": {"lint": ["ruff"]}, "tool": {"pdm": {}}}
    draft = read_pdm(plain)
    assert draft is not None and draft.default_groups == ("lint",) and not draft.groups
    assert read_pdm({"project": project, "tool": {"pdm": {}}}) is None
    resolution = {
        "overrides": {"A": ">=1", "b": "2.0", "c": "*", "d": "https://example.test/d.whl"},
        "excludes": ["E.e"],
    }
    pdm = {"dev-dependencies": {"test": ["pytest"]}, "resolution": resolution}
    draft = read_pdm({**plain, "tool": {"pdm": pdm}})
    assert draft is not None
    assert draft.default_groups == ("lint", "test")
    assert draft.overrides == ("a>=1", "b==2.0", "c") and draft.excludes == ("e-e",)
    assert [each.key for each in draft.lost] == ["tool.pdm.resolution.overrides.d"]


def test_pipfiles() -> None:
    draft = read_pipfile(
        """
[[source]]
name = "mirror"
url = "https://example.test/simple"
verify_ssl = false
[[source]]
name = "inner"
url = "https://inner.example.test/simple"
[packages]
a = {version = ">=1", extras = ["x"], sys_platform = "== 'win32'", index = "inner"}
b = {git = "https://example.test/b.git", ref = "main"}
[docs]
sphinx = "*"
[scripts]
go = "python go.py"
call = {call = "x:y()"}
[pipenv]
allow_prereleases = true
"""
    )
    assert draft.dependencies == ("a[x]>=1; sys_platform == 'win32'", "b")
    assert draft.groups == (("docs", ("sphinx",)),) and draft.tasks == (("go", "python go.py"),)
    assert [(i.name, i.explicit, i.default) for i in draft.indexes] == [
        ("mirror", False, True),
        ("inner", True, False),
    ]
    assert set(told(draft)) == {"pipenv", "scripts.call", "source.mirror"}


def test_what_there_is_not() -> None:
    with pytest.raises(NothingToImport):
        find({}.get, (), None)
    with pytest.raises(NoManifest):
        find({"uv.lock": ""}.get, ("uv.lock",), None)
    with pytest.raises(CannotImport, match="is none of"):
        find({"setup.cfg": ""}.get, (), "setup.cfg")


def test_a_section_of_which_keys_stay_has_no_hole() -> None:
    text = '# mine\n[tool.poetry]\nname = "a"\n\ninclude = ["b"]  # with care\nreadme = "c"\n\n[other]\n'
    kept = without(text, lambda path: path in (("tool", "poetry", "name"), ("tool", "poetry", "readme")))
    assert kept == '# mine\n[tool.poetry]\ninclude = ["b"]  # with care\n\n[other]\n'


def test_locks_give_the_digests_they_know() -> None:
    files = 'files = [{ file = "a", hash = "sha256:AB" }, { file = "b", hash = "md5:00" }]\n'
    package = '[[package]]\nname = "a"\nversion = "1"\n'
    uv = package + 'source = { registry = "x" }\nsdist = { hash = "sha256:ab" }\nwheels = [{ url = "x" }]\n'
    pipfile = json.dumps({"default": {"a": {"version": "==1", "hashes": ["sha256:ab"]}}})
    requirements = read_requirements({"r.txt": "a==1 --hash=sha256:ab\n"}.get, (("r.txt", ""),))[1]
    for pins in (
        read_poetry_lock(package + files),
        read_pdm_lock(package + files),
        read_uv_lock(uv),
        read_pipfile_lock(pipfile),
        requirements,
    ):
        assert pins.digests == (("a", frozenset({"ab"})),), pins.file
        assert pins.versions == (("a", (Preference("1"),)),)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pyproject.toml", "[tool.poetry]\ndependencies = 3\n"),
        ("pyproject.toml", "[tool]\npoetry = 3\n"),
        ("pyproject.toml", "tool = 3\n"),
        ("pyproject.toml", "project = 3\n[tool.poetry]\n"),
        ("pyproject.toml", "[tool.poetry.group]\ndev = [1]\n"),
        ("pyproject.toml", "[tool.pdm]\ndev-dependencies = [1]\n"),
        ("Pipfile", "[packages]\na = 3\n"),
        ("uv.lock", '[[package]]\nname = "a"\nversion = "1"\nsource = { registry = "x" }\nwheels = ["x"]\n'),
        ("poetry.lock", '[[package]]\nname = "a"\nsource = 3\n'),
        ("Pipfile.lock", '{"default": {"a": {"version": "==1", "hashes": 3}}}'),
    ],
)
def test_a_file_of_another_shape_is_refused_by_name(file: str, text: str) -> None:
    files = {file: text} if file == "Pipfile" else {"pyproject.toml": "[dependency-groups]\n", file: text}
    with pytest.raises(CannotImport, match=f"^{file}: "):
        find(files.get, files, None)


def test_a_manifest_of_another_shape_is_refused_by_name() -> None:
    text = '[project]\nname = "a"\ndynamic = ["dependencies", []]\n[tool.poetry.dependencies]\nb = "1"\n'
    with pytest.raises(CannotImport, match=r"^pyproject\.toml: is not of the shape"):
        converted(text, poetry(text), name="x", requires_python="")
