"""Which environments a sync is about: the one that members share, or those of members."""

from __future__ import annotations

from pypm.ops.locking import Locked, lock_workspace
from pypm.ops.opening import open_workspace
from pypm.ops.partial import open_partly
from pypm.ops.sync import SyncOptions, sync_locked
from pypm.ops.synced import MembersReport, SyncReport
from pypm.ops.toolbox import open_tools
from pypm.ops.tools import Tools
from pypm.ops.world import World
from pypm_model.records import replace
from pypm_workspace.workspace import Workspace


def sync(world: World, options: SyncOptions) -> SyncReport | MembersReport:
    """Locks if needed and makes environments match: ``.venv`` at the root with all members, or, where members
    are named, for each, or where they share nothing, one in the folder of each."""
    partly = options.locking.frozen and (options.each or options.selection.members)
    workspace = open_partly(world) if partly else open_workspace(world)
    with open_tools(world, workspace) as tools:
        return bring_along(tools, workspace, lock_workspace(tools, workspace, options.locking), options)


def bring_along(
    tools: Tools, workspace: Workspace, locked: Locked, options: SyncOptions
) -> SyncReport | MembersReport:
    """The environments' half of `sync`. Plugins that the workspace pins are fetched first: what cannot be had
    stops the run before anything has changed."""
    plugins: tuple[str, ...] = ()
    if workspace.settings.plugins and not options.how.dry_run:
        from pypm.ops.plugins import fetch_pins

        plugins = fetch_pins(tools.world, workspace.root, workspace.settings.plugins)
    if not are_apart(workspace, options):
        report: SyncReport | MembersReport = sync_locked(tools, workspace, locked, options)
    else:
        from pypm.ops.member_sync import sync_members

        report = sync_members(tools, workspace, locked, options)
    return replace(report, plugins=plugins) if plugins else report


def are_apart(workspace: Workspace, options: SyncOptions) -> bool:
    """Whether *options* are about environments of members. A project alone has one, which is its own."""
    if options.each or options.selection.members:
        return workspace.kind != "project"
    return not workspace.settings.shared_environment
