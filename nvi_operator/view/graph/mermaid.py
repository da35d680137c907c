"""A drawing as a Mermaid flowchart, as GitHub, GitLab and Forgejo show it in Markdown.

Mermaid has no arrow to the left, and puts what an arrow comes from first: flows that are opened from outside have a
line without tips, so that every column stays where it belongs.
"""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.errors import printable
from nvi_operator.language.wording import short
from nvi_operator.view.graph.model import Box, ChangeKind, Drawing, GraphColumn, Line, Opened

_LONGEST = 60  # of a line in a box, in characters
_ARROWS = {None: "---", Opened.INSIDE: "-->", Opened.OUTSIDE: "---", Opened.BOTH: "<-->"}
_OPENED = {Opened.INSIDE: "#1f6feb", Opened.OUTSIDE: "#0f7b6c", Opened.BOTH: "#8250df"}
_COLOURS = {ChangeKind.NEW: "#1a7f37", ChangeKind.CHANGED: "#bc6c00", ChangeKind.GONE: "#cf222e"}


def mermaid(drawing: Drawing) -> str:
    """The text of a ```mermaid block, with a line feed at its end."""
    return "\n".join(_lines(drawing)) + "\n"


def _lines(drawing: Drawing) -> Iterator[str]:
    named = (*(box.key for box in drawing.boxes), *(junction.key for junction in drawing.junctions))
    keys = {key: f"n{number}" for number, key in enumerate(named)}
    yield "flowchart LR"
    yield from _column(drawing, GraphColumn.INSIDE, "inside", keys, "  ")
    yield f'  subgraph gateway["{text(f"gateway {drawing.name}")}"]'
    yield from _column(drawing, GraphColumn.STAGE_1, "stage1", keys, "    ")
    yield from _column(drawing, GraphColumn.STAGE_2, "stage2", keys, "    ")
    yield "  end"
    yield from _column(drawing, GraphColumn.UPLINKS, "uplinks", keys, "  ")
    yield from (f'  {keys[junction.key]}(("{text(junction.title)}"))' for junction in drawing.junctions)
    shown = _shown(drawing.lines)
    yield from (f"  {keys[line.left]} {_ARROWS[line.opened]} {keys[line.right]}" for line in shown)
    styles: dict[str, list[int]] = {}
    for number, line in enumerate(shown):
        if style := _style(line):
            styles.setdefault(style, []).append(number)
    yield from (f"  linkStyle {','.join(map(str, numbers))} {style}" for style, numbers in styles.items())
    for key, change in drawing.changes.items():
        yield f"  style {keys[key]} stroke:{_COLOURS[change]},stroke-width:3px"


def _column(drawing: Drawing, column: GraphColumn, name: str, keys: dict[str, str], indent: str) -> Iterator[str]:
    boxes = list(drawing.of(column))
    if not boxes:
        return
    yield f'{indent}subgraph {name}["{column.value}"]'
    yield from (f'{indent}  {keys[box.key]}["{_label(box)}"]' for box in boxes)
    yield f"{indent}end"


def _label(box: Box) -> str:
    badge = f" ({box.badge})" if box.badge else ""
    lines = [short(line, _LONGEST) for line in (box.title + badge, *box.lines)]
    return "<br/>".join([f"<b>{text(lines[0])}</b>", *map(text, lines[1:])])


def _shown(lines: tuple[Line, ...]) -> list[Line]:
    """A highlighted line takes the place of the plain one: Mermaid draws two beside each other."""
    changed = {(line.left, line.right) for line in lines if line.change}
    return [line for line in lines if line.change or (line.left, line.right) not in changed]


def _style(line: Line) -> str:
    if line.change:
        return f"stroke:{_COLOURS[line.change]},stroke-width:4px"
    return f"stroke:{_OPENED[line.opened]}" if line.opened else ""


def text(words: str) -> str:
    """Within quotes. Mermaid reads HTML and Markdown there, and entities with # for &."""
    return "".join(sign if sign.isalnum() or sign in _PLAIN else f"#{ord(sign)};" for sign in printable(words))


_PLAIN = frozenset(" .,:;/-+=()[]|")
