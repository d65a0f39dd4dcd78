"""Requirements files and Pipfiles of the odder kinds."""

from __future__ import annotations

import pytest

from pypm.ops.importing.finding import find
from pypm.ops.importing.pipenv import read_pipfile
from pypm.ops.importing.poetry import read_poetry
from pypm.ops.importing.records import Draft
from pypm.ops.importing.requirements import group_of, groups_of, read_requirements

SECRET = "left out: see the how-to on private packages"


def required(text: str, **files: str) -> Draft:
    read = {"requirements.txt": text, **{name.replace("__", "/"): each for name, each in files.items()}}.get
    return read_requirements(read, (("requirements.txt", ""),))[0]


def told(draft: Draft) -> list[tuple[str, str]]:
    return [(each.key.removeprefix("line "), each.reason) for each in draft.lost]


@pytest.mark.parametrize(
    ("line", "source"),
    [
        (
            "git+https://user:word@example.test/a.git@v1#egg=a",
            {"git": "https://example.test/a.git", "rev": "v1"},
        ),
        ("git+https://${TOKEN}@example.test/a.git#egg=a==1.0", {"git": "https://example.test/a.git"}),
        ("https://user:word@example.test/a-1.zip", {"url": "https://example.test/a-1.zip"}),
    ],
)
def test_no_secret_of_an_address_gets_into_the_manifest(line: str, source: dict[str, str]) -> None:
    draft = required(line)
    assert draft.sources == (("a", (source,)),) and draft.dependencies == ("a",)
    assert [(key, reason.endswith(SECRET)) for key, reason in told(draft)] == [("1", True)]


def test_no_secret_of_a_named_address_either() -> None:
    draft = required(
        "a @ git+https://${TOKEN}@example.test/a.git@main\n"
        "b @ git+ssh://git@example.test/b.git\n"
        "c @ https://user:word@example.test/c-1-py3-none-any.whl\n"
    )
    assert draft.dependencies == (
        "a @ git+https://example.test/a.git@main",
        "b @ git+ssh://git@example.test/b.git",
        "c @ https://example.test/c-1-py3-none-any.whl",
    )
    assert [key for key, _ in told(draft)] == ["1", "3"]
    pipfile = read_pipfile(
        '[packages]\na = {git = "https://user:word@example.test/a.git"}\n'
        'b = {file = "https://user:word@example.test/b-1.zip"}\n'
    )
    table = {
        "a": {"git": "https://user:word@example.test/a.git"},
        "b": {"url": "https://user:word@example.test/b-1.zip"},
    }
    poetry = read_poetry({"tool": {"poetry": {"version": "1.0", "dependencies": table}}})
    for found in (pipfile, poetry):
        assert dict(found.sources) == {
            "a": ({"git": "https://example.test/a.git"},),
            "b": ({"url": "https://example.test/b-1.zip"},),
        }
        assert len(found.lost) == 2 and all(each.reason.endswith(SECRET) for each in found.lost)


def test_no_secret_is_told() -> None:
    draft = required(
        "-f https://user:word@example.test/links/\n"
        "git+https://user:word@example.test/a.git\n"
        "b @ https://user:word@example.test/ b\n"
        "svn+https://user:word@example.test/c#egg=c\n"
        "--proxy https://user:word@example.test/\n"
    )
    assert draft.find_links == ("https://example.test/links/",)
    assert [key for key, _ in told(draft)] == ["1", "2", "2", "3", "4", "5"]
    assert "word@" not in str(draft.lost)


def test_repositories_that_are_not_git_are_left_out() -> None:
    draft = required(
        "-e svn+https://example.test/a#egg=a\nhg+https://example.test/b#egg=b\nc @ bzr+http://e.test/c\n"
    )
    assert draft.dependencies == () and draft.sources == ()
    assert all("not git" in reason for _, reason in told(draft)) and len(draft.lost) == 3
    pipfile = read_pipfile('[packages]\na = {hg = "https://example.test/a"}\n')
    assert pipfile.dependencies == () and [each.key for each in pipfile.lost] == ["packages.a"]


def test_what_only_the_machine_had_is_left_out() -> None:
    draft = required(
        "idna @ file:///tmp/build/80754af9/idna_1637925883363/work\n"
        "numpy @ file:///C:/ci/numpy_1620831207434/work/numpy\n"
        "pkg-resources==0.0.0\n"
        "here @ file:///srv/here\n"
    )
    assert draft.dependencies == ("idna", "numpy", "here @ file:///srv/here")
    assert [key for key, _ in told(draft)] == ["1", "2", "3"]


def test_files_elsewhere_are_told() -> None:
    draft = required('a\n-c "https://example.test/constraints.txt"\n-r https://example.test/more.txt\n')
    assert draft.dependencies == ("a",)
    assert [key for key, _ in told(draft)] == ["2", "3"]


