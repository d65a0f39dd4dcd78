"""Locks merged by git, with pypm as the merge driver and without: what comes out is the lock of the merged
manifests, with the versions of both sides kept."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.transcripts import Stage, run
from kit.wheels import make_wheel
from pypm.cli import main
from pypm.ops.locking import more_settings, request_of, resolved
from pypm.ops.old_lock import of_sides
from pypm.ops.opening import open_workspace
from pypm.ops.toolbox import open_tools
from pypm.ops.world import World
from pypm_model.freshness import settings_of
from pypm_model.lock_text import write
from pypm_model.records import replace

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
]

MEMBERS = 100
PACKAGES = 40
SEEDS = (1000, 1002, 1004, 1007, 1014)
"""Of branches that differ enough for merges of every kind: conflicts, and texts that are clean but wrong."""
LOOKS = (
    "lock --check",
    "lock --diff",
    "lock --diff --against HEAD",
    "lock --explain p7",
    "tree",
    "why p9",
    "export",
    "export --frozen --format requirements.txt",
    "outdated",
    "sync --dry-run",
    "sync --frozen --dry-run",
    "ci --dry-run",
    "ls",
    "graph",
    "dedupe --dry-run",
)
"""Commands that may refuse what a merge left, but not fall over it."""


class Checkout:
    """A workspace in a git repository, and the edits people make."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.root = stage.root
        self.git("init", "-q", "-b", "main", ".")
        for key, value in (("user.name", "tester"), ("user.email", "tester@example.test"), ("gc.auto", "0")):
            self.git("config", key, value)
        (self.root / ".gitignore").write_text(".venv\n")

    def git(self, *arguments: str, may_fail: bool = False) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, env=self.stage.environ, capture_output=True, text=True
        )
        assert may_fail or done.returncode == 0, f"git {arguments}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def pypm(self, words: str, *, code: int | None = 0) -> str:
        done = run(["pypm", *words.split()], self.root, self.stage.environ)
        assert code is None or done.returncode == code, f"pypm {words}: {done.returncode}\n{done.stdout}"
        return done.stdout

    @property
    def lock(self) -> str:
        return (self.root / "pypm.lock").read_text()

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def drive(self, *, on: bool) -> None:
        """Turns the merge driver on or off."""
        if on:
            command = f"{sys.executable} -m pypm lock --merge-driver %O %A %B %P"
            self.git("config", "merge.pypm-lock.driver", command)
        attributes = self.root / ".git" / "info" / "attributes"
        attributes.parent.mkdir(exist_ok=True)
        attributes.write_text("pypm.lock merge=pypm-lock\n" if on else "")

    def manifest(self, name: str) -> Path:
        return self.root / "packages" / name / "pyproject.toml"

    def write(self, name: str, asks: list[str], *, version: str = "1.0", note: str = "") -> None:
        file = self.manifest(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = "".join(f'    "{ask}",\n' for ask in asks)
        file.write_text(
            f'[project]\nname = "{name}"\nversion = "{version}"\ndescription = "{note}"\n'
            f'requires-python = ">=3.11"\n\n# what it needs\ndependencies = [\n{rows}]\n'
        )

    def asks(self, name: str) -> list[str]:
        return re.findall(r'^    "(.*)",$', self.manifest(name).read_text(), re.MULTILINE)

    def members(self) -> list[str]:
        return sorted(path.parent.name for path in self.root.glob("packages/*/pyproject.toml"))

    def edit(self, dice: random.Random) -> None:
        """One thing that somebody may do to a workspace."""
        name = dice.choice(self.members()[:: MEMBERS // 15])
        asks = self.asks(name)
        own = [ask for ask in asks if ask.startswith("p")]
        package = f"p{dice.randrange(PACKAGES)}"
        match dice.randrange(9):
            case 0 | 1:
                bound = dice.choice(["", "", ">=1.5", "<2", "<3; sys_platform == 'win32'"])
                asks = [ask for ask in asks if re.split(r"[<>;]", ask)[0] != package]
                self.write(name, sorted([*asks, package + bound]))
            case 2 if own:
                asks.remove(dice.choice(own))
                self.write(name, asks)
            case 3 if own:
                asks[asks.index(dice.choice(own))] = f"{package}{dice.choice(['>=2', '<2', ''])}"
                self.write(name, sorted(set(asks)))
            case 4 | 8:
                names = " ".join(f"--upgrade-package {self.locked(dice)}" for _ in range(3))
                self.pypm(f"lock {names}", code=None)
            case 5:
                self.write(f"n{dice.randrange(1000)}", [package, name])
            case 6 if not any(name in self.asks(other) for other in self.members()):
                shutil.rmtree(self.manifest(name).parent)
            case _:
                self.write(name, asks, version=f"1.{dice.randrange(9)}", note=f"words {dice.random()}")

    def locked(self, dice: random.Random) -> str:
        return dice.choice(sorted(set(re.findall(r'^name = "(p\d+)"$', self.lock, re.MULTILINE))))

    def branch(self, name: str, dice: random.Random) -> str:
        """A branch with some edits that lock; the lock's text."""
        self.git("checkout", "-q", "-f", "-B", name, "main")
        while True:
            for _ in range(dice.randint(2, 7)):
                self.edit(dice)
            if "conflict" not in self.pypm("lock", code=None):
                break
            self.git("reset", "-q", "--hard")
            self.git("clean", "-qfd")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", name)
        return self.lock

    def merge(self) -> str:
        """Merges theirs into ours; of a manifest that both sides changed in one place ours is taken."""
        self.git("reset", "-q", "--hard")
        self.git("clean", "-qfd")
        self.git("checkout", "-q", "--detach", "ours")
        said = self.git("merge", "-q", "-m", "merged", "theirs", may_fail=True)
        status = self.git("status", "--porcelain")
        for code, path in re.findall(r"^(..) (packages/.*)$", status, re.MULTILINE):
            if code in ("DU", "UD", "DD"):
                self.git("rm", "-qf", "--ignore-unmatch", path)
            elif code in ("UU", "AA", "AU", "UA"):
                self.git("checkout", "--ours", "--", path)
                self.git("add", path)
        return said

    def expected(self, ours: str, theirs: str) -> str | None:
        """The lock of the manifests on disk with the versions of both sides kept; None if they have none."""
        world = World(self.root, self.stage.environ)
        workspace = open_workspace(world)
        old = of_sides(ours, theirs)
        with open_tools(world, workspace) as tools:
            plain = request_of(tools, workspace, old.first)
            request = replace(plain, preferences=old.pins, preferred_splits=old.splits)
            settings = settings_of(plain, more_settings(workspace))
            return write(resolved(tools, workspace, request, settings, old))


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    """A workspace of many members, locked before the index got newer versions."""
    dice = random.Random(5)
    with Stage(tmp_path / "stage") as stage:
        folder = stage.server.folder
        assert folder is not None

        def releases(*versions: str) -> None:
            for version in versions:
                for number in range(PACKAGES):
                    later = [n for n in dice.sample(range(number + 1, number + 9), 2) if n < PACKAGES]
                    bounds = [dice.choice(["", ">=1.5", "<3", "<2.5", ">=1"]) for _ in later]
                    requires = [f"p{n}{bound}" for n, bound in zip(later, bounds, strict=True)]
                    if number % 10 == 3 and later:
                        requires.append(f"p{later[0]}<2; sys_platform == 'win32'")
                    make_wheel(folder, f"p{number}", version, requires=requires)

        made = Checkout(stage)
        (made.root / "pypm-workspace.toml").write_text('[workspace]\nname = "w"\nmembers = ["packages/*"]\n')
        for number in range(MEMBERS):
            asks = [f"p{n}" for n in sorted(dice.sample(range(PACKAGES - 8), 3))]
            made.write(f"m{number:03}", [*asks, *([f"m{number - 1:03}"] if number % 4 else [])])
        releases("1.0", "1.5", "2.0")
        made.pypm("lock -q")
        made.commit("base")
        releases("2.4", "3.0")
        shutil.rmtree(stage.home / "cache")
        made.pypm("lock -q")
        assert made.git("status", "--porcelain") == "", "newer versions alone change nothing"
        yield made


def test_random_merges_heal(checkout: Checkout) -> None:
    met = set()
    for seed in SEEDS:
        dice = random.Random(seed)
        ours, theirs = checkout.branch("ours", dice), checkout.branch("theirs", dice)
        for on in (False, True):
            checkout.drive(on=on)
            checkout.merge()
            at = f"seed {seed}, {'with' if on else 'without'} the driver"
            left, wanted = checkout.lock, checkout.expected(ours, theirs)
            kind = "marked" if "<<<<<<<" in left else "right" if left == wanted else "wrong"
            met.add(("driver" if on else "lines", kind))
            for look in dice.sample(LOOKS, 2):
                said = checkout.pypm(look, code=None)
                assert "internal" not in said and "Traceback" not in said, f"{at}: {look}\n{said}"
                if checkout.lock != left:  # some lock first
                    (checkout.root / "pypm.lock").write_text(left)
            checkout.pypm("lock")
            checkout.pypm("lock --check")
            assert checkout.lock == wanted, at
            checkout.pypm("lock --offline")
            assert checkout.lock == wanted, f"{at}: locked again"
    lines = {("lines", "marked"), ("lines", "right"), ("lines", "wrong")}
    assert met >= {*lines, ("driver", "marked"), ("driver", "right")}, "the seeds show every kind of merge"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Checkout]:
    """A small workspace in git, one of whose packages requires an old version of another."""
    with Stage(tmp_path / "stage") as stage:
        folder = stage.server.folder
        assert folder is not None
        for version in ("1.0", "2.0"):
            make_wheel(folder, "low", version)
        make_wheel(folder, "needs-old", "1.0", requires=["low<2"])
        make_wheel(folder, "between", "1.0")
        make_wheel(folder, "other", "1.0")
        made = Checkout(stage)
        (made.root / "pypm-workspace.toml").write_text('[workspace]\nname = "w"\nmembers = ["packages/*"]\n')
        made.write("a", ["between", "low<2"])
        made.write("b", ["between"])
        made.pypm("lock -q")
        made.commit("base")
        yield made


def sides(
    made: Checkout, ours: dict[str, list[str]], theirs: dict[str, list[str]], *, upgrade: bool = True
) -> tuple[str, str]:
    """Two branches in which members ask for something else, merged; their locks."""
    found = []
    for branch, asks in (("ours", ours), ("theirs", theirs)):
        made.git("checkout", "-q", "-B", branch, "main")
        for name, rows in asks.items():
            made.write(name, rows)
        made.pypm("lock -q --upgrade" if upgrade else "lock -q")
        made.commit(branch)
        found.append(made.lock)
    made.merge()
    return found[0], found[1]


def test_a_clean_text_whose_versions_do_not_fit_each_other_is_locked_again(pair: Checkout) -> None:
    """Ours lifts a bound, theirs adds a package that needs it: no line tells, no edge is astray."""
    ours, theirs = sides(pair, {"a": ["between", "low"]}, {"b": ["between", "needs-old"]})
    assert "<<<<<<<" not in pair.lock
    assert 'name = "low"\nversion = "2.0"' in pair.lock and 'name = "needs-old"' in pair.lock
    wanted = pair.expected(ours, theirs)
    assert "low 2.0 -> 1.0" in pair.pypm("lock")
    assert pair.lock == wanted
    pair.git("commit", "-q", "-a", "-m", "healed")
    assert "up to date" in pair.pypm("lock")


@pytest.mark.parametrize(
    "how",
    [
        pytest.param("merge -q theirs; commit -q --allow-empty -m later", id="later"),
        pytest.param("merge -q --squash theirs; commit -q -m squashed", id="squash"),
        pytest.param("rebase -q theirs", id="rebase"),
        pytest.param("cherry-pick theirs", id="cherry-pick"),
        pytest.param("merge -q theirs; checkout -q -b another", id="another-branch"),
    ],
)
def test_however_it_was_merged_it_is_looked_into_once(pair: Checkout, how: str) -> None:
    """git tells of a merge only right after it; of some, never."""
    sides(pair, {"a": ["between", "low"]}, {"b": ["between", "needs-old"]})
    pair.git("checkout", "-q", "ours")
    for words in how.split("; "):
        pair.git(*words.split())
    assert 'name = "low"\nversion = "2.0"' in pair.lock
    assert "is what the manifests give" in pair.pypm("lock --check"), "its text says nothing"
    said = pair.pypm("lock")
    assert "low 2.0 -> 1.0" in said
    assert 'name = "low"\nversion = "1.0"' in pair.lock
    pair.stage.server.forget()
    assert "up to date" in pair.pypm("lock --refresh")
    assert pair.stage.server.count("/simple/") == 0, "once"


@pytest.mark.parametrize("words", ["lock", "add -p a other", "sync", "exec -p a true", "ci"])
def test_members_that_a_sparse_checkout_leaves_out_are_not_taken_to_be_gone(
    pair: Checkout, words: str
) -> None:
    before = pair.lock
    pair.git("sparse-checkout", "set", "--cone", "packages/a")
    assert pair.members() == ["a"]
    manifest = pair.manifest("a").read_text()
    said = pair.pypm(words, code=1)
    assert "error[members-left-out]" in said and "packages/b" in said and "--frozen" in said
    assert pair.lock == before and pair.manifest("a").read_text() == manifest
    # One that is really gone is.
    for looks in ("lock --check", "lock --explain low"):
        assert "members-left-out" in pair.pypm(looks, code=1)
    pair.pypm("lock --check --frozen")
    pair.git("sparse-checkout", "disable")
    shutil.rmtree(pair.manifest("b").parent)
    assert "- b 1.0" in pair.pypm("lock")


def test_where_no_index_can_be_asked_a_lock_is_taken_as_it_is(pair: Checkout) -> None:
    sides(pair, {"a": ["between", "low"]}, {"b": ["between", "needs-old"]})
    pair.git("commit", "-q", "--allow-empty", "-m", "later")
    shutil.rmtree(pair.stage.home / "cache")
    assert "up to date" in pair.pypm("lock --offline")
    assert "low 2.0 -> 1.0" in pair.pypm("lock")


def test_the_merge_driver_makes_it_fit(pair: Checkout) -> None:
    pair.drive(on=True)
    ours, theirs = sides(pair, {"a": ["between", "low"]}, {"b": ["between", "needs-old"]})
    assert pair.lock == pair.expected(ours, theirs)
    assert 'name = "low"\nversion = "1.0"' in pair.lock
    pair.stage.server.forget()
    assert "up to date" in pair.pypm("lock --refresh")
    assert pair.stage.server.count("/simple/") == 0, "what the driver made is not resolved again"


def test_where_the_driver_cannot_be_started_both_sides_count(pair: Checkout) -> None:
    """git then leaves our lock as it was, without a mark in it."""
    pair.drive(on=True)
    pair.git("config", "merge.pypm-lock.driver", "no-such-command %O %A %B %P")
    ours, theirs = sides(pair, {"a": ["between"]}, {"b": ["between", "low"]}, upgrade=False)
    assert pair.lock == ours and 'version = "1.0"' in theirs
    pair.pypm("lock")
    assert pair.lock == pair.expected(ours, theirs)
    assert 'name = "low"\nversion = "1.0"' in pair.lock, "theirs has it so"


def test_the_merge_driver_needs_no_network_for_what_both_sides_know(pair: Checkout) -> None:
    pair.drive(on=True)
    pair.stage.environ["PYPM_OFFLINE"] = "1"
    ours, theirs = sides(pair, {"a": ["between"]}, {"b": ["between", "low"]})
    assert pair.lock == pair.expected(ours, theirs)


def test_a_lock_that_only_the_network_can_merge_is_left_as_a_conflict(pair: Checkout) -> None:
    """The cache of this machine has nothing: the locks alone do not prove that they fit each other."""
    pair.drive(on=True)
    ours, theirs = sides(pair, {"a": ["between", "low<2", "other"]}, {"b": ["between", "needs-old"]})
    shutil.rmtree(pair.stage.home / "cache")
    pair.stage.environ["PYPM_OFFLINE"] = "1"
    pair.git("reset", "-q", "--hard")
    assert "is left as a conflict" in pair.merge()
    assert "pypm.lock" in pair.git("diff", "--name-only", "--diff-filter=U")
    del pair.stage.environ["PYPM_OFFLINE"]
    pair.pypm("lock")
    assert pair.lock == pair.expected(ours, theirs)


def test_what_is_locked_amid_a_merge_is_no_product_of_it(pair: Checkout) -> None:
    """A version moved between the merge and its commit stays, although neither side had it."""
    sides(pair, {"a": ["between", "low"]}, {"b": ["between", "other"]}, upgrade=False)
    pair.git("reset", "-q", "--hard", "ours")
    pair.git("merge", "-q", "--no-commit", "theirs")
    assert "up to date" in pair.pypm("lock")
    assert "low 1.0 -> 2.0" in pair.pypm("lock --upgrade-package low")
    pair.write("a", ["between", "low", "other"])
    pair.pypm("lock")
    assert 'name = "low"\nversion = "2.0"' in pair.lock
    pair.commit("merged")
    pair.write("a", ["between", "low"])
    pair.pypm("lock")
    assert 'name = "low"\nversion = "2.0"' in pair.lock


@pytest.mark.parametrize("looks", ["lock --diff", "lock --dry-run", "add -p b other --dry-run", "outdated"])
def test_what_is_only_looked_at_after_a_merge_is_not_taken_to_be_locked(pair: Checkout, looks: str) -> None:
    """A version moved after the merge stays, although neither side had it."""
    sides(pair, {"a": ["between", "low"]}, {"b": ["between", "other"]}, upgrade=False)
    pair.git("reset", "-q", "--hard", "ours")
    pair.git("merge", "-q", "--no-commit", "theirs")
    pair.pypm("lock --upgrade-package low")
    pair.commit("merged")
    pair.write("b", ["between", "other", "low"])
    pair.pypm(looks, code=None)
    pair.pypm("lock")
    assert 'name = "low"\nversion = "2.0"' in pair.lock


def test_a_conflict_after_a_merge_is_no_product_of_it(pair: Checkout) -> None:
    """A merge was committed, a version moved since; markers that came later hold what counts."""
    sides(pair, {"a": ["between", "low"]}, {"b": ["between", "other"]}, upgrade=False)
    pair.git("reset", "-q", "--hard", "ours")
    pair.git("merge", "-q", "--no-ff", "theirs")
    pair.pypm("lock --upgrade-package low")
    moved = pair.lock
    assert 'name = "low"\nversion = "2.0"' in moved
    (pair.root / "pypm.lock").write_text(f"<<<<<<< ours\n{moved}=======\n{moved}>>>>>>> theirs\n")
    pair.pypm("lock")
    assert pair.lock == moved


def test_a_merged_lock_that_does_not_hold_together_is_refused(pair: Checkout) -> None:
    """Both take away one of the two that needed a package: its entry is left, and no line is in conflict."""
    pair.write("a", ["between", "low<2", "other"])
    pair.write("b", ["between", "other"])
    pair.pypm("lock -q")
    pair.commit("base of two")
    sides(pair, {"a": ["between", "low<2"]}, {"b": ["between"]}, upgrade=False)
    assert "<<<<<<<" not in pair.lock
    shutil.rmtree(pair.root / ".git")
    for words in ("lock --check", "ci", "sync --locked"):
        assert "other is locked as 1.0, and nothing needs it" in pair.pypm(words, code=None), words
    assert "- other 1.0" in pair.pypm("lock")
    pair.pypm("lock --check")


def test_a_conflict_that_cannot_be_asked_of_git_keeps_the_versions_in_its_text(pair: Checkout) -> None:
    """As when somebody committed the markers."""
    ours, theirs = sides(pair, {"a": ["between", "low"]}, {"a": ["between", "low>=1"]})
    marked = f"<<<<<<< ours\n{ours}||||||| base\n{ours}=======\n{theirs}>>>>>>> theirs\n"
    pair.git("reset", "-q", "--hard")
    (pair.root / "pypm.lock").write_text(marked)
    shutil.rmtree(pair.root / ".git")
    assert "lock-conflicted" in pair.pypm("ci", code=2)
    pair.pypm("lock")
    assert pair.lock == pair.expected(ours, theirs)


def test_a_rebase_asks_the_driver_for_each_commit(pair: Checkout) -> None:
    pair.drive(on=True)
    sides(pair, {"a": ["between", "low"]}, {"b": ["between", "needs-old"]})
    pair.git("checkout", "-q", "-f", "theirs")
    pair.git("rebase", "-q", "ours")
    assert 'name = "low"\nversion = "1.0"' in pair.lock
    pair.pypm("lock --check")
    kept = pair.lock
    pair.pypm("lock")
    assert pair.lock == kept


@pytest.mark.parametrize("seed", range(3))
def test_no_command_falls_over_a_damaged_lock(
    pair: Checkout, seed: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Entries gone, entries twice, edges to versions that are not there: an error that says so, or health."""
    pair.write("a", ["between", "low; sys_platform == 'win32'", "needs-old; sys_platform != 'win32'"])
    pair.pypm("lock -q --upgrade")
    whole = pair.lock
    for key in os.environ.keys() - pair.stage.environ.keys():
        monkeypatch.delenv(key)
    for key, value in pair.stage.environ.items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(pair.root)
    dice = random.Random(seed)
    for number in range(12):
        (pair.root / "pypm.lock").write_text(damaged(whole, dice))
        for words in (*dice.sample(LOOKS, 3), "lock --check", "lock"):
            verb, *rest = words.split()
            code = main.run(verb, rest)
            said = capsys.readouterr()
            assert code in (0, 1, 2) and "internal" not in said.err, f"{seed}.{number}: {words}\n{said.err}"
        assert pair.lock == whole, f"{seed}.{number}"


def damaged(text: str, dice: random.Random) -> str:
    head, *entries = text.split("\n[[package]]\n")
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(entries))
        match dice.randrange(5):
            case 0:
                del entries[at]
            case 1:
                entries.insert(at, re.sub(r'^version = ".*"', 'version = "0.9"', entries[at], flags=re.M))
            case 2:
                entries.insert(at, entries[at])
            case 3:
                entries[at] = re.sub(r'^    "between",\n', "", entries[at], count=1, flags=re.M)
            case _:
                entries[at] = re.sub(r'^    "(.*)",$', r'    { name = "\1", version = "7" },', entries[at])
        if not entries:
            break
    return "\n[[package]]\n".join([head, *entries])
