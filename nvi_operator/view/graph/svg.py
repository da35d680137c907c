"""A drawing as SVG: one that stands alone or within HTML, in the reader's light or dark scheme.

It has no script, and nothing from elsewhere. Whatever comes from a spec is text, and escaped.
"""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.view.graph import layout as places
from nvi_operator.view.graph.layout import Layout, Path, Rectangle, fitting, layout
from nvi_operator.view.graph.model import Box, ChangeKind, Drawing, GraphColumn, Opened
from nvi_operator.view.graph.style import CHANGES, markers, style, xml_text

_TITLES = {
    GraphColumn.INSIDE: "inside",
    GraphColumn.STAGE_1: "stage 1: translate",
    GraphColumn.STAGE_2: "stage 2: route",
    GraphColumn.UPLINKS: "uplinks",
}
_OPENED = {None: "plain", Opened.INSIDE: "out", Opened.OUTSIDE: "in", Opened.BOTH: "both"}
_LEGEND = (
    ("out", "opened from inside"),
    ("in", "opened from outside"),
    ("both", "opened from both sides"),
)
_MOST_NAMES = 40  # in the text that a pointer on a box shows


def svg(drawing: Drawing) -> str:
    """One `<svg>` element, with a line feed at its end."""
    return "\n".join(_elements(drawing, layout(drawing))) + "\n"


def _elements(drawing: Drawing, at: Layout) -> Iterator[str]:
    title = xml_text(f"gateway {drawing.name}")
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="nvi-graph" role="img" aria-label="{title}" '
        f'width="{at.width:.0f}" height="{at.height:.0f}" viewBox="0 0 {at.width:.0f} {at.height:.0f}">'
    )
    yield f"<title>{title}</title>"
    yield f"<style>{style()}</style>"
    yield f"<defs>{''.join(markers())}</defs>"
    yield '<rect class="page" width="100%" height="100%"/>'
    yield from _frames(drawing, at)
    plain = [path for path in at.paths if not path.line.change]
    yield from map(_path, plain)
    yield from (_path(path) for path in at.paths if path.line.change)
    for junction in drawing.junctions:
        x, y = at.junctions[junction.key]
        yield f'<circle class="joint" cx="{x:.1f}" cy="{y:.1f}" r="{places.JUNCTION_RADIUS}"/>'
        title = xml_text(junction.title)
        yield f'<text class="small" text-anchor="middle" x="{x:.1f}" y="{y + 3.5:.1f}">{title}</text>'
    for heading in at.headings:
        yield f'<text class="head" x="{heading.x:.1f}" y="{heading.y:.1f}">{xml_text(heading.text)}</text>'
    for box in drawing.boxes:
        yield from _box(box, at.boxes[box.key], drawing.changes.get(box.key))
    yield from _legend(drawing, at)
    yield "</svg>"


# --------------------------------------------------------------------------- parts


def _frames(drawing: Drawing, at: Layout) -> Iterator[str]:
    first, second = at.columns[GraphColumn.STAGE_1], at.columns[GraphColumn.STAGE_2]
    top, height = first.y - 8, first.height + 16
    yield (
        f'<rect class="gateway" rx="10" x="{first.x - 24:.1f}" y="{top - 50:.1f}" '
        f'width="{second.right - first.x + 48:.1f}" height="{height + 62:.1f}"/>'
    )
    yield f'<text class="name" x="{first.x - 10:.1f}" y="{top - 31:.1f}">{xml_text(f"gateway {drawing.name}")}</text>'
    for column, place in at.columns.items():
        yield f'<text class="stage" x="{place.x:.1f}" y="{top - 8:.1f}">{_TITLES[column]}</text>'
    for place in (first, second):
        yield (
            f'<rect class="stage-frame" rx="7" x="{place.x - 10:.1f}" y="{top:.1f}" '
            f'width="{place.width + 20:.1f}" height="{height:.1f}"/>'
        )
    yield f'<line class="device" x1="{at.device:.1f}" x2="{at.device:.1f}" y1="{top:.1f}" y2="{top + height:.1f}"/>'
    device = xml_text(drawing.device)
    yield f'<text class="stage" text-anchor="middle" x="{at.device:.1f}" y="{top - 8:.1f}">{device}</text>'


