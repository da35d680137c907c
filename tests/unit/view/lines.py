"""Lines of a view, as a terminal shows them."""

from __future__ import annotations

from collections.abc import Iterable

from nvi_operator.view.segment import Piece, unstyled


def lines_of(pieces: Iterable[Piece]) -> list[str]:
    return [unstyled(piece) for piece in pieces]


def text_of(pieces: Iterable[Piece]) -> str:
    return "".join(f"{line}\n" for line in lines_of(pieces))
