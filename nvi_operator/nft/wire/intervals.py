"""Prefixes and ranges of a single field, as the kernel dumps them: elements where intervals begin and end.

Read only: libnftables writes such sets, and decides what becomes of adjacent and nested intervals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nvi_operator.dataclass import dataclass
from nvi_operator.nft.ast import Data, Element, NamedSet, Value
from nvi_operator.nft.wire.attributes import WireError, attributes, only
from nvi_operator.nft.wire.codec import DATA, ELEMENT, FLAGS, KEY, USERDATA, Codec, Fields
from nvi_operator.nft.wire.types import TYPES, Type

_INTERVAL_END = 1  # NFT_SET_ELEM_INTERVAL_END


@dataclass(frozen=True)
class Intervals:
    """The codec of a set, or of a map to verdicts or values. A value of netmap is a prefix: two addresses."""

    key: Type
    value: tuple[Type, ...] = ()
    verdicts: bool = False

    def elements(self, raws: Iterable[bytes]) -> frozenset[Element]:
        """WireError for an element in a form that the ruleset never has."""
        points = sorted(map(self._point, raws), key=lambda point: point[:2])
        return frozenset(self._joined(points))

    def _point(self, raw: bytes) -> tuple[bytes, bool, bytes | None]:
        """(key, whether an interval begins there, its value); an end sorts before a beginning."""
        kind, body = only(raw)
        found = dict(attributes(body))
        flags = int.from_bytes(found.pop(FLAGS, b""), "big")
        if kind != ELEMENT or flags & ~_INTERVAL_END or not found.keys() <= {KEY, DATA, USERDATA}:
            raise WireError(f"an element with flags {flags} and attributes {sorted(found)}")
        (key,) = Fields((self.key,)).split(found[KEY])
        return key, not flags, found.get(DATA)

    def _joined(self, points: list[tuple[bytes, bool, bytes | None]]) -> Iterator[Element]:
        begun: tuple[bytes, bytes | None] | None = None
        for key, begins, data in points:
            if begun is not None:
                yield self._element(begun[0], _before(key), begun[1])
            begun = (key, data) if begins else None
        if begun is not None:
            yield self._element(begun[0], b"\xff" * self.key.size, begun[1])

    def _element(self, first: bytes, last: bytes, data: bytes | None) -> Element:
        return (self.key.unpack_range(first, last),), self._data(data)

    def _data(self, payload: bytes | None) -> Data:
        if self.verdicts or not self.value:
            return Codec(Fields((self.key,)), None, self.verdicts).unpack_data(payload)
        values = self.value
        if len(values) == 1 and payload and len(only(payload)[1]) == 2 * values[0].size:
            first, last = Fields((values[0], values[0])).split(payload)
            value: Value = values[0].unpack_range(first, last)
            return (value,)
        return Fields(values).unpack(payload or b"")


def _before(key: bytes) -> bytes:
    return (int.from_bytes(key, "big") - 1).to_bytes(len(key), "big")


def intervals_of(named: NamedSet) -> Intervals | None:
    """None for a set of anything but intervals of one field, or of unknown types."""
    verdicts = named.values == ("verdict",)
    known = {*named.key, *(() if verdicts else named.values)} <= TYPES.keys()
    if not named.interval or len(named.key) != 1 or not known or not TYPES[named.key[0]].ordered:
        return None
    return Intervals(TYPES[named.key[0]], () if verdicts else tuple(TYPES[v] for v in named.values), verdicts)