def test_options_may_be_quoted_and_share_a_line() -> None:
    files = {
        "requirements.txt": (
            "-r 'my base.txt'\n-i https://a.example.test/ --extra-index-url=https://b.example.test/ --pre\n"
        ),
        "my base.txt": "a\n",
    }
    draft, _ = read_requirements(files.get, (("requirements.txt", ""),))
    assert draft.dependencies == ("a",)
    assert [(index.url, index.default) for index in draft.indexes] == [
        ("https://a.example.test/", True),
        ("https://b.example.test/", False),
    ]
    assert [reason for _, reason in told(draft)][1:] == ["`--pre` is left out"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pyproject.toml", '[tool.x]\nname = "no"\n[project]\nname = "my-lib"\n'),
        ("pyproject.toml", '[tool.poetry]\nname = "my-lib"\n'),
        ("setup.cfg", "[metadata]\nname = my-lib\nversion = 1\n"),
        ("setup.py", "import setuptools\nsetuptools.setup(version='1',\n    name='my-lib')\n"),
    ],
)
def test_a_folder_tells_the_name_of_its_project(file: str, text: str) -> None:
    files = {"requirements.txt": "-e ./lib[x]\n", f"lib/{file}": text, "lib/setup.py": "setup(name=NAME)"}
    draft, _ = read_requirements((files | {f"lib/{file}": text}).get, (("requirements.txt", ""),))
    assert draft.dependencies == ("my-lib[x]",) and draft.lost == ()
    pipfile = '[packages]\ne1839a8 = {path = "./lib", editable = true}\ne1839a9 = {path = "."}\n'
    found = read_pipfile(pipfile, read=(files | {f"lib/{file}": text}).get)
    assert found.dependencies == ("my-lib",)
    assert found.sources == (("my-lib", ({"path": "./lib", "editable": True},)),)
    assert [each.key for each in found.lost] == ["packages.e1839a9"]
    nameless = read_pipfile(pipfile)
    assert nameless.dependencies == () and len(nameless.lost) == 2


def test_files_are_groups_by_their_names() -> None:
    names = {
        "requirements.txt": "",
        "requirements.in": "",
        "requirements-dev-test.txt": "dev-test",
        "requirements.docs.in": "docs",
        "test-requirements.txt": "test",
        "requirements/base.txt": "base",
        "requirements/constraints.txt": None,
        "requirements-.txt": None,
        "notes.txt": None,
    }
    assert {name: group_of(name) for name in names} == names


def test_a_folder_of_requirements_has_the_projects_own() -> None:
    folder = ["requirements/local.txt", "requirements/base.in", "requirements/base.txt", "requirements/x.in"]
    assert groups_of(folder) == (
        ("requirements/base.txt", ""),
        ("requirements/local.txt", "local"),
        ("requirements/x.in", "x"),
    )
    assert groups_of([*folder, "requirements.txt"])[:2] == (
        ("requirements.txt", ""),
        ("requirements/base.txt", "base"),
    )
    files = {
        "requirements.txt": "-r requirements/production.txt\n",
        "requirements/production.txt": "-r base.txt\nc\n",
        "requirements/base.txt": "a==1\n",
        "requirements/local.txt": "-r base.txt\nb\n",
    }
    found = find(files.get, files, None)
    assert found.draft is not None
    assert found.draft.dependencies == ("a==1", "c")
    assert found.draft.groups == (("local", ("b",)),)


def test_a_manifest_that_reads_its_requirements_asks_for_them() -> None:
    manifest = '[project]\nname = "a"\ndynamic = ["dependencies"]\n'
    files = {"pyproject.toml": manifest, "requirements.txt": "b==1\n", "requirements-dev.txt": "c\n"}
    found = find(files.get, files, None)
    assert [each.key for each in found.lost] == ["c"]
    assert found.pins is not None and [name for name, _ in found.pins.versions] == ["b"]


def test_places_of_files_beside_a_manifest_are_taken() -> None:
    """Without the index the versions would not be found, and a constraint would be lost."""
    files = {
        "pyproject.toml": '[project]\nname = "a"\nversion = "1"\ndependencies = ["b"]\n',
        "requirements.txt": "--extra-index-url https://example.test/simple\n-f links\n-c limits.txt\nb==1\n",
        "limits.txt": "c<2\n",
    }
    found = find(files.get, files, None)
    assert found.draft is not None and found.draft.is_of_workspace
    assert [index.url for index in found.draft.indexes] == ["https://example.test/simple"]
    assert found.draft.constraints == ("c<2",) and found.draft.find_links == ("links",)
    assert found.read == ("pyproject.toml", "requirements.txt", "limits.txt")


def test_lines_that_make_no_sense_are_told() -> None:
    draft = required("--\n-\na --global-option='x\n-r 'x.txt\nb\n", **{"'x.txt": "c"})
    assert draft.dependencies == ("a", "c", "b")
    assert [key for key, _ in told(draft)] == ["1", "2", "3"]


def test_what_the_project_itself_asks_for_is_direct_however_a_tool_calls_it() -> None:
    """uv names the project, pip-compile its files; both may write who asks in one line."""
    draft = required(
        "flask==2.2.5\n    # via root\n"
        "werkzeug==2.2.3\n    # via\n    #   flask\n    #   root\n"
        "jinja2==3.1.4  # via -c limits.txt, Flask[async]\n"
        "click==8.1.7 ; sys_platform == 'win32'\n    # via\n    #   flask\n    #   -r more.in\n"
        "pytest==8.0.0\n"
        "-e ./packages/a\n    # via root\n"
        "idna==3.6\n    # via a\n",
        **{"packages/a/pyproject.toml": '[project]\nname = "a"\n'},
    )
    assert draft.dependencies == (
        "flask==2.2.5",
        "werkzeug==2.2.3",
        "click==8.1.7; sys_platform == 'win32'",
        "pytest==8.0.0",
        "a",
    )
