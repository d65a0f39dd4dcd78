"""Projects and monorepos to work on: real ones by name, generated ones of any size. Same input, same bytes.

Each is an ordinary folder that pypm, uv and poetry all understand as it stands. By hand:
``python3 benchmarks/workspaces.py FOLDER --members 100 --backend hatchling``.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

WEB = ("jupyter", "boto3", "fastapi", "pandas", "scikit-learn")
AIRFLOW = (*WEB, "apache-airflow")
REQUIRES_PYTHON = ">=3.11,<4"

BACKENDS = {
    "flit": ("flit_core>=3.9,<5", "flit_core.buildapi"),
    "hatchling": ("hatchling>=1.25", "hatchling.build"),
    "setuptools": ("setuptools>=75", "setuptools.build_meta"),
}
"""Name → (what ``[build-system]`` requires, the backend). ``mixed`` takes them in turn."""

COMMON = (
    "aiohttp>=3.9", "alembic>=1.13", "attrs>=23", "beautifulsoup4>=4.12", "boto3>=1.34", "celery>=5.3",
    "click>=8.1", "cryptography>=42", "fastapi>=0.110", "httpx>=0.27", "jinja2>=3.1", "lxml>=5",
    "networkx>=3.2", "numpy>=1.26", "opentelemetry-api>=1.25", "orjson>=3.9", "pandas>=2.2",
    "prometheus-client>=0.20", "pydantic>=2.7", "python-dateutil>=2.9", "pyyaml>=6", "redis>=5",
    "requests>=2.31", "rich>=13", "sqlalchemy>=2", "structlog>=24", "tenacity>=8.2", "typer>=0.12",
    "uvicorn>=0.29",
)  # fmt: skip
"""What the generated members ask for: each a few of these."""


@dataclass(frozen=True, slots=True)
class Project:
    """A single project: a workspace of one."""

    name: str
    dependencies: tuple[str, ...]
    requires_python: str = REQUIRES_PYTHON


@dataclass(frozen=True, slots=True)
class Monorepo:
    """A generated workspace: members in layers, each asking for up to three earlier ones."""

    members: int
    backend: str = "flit"
    """A key of `BACKENDS`, or ``mixed``."""
    seed: int = 7
    salt: str = ""
    """Stands in every member's description: two salts are the same graph and different contents, so that
    nothing built for the one can be taken for the other."""
    everybody: tuple[str, ...] = ()
    """What every member asks for, in place of a few packages by chance."""

    @property
    def name(self) -> str:
        return f"members-{self.members}-{self.backend}{'-same' if self.everybody else ''}"


Workload = Project | Monorepo
WEB_PROJECT = Project("web", WEB)
AIRFLOW_PROJECT = Project("airflow", AIRFLOW)
BUNDLED_PROJECT = Project("bundled", ("numpy", "pandas", "cryptography", "lxml"))


def write(workload: Workload, folder: Path, index_url: str = "") -> None:
    """Writes the workload's files into *folder*.

    *index_url* is for poetry, which takes an index only from the manifest; pypm, uv and pip are told in
    their environment.
    """
    folder.mkdir(parents=True, exist_ok=True)
    match workload:
        case Project():
            _write_project(workload, folder, index_url)
        case Monorepo():
            _write_monorepo(workload, folder)


def add_dependency(workload: Workload, folder: Path, requirement: str) -> None:
    """The edit of a person who adds *requirement* to the project, or to a member in the monorepo's middle."""
    manifest = edited_manifest(workload, folder)
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(
        text.replace("dependencies = [\n", f'dependencies = [\n    "{requirement}",\n', 1), encoding="utf-8"
    )


def edited_manifest(workload: Workload, folder: Path) -> Path:
    """The manifest that is edited: the project's, or that of a member in the monorepo's middle."""
    if not isinstance(workload, Monorepo):
        return folder / "pyproject.toml"
    name = member_names(workload.members)[workload.members // 2]
    return folder / "packages" / name / "pyproject.toml"


def member_names(members: int) -> list[str]:
    """Names of the members, in order."""
    width = len(str(members - 1))
    return [f"member-{at:0{width}d}" for at in range(members)]


def import_names(workload: Workload) -> list[str]:
    """Modules that can be imported once the workload is installed."""
    if isinstance(workload, Monorepo):
        return [name.replace("-", "_") for name in member_names(workload.members)]
    return ["pandas", "sklearn", "fastapi", "boto3"]


def _write_project(project: Project, folder: Path, index_url: str) -> None:
    lines = [
        "[project]",
        f'name = "{project.name}"',
        'version = "0.1.0"',
        f'requires-python = "{project.requires_python}"',
        *_listed(project.dependencies),
        "",
        "[tool.poetry]",
        "package-mode = false",
        "",
    ]
    if index_url:
        lines += [
            "[[tool.poetry.source]]",
            'name = "bench"',
            f'url = "{index_url}"',
            'priority = "primary"',
            "",
        ]
    (folder / "pyproject.toml").write_text("\n".join(lines), encoding="utf-8")


def _write_monorepo(monorepo: Monorepo, folder: Path) -> None:
    dice = random.Random(monorepo.seed)
    names = member_names(monorepo.members)
    backends = sorted(BACKENDS) if monorepo.backend == "mixed" else [monorepo.backend]
    for at, name in enumerate(names):
        siblings = sorted(dice.sample(names[max(0, at - 30) : at], min(at, dice.randint(0, 3))))
        others = sorted(monorepo.everybody or dice.sample(COMMON, dice.randint(1, 6)))
        requires, backend = BACKENDS[backends[at % len(backends)]]
        lines = [
            "[project]",
            f'name = "{name}"',
            'version = "0.1.0"',
            f'description = "{name} {monorepo.salt}"',
            f'requires-python = "{REQUIRES_PYTHON}"',
            *_listed([*siblings, *others]),
            "",
            "[build-system]",
            f'requires = ["{requires}"]',
            f'build-backend = "{backend}"',
            "",
        ]
        if siblings:
            lines += [
                "[tool.uv.sources]",
                *(f"{sibling} = {{ workspace = true }}" for sibling in siblings),
                "",
            ]
        module = name.replace("-", "_")
        member = folder / "packages" / name
        (member / "src" / module).mkdir(parents=True)
        (member / "pyproject.toml").write_text("\n".join(lines), encoding="utf-8")
        (member / "src" / module / "__init__.py").write_text(f'"""{name}"""\n', encoding="utf-8")
    root = [
        "[project]",
        'name = "acme"',
        'version = "0.1.0"',
        f'requires-python = "{REQUIRES_PYTHON}"',
        "",
        "[dependency-groups]",
        'dev = ["pytest>=8"]',
        "",
        "[tool.uv.workspace]",
        'members = ["packages/*"]',
        "",
    ]
    (folder / "pyproject.toml").write_text("\n".join(root), encoding="utf-8")
    workspace = '[workspace]\nname = "acme"\nmembers = ["packages/*"]\n'
    (folder / "pypm-workspace.toml").write_text(workspace, encoding="utf-8")


def _listed(requirements: Sequence[str]) -> list[str]:
    return ["dependencies = [", *(f'    "{each}",' for each in requirements), "]"]


def main() -> None:
    """Writes a generated monorepo."""
    parser = argparse.ArgumentParser(description="Write a generated monorepo.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--members", type=int, default=100)
    parser.add_argument("--backend", choices=[*BACKENDS, "mixed"], default="flit")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    write(Monorepo(options.members, options.backend, options.seed), options.folder)


if __name__ == "__main__":
    main()
