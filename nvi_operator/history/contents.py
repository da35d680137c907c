"""How files are kept: as a whole, or as the lines that differ from an earlier version. Pure.

A file of 100,000 forwards has 8 MB, and an edit of one of them a hundred bytes. Small files are kept as they are, so
that an auditor reads them with any SQLite.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator

from nvi_operator.dataclass import dataclass

SMALL = 1 << 16  # bytes: smaller files are kept as they are
_LEAST_SAVED = 4  # a difference is kept where it takes a fourth of the file at most
MOST_DELTAS = 100  # between a file and the last one that is kept as a whole


@dataclass(frozen=True)
class Kept:
    """One version of a file. With a `base` it is the version of that number, with `data` in the place of the bytes
    from `start` to `end`.
    """

    data: bytes
    packed: bool = False  # with zlib
    base: int | None = None
    depth: int = 0  # deltas to the whole
    start: int = 0
    end: int = 0
    proof: bytes = b""  # of the whole content; made of the base's proof

    @property
    def text(self) -> bytes:
        return zlib.decompress(self.data) if self.packed else self.data

    def is_sound(self, base: bytes) -> bool:
        """`base`: the proof of the base."""
        return self.proof == _proof(self, base)


def whole(data: bytes) -> Kept:
    packed = len(data) > SMALL
    return _proven(Kept(zlib.compress(data, 1) if packed else data, packed), b"")


def difference(number: int, base: Kept, before: bytes, after: bytes) -> Kept | None:
    """`after` as a difference from the version `number`, where that is worthwhile."""
    from nvi_operator.language.fast.line_diff import changed_lines

    if len(after) <= SMALL or base.depth >= MOST_DELTAS:
        return None
    span = changed_lines(before, after)
    if span is None or _LEAST_SAVED * (span.new_end - span.start) > len(after):
        return None
    data = after[span.start : span.new_end]
    return _proven(Kept(data, False, number, base.depth + 1, span.start, span.old_end), base.proof)


def rebuilt(versions: Iterable[Kept]) -> bytes:
    """The content of the last one; the first is a whole. ValueError where one of them is damaged."""
    pieces: list[memoryview] = []  # joined once: a hundred copies of 8 MB would take a second
    proof = b""
    for kept in versions:
        if not kept.is_sound(proof):
            raise ValueError("its checksum differs")
        data = [memoryview(kept.text)]
        if kept.base is not None:
            data = [*_part(pieces, 0, kept.start), *data, *_part(pieces, kept.end, None)]
        pieces, proof = data, kept.proof
    if not proof:
        raise ValueError("it is lost")
    return b"".join(pieces)


def _part(pieces: Iterable[memoryview], start: int, end: int | None) -> Iterator[memoryview]:
    """What is between two places of the whole."""
    place = 0
    for piece in pieces:
        part = piece[max(start - place, 0) : None if end is None else max(end - place, 0)]
        if part:
            yield part
        place += len(piece)


def _proven(kept: Kept, base: bytes) -> Kept:
    return Kept(kept.data, kept.packed, kept.base, kept.depth, kept.start, kept.end, _proof(kept, base))


def _proof(kept: Kept, base: bytes) -> bytes:
    head = f"{kept.packed:d} {kept.start} {kept.end} {len(kept.data)}".encode()
    return hashlib.sha256(b"\0".join((base, head, kept.data))).digest()
