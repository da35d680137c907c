"""A preview for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.preview.model import Preview
from nvi_operator.state.lines import Line
from nvi_operator.view.plan import styled, wrapped
from nvi_operator.view.preview.blocks import Block, blocks, clean, headline, same_line
from nvi_operator.view.segment import Piece, Segment


def preview_pieces(preview: Preview, width: int | None) -> Iterator[Piece]:
    """Lines as the other commands have them, not wider than `width`."""
    for block in blocks(preview):
        yield [Segment(f"{_title(block)}\n", "bold")]
        yield from styled(wrapped(_lines(block), width))
        yield [Segment("\n")]
    if same := same_line(preview):
        yield [Segment(f"{same}\n")]
    yield [Segment(f"From {clean(preview.base)} to {clean(preview.head)}: {headline(preview)}.", "bold")]


def _title(block: Block) -> str:
    place = f" ({block.place})" if block.place not in (".", block.title) else ""
    return f"{block.title}{place}: {block.word}"


def _lines(block: Block) -> Iterator[Line]:
    if not block.is_wrong:  # otherwise it is on stderr, as each error
        yield from ((" ", line) for line in block.error)
    yield from block.plan
    if block.flows:
        yield " ", "flows:"
        yield from ((sign, f"  {line}") for sign, line in block.flows)
    yield from ((" ", f"note: {note}") for note in block.notes)
    if block.steps:
        yield " ", block.steps
