#!/usr/bin/env python3
"""Makes pypm's own environment from this checkout and runs it: by default, ``pypm sync`` here.

    python3 tools/bootstrap.py [PYPM ARGUMENTS]

Needs Python 3.11 or later and nothing else. What pypm itself stands on is taken from `pypm.lock`
with its hashes. Three small pure wheels are fetched with the standard library; they are what our own
index, store and interpreter code needs, and that code then fetches the rest into the shared store.
Nothing is installed anywhere: pypm runs from the store and from this checkout.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit(f"pypm needs Python 3.11 or later; this is {sys.version.split()[0]} ({sys.executable})")

import hashlib
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [
    str(folder) for pattern in ("packages/*/src", "tools/*/src") for folder in sorted(ROOT.glob(pattern))
]
WORK = ROOT / ".pypm"
SEED = ("packaging", "truststore")
"""Third-party packages without which pypm-index, pypm-store and pypm-env cannot be imported."""
ATTEMPTS = 4

sys.path[:0] = SOURCES


def main() -> int:
    """Runs pypm with this process's arguments and gives its exit code."""
    arguments = sys.argv[1:] or ["sync"]
    paths = tool_paths()
    path = [*SOURCES, *paths]
    start = "from pypm._entry import main; sys.exit(main(sys.argv[1:]))"
    command = f"import sys; sys.path[:0] = {path!r}; {start}"
    argv = [sys.executable, "-c", command, *arguments]
    if os.name == "posix":
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, argv)
    return subprocess.run(argv).returncode


def tool_paths() -> list[str]:
    """The folders with what pypm stands on, from the last run if lock and interpreter are the same."""
    lock_text = (ROOT / "pypm.lock").read_text(encoding="utf-8")
    facts = [lock_text, sys.version, sys.executable, os.environ.get("PYPM_CACHE_DIR", "")]
    digest = hashlib.sha256("\0".join(facts).encode()).hexdigest()[:24]
    memo = WORK / f"tool-{digest}.json"
    try:
        known: list[str] = json.loads(memo.read_text(encoding="utf-8"))
        if all(os.path.isdir(path) for path in known):
            return known
    except (OSError, ValueError):
        pass
    sys.path[:0] = [seed(lock_text)]
    from pypm.ops.tool import tool_paths as fetch_tool

    sys.stderr.write("bootstrap: fetching what pypm stands on\n")
    paths = fetch_tool(ROOT, os.environ)
    WORK.mkdir(exist_ok=True)
    (WORK / ".gitignore").write_text("*\n", encoding="utf-8")
    beside = memo.with_suffix(f".{os.getpid()}")
    beside.write_text(json.dumps(paths), encoding="utf-8")
    os.replace(beside, memo)
    return paths


def seed(lock_text: str) -> str:
    """A folder with the seed packages, fetched and checked against the lock."""
    from pypm_model.lock_text import read

    locked = {p.name: p for p in read(lock_text).packages}
    wheels = [next(a for a in locked[name].files if a.filename.endswith("-none-any.whl")) for name in SEED]
    digest = hashlib.sha256("".join(w.sha256 for w in wheels).encode()).hexdigest()[:16]
    folder = WORK / f"seed-{digest}"
    if folder.is_dir():
        return str(folder)
    beside = WORK / f"seed-{digest}.{os.getpid()}"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    (WORK / ".gitignore").write_text("*\n", encoding="utf-8")
    for name, wheel in zip(SEED, wheels, strict=True):
        body = fetch(name, wheel.filename)
        if hashlib.sha256(body).hexdigest() != wheel.sha256:
            raise SystemExit(f"bootstrap: {wheel.filename} is not the file pypm.lock names: refused")
        archive = beside / wheel.filename
        archive.write_bytes(body)
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(beside)
        archive.unlink()
    try:
        os.replace(beside, folder)
    except OSError:  # another bootstrap was first
        shutil.rmtree(beside, ignore_errors=True)
    return str(folder)


def fetch(name: str, filename: str) -> bytes:
    """The bytes of *filename*, a file of project *name* on the default index."""
    from pypm_index import pip_config, simple_html, simple_json
    from pypm_index.settings import Indexes

    indexes = Indexes.from_settings(environ=os.environ, pip_config=pip_config.reader(os.environ), root=ROOT)
    index = indexes.all[-1]
    headers = {"Accept": f"{simple_json.MEDIA_TYPE}, text/html;q=0.1", "User-Agent": "pypm-bootstrap"}
    if index.credentials:
        import base64

        token = base64.b64encode(f"{index.credentials.user}:{index.credentials.password}".encode()).decode()
        headers["Authorization"] = f"Basic {token}"
    if indexes.certificates:
        os.environ.setdefault(
            "SSL_CERT_DIR" if os.path.isdir(indexes.certificates) else "SSL_CERT_FILE", indexes.certificates
        )
    url, kind, body = get(f"{index.url}{name}/", headers)
    page = simple_json.read(body, url) if "json" in kind else simple_html.read(body, url)
    for file in page.files:
        if file.filename == filename:
            same = urlsplit(file.url)[:2] == urlsplit(index.url)[:2]
            return get(file.url, headers if same else {"User-Agent": headers["User-Agent"]})[2]
    raise SystemExit(f"bootstrap: {index.name} has no {filename}")


def get(url: str, headers: dict[str, str]) -> tuple[str, str, bytes]:
    """(address after redirects, media type, body); tries again what may pass."""
    for attempt in range(ATTEMPTS):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
                return answer.url, answer.headers.get_content_type(), answer.read()
        except urllib.error.HTTPError as error:
            if error.code < 500 or attempt == ATTEMPTS - 1:
                raise SystemExit(f"bootstrap: the index answered {error.code} {error.reason}") from None
        except OSError as error:
            if attempt == ATTEMPTS - 1:
                raise SystemExit(f"bootstrap: the index cannot be reached: {error}") from None
        time.sleep(0.5 * 3**attempt)
    raise AssertionError


if __name__ == "__main__":
    sys.exit(main())
