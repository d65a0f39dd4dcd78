"""A lock in memory for one interpreter: of a build, a tool or a script, apart from any workspace's."""

from __future__ import annotations

from collections.abc import Sequence

from pypm.ops.resolving import Locate, resolve
from pypm.ops.tools import Tools
from pypm_env.interpreters import Interpreter
from pypm_model.errors import Place
from pypm_model.lock_select import select
from pypm_model.locks import Lock, Manifest, Pin, Root
from pypm_model.names import NormalizedName
from pypm_model.records import replace
from pypm_model.requests import Ask, MemberRequest, Origin, PrereleasePolicy, Request
from pypm_model.sources import IndexSource


def lone_pins(
    tools: Tools,
    interpreter: Interpreter,
    name: NormalizedName,
    asks: Sequence[Ask],
    place: Locate,
    constraints: Sequence[Ask] = (),
    *,
    for_build: bool = False,
) -> list[Pin]:
    """What answers *asks* on this interpreter and platform, from where the workspace says that packages come.
    *name* stands for who asks and is no project's; *place* says where an ask is written; *constraints* count
    for packages that something asks for. Versions are chosen as the workspace says, but not *for_build*: a
    backend wants the newest it can have. Raises what resolving raises."""
    here = interpreter.markers
    names = ("sys_platform", "platform_machine", "implementation_name")
    only = " and ".join(f"{marker} == '{here[marker]}'" for marker in names)
    member = MemberRequest(name, str(name), None, f"=={interpreter.version}", tuple(asks))
    request = Request(
        members=(member,),
        environments=(only,),
        constraints=tuple(constraints),
        provisions=tools.provisions,
        build=tools.build_policy,
    )
    settings = tools.settings
    if not for_build:
        prereleases = PrereleasePolicy(settings.prereleases, frozenset(settings.prerelease_names))
        request = replace(request, strategy=settings.strategy, prereleases=prereleases)

    def where(origin: Origin) -> Place:
        # The Python is nobody's wish that is written anywhere: it is the interpreter at hand.
        return place(origin if origin.item >= 0 or not asks else asks[0].origin)

    with tools.new_catalog() as catalog:
        resolution = resolve(request, catalog, where, tools.world.listener)
        wanted = [
            (p.name, p.version, p.source.index)
            for p in resolution.packages
            if isinstance(p.source, IndexSource)
        ]
        files = catalog.all_files(wanted)
    packages = []
    for package in resolution.packages:
        if isinstance(package.source, IndexSource):
            found = files[package.name, package.version, package.source.index]
            package = replace(package, files=found)
        elif package.name == name:
            package = replace(package, manifest=Manifest())
        packages.append(package)
    lock = Lock(packages=tuple(packages))
    pins = select(lock, interpreter.environment, [Root(name)], build=tools.build_policy)
    return [pin for pin in pins if pin.package.name != name]
