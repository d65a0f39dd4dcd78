"""`pypm sync --lock FILE`: files in the shapes that uv and pip write, served by the index server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.transcripts import Stage, run
from kit.wheels import make_project, make_sdist, make_wheel, sha256

pytestmark = pytest.mark.slow

HEAD = 'lock-version = "1.0"\ncreated-by = "uv"\nrequires-python = ">=3.8"\n'


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made:
        folder = made.server.folder
        assert folder is not None
        for name, version in (("idna", "3.6"), ("idna", "3.7"), ("sniffio", "1.3"), ("dev", "1.0")):
            make_wheel(folder, name, version)
        make_sdist(folder, "built", "1.0", backend="in-tree")
        yield made


def file(stage: Stage, filename: str, **more: object) -> str:
    """An inline table of a file as the index has it; *more* stands in for what is true."""
    assert stage.server.folder is not None
    path = stage.server.folder / filename
    facts = {
        "url": stage.server.url_of(filename),
        "size": path.stat().st_size,
        "sha256": sha256(path),
        **more,
    }
    digest = facts.pop("sha256")
    told = ", ".join(f"{key} = {json.dumps(value)}" for key, value in facts.items() if value is not None)
    return f'{{ {told}, hashes = {{ sha256 = "{digest}" }} }}'


def entry(name: str, *lines: str) -> str:
    return "\n".join(["", "[[packages]]", f'name = "{name}"', *lines, ""])


def write(stage: Stage, *parts: str, name: str = "pylock.toml", head: str = HEAD) -> None:
    (stage.root / name).parent.mkdir(parents=True, exist_ok=True)
    (stage.root / name).write_text(head + "".join(parts))


def pypm(stage: Stage, *arguments: str) -> tuple[int, str]:
    done = run(["pypm", *arguments], stage.root, stage.environ)
    return done.returncode, stage.plain(done.stdout)


def installed(stage: Stage, folder: str = ".") -> set[str]:
    (site,) = (stage.root / folder / ".venv/lib").glob("python*/site-packages")
    return {path.name.removesuffix(".dist-info") for path in site.glob("*.dist-info")}


def wheels(stage: Stage, filename: str, **more: object) -> str:
    return f"wheels = [{file(stage, filename, **more)}]"


def release(stage: Stage, name: str, version: str, *lines: str, **more: object) -> str:
    """The entry of a release with one wheel."""
    found = wheels(stage, f"{name}-{version}-py3-none-any.whl", **more)
    return entry(name, f'version = "{version}"', *lines, found)


def a_member(stage: Stage) -> None:
    """A workspace with one member that asks for sniffio."""
    (stage.root / "pypm-workspace.toml").write_text('[workspace]\nmembers = ["packages/*"]\n')
    folder = stage.root / "packages/a"
    make_project(folder, "a", "1.0", requires=["sniffio"], requires_python=">=3.11", backend="in-tree")


def test_a_folder_with_only_the_file_is_enough_and_no_index_is_asked(stage: Stage) -> None:
    write(
        stage,
        release(stage, "idna", "3.6", 'index = "http://nowhere.test/simple"'),
        release(stage, "sniffio", "1.3", "marker = \"sys_platform == 'nowhere'\""),
        release(stage, "dev", "1.0", "marker = \"'dev' in dependency_groups\""),
        head=HEAD + 'dependency-groups = ["dev"]\ndefault-groups = ["dev"]\n',
    )
    code, output = pypm(stage, "sync", "--lock", "pylock.toml")
    assert code == 0 and "2 installed" in output, output
    assert installed(stage) == {"idna-3.6", "dev-1.0"}
    assert [one.path for one in stage.server.requests if "/simple/" in one.path] == []
    code, output = pypm(stage, "ci", "--lock", "pylock.toml", "--no-default-groups", "--offline")
    assert code == 0 and installed(stage) == {"idna-3.6"}, output
    code, output = pypm(stage, "sync", "--lock", "pylock.toml", "--group", "docs")
    assert code == 2 and "pylock.toml has no dependency group 'docs'" in output
    assert not (stage.root / "pypm.lock").exists()


def test_what_pip_locks_is_installed(stage: Stage) -> None:
    """pip writes tables rather than inline ones, no sizes, and folders without `editable`."""
    make_project(stage.root / "app", "app", "1.0", backend="in-tree")
    digest = sha256(stage.server.folder / "idna-3.7-py3-none-any.whl")  # type: ignore[operator]
    write(
        stage,
        f"""
[[packages]]
name = "app"

[packages.directory]
path = "app"

[[packages]]
name = "idna"
version = "3.7"

[[packages.wheels]]
name = "idna-3.7-py3-none-any.whl"
url = "{stage.server.url_of("idna-3.7-py3-none-any.whl")}"

