"""What is drawn: boxes in four columns, and the lines between them. No places and no syntax."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from enum import Enum

from nvi_operator.dataclass import dataclass


class GraphColumn(Enum):
    """The columns from left to right."""

    INSIDE = "inside"
    STAGE_1 = "stage 1: translate"
    STAGE_2 = "stage 2: route"
    UPLINKS = "uplinks"


class Opened(Enum):
    """The side from which flows of a line are opened. Their answers take the same line back."""

    INSIDE = "inside"
    OUTSIDE = "outside"
    BOTH = "both"


class ChangeKind(Enum):
    """How a change of the spec affects a highlighted flow."""

    NEW = "new"
    CHANGED = "changed"
    GONE = "gone"


@dataclass(frozen=True)
class Box:
    """An interface, an uplink, an entry of the spec, or several entries. `panel`: the heading it stands under."""

    key: str
    column: GraphColumn
    title: str
    lines: tuple[str, ...] = ()
    badge: str = ""
    panel: str = ""
    members: tuple[str, ...] = ()  # of a box for several entries: their names


@dataclass(frozen=True)
class Junction:
    """Stands for every box of a column where lines to each of them would hide all others."""

    key: str
    column: GraphColumn  # INSIDE or STAGE_2
    title: str


@dataclass(frozen=True)
class Line:
    """Between two boxes, or a box and a junction; `left` is nearer to the inside."""

    left: str
    right: str
    opened: Opened | None = None  # None: of flows of any kind
    change: ChangeKind | None = None  # highlighted


@dataclass(frozen=True)
class Highlight:
    """A flow to point at: what it passes. The entry is (section, name); what is None is not drawn."""

    change: ChangeKind
    inside: str | None = None
    entry: tuple[str, str] | None = None
    uplink: str | None = None


@dataclass(frozen=True)
class Drawing:
    """The topology of one gateway."""

    name: str
    device: str
    boxes: tuple[Box, ...]
    junctions: tuple[Junction, ...]
    lines: tuple[Line, ...]
    changes: Mapping[str, ChangeKind] = field(default_factory=dict)  # of highlighted boxes, by key

    def of(self, column: GraphColumn) -> Iterator[Box]:
        return (box for box in self.boxes if box.column is column)


def inside_key(ifname: str) -> str:
    return f"inside {ifname}"


def uplink_key(name: str) -> str:
    return f"uplink {name}"


def source_key(uplink: str) -> str:
    """The box of stage 2 that leads to an uplink."""
    return f"source {uplink}"
