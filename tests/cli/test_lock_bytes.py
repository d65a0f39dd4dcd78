"""The same manifests give the same bytes: members in any order, any cache, any speed of answers."""

from __future__ import annotations

import random
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.transcripts import Stage, run
from kit.wheels import make_wheel

MEMBERS = ("alpha", "beta", "gamma", "delta")

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """An index whose packages depend on each other across platforms, so that there is something to decide."""
    dice = random.Random(7)
    with Stage(tmp_path / "stage") as made:
        folder = made.server.folder
        assert folder is not None
        for number in range(20):
            for version in ("1.0", "1.5", "2.0"):
                later = dice.sample(range(number + 1, number + 8), 2)
                requires = [f"p{n}>={dice.choice(['1.0', '1.5'])}" for n in later if n < 20]
                if number == 3:
                    requires.append("p10<2; sys_platform == 'win32'")
                    requires.append("p10>=2; sys_platform != 'win32'")
                make_wheel(folder, f"p{number}", version, requires=requires)
        # Each run starts anew, with a hash seed of its own.
        made.environ["PYTHONHASHSEED"] = "random"
        yield made


def write_workspace(root: Path, order: tuple[str, ...]) -> None:
    patterns = ", ".join(f'"packages/{name}"' for name in order)
    root.mkdir(parents=True, exist_ok=True)
    (root / "pypm-workspace.toml").write_text(f'[workspace]\nname = "w"\nmembers = [{patterns}]\n')
    for name in order:
        number = MEMBERS.index(name)
        asks = [f'"p{n}"' for n in (number, number + 4, number + 9)]
        if name != "alpha":
            asks.append('"alpha"')
        manifest = root / "packages" / name / "pyproject.toml"
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text(
            f'[project]\nname = "{name}"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
            f"dependencies = [{', '.join(asks)}]\n"
        )


def locked(stage: Stage, root: Path, *arguments: str) -> bytes:
    done = run(["pypm", "lock", *arguments], root, stage.environ)
    assert done.returncode == 0, done.stdout
    return (root / "pypm.lock").read_bytes()


def test_order_of_members_and_speed_of_answers_change_no_byte(stage: Stage) -> None:
    write_workspace(stage.root, MEMBERS)
    cold = locked(stage, stage.root)
    assert cold.count(b"\n[[package]]\n") >= 12 and b"win32" in cold
    (stage.root / "pypm.lock").unlink()
    assert locked(stage, stage.root) == cold, "warm cache"
    assert locked(stage, stage.root, "--upgrade", "--refresh") == cold, "asked again"
    dice = random.Random(3)
    for number in range(2):
        order = tuple(dice.sample(MEMBERS, len(MEMBERS)))
        root = stage.folder / f"permuted{number}"
        write_workspace(root, order)
        assert locked(stage, root) == cold, f"members in the order {order}"
    shutil.rmtree(stage.home / "cache")
    stage.server.latency = 0.03
    stage.server.fail("/simple/p1?[02468]/", "status", times=3, status=503)
    (stage.root / "pypm.lock").unlink()
    assert locked(stage, stage.root) == cold, "cold cache, slow index that fails at times"


def test_pages_as_html_without_metadata_files_give_the_same_choice(stage: Stage) -> None:
    """Sizes and upload times are not in HTML: all else is the same, and a lock that has them keeps them."""
    write_workspace(stage.root, MEMBERS)
    first = locked(stage, stage.root)
    shutil.rmtree(stage.home / "cache")
    stage.server.format, stage.server.metadata_flags, stage.server.metadata_files = "html", False, False
    assert locked(stage, stage.root, "--upgrade") == first
    # A first lock behind such a mirror lacks them, and nothing else; an index that gives them adds them.
    shutil.rmtree(stage.home / "cache")
    (stage.root / "pypm.lock").unlink()
    plain = locked(stage, stage.root)
    assert plain == re.sub(rb', uploaded = "[^"]*"|, size = [0-9]+', b"", first)
    shutil.rmtree(stage.home / "cache")
    stage.server.format, stage.server.metadata_flags, stage.server.metadata_files = "json", True, True
    assert locked(stage, stage.root, "--upgrade") == first


