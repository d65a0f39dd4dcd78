"""The C library of this machine as a layer: what an image needs that stands on nothing."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pypm_bundle.contents import Entry, Item, OnDisk, Written, in_order
from pypm_bundle.elf_image import NotElf, loader_of
from pypm_bundle.libraries import system_folders
from pypm_bundle.oci.image_errors import NoLibc
from pypm_bundle.oci.layers import Layer

_PARTS = re.compile(
    r"(libc|libm|libmvec|libpthread|libdl|librt|libutil|libresolv|libanl|libnss_(files|dns))\.so\.\d+"
)
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/sh\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
"""What the library asks for names: without them it knows no user and asks no name server."""


def libc_layer(program: str) -> Layer:
    """The loader that *program* names and the parts of its C library, where that is glibc; the files in which
    it looks up names; ``/tmp``. Raises `NoLibc`."""
    try:
        loader = loader_of(Path(program).read_bytes())
    except (NotElf, OSError) as error:
        raise NoLibc(f"{program} {error}") from error
    if not loader or "musl" in loader:
        raise NoLibc(f"{program} runs with another one than glibc" if loader else f"{program} needs none")
    real = os.path.realpath(loader)
    folders = [os.path.dirname(real), *system_folders()]
    home = next((folder for folder in folders if os.path.isfile(f"{folder}/libc.so.6")), None)
    if home is None:
        raise NoLibc("libc.so.6 is not beside its loader")
    # Where it is asked for: links on the way (/lib to usr/lib) would hide what other layers have there.
    items: list[Item] = [Entry(loader.lstrip("/"), OnDisk(Path(real)), executable=True)]
    below = os.path.realpath(home).lstrip("/")
    for name in sorted(os.listdir(home)):
        if _PARTS.fullmatch(name):
            items.append(Entry(f"{below}/{name}", OnDisk(Path(home, name).resolve())))
    items += [Entry(path, Written(text.encode())) for path, text in _FILES.items()]
    return Layer("C library", tuple(in_order(items)), shared=("tmp",))
