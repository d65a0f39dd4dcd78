"""``pypm pypylock`` as processes: bundles that are the same everywhere, and run where nothing else is."""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from kit.tars import unpack
from kit.wheels import make_project, make_sdist, make_wheel

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="interpreters are moved on Linux"),
    pytest.mark.slow,
]

PYPM = [sys.executable, "-c", "from pypm._entry import program; program()"]
HELLO = """
import json, sys
def main():
    import acme, built
    print(json.dumps({"argv": sys.argv[1:], "prefix": sys.prefix, "path": sys.path, "acme": acme.__file__}))
    return 7
"""
HOSTILE = {
    "PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere", "PYTHONPLATLIBDIR": "x", "PYTHONUSERBASE": "/nowhere",
    "LD_LIBRARY_PATH": "/nowhere",
}  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """A workspace with members a <- b, and pypm run in it."""

    root: Path
    environ: dict[str, str]

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PYPM, *words], cwd=self.root, env={**self.environ, **environ}, capture_output=True, text=True
        )

    def bundle(self, *words: str, **environ: str) -> Path:
        done = self.run("pypylock", *words, **environ)
        assert done.returncode == 0, done.stderr
        return self.root / "dist/venv.tar.gz"


def stage_in(folder: Path) -> Stage:
    root, home = folder / "ws", folder / "home"
    root.mkdir(parents=True)
    home.mkdir()
    wheels = root / "wheels"
    make_wheel(wheels, "acme", "1.0", entry_points={"console_scripts": {"acme": "acme:main"}})
    make_wheel(wheels, "other", "1.0")
    make_sdist(wheels, "built", "1.0", backend="in-tree")
    (root / "pypm-workspace.toml").write_text(
        '[workspace]\nmembers = ["packages/*"]\n'
        '[resolution]\nfind-links = ["wheels"]\nbuild = { allow = ["built"] }\n'
    )
    make_project(root / "packages/a", "a", "1.0", requires=["acme", "built"], backend="in-tree")
    files = {"src/b/__init__.py": HELLO}
    make_project(
        root / "packages/b",
        "b",
        "1.0",
        requires=["a"],
        files=files,
        scripts={"hello": "b:main"},
        backend="in-tree",
    )
    with (root / "packages/b/pyproject.toml").open("a") as file:
        file.write('[dependency-groups]\ndev = ["other"]\n')
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYPM_", "PYP_"))}
    environ.pop("SOURCE_DATE_EPOCH", None)
    environ |= {"HOME": str(home), "PYPM_CACHE_DIR": str(folder / "cache"), "PYPM_OFFLINE": "1"}
    environ |= {"PYPM_BACKGROUND_COMPILE": "0"}
    return Stage(root, environ)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return stage_in(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def archive(stage: Stage) -> Path:
    return stage.bundle()


@pytest.fixture(scope="module")
def opened(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle unpacked, to be looked at."""
    folder = tmp_path_factory.mktemp("opened")
    with tarfile.open(archive) as tar:
        unpack(tar, folder)
    return folder


@pytest.fixture
def unpacked(archive: Path, tmp_path: Path) -> Path:
    with tarfile.open(archive) as tar:
        unpack(tar, tmp_path / "un packed")
    return tmp_path / "un packed"


def asked(*words: str | Path, **environ: str) -> str:
    done = subprocess.run(words, env=environ, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- what is in it -------------------------------------------------------------------------------


def test_it_runs_where_it_lies_and_listens_to_nobody(unpacked: Path) -> None:
    done = subprocess.run([unpacked / "bin/hello", "x y", ""], env=HOSTILE, capture_output=True, text=True)
    assert done.returncode == 7, done.stderr
    said = json.loads(done.stdout)
    assert (said["argv"], said["prefix"]) == (["x y", ""], str(unpacked))
    assert all(path.startswith(f"{unpacked}/") for path in said["path"])
    code = "import site, ssl, sqlite3, ctypes, lzma, sys; print(site.ENABLE_USER_SITE, sys.executable)"
    for name in ("python", "python3"):
        assert asked(unpacked / "bin" / name, "-c", code, **HOSTILE) == f"False {unpacked}/bin/{name}"
    found = '{l.split(None, 5)[-1].strip() for l in open("/proc/self/maps") if ".so" in l and "/lib" in l}'
    maps = f'print(*{found}, sep="\\n")'
    for path in asked(unpacked / "bin/python", "-c", f"import ssl; {maps}").splitlines():
        name = path.rpartition("/")[2]
        assert "un packed" in path or name.startswith(("ld-linux", "libc.", "libm.", "libdl.")), path


def test_the_standard_library_is_whole(opened: Path) -> None:
    code = (
        "import sys, importlib, sysconfig\n"
        "skip = {'antigravity', 'this', 'idlelib', 'tkinter', 'turtle', 'turtledemo', '_tkinter', 'msvcrt',"
        " 'winreg', 'winsound', '_msi', 'msilib', 'nt', 'ntpath', '_overlapped', '_winapi', '_scproxy'}\n"
        "bad = []\n"
        "for name in sorted(sys.stdlib_module_names - skip):\n"
        "    try: importlib.import_module(name)\n"
        "    except ImportError as error: bad.append((name, str(error)))\n"
        "print(bad, sysconfig.get_config_var('LIBDIR'))\n"
    )
    base = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    there = asked(opened / "bin/python", "-W", "ignore", "-c", code)
    assert there.rpartition("] ")[0] == base.stdout.strip().rpartition("] ")[0]
    assert there.endswith(f"{opened}/lib") or sys.base_prefix == "/usr"


def test_a_bill_of_materials_is_inside_and_verified(stage: Stage, opened: Path) -> None:
    text = (opened / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    found = {each["name"]: each for each in bill["components"]}
    assert set(found) == {"a", "acme", "b", "built", "cpython"}
    (digest,) = {each["content"] for each in found["acme"]["hashes"]}
    manifest = json.loads((opened / "pypm-bundle.json").read_text())
    assert digest in {wheel.get("sha256") for wheel in manifest["wheels"]}
    assert "hashes" not in found["a"], "what is built may have other bytes on the next day"
    assert {each["aggregate"] for each in bill["compositions"]} == {"complete"}
    assert manifest["sbom"] == "sbom.cdx.json" and "sbom.cdx.json" in manifest["files"]
    assert str(stage.root) not in text


def test_groups_are_left_out_unless_asked_for(stage: Stage, opened: Path, tmp_path: Path) -> None:
    site = next(opened.glob("lib/python3.*/*-packages"))
    assert not (site / "other").exists() and (site / "b/__init__.py").exists()
    assert not list(site.glob("*.dist-info/direct_url.json"))
    stage.bundle("-p", "b", "--group", "dev", "--no-interpreter", "-o", str(tmp_path / "dev.zip"))
    with zipfile.ZipFile(tmp_path / "dev.zip") as found:
        assert any(name.endswith("/other/__init__.py") for name in found.namelist())
        assert f"{stage.root}" not in "".join(found.namelist())


def test_one_member_alone(stage: Stage, tmp_path: Path) -> None:
    target = tmp_path / "a.tar.zst"
    done = stage.run("pypylock", "--json", "-p", "a", "-o", str(target))
    report = json.loads(done.stdout)
    assert (report["members"], report["packages"], report["file"]) == (["a"], 3, str(target))
    assert stage.run("bundle", "verify", str(target)).returncode == 0


def test_no_path_of_this_machine_is_told(stage: Stage, opened: Path) -> None:
    told = [str(stage.root), stage.environ["PYPM_CACHE_DIR"], stage.environ["HOME"]]
    for path in opened.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not [place for place in told if place.encode() in data], path


# --- the same everywhere -------------------------------------------------------------------------


def test_bit_for_bit_the_same(archive: Path, tmp_path: Path) -> None:
    other = stage_in(tmp_path / "quite another place")
    other = replace(other, root=other.root.rename(other.root.with_name("with another name")))
    _another_environment(other)
    for path in other.root.rglob("*"):
        os.utime(path, (1, 1_000_000_000), follow_symlinks=False)
    other = replace(
        other, environ={**other.environ, "PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    )
    words = [*PYPM, "pypylock"]
    if hasattr(os, "sched_getaffinity"):
        words = (
            ["taskset", "-c", str(min(os.sched_getaffinity(0))), *words] if shutil.which("taskset") else words
        )
    done = subprocess.run(
        words, cwd=other.root, env=other.environ, capture_output=True, text=True, umask=0o077
    )
    assert done.returncode == 0, done.stderr
    made = other.root / "dist/venv.tar.gz"
    assert made.read_bytes() == archive.read_bytes()
    assert "warning[another-python]" in done.stderr
    assert oct(made.stat().st_mode & 0o777) == "0o600"


def _another_environment(stage: Stage) -> None:
    """A ``.venv`` that was made with another Python than the one that is found first."""
    assert stage.run("sync", "-q").returncode == 0
    another = stage.root.with_name("another")
    another.mkdir()
    python = another / "python3"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(os.path.realpath(sys.executable))} "$@"\n')
    python.chmod(0o755)
    config = stage.root / ".venv/pyvenv.cfg"
    lines = [line for line in config.read_text().splitlines() if not line.startswith("home")]
    config.write_text("\n".join([f"home = {another}", *lines]) + "\n")
    link = stage.root / ".venv/bin/python"
    link.unlink()
    link.symlink_to(python)


def test_the_date_is_the_users(stage: Stage, tmp_path: Path) -> None:
    target = tmp_path / "x.tar.gz"
    stage.bundle("-o", str(target), "--compress-level", "1", SOURCE_DATE_EPOCH="1700000000")
    with tarfile.open(target) as tar:
        assert {info.mtime for info in tar} == {1_700_000_000}
    stage.bundle("-o", str(target), "--no-interpreter", SOURCE_DATE_EPOCH="0")
    with tarfile.open(target) as tar:
        assert {info.mtime for info in tar} == {315_532_800}
    done = stage.run("pypylock", SOURCE_DATE_EPOCH="yesterday")
    assert done.returncode == 2 and "error[bad-epoch]" in done.stderr


# --- verified and installed ----------------------------------------------------------------------


def test_one_changed_byte_is_named(stage: Stage, archive: Path, unpacked: Path, tmp_path: Path) -> None:
    assert stage.run("bundle", "verify", str(archive)).returncode == 0
    assert subprocess.run([unpacked / "verify.sh"], capture_output=True, cwd="/").returncode == 0
    module = next(unpacked.glob("lib/python3.*/*-packages/acme/__init__.py"))
    data = bytearray(module.read_bytes())
    data[3] ^= 1
    module.write_bytes(data)
    name = module.relative_to(unpacked).as_posix()
    inside = subprocess.run([unpacked / "verify.sh"], capture_output=True, text=True, cwd="/")
    assert (inside.returncode, inside.stderr) == (1, f"error[bundle-damaged]: {name} has another content\n")
    outside = stage.run("bundle", "verify", str(unpacked))
    assert outside.returncode == 1 and f"{name} has another content" in outside.stderr
    refused = subprocess.run([unpacked / "install.sh", tmp_path / "new"], capture_output=True, text=True)
    assert refused.returncode == 1 and name in refused.stderr and not (tmp_path / "new").exists()


def test_what_cannot_be_executed_any_more_is_named(stage: Stage, unpacked: Path, tmp_path: Path) -> None:
    (unpacked / "bin/hello").chmod(0o644)
    (unpacked / "pypm.lock").chmod(0o755)
    inside = subprocess.run([unpacked / "verify.sh"], capture_output=True, text=True, cwd="/")
    said = ("bin/hello is not executable", "pypm.lock is executable")
    assert (inside.returncode, inside.stderr) == (
        1,
        "".join(f"error[bundle-damaged]: {one}\n" for one in said),
    )
    outside = stage.run("bundle", "verify", str(unpacked))
    assert outside.returncode == 1 and all(one in outside.stderr for one in said)
    # Where nothing is verified, it is what the manifest says.
    words = [unpacked / "install.sh", "--no-verify", "--no-compile", tmp_path / "new"]
    assert subprocess.run(words, capture_output=True).returncode == 0
    modes = [bool((tmp_path / "new" / name).stat().st_mode & 0o111) for name in ("bin/hello", "pypm.lock")]
    assert modes == [True, False]


def test_installed_into_a_new_folder(unpacked: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(unpacked / "install.sh")
    done = subprocess.run(
        ["sh", link, "a/new folder"], cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    target = tmp_path / "a/new folder"
    shutil.rmtree(unpacked)
    assert subprocess.run([target / "bin/hello"], env=HOSTILE, capture_output=True).returncode == 7
    code = "import acme, json, os; print(os.path.exists(acme.__cached__), os.path.exists(json.__cached__))"
    assert asked(target / "bin/python", "-c", code) == "True True"
    again = subprocess.run([target / "install.sh", target], capture_output=True, text=True)
    assert again.returncode == 2 and "is there already" in again.stderr
    inside = subprocess.run([target / "install.sh", target / "in"], capture_output=True, text=True)
    assert inside.returncode == 2 and not (target / "in").exists()
    assert subprocess.run([target / "install.sh"], capture_output=True).returncode == 2
    assert subprocess.run([target / "verify.sh"], capture_output=True).returncode == 0
    assert sorted(os.listdir(tmp_path / "a")) == ["new folder"]


# --- without an interpreter ----------------------------------------------------------------------


def test_an_interpreter_of_the_machine(stage: Stage, tmp_path: Path) -> None:
    stage.bundle("--no-interpreter", "-o", str(tmp_path / "b.tar.gz"))
    with tarfile.open(tmp_path / "b.tar.gz") as tar:
        unpack(tar, tmp_path / "u")
    assert not list(tmp_path.glob("u/bin/python*")) and not list(tmp_path.glob("u/lib/*.so*"))
    python = {"PYTHON": sys.executable, "PATH": os.environ["PATH"]}
    words = [tmp_path / "u/install.sh", tmp_path / "new"]
    done = subprocess.run(words, env=python, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = subprocess.run([tmp_path / "new/bin/hello", "x"], capture_output=True, text=True)
    assert said.returncode == 7, said.stderr
    assert json.loads(said.stdout)["prefix"] == str(tmp_path / "new")
    assert stage.run("bundle", "verify", str(tmp_path / "new")).returncode == 0
    assert subprocess.run([tmp_path / "new/verify.sh"], env=python, capture_output=True).returncode == 0
    text = (tmp_path / "u/pypm-bundle.json").read_text()
    (tmp_path / "u/pypm-bundle.json").write_text(text.replace('"minor": "3.', '"minor": "9.'))
    done = subprocess.run([*words[:1], tmp_path / "other"], env=python, capture_output=True, text=True)
    assert done.returncode == 1 and "the bundle is for 9." in done.stderr
    assert not (tmp_path / "other").exists()
    for tool in ("install.sh", "verify.sh"):
        absent = python | {"PYTHON": "no such python"}
        done = subprocess.run([tmp_path / "u" / tool, "x"], env=absent, capture_output=True, text=True)
        assert done.returncode == 2 and done.stderr.startswith("error[no-python]: there is no no such python")


def test_where_nothing_can_be_installed(stage: Stage, tmp_path: Path) -> None:
    stage.bundle("--no-interpreter", "-o", str(tmp_path / "b.tar.gz"))
    with tarfile.open(tmp_path / "b.tar.gz") as tar:
        unpack(tar, tmp_path / "u")
    target = tmp_path / "b.tar.gz" / "new"
    words = [tmp_path / "u/install.sh", target]
    done = subprocess.run(words, env={"PYTHON": sys.executable}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, f"error[not-installed]: file exists: {target.parent}\n")


def test_only_wheels_for_other_installers(stage: Stage, tmp_path: Path) -> None:
    target = tmp_path / "w.zip"
    stage.bundle("--only-wheels", "-o", str(target))
    other = stage_in(tmp_path / "other")
    for path in other.root.rglob("*"):
        os.utime(path, (1, 1_000_000_000), follow_symlinks=False)
    other.bundle("--only-wheels", "-o", str(tmp_path / "again.zip"))
    assert (tmp_path / "again.zip").read_bytes() == target.read_bytes()
    with zipfile.ZipFile(target) as found:
        found.extractall(tmp_path / "wheels")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--find-links", tmp_path / "wheels"]
    for number, what in enumerate((["b"], ["-r", tmp_path / "wheels/requirements.txt"])):
        subprocess.run([*pip, "--target", tmp_path / f"t{number}", *what], check=True, capture_output=True)
        assert (tmp_path / f"t{number}/acme/__init__.py").exists()
        assert (tmp_path / f"t{number}/built/__init__.py").exists()


# --- where nothing else is -----------------------------------------------------------------------

JAIL = """
set -e
mount -t proc proc "$root/proc"
mount --bind "$root/app" "$root/app"
mount -o remount,ro,bind "$root/app"
exec chroot "$root" "$@"
"""


def test_memory_does_not_grow_with_what_is_packed(tmp_path: Path) -> None:
    stage = stage_in(tmp_path)
    block = random.Random(7).randbytes(1 << 20)
    large = {f"large/part{n}.bin": bytes([n]) + block * 48 for n in range(3)}
    make_wheel(stage.root / "wheels", "large", "1.0", files=large, compression=zipfile.ZIP_STORED)
    manifest = stage.root / "packages/a/pyproject.toml"
    manifest.write_text(manifest.read_text().replace('"acme"', '"acme", "large"'))
    script = (
        "import os; from pypm import _entry; ends = __import__(os.name); real = ends._exit\n"
        "def end(code):\n"
        "    (peak,) = [line for line in open('/proc/self/status') if line.startswith('VmHWM')]\n"
        "    print(peak.split()[1], flush=True); real(code)\n"
        "ends._exit = end; _entry.program()"
    )
    assert stage.run("lock", "-q").returncode == 0
    for name in ("all.tar.gz", "all.zip"):
        argv = [sys.executable, "-c", script, "pypylock", "-q", "--no-interpreter", "-o", name]
        done = subprocess.run(argv, cwd=stage.root, env=stage.environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        # An interpreter and pypm's modules take 40 MB.
        assert (stage.root / name).stat().st_size > 140 << 20 and int(done.stdout) < 100 << 10, name


def jail(root: Path) -> None:
    """A root with the C library, a shell, and nothing else."""
    listed = subprocess.run(["ldd", "/bin/sh"], capture_output=True, text=True, check=True).stdout
    loader = next(word for word in listed.split() if "ld-" in word and word.startswith("/"))
    libc = Path(next(word for word in listed.split() if word.endswith("libc.so.6") and "/" in word))
    for name in ("proc", "app", "tmp", "bin"):
        (root / name).mkdir(parents=True)
    for path in [
        Path(loader),
        *(libc.parent / f"lib{name}" for name in LIBC if (libc.parent / f"lib{name}").exists()),
    ]:
        place = root / str(path).lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path.resolve(), place)
        place.chmod(0o755)
    shutil.copyfile(Path("/bin/sh").resolve(), root / "bin/sh")
    (root / "bin/sh").chmod(0o755)


LIBC = ("c.so.6", "m.so.6", "pthread.so.0", "dl.so.2", "rt.so.1", "util.so.1", "resolv.so.2")


def walls() -> str:
    """Why no empty root can be had here; empty: it can."""
    if shutil.which("unshare") is None or shutil.which("chroot") is None:
        return "unshare and chroot are needed"
    words = ["unshare", "-mnpf", "--mount-proc", "true"]
    return (
        ""
        if subprocess.run(words, capture_output=True).returncode == 0
        else "this user may not make namespaces"
    )


@pytest.mark.skipif(bool(walls()), reason=walls() or "-")
def test_in_a_root_with_nothing_but_the_c_library(archive: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    jail(root)
    with tarfile.open(archive) as tar:
        unpack(tar, root / "app")

    def inside(*words: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "root": str(root), **HOSTILE}
        env.pop("LD_LIBRARY_PATH")
        done = subprocess.run(
            ["unshare", "-mnpf", "sh", "-c", JAIL, "sh", *words], env=env, capture_output=True, text=True
        )
        return done

    done = inside("/app/bin/hello", "x")
    assert done.returncode == 7, done.stderr
    assert json.loads(done.stdout)["prefix"] == "/app"
    code = (
        "import ssl, sqlite3, ctypes, bz2, lzma, zlib, hashlib, threading\n"
        "threading.Thread(target=print, args=('thread',)).start()\n"
        "known = ssl.get_default_verify_paths().cafile\n"
        "good = not known or ssl.create_default_context().cert_store_stats()['x509'] > 10\n"
        "try: open('/app/x', 'w')\n"
        "except OSError as error: print(error.strerror, good)\n"
    )
    done = inside("/app/bin/python", "-c", code)
    assert set(done.stdout.splitlines()) == {"thread", "Read-only file system True"}, done.stderr
    assert inside("/app/verify.sh").returncode == 0
    done = inside("/bin/sh", "-c", "/app/install.sh /tmp/new && exec /tmp/new/bin/hello")
    assert done.returncode == 7, done.stderr
    assert json.loads(done.stdout)["prefix"] == "/tmp/new"


# --- real ones -----------------------------------------------------------------------------------

REAL = """
def main():
    import cryptography.fernet, lxml.etree, numpy, pandas
    lock = cryptography.fernet.Fernet(cryptography.fernet.Fernet.generate_key())
    assert lock.decrypt(lock.encrypt(b"x")) == b"x"
    assert lxml.etree.fromstring("<a/>").tag == "a"
    assert pandas.DataFrame({"a": numpy.linalg.inv(numpy.eye(3))[0]}).a.sum() == 1
    return 7
"""


@pytest.mark.network
@pytest.mark.skipif(bool(walls()), reason=walls() or "-")
def test_packages_with_libraries_of_their_own(stage: Stage, tmp_path: Path) -> None:
    project = make_project(
        tmp_path / "real", "real", "1.0", requires=["cryptography", "lxml", "numpy", "pandas"],
        files={"src/real/__init__.py": REAL}, scripts={"real": "real:main"}, backend="in-tree",
    )  # fmt: skip
    environ = {name: value for name, value in stage.environ.items() if name != "PYPM_OFFLINE"}
    environ["HOME"] = os.environ.get("HOME", "")  # where pip's settings may name a mirror
    locked = subprocess.run([*PYPM, "lock"], cwd=project, env=environ, capture_output=True, text=True)
    if "error[index-" in locked.stderr:
        pytest.skip("no index can be reached")
    done = subprocess.run([*PYPM, "pypylock"], cwd=project, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, locked.stderr + done.stderr
    root = tmp_path / "root"
    jail(root)
    with tarfile.open(project / "dist/venv.tar.gz") as tar:
        unpack(tar, root / "app")
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "root": str(root)}
    words = ["unshare", "-mnpf", "sh", "-c", JAIL, "sh", "/app/bin/real"]
    done = subprocess.run(words, env=env, capture_output=True, text=True)
    assert done.returncode == 7, done.stderr
