"""The style of drawings in SVG, in the reader's light or dark scheme; and text that stays text."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from nvi_operator.errors import printable
from nvi_operator.view.graph.model import ChangeKind

# Classes of lines: by where flows are opened, and what becomes of a highlighted one.
OPENED = ("out", "in", "both")
CHANGES = {ChangeKind.NEW: "new", ChangeKind.CHANGED: "changed", ChangeKind.GONE: "gone"}

_LIGHT = {
    "page": "#ffffff", "frame": "#f4f5f7", "edge": "#c9ced6", "box": "#ffffff", "text": "#1b1f24", "dim": "#57606a",
    "badge": "#e7ebf0", "plain": "#8b949e", "out": "#1f6feb", "in": "#0f7b6c", "both": "#8250df",
    "new": "#1a7f37", "changed": "#bc6c00", "gone": "#cf222e",
}  # fmt: skip
_DARK = {
    "page": "#0d1117", "frame": "#161b22", "edge": "#3d444d", "box": "#0d1117", "text": "#e6edf3", "dim": "#9ba5b0",
    "badge": "#2a313b", "plain": "#6e7681", "out": "#58a6ff", "in": "#3fb9a5", "both": "#bc8cff",
    "new": "#3fb950", "changed": "#e3a13a", "gone": "#ff7b72",
}  # fmt: skip
_FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"


def style() -> str:
    return f"{_rules(_LIGHT)} {_fixed()} @media (prefers-color-scheme: dark) {{ {_rules(_DARK)} }}"


def _fixed() -> str:
    """What both schemes have. Every rule begins with the class of the picture: HTML around it keeps its own style."""
    rules = {
        "text": f"font-family: {_FONT}; font-size: 11px",
        ".title": "font-size: 12px; font-weight: bold",
        ".name": "font-size: 14px; font-weight: bold",
        ".stage": "font-size: 12px",
        ".small": "font-size: 10.5px",
        ".way": "fill: none; stroke-width: 1.3",
        ".strong": "stroke-width: 3.5",
        "path.gone": "stroke-dasharray: 6 4",
        ".tip": "stroke: none; stroke-dasharray: none",
        ".device": "stroke-width: 2; stroke-dasharray: 3 4",
        "rect.new, .nvi-graph rect.changed, .nvi-graph rect.gone": "stroke-width: 2.5",
    }
    return " ".join(f".nvi-graph {name} {{ {rule} }}" for name, rule in rules.items())


def _rules(colours: dict[str, str]) -> str:
    rules = {
        ".page": f"fill: {colours['page']}",
        ".gateway": f"fill: {colours['frame']}; stroke: {colours['edge']}",
        ".stage-frame": f"fill: none; stroke: {colours['edge']}",
        ".box, .nvi-graph .joint": f"fill: {colours['box']}; stroke: {colours['edge']}",
        ".badge": f"fill: {colours['badge']}",
        "text": f"fill: {colours['text']}",
        ".line, .nvi-graph .small, .nvi-graph .head, .nvi-graph .stage": f"fill: {colours['dim']}",
        ".device": f"stroke: {colours['dim']}",
    }
    kinds = ("plain", *OPENED, *CHANGES.values())
    rules |= {f".way.{kind}": f"stroke: {colours[kind]}" for kind in kinds}
    rules |= {f".tip.{kind}": f"fill: {colours[kind]}" for kind in kinds}
    rules |= {f"rect.{kind}": f"stroke: {colours[kind]}" for kind in CHANGES.values()}
    return " ".join(f".nvi-graph {name} {{ {rule} }}" for name, rule in rules.items())


def markers() -> Iterator[str]:
    for kind in (*OPENED, *CHANGES.values()):
        yield (
            f'<marker id="nvi-{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            'markerUnits="userSpaceOnUse" orient="auto-start-reverse">'
            f'<path class="tip {kind}" d="M0,0 L8,4 L0,8 z"/></marker>'
        )


def xml_text(text: str) -> str:
    """Line feeds stay; other characters that do not print have no place in XML."""
    return "\n".join(escape(printable(line)) for line in text.split("\n"))
