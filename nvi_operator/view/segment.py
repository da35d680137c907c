"""Text in a style, without rich: to import it takes as long as to print most texts."""

from __future__ import annotations

from nvi_operator.dataclass import dataclass


@dataclass(frozen=True)
class Segment:
    """A part of a line. `style` is one of rich's, empty for none."""

    text: str
    style: str = ""
