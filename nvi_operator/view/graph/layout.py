"""Where everything stands, in pixels. Equal drawings have equal layouts, and a small edit moves little.

Columns from left to right; within one the order of the spec. A box of stage 2 stands beside its uplink. Text has a
monospaced font, so that its width is known without the font.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from nvi_operator.dataclass import dataclass
from nvi_operator.view.graph.model import Box, Drawing, GraphColumn, Line

MARGIN = 20
TITLE = 20  # height of a line of text: of titles, and of the lines below
TEXT = 15
PADDING = 9
CHARACTER = 6.65  # width, in the font of 11 px
TITLE_CHARACTER = 7.3
HEADING = 22
GAP = 9
TOP = 64  # of the columns: the gateway's name and the stages' stand above
MOST_SPREAD = 70  # between boxes of a column that has room
BOTTOM = 58  # below them: the legend

_WIDTHS: Mapping[GraphColumn, int] = {
    GraphColumn.INSIDE: 190,
    GraphColumn.STAGE_1: 300,
    GraphColumn.STAGE_2: 230,
    GraphColumn.UPLINKS: 190,
}
_BEFORE: Mapping[GraphColumn, int] = {
    GraphColumn.INSIDE: 0,
    GraphColumn.STAGE_1: 84,
    GraphColumn.STAGE_2: 112,
    GraphColumn.UPLINKS: 74,
}
JUNCTION_RADIUS = 13
_JUNCTION_GAP = 30  # of a junction from the column that it stands before


Point = tuple[float, float]
Row = tuple[Box, ...]  # side by side


@dataclass(frozen=True)
class Rectangle:
    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


@dataclass(frozen=True)
class Heading:
    text: str
    x: float
    y: float


@dataclass(frozen=True)
class Path:
    """A line from the right side of one thing to the left side of another. `bar`: by way of an upright line there."""

    line: Line
    start: Point
    end: Point
    bar: float | None = None


@dataclass(frozen=True)
class Layout:
    width: float
    height: float
    columns: Mapping[GraphColumn, Rectangle]
    device: float  # the middle of nvi0, from the left
    boxes: Mapping[str, Rectangle]
    junctions: Mapping[str, Point]
    headings: tuple[Heading, ...]
    paths: tuple[Path, ...]


def layout(drawing: Drawing) -> Layout:
    lefts = _lefts()
    stacks = (_alone(drawing.of(GraphColumn.INSIDE)), _alone(drawing.of(GraphColumn.STAGE_1)), _ways(drawing))
    tallest = max(map(_height, stacks))
    boxes: dict[str, Rectangle] = {}
    headings: list[Heading] = []
    for rows in stacks:
        _stack(rows, tallest, lefts, boxes, headings)
    columns = {column: Rectangle(lefts[column], TOP, _WIDTHS[column], tallest) for column in GraphColumn}
    junctions = _junctions(drawing, columns, boxes)
    return Layout(
        lefts[GraphColumn.UPLINKS] + _WIDTHS[GraphColumn.UPLINKS] + MARGIN,
        TOP + tallest + BOTTOM,
        columns,
        columns[GraphColumn.STAGE_1].right + _BEFORE[GraphColumn.STAGE_2] / 2 - 12,
        boxes,
        junctions,
        tuple(headings),
        tuple(_paths(drawing, boxes, junctions)),
    )


def box_height(box: Box) -> float:
    return 2 * PADDING + TITLE - 5 + TEXT * len(box.lines)


def fitting(text: str, column: GraphColumn, *, title: bool = False, room: float = 0) -> str:
    """As much of `text` as fits into a box of `column`, beside `room` pixels."""
    width = _WIDTHS[column] - 2 * PADDING - room
    most = int(width / (TITLE_CHARACTER if title else CHARACTER))
    return text if len(text) <= most else text[: most - 1].rstrip(" ,") + "…"


def _lefts() -> dict[GraphColumn, float]:
    lefts: dict[GraphColumn, float] = {}
    x: float = MARGIN
    for column in GraphColumn:
        x += _BEFORE[column]
        lefts[column] = x
        x += _WIDTHS[column]
    return lefts


# --------------------------------------------------------------------------- rows


def _alone(boxes: Iterable[Box]) -> list[Row]:
    return [(box,) for box in boxes]


def _ways(drawing: Drawing) -> list[Row]:
    """Stage 2: explicit routes, and below them each uplink beside its sources."""
    uplinks = {box.key: box for box in drawing.of(GraphColumn.UPLINKS)}
    second = {box.key: box for box in drawing.of(GraphColumn.STAGE_2)}
    beside = {line.left: uplinks[line.right] for line in drawing.lines if line.right in uplinks and not line.opened}
    return [(box, beside[box.key]) if box.key in beside else (box,) for box in second.values()]


def _row_height(row: Row) -> float:
    return max(map(box_height, row))


def _height(rows: Iterable[Row]) -> float:
    return sum(
        (HEADING if panel else 0) + sum(_row_height(row) + GAP for row in group)
        for panel, group in groupby(rows, key=_panel)
    )


def _panel(row: Row) -> str:
    return row[0].panel


def _stack(
    rows: Sequence[Row],
    height: float,
    lefts: Mapping[GraphColumn, float],
    boxes: dict[str, Rectangle],
    headings: list[Heading],
) -> None:
    """Adds the boxes and headings, spread over `height` from the top on."""
    free = height - _height(rows)
    spread = min(free / (len(rows) + 1), MOST_SPREAD)
    y = TOP + (free - spread * (len(rows) - 1)) / 2
    for panel, group in groupby(rows, key=_panel):
        if panel:
            headings.append(Heading(panel, lefts[rows[0][0].column], y + HEADING - 8))
            y += HEADING
        for row in group:
            tall = _row_height(row)
            for box in row:
                own = box_height(box)
                boxes[box.key] = Rectangle(lefts[box.column], y + (tall - own) / 2, _WIDTHS[box.column], own)
            y += tall + GAP + spread


def _junctions(
    drawing: Drawing, columns: Mapping[GraphColumn, Rectangle], boxes: Mapping[str, Rectangle]
) -> dict[str, Point]:
    """Each at the height of the middle of what it stands for."""
    found = {}
    for junction in drawing.junctions:
        ends = {line.left for line in drawing.lines if line.right == junction.key}
        ends |= {line.right for line in drawing.lines if line.left == junction.key}
        heights = [boxes[key].middle for key in ends if key in boxes]
        column = columns[junction.column]
        x = column.right + _JUNCTION_GAP if junction.column is GraphColumn.INSIDE else column.x - _JUNCTION_GAP
        found[junction.key] = (x, sum(heights) / max(len(heights), 1))
    return found


def _paths(drawing: Drawing, boxes: Mapping[str, Rectangle], junctions: Mapping[str, Point]) -> Iterator[Path]:
    """Lines of one box leave it at different heights, in the order of their other ends."""
    middles = {key: box.middle for key, box in boxes.items()} | {key: y for key, (_, y) in junctions.items()}
    rights: dict[str, set[str]] = {}
    lefts: dict[str, set[str]] = {}
    for line in drawing.lines:
        rights.setdefault(line.left, set()).add(line.right)
        lefts.setdefault(line.right, set()).add(line.left)

    def height(key: str, others: set[str], other: str) -> float:
        if key in junctions:
            return junctions[key][1]
        ordered = sorted(others, key=lambda each: (middles[each], each))
        return boxes[key].y + boxes[key].height * (ordered.index(other) + 1) / (len(ordered) + 1)

    for line in drawing.lines:
        start = boxes[line.left].right if line.left in boxes else junctions[line.left][0]
        end = boxes[line.right].x if line.right in boxes else junctions[line.right][0]
        bar = None if line.opened else start if line.left in junctions else end if line.right in junctions else None
        if bar is None and line.right in junctions:
            end -= JUNCTION_RADIUS
        elif bar is None and line.left in junctions:
            start += JUNCTION_RADIUS
        yield Path(
            line,
            (start, height(line.left, rights[line.left], line.right)),
            (end, height(line.right, lefts[line.right], line.left)),
            bar,
        )
