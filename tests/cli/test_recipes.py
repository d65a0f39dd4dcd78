"""A sync done again from a recipe: the same as the long way gives, or the long way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kit.transcripts import Stage, run
from kit.wheels import make_wheel
from pypm_store.atomic import remove_tree

WORKSPACE = '[workspace]\nname = "team"\nmembers = ["packages/*"]\n'
API = """[project]
name = "api"
version = "1"
requires-python = ">=3.11"
dependencies = ["acme", "tool"]

[dependency-groups]
dev = ["extra"]
"""

SITE = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A synced workspace whose one member has no build system, and its recipe."""
    with Stage(tmp_path / "stage") as made:
        wheels = made.server.folder
        assert wheels is not None
        for version in ("1.0", "2.0"):
            make_wheel(wheels, "acme", version, files={"acme/__init__.py": f"v = '{version}'\n"})
        make_wheel(wheels, "tool", "1.0", entry_points={"console_scripts": {"tool": "tool:main"}})
        make_wheel(wheels, "extra", "1.0")
        (made.root / "packages" / "api").mkdir(parents=True)
        (made.root / "pypm-workspace.toml").write_text(WORKSPACE)
        (made.root / "packages" / "api" / "pyproject.toml").write_text(API)
        made.environ["PYPM_BACKGROUND_COMPILE"] = "0"
        made.run("pypm sync")
        yield made


def recipes(stage: Stage) -> list[Path]:
    (folder,) = stage.folder.rglob("recipes")
    return sorted(folder.iterdir())


def blueprints(stage: Stage) -> list[Path]:
    return sorted(path for folder in stage.folder.rglob("blueprints") for path in folder.iterdir())


def draw(stage: Stage, arguments: str = "") -> None:
    """Has a blueprint made of the environment that is asked for with *arguments*: of the second one like it,
    if there is bytecode of all that is in it."""
    for how in (f"{arguments} --compile", arguments, arguments):
        shutil.rmtree(stage.root / ".venv", ignore_errors=True)
        code, said = stage.run(f"pypm sync {how}")
        assert code == 0, said


def state(root: Path) -> dict[str, object]:
    """All that a sync is about: the lock, and the files of the environment but those that name times."""
    found: dict[str, object] = {
        "lock": (root / "pypm.lock").read_text() if (root / "pypm.lock").exists() else ""
    }
    for folder, _, names in os.walk(root / ".venv"):
        for name in names:
            path = Path(folder) / name
            if name in ("pypm.stamp", "pypm-state"):
                continue
            content = os.readlink(path) if path.is_symlink() else path.read_text(errors="replace")
            found[str(path.relative_to(root))] = content.replace(str(root), "[ROOT]")
    return found


def edit(path: str, old: str, new: str) -> Callable[[Stage], None]:
    def do(stage: Stage) -> None:
        file = stage.root / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return do


def write(path: str, text: str) -> Callable[[Stage], None]:
    def do(stage: Stage) -> None:
        (stage.root / path).parent.mkdir(parents=True, exist_ok=True)
        (stage.root / path).write_text(text)

    return do


def lose_a_tree(stage: Stage) -> None:
    (trees,) = stage.folder.rglob("trees")
    remove_tree(next(trees.glob("*/site/acme")).parents[1])


def damage_a_tree(stage: Stage) -> None:
    (trees,) = stage.folder.rglob("trees")
    file = next(trees.glob("*/site/acme/__init__.py"))
    os.chmod(file, 0o644)
    file.write_text("v = 'damaged by hand'\n")