def test_an_index_without_digests_gives_the_bytes_of_one_with(stage: Stage) -> None:
    root = stage.root
    write_workspace(root, MEMBERS)
    stage.server.hashes = False
    without = locked(stage, root)
    assert b'sha256 = ""' not in without and without.count(b"sha256 = ") > 5
    (root / "pypm.lock").unlink()
    stage.server.hashes = True
    shutil.rmtree(stage.environ["PYPM_CACHE_DIR"])
    assert locked(stage, root) == without


TABLES = (
    '[project.scripts]\n{name}-{dice} = "{name}:main"\n',
    '[project.urls]\nHome = "https://example.test/{dice}"\n',
    "[tool.ruff]\nline-length = {dice}\n",
    '[tool.pypm.tasks.t{dice}]\ncommand = "echo {dice}"\n',
    '[tool.other]\nvalues = [{dice}, "p0>=9", {{ dependencies = ["p1"] }}]\n',
)


def rewritten(asks: list[str], name: str, dice: random.Random) -> str:
    """The manifest of a member that asks for the same, with everything else as chance will have it."""
    spellings = [dice.choice([ask, ask.upper(), f"{ask} ", f" {ask}"]) for ask in asks]
    dice.shuffle(spellings)
    rows = "".join(f'  "{ask}",{dice.choice(["", "  # why", chr(10)])}\n' for ask in spellings)
    lines = [
        f'name = "{dice.choice([name, name.upper()])}"',
        'version = "1.0"',
        'requires-python = ">=3.11"',
        f'description = "words {dice.random()}"',
        f'keywords = ["k{dice.random()}"]',
        f'authors = [{{ name = "A{dice.randrange(9)}" }}]',
        f"dependencies = [ # {dice.random()}\n{rows}]",
    ]
    dice.shuffle(lines)
    tables = dice.sample(TABLES, dice.randrange(len(TABLES)))
    more = "\n".join(table.format(name=name, dice=dice.randrange(1, 99)) for table in tables)
    text = f"# {dice.random()}\n[project]\n" + "\n".join(lines) + f"\n\n{more}"
    return text.replace("\n", "\r\n") if dice.random() < 0.2 else text


def test_an_unrelated_edit_changes_no_line(stage: Stage) -> None:
    write_workspace(stage.root, MEMBERS)
    first = locked(stage, stage.root)
    written = (stage.root / "pypm.lock").stat().st_mtime_ns
    dice = random.Random(17)
    stage.server.forget()
    for number in range(15):
        for name in dice.sample(MEMBERS, 2):
            manifest = stage.root / "packages" / name / "pyproject.toml"
            asks = tomllib.loads(manifest.read_text())["project"]["dependencies"]
            text = rewritten([ask.strip().lower() for ask in asks], name, dice)
            manifest.write_text(text, newline="")
        done = run(["pypm", "lock", "--check"], stage.root, stage.environ)
        assert done.returncode == 0, f"edit {number}: {done.stdout}"
        assert locked(stage, stage.root) == first, f"edit {number}"
    assert (stage.root / "pypm.lock").stat().st_mtime_ns == written, "the file is not even touched"
    assert stage.server.requests == []
    # The same manifests without the lock: what does not count does not count for the first lock, either.
    (stage.root / "pypm.lock").unlink()
    assert locked(stage, stage.root) == first


def test_what_is_added_and_taken_away_again_leaves_no_trace(stage: Stage) -> None:
    write_workspace(stage.root, MEMBERS)
    first = locked(stage, stage.root)
    dice = random.Random(23)
    changed = 0
    for number in range(8):
        manifest = stage.root / "packages" / dice.choice(MEMBERS) / "pyproject.toml"
        before = manifest.read_text()
        row = dice.choice(["p{}", "p{}; sys_platform == 'win32'", "p{}>=1"]).format(dice.randrange(20))
        manifest.write_text(before.replace("dependencies = [", f'dependencies = ["{row}", '))
        changed += locked(stage, stage.root) != first
        manifest.write_text(before)
        assert locked(stage, stage.root) == first, f"{number}: {row}"
    assert changed >= 6, "but for a row that was there already"