[packages.wheels.hashes]
sha256 = "{digest}"
""",
        head='lock-version = "1.0"\ncreated-by = "pip"\n',
    )
    code, output = pypm(stage, "sync", "--lock", "pylock.toml")
    assert code == 0 and installed(stage) == {"app-1.0", "idna-3.7"}, output
    (site,) = (stage.root / ".venv/lib").glob("python*/site-packages")
    origin = json.loads((site / "app-1.0.dist-info/direct_url.json").read_text())
    assert origin == {"dir_info": {}, "url": (stage.root / "app").as_uri()}
    assert not (site / "idna-3.7.dist-info/direct_url.json").exists()


@pytest.mark.parametrize(
    ("more", "code"), [({"sha256": "0" * 64}, "wrong-hash"), ({"size": 1}, "wrong-size")]
)
def test_what_comes_is_checked(stage: Stage, more: dict[str, object], code: str) -> None:
    write(stage, release(stage, "idna", "3.6", **more))
    given, output = pypm(stage, "sync", "--lock", "pylock.toml")
    assert given == 1 and f"error[{code}]" in output
    write(stage, release(stage, "idna", "3.6"))
    assert pypm(stage, "sync", "--lock", "pylock.toml")[0] == 0
    if code == "wrong-size":
        write(stage, release(stage, "idna", "3.6", **more))
        given, output = pypm(stage, "sync", "--lock", "pylock.toml", "--reinstall")
        assert given == 1 and "error[wrong-size]" in output, "a file that is here is measured too"


def test_a_file_that_is_gone_is_looked_for_nowhere_else(stage: Stage) -> None:
    stage.server.fail("/files/", "status", status=404)
    write(stage, release(stage, "idna", "3.6"))
    code, output = pypm(stage, "sync", "--lock", "pylock.toml")
    assert code == 1 and "idna-3.6-py3-none-any.whl" in output
    assert [one.path for one in stage.server.requests if "/simple/" in one.path] == []


def test_an_sdist_is_built_only_where_that_is_allowed(stage: Stage) -> None:
    write(stage, entry("built", 'version = "1.0"', f"sdist = {file(stage, 'built-1.0.tar.gz')}"))
    code, output = pypm(stage, "sync", "--lock", "pylock.toml")
    assert code == 1 and "its sdist may not be built" in output
    (stage.root / "pypm-workspace.toml").write_text('[resolution]\nbuild = { allow = ["built"] }\n')
    code, output = pypm(stage, "sync", "--lock", "pylock.toml")
    assert code == 0 and installed(stage) == {"built-1.0"}, output


def test_paths_are_the_lock_files_own_and_archives_are_checked(stage: Stage) -> None:
    assert stage.server.folder is not None
    make_sdist(stage.root / "locks/here", "built", "1.0", backend="in-tree")
    make_wheel(stage.root / "locks/here", "idna", "3.6")
    local = file(stage, "idna-3.6-py3-none-any.whl", url=None, path="here/idna-3.6-py3-none-any.whl")
    archive = file(stage, "built-1.0.tar.gz", url=None, path="here/built-1.0.tar.gz")
    write(
        stage,
        entry("idna", 'version = "3.6"', f"wheels = [{local}]"),
        entry("built", f"archive = {archive}"),
        name="locks/pylock.x.toml",
    )
    code, output = pypm(stage, "sync", "--lock", "locks/pylock.x.toml")
    assert code == 0 and installed(stage) == {"built-1.0", "idna-3.6"}, output
    assert stage.server.requests == []
    with (stage.root / "locks/here/built-1.0.tar.gz").open("ab") as changed:
        changed.write(b"\0")
    code, output = pypm(stage, "sync", "--lock", "locks/pylock.x.toml", "--reinstall")
    assert code == 1 and "error[wrong-size]" in output


def test_a_commit_is_checked_out_and_built(stage: Stage) -> None:
    project = stage.folder / "repo"
    make_project(project / "py", "lib", "2.0", backend="in-tree")
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.test"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "x"]):
        assert run(["git", *command], project, stage.environ).returncode == 0
    commit = run(["git", "rev-parse", "HEAD"], project, stage.environ).stdout.strip()
    vcs = f'type = "git", url = "{project.as_uri()}", commit-id = "{commit}", subdirectory = "py"'
    write(stage, entry("lib", 'version = "2.0"', f"vcs = {{ {vcs} }}"))
    code, output = pypm(stage, "sync", "--lock", "pylock.toml")
    assert code == 0 and installed(stage) == {"lib-2.0"}, output
    write(stage, entry("lib", "vcs = { " + vcs.replace("file://", "ext::") + " }"))
    code, output = pypm(stage, "sync", "--lock", "pylock.toml", "--reinstall")
    assert code == 2 and "error[pylock-unsupported]" in output


def test_a_wheel_of_something_else_is_refused(stage: Stage) -> None:
    write(stage, entry("idna", 'version = "3.6"', wheels(stage, "sniffio-1.3-py3-none-any.whl")))
    code, output = pypm(stage, "sync", "--lock", "pylock.toml")
    assert code == 2 and "is a wheel of something else" in output


def test_in_a_workspace_its_environment_is_meant_and_its_lock_is_left_alone(stage: Stage) -> None:
    a_member(stage)
    assert pypm(stage, "sync")[0] == 0
    before = (stage.root / "pypm.lock").read_bytes()
    write(
        stage,
        release(stage, "idna", "3.6"),
        name="packages/a/pylock.toml",
    )
    code, output = pypm(stage, "sync", "--lock", "packages/a/pylock.toml")
    assert code == 0 and installed(stage) == {"idna-3.6"}, output
    assert (stage.root / "pypm.lock").read_bytes() == before
    code, output = pypm(stage, "sync")
    assert code == 0 and installed(stage) == {"a-1.0", "sniffio-1.3"}, output


def test_what_pypm_exports_can_be_installed(stage: Stage) -> None:
    a_member(stage)
    assert pypm(stage, "export", "-o", "pylock.toml")[0] == 0
    code, output = pypm(stage, "sync", "--lock", "pylock.toml")
    assert code == 0 and installed(stage) == {"a-1.0", "sniffio-1.3"}, output


@pytest.mark.parametrize("option", [["--frozen"], ["-p", "a"], ["--only-group", "dev"]])
def test_options_of_our_own_lock_do_not_go_with_it(stage: Stage, option: list[str]) -> None:
    code, output = pypm(stage, "sync", "--lock", "pylock.toml", *option)
    assert code == 2 and "error[usage]" in output
    code, output = pypm(stage, "sync", "--lock", "pylock.toml")
    assert code == 2 and "there is no file pylock.toml" in output