def foreign_environment(stage: Stage) -> None:
    (stage.root / ".venv").mkdir()
    (stage.root / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")


def occupied(stage: Stage) -> None:
    (stage.root / ".venv").mkdir()
    (stage.root / ".venv" / "notes").write_text("mine")


def garbled(stage: Stage) -> None:
    for path in [*recipes(stage), *blueprints(stage)]:
        path.write_bytes(path.read_bytes()[:-9])


CHANGES: dict[str, Callable[[Stage], None]] = {
    "nothing": lambda stage: None,
    "a requirement": edit("packages/api/pyproject.toml", '"acme"', '"acme<2"'),
    "a comment": edit("packages/api/pyproject.toml", "[project]", "# words\n[project]"),
    "a default group less": edit("packages/api/pyproject.toml", '["extra"]', "[]"),
    "a broken manifest": edit("packages/api/pyproject.toml", "[project]", "[project"),
    "a Python that is not here": edit("packages/api/pyproject.toml", ">=3.11", ">=3.99"),
    "another pin of Python": write(".python-version", "3.99\n"),
    "a new member": write(
        "packages/web/pyproject.toml", '[project]\nname = "web"\nversion = "1"\ndependencies = ["acme<2"]\n'
    ),
    "another lock": edit("pypm.lock", "2.0", "1.0"),
    "a conflict in the lock": edit("pypm.lock", "[[package]]", "<<<<<<< a\n=======\n>>>>>>> b\n[[package]]"),
    "no lock": lambda stage: (stage.root / "pypm.lock").unlink(),
    "no workspace file": lambda stage: (stage.root / "pypm-workspace.toml").unlink(),
    "a tree that is gone": lose_a_tree,
    "a damaged tree": damage_a_tree,
    "another's environment": foreign_environment,
    "something in the way": occupied,
    "a garbled recipe": garbled,
}


ASKED = [("", change) for change in CHANGES]
ASKED += [(arguments, "nothing") for arguments in ("--frozen", "--link-mode farm", "--inexact --no-dev")]
ASKED += [("--frozen", "a requirement"), ("--frozen", "another lock"), ("--link-mode farm", "a damaged tree")]


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "change"), ASKED)
def test_with_and_without_a_recipe_a_sync_does_the_same(stage: Stage, change: str, arguments: str) -> None:
    outcomes = []
    draw(stage, arguments)
    assert recipes(stage) and len(blueprints(stage)) == 1
    kept, store = stage.folder / "kept", stage.folder.parent / "store"
    shutil.copytree(stage.root, kept, symlinks=True, ignore=shutil.ignore_patterns(".venv"))
    (v1,) = stage.folder.rglob("v1")
    subprocess.run(["cp", "-a", str(v1), str(store)], check=True)
    for forgotten in ((), ("blueprints",), ("blueprints", "recipes")):
        shutil.rmtree(stage.root)
        shutil.copytree(kept, stage.root, symlinks=True)
        remove_tree(v1)
        subprocess.run(["cp", "-a", str(store), str(v1)], check=True)
        for name in forgotten:
            shutil.rmtree(v1 / name, ignore_errors=True)
        if forgotten != ("blueprints", "recipes") or not change.endswith(" recipe"):
            CHANGES[change](stage)
        outcomes.append((stage.run(f"pypm sync {arguments}"), state(stage.root)))
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert "Traceback" not in outcomes[0][0][1]


def loaded_by_a_sync(stage: Stage, root: Path) -> set[str]:
    script = "import sys; from pypm._entry import main; code = main(['sync', '-q']); print(*sys.modules)"
    done = run([sys.executable, "-c", script], root, stage.environ)
    assert done.returncode == 0, done.stdout
    return set(done.stdout.split())


def assert_only_the_place_differs(stage: Stage, clone: Path) -> None:
    """Scripts name their folder, and so one RECORD has another digest."""
    made, first = state(clone), state(stage.root)
    assert made.keys() == first.keys()
    assert {path for path in made if made[path] != first[path]} == {f".venv/{SITE}/tool-1.0.dist-info/RECORD"}


def test_a_recipe_is_followed_by_another_clone_without_reading_a_manifest(stage: Stage) -> None:
    clone = stage.folder / "clone"
    shutil.copytree(stage.root, clone, ignore=shutil.ignore_patterns(".venv"))
    loaded = loaded_by_a_sync(stage, clone)
    assert "pypm_store.linking" in loaded
    assert not loaded & {
        "rtoml",
        "pypm_workspace.discover",
        "pypm_model.locks",
        "pypm_env.finding",
        "pypm.ops.sync",
    }
    assert_only_the_place_differs(stage, clone)
    # And what it left is believed by the next.
    assert "pypm.cli.main" not in loaded_by_a_sync(stage, clone)


def test_what_was_drawn_is_linked_by_next_to_nothing(stage: Stage) -> None:
    draw(stage)
    clone = stage.folder / "clone"
    shutil.copytree(stage.root, clone, ignore=shutil.ignore_patterns(".venv"))
    loaded = loaded_by_a_sync(stage, clone)
    assert "pypm_env.from_blueprint" in loaded
    assert not loaded & {
        "pypm.cli.main",
        "typing",
        "pathlib",
        "re",
        "json",
        "enum",
        "contextlib",
        "functools",
    }
    assert_only_the_place_differs(stage, clone)
    # What it left is believed by the next, and noticed is what changes.
    assert "pypm_env.from_blueprint" not in loaded_by_a_sync(stage, clone)
    (clone / "packages" / "api" / "pyproject.toml").write_text(API.replace('"acme"', '"acme<2"'))
    assert "pypm.ops.sync" in loaded_by_a_sync(stage, clone)


