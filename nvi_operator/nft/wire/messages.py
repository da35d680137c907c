"""nfnetlink messages about elements, as bytes: a batch that changes them, and what the kernel answers. Pure.

A batch is all or nothing. Without its end message it is checked and discarded, which is what `nft -c` does.
Source: net/netfilter/nfnetlink.c, include/uapi/linux/netfilter/nfnetlink.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.nft.wire.attributes import NESTED, attribute

Verb = Literal["add", "delete"]

_REQUEST, _ACK, _CREATE, _EXCLUSIVE, _DUMP = 0x1, 0x4, 0x400, 0x200, 0x300
_BATCH_BEGIN, _BATCH_END = 16, 17
_SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
NEW_ELEMENT, _GET_ELEMENT, DELETE_ELEMENT = (_SUBSYSTEM << 8 | number for number in (12, 13, 14))
NEW_GENERATION, _GET_GENERATION = (_SUBSYSTEM << 8 | number for number in (15, 16))
_BATCH_GENERATION, GENERATION_ID = 1, 1
_TABLE, SET_NAME, ELEMENTS = 1, 2, 3  # NFTA_SET_ELEM_LIST_*
TABLE_NAME = 1  # NFTA_TABLE_NAME
_INET = 1
_LARGEST = 0xFFFF - 4  # payload of one attribute


def message(kind: int, flags: int, sequence: int, body: bytes, *, family: int = _INET, resource: int = 0) -> bytes:
    """A netlink message with the header of nfnetlink in it."""
    header = struct.pack("=IHHIIBB", 20 + len(body), kind, flags, sequence, 0, family, 0)
    return header + struct.pack("!H", resource) + body


def after(generation: int) -> int:
    """The generation after one more transaction: 32 bits, and never 0."""
    return (generation + 1) & 0xFFFFFFFF or 1


def get_generation(sequence: int) -> bytes:
    return message(_GET_GENERATION, _REQUEST, sequence, b"", family=0)


def get_elements(table: str, name: str, sequence: int) -> bytes:
    return message(_GET_ELEMENT, _REQUEST | _DUMP, sequence, _names(table, name))


def _names(table: str, name: str) -> bytes:
    return attribute(_TABLE, table.encode() + b"\0") + attribute(SET_NAME, name.encode() + b"\0")


@dataclass(frozen=True)
class ElementChange:
    """Elements in the kernel's form that are added to a set of `inet TABLE`, or deleted from it."""

    verb: Verb
    set: str
    elements: Sequence[bytes]


@dataclass(frozen=True)
class ElementBatch:
    """The messages of one transaction, with what each is about, so that an error can name what the kernel refused.

    Messages are numbered: `first` begins the batch, one message follows for each of `parts`, and then the end.
    """

    data: bytes
    first: int
    parts: tuple[ElementChange, ...]
    prefixes: tuple[int, ...]  # bytes before the elements, in each part's message

    @property
    def last(self) -> int:
        return self.first + len(self.parts)

    def blamed(self, sequence: int, offset: int | None) -> tuple[ElementChange | None, bytes | None]:
        """The part that an error is about, and the element, if the kernel told the offset in the message."""
        index = sequence - self.first - 1
        if not 0 <= index < len(self.parts):
            return None, None
        part = self.parts[index]
        if offset is not None:
            place = self.prefixes[index]
            for element in part.elements:
                if place <= offset < place + len(element):
                    return part, element
                place += len(element)
        return part, None


def element_batch(
    table: str,
    changes: Sequence[ElementChange],
    *,
    first: int = 1,
    generation: int | None = None,
    commit: bool = True,
) -> ElementBatch:
    """One transaction. With `generation` the kernel refuses it (ERESTART) if the ruleset has another generation."""
    guard = b"" if generation is None else attribute(_BATCH_GENERATION, struct.pack("!I", generation))
    messages = [message(_BATCH_BEGIN, _REQUEST, first, guard, family=0, resource=_SUBSYSTEM)]
    nests = [
        (ElementChange(change.verb, change.set, part), raw)
        for change in changes
        for part, raw in _nests(change.elements)
    ]
    prefixes = []
    for sequence, (part, raw) in enumerate(nests, first + 1):
        kind = NEW_ELEMENT if part.verb == "add" else DELETE_ELEMENT
        flags = _REQUEST | (_CREATE | _EXCLUSIVE if part.verb == "add" else 0)
        flags |= _ACK if sequence == first + len(nests) else 0
        names = _names(table, part.set)
        body = names + attribute(ELEMENTS | NESTED, raw)
        messages.append(message(kind, flags, sequence, body))
        prefixes.append(20 + len(names) + 4)
    if commit:
        messages.append(message(_BATCH_END, _REQUEST, first + len(nests) + 1, b"", family=0, resource=_SUBSYSTEM))
    return ElementBatch(b"".join(messages), first, tuple(part for part, _ in nests), tuple(prefixes))


def _nests(elements: Sequence[bytes]) -> Iterator[tuple[Sequence[bytes], bytes]]:
    """As many elements at a time as fit into an attribute, and the same as one byte string."""
    start = 0
    while start < len(elements):
        count = max(1, _LARGEST // len(elements[start]))
        raw = b"".join(part := elements[start : start + count])
        while len(raw) > _LARGEST:  # elements that name chains differ in size
            count //= 2
            raw = b"".join(part := elements[start : start + count])
        yield part, raw
        start += count
