"""Text in a style, without rich: to import it takes as long as to print most texts."""

from __future__ import annotations

from collections.abc import Sequence

from nvi_operator.dataclass import dataclass


@dataclass(frozen=True)
class Segment:
    """A part of a line. `style` is one of rich's, empty for none."""

    text: str
    style: str = ""


Piece = Sequence[Segment]  # some hundreds of lines at most: a terminal's library would take seconds for all at once


def line(text: str, style: str = "") -> Piece:
    return (Segment(text, style),)


def unstyled(piece: Piece) -> str:
    return "".join(part.text for part in piece)
