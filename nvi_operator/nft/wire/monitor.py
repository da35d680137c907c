"""What the kernel reports of elements, by the generation of each transaction. Pure.

Contents at generation N plus the reports give the contents at a later generation, without reading 100,000 elements
because one of them was deleted. Only reports without a gap count.

The kernel reports a transaction as one message for each change, and then NEWGEN with its generation
(nf_tables_commit() in net/netfilter/nf_tables_api.c).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from nvi_operator.dataclass import dataclass
from nvi_operator.nft.wire.attributes import WireError, attributes
from nvi_operator.nft.wire.messages import DELETE_ELEMENT, ELEMENTS, NEW_ELEMENT, SET_NAME, Verb, after

_MOST = 1024  # transactions and changes that are kept

_VERBS: dict[int, Verb] = {NEW_ELEMENT: "add", DELETE_ELEMENT: "delete"}


@dataclass(frozen=True)
class ElementReport:
    """Elements that were added to a set or deleted from it: an NFTA_SET_ELEM_LIST_ELEMENTS attribute."""

    verb: Verb
    set: str
    elements: bytes


class Monitor:
    def __init__(self) -> None:
        self._changes: list[ElementReport] | None = None  # of the transaction under way; None: some are unknown
        self._made: deque[tuple[int, Sequence[ElementReport] | None]] = deque()
        self._size = 0  # of `_made`

    def change(self, kind: int, body: bytes) -> None:
        """A message about the gateway's table; `body` follows struct nfgenmsg."""
        verb = _VERBS.get(kind)
        if self._changes is None or verb is None or len(self._changes) == _MOST:
            self._changes = None
            return
        try:
            found = dict(attributes(body))
            self._changes.append(ElementReport(verb, found[SET_NAME].rstrip(b"\0").decode(), found[ELEMENTS]))
        except (WireError, KeyError, UnicodeDecodeError):
            self._changes = None

    def end(self, generation: int) -> None:
        """The transaction is complete."""
        self._made.append((generation, self._changes))
        self._size += _size(self._changes)
        self._changes = []
        while self._size > _MOST:
            self._drop_oldest()

    def gap(self) -> None:
        """Messages were lost, perhaps some of the transaction under way."""
        self.discard(None)
        self._changes = None

    def discard(self, generation: int | None) -> None:
        """Drop the reports up to this generation. None: all of them."""
        if generation is None or any(made == generation for made, _ in self._made):
            while self._made and self._drop_oldest() != generation:
                pass

    def between(self, earlier: int, later: int) -> list[ElementReport] | None:
        """The reports from one generation to another, in order; None if some are unknown, or not about elements."""
        expected, found = after(earlier), list[ElementReport]()
        for generation, changes in self._made:
            if generation != expected:
                continue
            if changes is None:
                return None
            found += changes
            if generation == later:
                return found
            expected = after(generation)
        return None

    def _drop_oldest(self) -> int:
        generation, changes = self._made.popleft()
        self._size -= _size(changes)
        return generation


def _size(changes: Sequence[ElementReport] | None) -> int:
    return 1 + len(changes or ())
