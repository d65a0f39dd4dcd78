"""Who we are to a server: credentials from settings, netrc and keyring, bound to their origin.

Order: the index's own (variables, then its address), netrc, and, only after a server has asked, the
``keyring`` command if there is one. An index's credentials go to the index's own origin and to no
other host, whatever its pages link or redirect to. netrc's ``default`` entry is not used: it would
go to every host.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pypm_index.addresses import origin, userinfo
from pypm_index.settings import Credentials, Indexes
from pypm_model.later import later

if TYPE_CHECKING:
    import json
    import netrc
    import shutil
    import subprocess
else:
    json = later("json")
    netrc = later("netrc")
    shutil = later("shutil")
    subprocess = later("subprocess")

_KEYRING_SECONDS = 60.0

RunKeyring = Callable[[Sequence[str]], str | None]
"""The arguments after ``keyring`` to its output, None if it fails."""


class Wallet:
    """All credentials of a run. May be used from any thread."""

    def __init__(
        self, indexes: Indexes, environ: Mapping[str, str], keyring: RunKeyring | None = None
    ) -> None:
        self._indexes = {index.name: index for index in indexes.all}
        self._environ = environ
        self._keyring = keyring if keyring is not None else _keyring_of(environ)
        self._lock = threading.Lock()
        self._netrc: dict[str, Credentials] | None = None
        self.netrc_trouble = ""
        """Why the netrc file could not be looked into, if it was tried and could not: one clause."""
        self._asked: dict[str, Credentials | None] = {}

    def of(self, url: str, index: str) -> Credentials | None:
        """What to send with a request for *url* that is made for *index* (empty: a direct address)."""
        configured = self._indexes.get(index)
        here = origin(url)
        if configured is not None and origin(configured.url) == here:
            if configured.credentials is not None and configured.credentials.password:
                return configured.credentials
            if configured.url in self._asked:
                return self._asked[configured.url]
            return self._hosts().get(here[1]) or configured.credentials
        inside = userinfo(url)
        if inside is not None:
            return Credentials(*inside)
        return self._hosts().get(here[1])

    def ask(self, url: str, index: str) -> Credentials | None:
        """What keyring has for *url*, after a 401; it is asked once for an index or host."""
        configured = self._indexes.get(index)
        here = origin(url)
        user = ""
        if configured is not None and origin(configured.url) == here:
            place = configured.url
            user = configured.credentials.user if configured.credentials is not None else ""
        else:
            place = f"{here[0]}://{here[1]}"
        with self._lock:
            if place not in self._asked:
                self._asked[place] = self._from_keyring(place, here[1], user)
            return self._asked[place]

    def variable(self, url: str, index: str) -> str:
        """The beginning of the names of the variables that would help, if *url* is the index's own."""
        configured = self._indexes.get(index)
        if configured is None or origin(configured.url) != origin(url):
            return ""
        return configured.variable

    def _from_keyring(self, place: str, host: str, user: str) -> Credentials | None:
        for service in (place, host):
            if user:
                password = self._keyring(["get", service, user])
                if password:
                    return Credentials(user, password.rstrip("\r\n"))
                continue
            text = self._keyring(["--mode", "creds", "--output", "json", "get", service])
            try:
                found = json.loads(text or "null")
            except ValueError:
                continue
            if isinstance(found, dict) and found.get("password"):
                return Credentials(str(found.get("username") or "__token__"), str(found["password"]))
        return None

    def _hosts(self) -> dict[str, Credentials]:
        with self._lock:
            if self._netrc is None:
                self._netrc, self.netrc_trouble = read_netrc(self._environ)
            return self._netrc


def read_netrc(environ: Mapping[str, str]) -> tuple[dict[str, Credentials], str]:
    """Credentials by host from the file ``NETRC`` names, else ``~/.netrc`` or ``~/_netrc``. A file that
    cannot be read or parsed counts as empty; then a clause that says so, and nothing of what it holds."""
    trouble = ""
    home = environ.get("HOME") or environ.get("USERPROFILE") or ""
    named = environ.get("NETRC", "")
    for file in [Path(named)] if named else [Path(home, ".netrc"), Path(home, "_netrc")] if home else []:
        if not file.is_file():
            if named:
                trouble = f"{file}, which NETRC names, is no file"
            continue
        try:
            hosts = netrc.netrc(str(file)).hosts
        except netrc.NetrcParseError as error:
            trouble = trouble or f"{file}, line {error.lineno}, is no netrc file"
            continue
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            trouble = trouble or f"{file} cannot be read ({reason})"
            continue
        found = {
            host.lower(): Credentials(user or account or "", password or "")
            for host, (user, account, password) in hosts.items()
            if host != "default"
        }
        return found, trouble
    return {}, trouble


def _keyring_of(environ: Mapping[str, str]) -> RunKeyring:
    def run(arguments: Sequence[str]) -> str | None:
        command = shutil.which("keyring", path=environ.get("PATH"))
        if command is None:
            return None
        try:
            done = subprocess.run(
                [command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=dict(environ),
                text=True,
                timeout=_KEYRING_SECONDS,
            )
        except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
            return None
        return done.stdout if done.returncode == 0 else None

    return run
