"""What decides a lone lock besides what is asked, for what remembers its answer."""

from __future__ import annotations

from typing import Any

from pypm.ops.tools import Tools


def rules_of(tools: Tools) -> dict[str, Any]:
    """What the workspace says that counts for every lone lock: where packages come from, which of their
    files are seen and built, and what they are said to depend on. As JSON has it."""
    settings, policy = tools.settings, tools.build_policy
    facts: dict[str, Any] = {
        "indexes": [index.identity for index in tools.indexes.all],
        "exclude-newer": [settings.exclude_newer, settings.cooldown],
        "builds": [policy.default, *map(sorted, (policy.allow, policy.no_binary, policy.no_build))],
    }
    if settings.exclude_newer_package or settings.cooldown_except:
        facts["exceptions"] = [settings.exclude_newer_package, settings.cooldown_except]
    if tools.provisions:
        facts["sources"] = [[one.name, str(one.source), one.marker] for one in tools.provisions]
    if settings.stated:
        facts["stated"] = repr(settings.stated)
    return facts