def _box(box: Box, place: Rectangle, change: ChangeKind | None) -> Iterator[str]:
    kind = f" {CHANGES[change]}" if change else ""
    yield "<g>"
    yield f"<title>{xml_text(_whole(box))}</title>"
    yield (
        f'<rect class="box{kind}" rx="5" x="{place.x:.1f}" y="{place.y:.1f}" '
        f'width="{place.width:.1f}" height="{place.height:.1f}"/>'
    )
    room = 0.0
    if box.badge:
        badge = fitting(box.badge, box.column, room=100)
        room = len(badge) * places.CHARACTER + 16
        x = place.right - room + 2
        yield (f'<rect class="badge" rx="4" x="{x:.1f}" y="{place.y + 6:.1f}" width="{room - 8:.1f}" height="16"/>')
        yield f'<text class="small" x="{x + 4:.1f}" y="{place.y + 17.5:.1f}">{xml_text(badge)}</text>'
    x, y = place.x + places.PADDING, place.y + places.PADDING + 10
    title = fitting(box.title, box.column, title=True, room=room)
    yield f'<text class="title" x="{x:.1f}" y="{y:.1f}">{xml_text(title)}</text>'
    for number, line in enumerate(box.lines, start=1):
        text = fitting(line, box.column)
        yield f'<text class="line" x="{x:.1f}" y="{y + places.TEXT * number:.1f}">{xml_text(text)}</text>'
    yield "</g>"


def _whole(box: Box) -> str:
    """All that the box is about: it may be cut where it is drawn."""
    names = box.members[:_MOST_NAMES]
    more = len(box.members) - len(names)
    lines = box.lines[:-1] if names else box.lines
    return "\n".join((box.title, *lines, *names, *([f"and {more:,} more"] if more else [])))


def _path(path: Path) -> str:
    line = path.line
    kind = CHANGES[line.change] if line.change else _OPENED[line.opened]
    weight = " strong" if line.change else ""
    heads = f' marker-end="url(#nvi-{kind})"' if line.opened in (Opened.INSIDE, Opened.BOTH) else ""
    heads += f' marker-start="url(#nvi-{kind})"' if line.opened in (Opened.OUTSIDE, Opened.BOTH) else ""
    return f'<path class="way {kind}{weight}" d="{_curve(path)}"{heads}/>'


def _curve(path: Path) -> str:
    """Lines of a junction meet in an upright one: curves would lie upon each other."""
    (x1, y1), (x2, y2) = path.start, path.end
    if path.bar is not None:
        return f"M{x1:.1f},{y1:.1f} H{path.bar:.1f} V{y2:.1f} H{x2:.1f}"
    bend = max(24.0, (x2 - x1) / 2)
    return f"M{x1:.1f},{y1:.1f} C{x1 + bend:.1f},{y1:.1f} {x2 - bend:.1f},{y2:.1f} {x2:.1f},{y2:.1f}"


def _legend(drawing: Drawing, at: Layout) -> Iterator[str]:
    found = {_OPENED[path.line.opened] for path in at.paths}
    drawn = {*drawing.changes.values(), *(path.line.change for path in at.paths)}
    told = [(kind, text) for kind, text in _LEGEND if kind in found]
    told += [(kind, kind) for change, kind in CHANGES.items() if change in drawn]
    x, y = at.columns[GraphColumn.INSIDE].x, at.height - 16
    for kind, text in told:
        yield f'<path class="way {kind}" d="M{x:.1f},{y - 4:.1f} h26" marker-end="url(#nvi-{kind})"/>'
        yield f'<text class="small" x="{x + 32:.1f}" y="{y:.1f}">{text}</text>'
        x += 52 + len(text) * places.CHARACTER
    hint = "answers take the same line back"
    yield f'<text class="small" x="{x:.1f}" y="{y:.1f}">{hint}</text>'