@pytest.mark.slow
def test_it_says_what_the_longer_ways_say(stage: Stage) -> None:
    draw(stage)
    said = []
    for forgotten in ("", "blueprints"):
        for folder in stage.folder.rglob(forgotten) if forgotten else ():
            shutil.rmtree(folder)
        for options in ("", "-q", "--no-progress", "--offline"):
            shutil.rmtree(stage.root / ".venv")
            said.append(stage.run(f"pypm sync {options}"))
    assert said[:4] == said[4:]
    assert "3 installed" in said[0][1] and said[1] == (0, "")


@pytest.mark.skipif(os.name == "nt", reason="modes mean nothing there")
def test_what_others_could_have_written_is_not_followed(stage: Stage) -> None:
    draw(stage)
    assert not any(path.stat().st_mode & 0o077 for path in [*blueprints(stage), *recipes(stage)])
    for kept, way in ((blueprints(stage), "pypm.ops.recipes"), (recipes(stage), "pypm.ops.sync")):
        for path in kept:
            os.chmod(path, 0o620)
        shutil.rmtree(stage.root / ".venv")
        assert way in loaded_by_a_sync(stage, stage.root)


@pytest.mark.slow
def test_where_malware_is_known_of_the_longer_way_decides(stage: Stage) -> None:
    draw(stage)
    (v1,) = stage.folder.rglob("v1")
    (v1 / "advisories").mkdir()
    (v1 / "advisories" / "malware").write_text("")
    shutil.rmtree(stage.root / ".venv")
    assert "pypm.cli.main" in loaded_by_a_sync(stage, stage.root)


@pytest.mark.slow
def test_nobody_waits_for_the_drawing(stage: Stage) -> None:
    del stage.environ["PYPM_BACKGROUND_COMPILE"]
    shutil.rmtree(stage.root / ".venv")
    assert stage.run("pypm sync --reinstall")[0] == 0
    shutil.rmtree(stage.root / ".venv")
    assert stage.run("pypm sync")[0] == 0
    end = time.monotonic() + 60
    while not blueprints(stage) and time.monotonic() < end:
        time.sleep(0.05)
    assert len(blueprints(stage)) == 1
    shutil.rmtree(stage.root / ".venv")
    assert "pypm.cli.main" not in loaded_by_a_sync(stage, stage.root)


@pytest.mark.slow
def test_an_environment_for_another_interpreter_is_not_exchanged(stage: Stage) -> None:
    file = stage.root / ".venv" / "pypm-state"
    text = file.read_text()
    shutil.rmtree(stage.root / ".venv" / "lib")
    file.write_text(text)
    code, said = stage.run("pypm sync")
    assert code == 0 and "made anew" in said


@pytest.mark.slow
def test_projects_from_folders_have_no_recipe(tmp_path: Path) -> None:
    with Stage(tmp_path / "stage") as stage:
        wheels = stage.server.folder
        assert wheels is not None
        make_wheel(wheels, "acme", "1.0")
        built = make_wheel(stage.root / "dist", "own", "1.0")
        manifest = (
            f'[project]\nname = "p"\nversion = "1"\ndependencies = ["acme", "own @ {built.as_uri()}"]\n'
        )
        (stage.root / "pyproject.toml").write_text(manifest)
        code, said = stage.run("pypm sync")
        assert code == 0, said
        assert not list(stage.folder.rglob("recipes"))


@pytest.mark.slow
def test_prune_drops_recipes_of_trees_that_are_gone(stage: Stage) -> None:
    draw(stage)
    assert recipes(stage) and blueprints(stage)
    stage.run("pypm cache prune")
    assert recipes(stage) and blueprints(stage)
    shutil.rmtree(stage.root / ".venv")
    stage.run("pypm cache prune")
    assert not recipes(stage) and not blueprints(stage)
    code, said = stage.run("pypm sync")
    assert code == 0 and "3 installed" in said
    assert json.loads(recipes(stage)[0].read_text())["members"] == 1
