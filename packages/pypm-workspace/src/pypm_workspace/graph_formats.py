"""The members' graph as text, JSON, DOT and Mermaid: pure data to text, the same every time."""

from __future__ import annotations

import json
from typing import Any

from pypm_model import requirement_text
from pypm_workspace.configuration import Member
from pypm_workspace.edges import MemberEdge
from pypm_workspace.graph import Graph

_styles = {"runtime": "solid", "extra": "dashed", "group": "dotted", "build": "bold"}
_arrows = {"runtime": "-->", "extra": "-.->", "group": "-.->", "build": "==>"}


def label(edge: MemberEdge) -> str:
    """What sets the edge apart: empty for runtime, ``extra http2``, ``group dev``, ``build``."""
    return "" if edge.kind == "runtime" else f"{edge.kind} {edge.label}".strip()


def to_data(graph: Graph, *, places: bool = True) -> dict[str, Any]:
    """The graph as JSON-ready data: members in order of name, edges as in the manifests.

    *places* adds file and line to each edge, which reads the manifests again.
    """
    return {
        "name": graph.workspace.name,
        "root": graph.workspace.root,
        "members": [_member_data(graph, member) for member in graph.workspace.members],
        "edges": [_edge_data(graph, edge, places) for edge in graph.edges],
    }


def _member_data(graph: Graph, member: Member) -> dict[str, Any]:
    return {
        "name": member.name,
        "path": member.path,
        "version": member.version,
        "requires-python": graph.workspace.pythons.get(member.name, member.requires_python),
        "extras": [name for name, _ in member.extras],
        "groups": [name for name, _ in member.groups],
        "virtual": member.is_virtual,
    }


def _edge_data(graph: Graph, edge: MemberEdge, places: bool) -> dict[str, Any]:
    data: dict[str, Any] = {
        "from": edge.parent,
        "to": edge.child,
        "kind": edge.kind,
        "label": edge.label,
        "requirement": requirement_text.to_text(edge.requirement),
    }
    if places:
        place = graph.workspace.place(edge.origin)
        data |= {"file": place.file, "line": place.line}
    return data


def to_json(graph: Graph) -> str:
    """The graph as JSON text, two spaces of indentation."""
    return json.dumps(to_data(graph), indent=2, ensure_ascii=False) + "\n"


def to_text(graph: Graph) -> str:
    """Each member with what it asks of others, dependencies first."""
    lines = []
    for member in graph.order():
        lines.append(f"{member.name} ({member.path})")
        for edge in graph.edges_from(member.name):
            told = f" [{label(edge)}]" if label(edge) else ""
            asked = requirement_text.to_text(edge.requirement)
            lines.append(f"  -> {asked}{told} {graph.workspace.place(edge.origin)}")
    return "".join(f"{line}\n" for line in lines)


def to_dot(graph: Graph) -> str:
    """The graph in Graphviz's language: solid runtime, dashed extras, dotted groups, bold builds."""
    lines = [f"digraph {_quoted(graph.workspace.name)} {{", "  rankdir=LR;", "  node [shape=box];"]
    lines += [f"  {_quoted(member.name)};" for member in graph.workspace.members]
    for edge in graph.edges:
        wanted = _wanted(edge)
        attributes = [f"style={_styles[edge.kind]}"] + ([f"label={_quoted(wanted)}"] if wanted else [])
        lines.append(f"  {_quoted(edge.parent)} -> {_quoted(edge.child)} [{', '.join(attributes)}];")
    return "\n".join([*lines, "}"]) + "\n"


def to_mermaid(graph: Graph) -> str:
    """The graph as a Mermaid flow chart, as GitHub and GitLab draw it."""
    numbers = {member.name: f"m{number}" for number, member in enumerate(graph.workspace.members)}
    lines = ["flowchart LR"]
    lines += [f"  {numbers[member.name]}[{_mermaid(member.name)}]" for member in graph.workspace.members]
    for edge in graph.edges:
        wanted = _wanted(edge)
        told = f"|{_mermaid(wanted)}|" if wanted else ""
        lines.append(f"  {numbers[edge.parent]} {_arrows[edge.kind]}{told} {numbers[edge.child]}")
    return "\n".join(lines) + "\n"


def render(graph: Graph, form: str) -> str:
    """The graph as ``text``, ``json``, ``dot`` or ``mermaid``. Raises KeyError for another form."""
    return {"text": to_text, "json": to_json, "dot": to_dot, "mermaid": to_mermaid}[form](graph)


def _wanted(edge: MemberEdge) -> str:
    """What the edge asks beyond the name: ``[extra]>=1; marker (group dev)``."""
    asked = requirement_text.to_text(edge.requirement)[len(edge.child) :].strip()
    told = label(edge)
    return " ".join(part for part in (asked, f"({told})" if told else "") if part)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _mermaid(text: str) -> str:
    return '"' + text.replace("#", "#35;").replace('"', "#quot;") + '"'
