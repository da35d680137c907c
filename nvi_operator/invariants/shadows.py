"""Entries that are asked in an order, of which the first that matches wins: which are hidden by those before them.

Complete: an entry is hidden only if every packet that it is about is taken by one before it, whichever together.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator

from nvi_operator.dataclass import dataclass
from nvi_operator.explain.spans import Spans
from nvi_operator.invariants.boxes import PacketBox
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.values import Family

MOST = 2000  # boxes that are left of one entry: what takes more to decide is taken to be alive
_NARROW: dict[Family, int] = {4: 1 << 16, 6: 1 << 80}  # addresses: what has more is compared with every entry
_TRIED = 16  # entries that take part, without each of which it is tried
_FEW = 64  # spans of one entry in the index


@dataclass(frozen=True)
class EntryPackets:
    """An entry, or a part of one, and the packets that it is about. `paths`: what it stands for in the spec."""

    paths: tuple[Path, ...]
    boxes: tuple[PacketBox, ...]


def takers(entries: Iterable[EntryPackets]) -> Iterator[tuple[EntryPackets, tuple[EntryPackets, ...]]]:
    """Each entry with those before it that take all of its packets; with none where it has some for itself."""
    earlier = _Earlier()
    for entry in entries:
        yield entry, _takers(entry, earlier)
        earlier.add(entry)


def _takers(entry: EntryPackets, earlier: _Earlier) -> tuple[EntryPackets, ...]:
    others = [other for other in earlier.meeting(entry) if other.paths != entry.paths]
    found = _among(entry, others)
    for other in found if len(found) <= _TRIED else ():  # the fewest are the clearest answer, and the nearest
        without = [each for each in found if each is not other]
        found = _among(entry, without) or found
    return found


def _among(entry: EntryPackets, others: Iterable[EntryPackets]) -> tuple[EntryPackets, ...]:
    """The others that together take all packets of an entry; none where they do not."""
    left = entry.boxes
    found: list[EntryPackets] = []
    for other in others:
        before = left
        for box in other.boxes:
            left = tuple(piece for mine in left for piece in mine.less(box))
        if left != before:
            found.append(other)
        if not left:
            return tuple(found)
        if len(left) > MOST:
            return ()
    return ()


class _Earlier:
    """The entries so far, found by the addresses that they are about."""

    def __init__(self) -> None:
        self._entries: list[EntryPackets] = []
        self._wide: list[int] = []
        self._starts: dict[tuple[Family, str], list[tuple[int, int]]] = {}

    def add(self, entry: EntryPackets) -> None:
        number = len(self._entries)
        self._entries.append(entry)
        for box in entry.boxes:
            side = next((side for side in ("sources", "destinations") if _is_narrow(box, side)), None)
            if side is None:
                self._wide.append(number)
                continue
            starts = self._starts.setdefault((box.family, side), [])
            for first, _ in getattr(box, side):
                insort(starts, (first, number))

    def meeting(self, entry: EntryPackets) -> Iterator[EntryPackets]:
        """The entries that may have packets in common with it, in order."""
        found = set(self._wide)
        for box in entry.boxes:
            for side in ("sources", "destinations"):
                starts = self._starts.get((box.family, side), [])
                spans: Spans = getattr(box, side)
                for first, last in spans if starts else ():
                    begin = bisect_left(starts, (first - _NARROW[box.family], 0))
                    end = bisect_right(starts, (last, len(self._entries)))
                    found.update(number for _, number in starts[begin:end])
        return (self._entries[number] for number in sorted(found))


def _is_narrow(box: PacketBox, side: str) -> bool:
    spans: Spans = getattr(box, side)
    return len(spans.parts) <= _FEW and all(last - first < _NARROW[box.family] for first, last in spans)
