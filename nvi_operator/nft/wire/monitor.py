"""What the kernel reports of elements, by the generation that each transaction made. Pure.

Who knows what a table held in one generation knows from it what the table holds in a later one, without reading
100,000 elements because one of them went. Only what is reported without a gap counts.

A transaction is reported as a message for each thing that it changed, and then NEWGEN with its generation
(nf_tables_commit() in net/netfilter/nf_tables_api.c).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from nvi_operator.nft.wire.attributes import WireError, attributes
from nvi_operator.nft.wire.messages import DELETE_ELEMENT, ELEMENTS, NEW_ELEMENT, SET_NAME, Verb, after

_MOST = 1024  # transactions that are kept, with all that they changed

_VERBS: dict[int, Verb] = {NEW_ELEMENT: "add", DELETE_ELEMENT: "delete"}


@dataclass(frozen=True)
class Reported:
    """Elements that came to a set, or went: an NFTA_SET_ELEM_LIST_ELEMENTS attribute."""

    verb: Verb
    set: str
    elements: bytes


class Reports:
    def __init__(self) -> None:
        self._changes: list[Reported] | None = None  # of the transaction that is not through; None: not all is known
        self._made: deque[tuple[int, Sequence[Reported] | None]] = deque()
        self._size = 0  # of `_made`

    def change(self, kind: int, body: bytes) -> None:
        """A message about our table; `body` is what follows struct nfgenmsg."""
        verb = _VERBS.get(kind)
        if self._changes is None or verb is None or len(self._changes) == _MOST:
            self._changes = None
            return
        try:
            said = dict(attributes(body))
            self._changes.append(Reported(verb, said[SET_NAME].rstrip(b"\0").decode(), said[ELEMENTS]))
        except (WireError, KeyError, UnicodeDecodeError):
            self._changes = None

    def end(self, generation: int) -> None:
        """The transaction is through."""
        self._made.append((generation, self._changes))
        self._size += _size(self._changes)
        self._changes = []
        while self._size > _MOST:
            self._drop_oldest()

    def gap(self) -> None:
        """Something was not heard, and the transaction under way perhaps not as a whole."""
        self.forget(None)
        self._changes = None

    def forget(self, generation: int | None) -> None:
        """What led to this generation is not asked for any more. None: whatever was heard is not."""
        if generation is None or any(made == generation for made, _ in self._made):
            while self._made and self._drop_oldest() != generation:
                pass

    def between(self, earlier: int, later: int) -> list[Reported] | None:
        """What led from one generation to another, in its order; None if that is not known, or more than elements."""
        wanted, found = after(earlier), list[Reported]()
        for generation, changes in self._made:
            if generation != wanted:
                continue
            if changes is None:
                return None
            found += changes
            if generation == later:
                return found
            wanted = after(generation)
        return None

    def _drop_oldest(self) -> int:
        generation, changes = self._made.popleft()
        self._size -= _size(changes)
        return generation


def _size(changes: Sequence[Reported] | None) -> int:
    return 1 + len(changes or ())
