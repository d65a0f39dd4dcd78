from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kit.builds import this_interpreter
from pypm_env.build.environment import BuildEnvironment, LaidOut, lay_out

pytestmark = pytest.mark.skipif(os.name == "nt", reason="programs are called as on POSIX")


def site(folder: Path, name: str, files: dict[str, str]) -> Path:
    """A store tree with *files* (relative to the tree); its ``site``."""
    tree = folder / name
    (tree / "site").mkdir(parents=True)
    for path, text in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    return tree / "site"


def laid_out(tmp_path: Path, *sites: Path, where: str = "environment") -> LaidOut:
    return lay_out(BuildEnvironment(this_interpreter(), sites, "x"), tmp_path / where)


def run(environment: LaidOut, code: str) -> str:
    done = subprocess.run([environment.python, "-c", code], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_is_there_and_nothing_else(tmp_path: Path) -> None:
    one = site(tmp_path, "one", {"site/one.py": "X = 1", "site/space/a.py": ""})
    two = site(tmp_path, "two (ü)", {"site/two.py": "import one", "site/space/b.py": ""})
    environment = laid_out(tmp_path, one, two)
    assert run(environment, "import two, space.a, space.b; print(two.one.X)") == "1"
    assert (
        run(environment, "import importlib.util as u; print(u.find_spec('pytest'), u.find_spec('pip'))")
        == "None None"
    )


def test_pth_files_of_a_tree_are_obeyed(tmp_path: Path) -> None:
    tree = site(
        tmp_path,
        "one",
        {"site/x.pth": "import marked\ninner\n", "site/marked.py": "", "site/inner/deep.py": ""},
    )
    assert run(laid_out(tmp_path, tree), "import sys, deep; print('marked' in sys.modules)") == "True"


@pytest.mark.parametrize("where", ["environment", "a folder with 'spaces'", "long" * 40])
def test_programs(tmp_path: Path, where: str) -> None:
    tree = site(
        tmp_path,
        "one",
        {
            "site/tool.py": "import sys\nclass Main:\n"
            "    @staticmethod\n    def run(): print('ran', sys.argv[1:]); return 3\n",
            "site/tool-1.dist-info/entry_points.txt": "[console_scripts]\n"
            "my-tool = tool:Main.run [extra]\npython = tool:x\nbad/name = tool:x\n[other]\nno = tool:x\n",
            "scripts/script": "#!python\nimport tool; print('script')\n",
            "scripts/shell": "#!/bin/sh\necho shell\n",
        },
    )
    environment = laid_out(tmp_path, tree, where=where)
    done = subprocess.run([environment.scripts / "my-tool", "a b"], capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("ran ['a b']", 3), done.stderr
    for name in ("script", "shell"):
        assert subprocess.check_output([environment.scripts / name], text=True).strip() == name
    assert not (environment.scripts / "no").exists() and not (environment.scripts / "bad").exists()
    assert run(environment, "print('python is python')") == "python is python"


def test_headers_and_data(tmp_path: Path) -> None:
    tree = site(
        tmp_path, "one",
        {"site/green-1.dist-info/METADATA": "", "headers/green.h": "int x;", "data/share/green/f": "data"},
    )  # fmt: skip
    environment = laid_out(tmp_path, tree)
    include = environment.folder / this_interpreter().layout.include
    assert (include / "green" / "green.h").read_text() == "int x;"
    assert (environment.folder / "share/green/f").read_text() == "data"


def test_a_regular_package_of_several_trees_is_whole(tmp_path: Path) -> None:
    one = site(
        tmp_path, "one", {"site/pkg/__init__.py": "WHO = 'one'", "site/pkg/a.py": "", "site/pkg/sub/x.py": ""}
    )
    two = site(
        tmp_path, "two", {"site/pkg/__init__.py": "WHO = 'two'", "site/pkg/b.py": "", "site/pkg/sub/y.py": ""}
    )
    code = "import pkg, pkg.a, pkg.b, pkg.sub.x, pkg.sub.y; print(pkg.WHO)"
    assert run(laid_out(tmp_path, one, two), code) == "one"


def test_nothing_is_written_into_trees(tmp_path: Path) -> None:
    one = site(tmp_path, "one", {"site/pkg/__init__.py": "", "scripts/s": "#!python\n"})
    two = site(tmp_path, "two", {"site/pkg/b.py": ""})
    before = sorted(p for p in tmp_path.rglob("*"))
    laid_out(tmp_path, one, two)
    assert [p for p in sorted(tmp_path.rglob("*")) if "environment" not in p.parts] == before
