"""The table of commands: strings only, for help and dispatch."""

VERSION = "0.1.0"

VERBS: dict[str, tuple[str, str]] = {
    "init": ("init", "start a project or workspace here"),
    "add": ("add", "add dependencies to a member, lock and sync"),
    "remove": ("remove", "remove dependencies from a member, lock and sync"),
    "lock": ("lock", "write pypm.lock; --check asks if it is current, --diff what would change"),
    "sync": ("sync", "lock if needed, then make the environment match"),
    "ci": ("ci", "sync exactly what the lock says, or fail"),
    "update": ("update", "raise locked versions within what the manifests allow, or --latest"),
    "outdated": ("outdated", "list packages that could be newer"),
    "dedupe": ("dedupe", "lock one version where there are several and one will do"),
    "check": ("check", "check boundaries between members, the catalog and the lock"),
    "audit": ("audit", "look up the locked versions among known vulnerabilities and malware"),
    "sbom": ("sbom", "write a bill of materials of what is locked, CycloneDX or SPDX"),
    "licenses": ("licenses", "list the licences of what is locked, and which of them may not be used"),
    "watch": ("watch", "stay, and lock again on every change; --sync, --run TASK"),
    "run": ("run", "run a task over members in graph order, a script or a command"),
    "exec": ("exec", "run a command in the environment"),
    "dlx": ("dlx", "run a command of a package without a project"),
    "sandbox": ("sandbox", "open a shell in a place that vanishes, with only what a member declares"),
    "ls": ("ls", "list the members"),
    "tree": ("tree", "show members with what they depend on"),
    "why": ("why", "show every path from a member to a package"),
    "graph": ("graph", "print the members' graph as text, json, dot or mermaid"),
    "import": ("import_", "make another tool's project pypm's, with the versions it had"),
    "export": ("export", "write the lock as pylock.toml or requirements.txt"),
    "plugin": ("plugin", "add, run and look after plugins; pypm NAME runs one"),
    "pypylock": (
        "pypylock",
        "put interpreter, wheels and members into one archive for machines without a network",
    ),
    "bundle": ("bundle", "verify such an archive"),
    "doctor": ("doctor", "look at the machine and the workspace for what will go wrong"),
    "python": ("python", "find and list interpreters"),
    "memory": ("memory", "what agents remember: texts by session and key, and promises"),
    "mcp": ("mcp", "serve agents: tools and resources of the workspace, and the memory, over MCP"),
    "cache": ("cache", "look at the store and clean it"),
    "self": ("self_", "pypm itself: put a fast launcher on PATH"),
    "version": ("version", "print pypm's version"),
    "help": ("help", "this list, or one command's options"),
}
"""Verb → (module below `pypm.cli.verbs`, summary)."""

ALIASES = {
    "install": "sync",
    "i": "sync",
    "uninstall": "remove",
    "rm": "remove",
    "list": "ls",
    "up": "update",
    "upgrade": "update",
}

COMMON_FLAGS = frozenset(
    {"--json", "--offline", "--frozen", "--refresh", "-q", "--quiet", "-v", "--verbose", "--no-progress"}
)
COMMON_OPTIONS = frozenset({"--color", "--index-url", "--cache-dir", "--python"})
"""Options with a value that may stand before the verb."""
OUTPUT_OPTIONS = ("-o", "--output")
TAKE_OUTPUT = frozenset({"audit", "export", "pypylock", "sbom"})
"""The verbs that write a file where `OUTPUT_OPTIONS` say: these may stand before them, too."""
