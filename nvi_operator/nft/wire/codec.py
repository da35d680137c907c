"""Elements of a set as bytes: one NFTA_LIST_ELEM attribute each, as the kernel dumps them.

The kernel returns packed elements byte for byte, so the difference of two large maps is one of sets of bytes. Sets
with exact keys, and concatenations with ranges (the kernel keeps both ends of those in one element), are written and
read this way. Prefixes and ranges of a single field are pairs of elements in a tree, with rules for adjacent ones:
libnftables writes those, they are few, and `intervals.py` reads them.

Source: include/uapi/linux/netfilter/nf_tables.h; nf_tables_fill_setelem() in net/netfilter/nf_tables_api.c.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import accumulate, chain, compress, islice, repeat, starmap
from operator import and_, itemgetter
from typing import Any
from zlib import crc32

from nvi_operator.dataclass import dataclass
from nvi_operator.nft.ast import Data, Element, NamedSet, Parts, Value, Verdict
from nvi_operator.nft.wire.attributes import WireError, attribute, attributes, only
from nvi_operator.nft.wire.types import TYPES, Packed, Type, high_end, low_end

ELEMENT = 1  # NFTA_LIST_ELEM
KEY, DATA, FLAGS, USERDATA, KEY_END = 1, 2, 3, 6, 10  # NFTA_SET_ELEM_*
_VALUE, _VERDICT = 1, 2  # NFTA_DATA_*
_CODE, _CHAIN = 1, 2  # NFTA_VERDICT_*
_CODES = {"accept": 1, "drop": 0, "return": -5, "jump": -3}
_VERDICTS = {code: kind for kind, code in _CODES.items()}
_AT_ONCE = 8192  # rows; many elements then need little memory besides themselves

ElementRow = tuple[Value | Verdict, ...]


@dataclass(frozen=True)
class Fields:
    """The fields of a key or of a value. In a concatenation each is padded to a register of 4 bytes."""

    types: tuple[Type, ...]

    @cached_property
    def widths(self) -> tuple[int, ...]:
        if len(self.types) == 1:
            return (self.types[0].size,)
        return tuple(type_.size + 3 & ~3 for type_ in self.types)

    @cached_property
    def columns(self) -> tuple[tuple[Type, int], ...]:
        return tuple(zip(self.types, self.widths, strict=True))

    @cached_property
    def places(self) -> tuple[slice, ...]:
        """Where the bytes of each field are."""
        starts = accumulate(self.widths, initial=0)
        return tuple(slice(start, start + type_.size) for type_, start in zip(self.types, starts, strict=False))

    def header(self, kind: int) -> bytes:
        """The header of an attribute of this kind around an NFTA_DATA_VALUE with these fields."""
        size = sum(self.widths)
        return struct.pack("=HHHH", 8 + (size + 3 & ~3), kind, 4 + size, _VALUE)

    @property
    def code(self) -> str:
        """The format of the fields for the struct module."""
        return "".join(f"{type_.code}{width - type_.size}x" for type_, width in self.columns)

    @property
    def padding(self) -> bytes:
        return bytes(-sum(self.widths) % 4)

    def split(self, payload: bytes) -> tuple[bytes, ...]:
        """The bytes of each field in the payload of an attribute."""
        kind, raw = only(payload)
        if kind != _VALUE or len(raw) != sum(self.widths):
            raise WireError(f"{len(raw)} bytes where {sum(self.widths)} should be")
        return tuple([raw[place] for place in self.places])

    def unpack(self, payload: bytes) -> Parts:
        return tuple([t.unpack(part) for t, part in zip(self.types, self.split(payload), strict=True)])


@dataclass(frozen=True)
class Codec:
    """The codec of a set, or of a map to `value` or to verdicts. `ranges`: each field of the key has two ends."""

    key: Fields
    value: Fields | None = None
    verdicts: bool = False
    ranges: bool = False

    def pack(self, elements: Iterable[Element]) -> frozenset[bytes]:
        """The elements in the kernel's form. WireError names a value that does not fit into the set."""
        return self.pack_rows(_row(*element) for element in elements)

    def pack_rows(self, rows: Iterable[ElementRow]) -> frozenset[bytes]:
        """Pack elements whose key and value are one flat tuple."""
        return frozenset(chain.from_iterable(self._packed(iter(rows))))

    def pack_columns(self, columns: Sequence[Iterable[Any]]) -> list[bytes]:
        """Pack exact keys and plain values in columns, as `Type.column` takes them; three times as fast as `pack`."""
        assert self.value is not None
        assert self.size is not None
        key, value = self.key, self.value
        head, middle = self._head(self.size), key.padding + value.header(DATA)
        code = f"!{len(head)}s{key.code}{len(middle)}s{value.code}{len(value.padding)}x"
        made = [type_.column(column) for (type_, _), column in zip(key.columns + value.columns, columns, strict=True)]
        fields = len(key.types)
        rows = zip(repeat(head), *made[:fields], repeat(middle), *made[fields:], strict=False)
        try:
            return list(starmap(struct.Struct(code).pack, rows))
        except (KeyError, struct.error) as error:
            raise WireError(f"a value does not fit into a set of {code}: {error}") from error

    def parts(self, elements: Iterable[bytes], count: int) -> tuple[frozenset[bytes], ...]:
        """Packed elements in `count` parts of about equal size; the key alone selects the part.

        `count` is a power of two, 256 at most.
        """
        if count == 1:
            return (frozenset(elements),)
        found = list(elements)
        keys = map(itemgetter(slice(self.key_end)), found)
        numbers = bytes(map(and_, map(crc32, keys), repeat(count - 1)))
        parts = (frozenset(compress(found, numbers.translate(_is(number)))) for number in range(count))
        return tuple(part | frozenset() for part in parts)  # a copy does not grow, and takes half the memory

    @cached_property
    def key_end(self) -> int:
        """Bytes of an element before its value."""
        return 4 + (8 + sum(self.key.widths) + len(self.key.padding)) * (2 if self.ranges else 1)

    @cached_property
    def size(self) -> int | None:
        """Bytes of one element; None where elements differ in size, because verdicts name chains."""
        if self.verdicts:
            return None
        value = 8 + sum(self.value.widths) + len(self.value.padding) if self.value else 0
        return self.key_end + value

    def _packed(self, rows: Iterator[ElementRow]) -> Iterator[Iterable[bytes]]:
        """Column by column, so that the loops run in C: a map may hold more than 100,000 elements."""
        key, value = self.key, self.value or Fields(())
        lows = [Packed(low_end(t) if self.ranges else t.pack, w) for t, w in key.columns]
        highs = [Packed(high_end(t), w) for t, w in key.columns] if self.ranges else []
        values = [Packed(_verdict_attribute, 0)] if self.verdicts else [Packed(t.pack, w) for t, w in value.columns]
        between = key.padding + key.header(KEY_END) if self.ranges else b""
        before_value = key.padding + (value.header(DATA) if self.value else b"")
        while columns := list(zip(*islice(rows, _AT_ONCE), strict=True)):
            if len(columns) != len(lows) + len(values):
                raise WireError(f"{len(columns)} parts where the set has {len(lows) + len(values)}")
            keys = columns[: len(lows)]
            low = [memo.column(column) for memo, column in zip(lows, keys, strict=True)]
            high = [memo.column(column) for memo, column in zip(highs, keys, strict=False)]
            data = [memo.column(column) for memo, column in zip(values, columns[len(lows) :], strict=True)]
            heads = repeat(self._head(self.size)) if self.size else map(self._head_of, *data)
            pieces = zip(heads, *low, repeat(between), *high, repeat(before_value), *data, repeat(value.padding))
            yield map(b"".join, pieces)

    def _head(self, size: int) -> bytes:
        return struct.pack("=HH", size, ELEMENT) + self.key.header(KEY)

    def _head_of(self, verdict: bytes) -> bytes:
        return self._head(self.key_end + len(verdict))

    def unpack(self, raw: bytes) -> Element:
        """The element in these bytes, without its comment. WireError if it does not belong into this set."""
        try:
            kind, body = only(raw)
            found = dict(attributes(body))
            if kind != ELEMENT or not found.keys() <= {KEY, KEY_END, DATA, USERDATA}:
                raise WireError(f"an element with attributes {sorted(found)}")
            return self._unpack_key(found[KEY], found.get(KEY_END)), self.unpack_data(found.get(DATA))
        except (KeyError, IndexError, ValueError, struct.error) as error:
            raise WireError(f"no element of this set: {raw.hex()}: {error}") from error

    def _unpack_key(self, low: bytes, high: bytes | None) -> Parts:
        if not self.ranges or high is None:
            return self.key.unpack(low)
        ends = zip(self.key.types, self.key.split(low), self.key.split(high), strict=True)
        return tuple(type_.unpack_range(*pair) for type_, *pair in ends)

    def unpack_data(self, payload: bytes | None) -> Data:
        if self.verdicts:
            return _unpack_verdict(payload or b"")
        if self.value is None:
            return None
        return self.value.unpack(payload or b"")

    def canonical(self, raw: bytes) -> bytes:
        """The bytes as `pack` writes them; an element that it cannot write is returned, and equals no other."""
        try:
            (packed,) = self.pack([self.unpack(raw)])
        except WireError:
            return raw
        return packed

    def split(self, payload: bytes) -> list[bytes]:
        """The elements in an NFTA_SET_ELEM_LIST_ELEMENTS attribute, as `pack` writes them."""
        size = self.size
        if size and _all_of(size, payload):
            return [payload[start : start + size] for start in range(0, len(payload), size)]
        return [raw if self._is_plain(raw) else self.canonical(raw) for raw in elements(payload)]

    def _is_plain(self, raw: bytes) -> bool:
        return _is_verdict(raw[self.key_end :]) if self.verdicts else len(raw) == self.size


def _is(number: int) -> bytes:
    """A table for `bytes.translate`: 1 for this number, 0 for any other."""
    return bytes(number) + b"\1" + bytes(255 - number)


def elements(payload: bytes) -> Iterator[bytes]:
    """The elements in an NFTA_SET_ELEM_LIST_ELEMENTS attribute, each with its header, unchanged."""
    offset = 0
    while offset < len(payload):
        (size,) = struct.unpack_from("=H", payload, offset)
        end = offset + (max(size, 4) + 3 & ~3)
        yield payload[offset:end]
        offset = end


def _all_of(size: int, payload: bytes) -> bool:
    """Does an element of this size begin at every multiple of it? Compares one byte of all headers at a time."""
    header = struct.pack("=HH", size, ELEMENT)
    count, rest = divmod(len(payload), size)
    return not rest and all(payload[place::size] == header[place : place + 1] * count for place in range(4))


def _row(key: Parts, data: Data) -> ElementRow:
    return (*key, data) if isinstance(data, Verdict) else (*key, *(data or ()))


def _verdict_attribute(verdict: Verdict) -> bytes:
    body = attribute(_CODE, struct.pack("!i", _CODES[verdict.kind]))
    if verdict.target:
        body += attribute(_CHAIN, verdict.target.encode() + b"\0")
    return attribute(DATA, attribute(_VERDICT, body))


def _unpack_verdict(payload: bytes) -> Verdict:
    found = dict(attributes(only(payload)[1]))
    (code,) = struct.unpack("!i", found[_CODE])
    chain_ = found.get(_CHAIN)
    return Verdict(_VERDICTS[code], chain_[:-1].decode() if chain_ else None)  # type: ignore[arg-type]


@lru_cache(maxsize=4096)
def _is_verdict(data: bytes) -> bool:
    """Is this a whole element after its key, in the form that `pack` writes?"""
    try:
        kind, payload = only(data)
        return kind == DATA and _verdict_attribute(_unpack_verdict(payload)) == data
    except (KeyError, ValueError, struct.error):
        return False


@lru_cache
def codec_for(key: tuple[str, ...], values: tuple[str, ...], *, interval: bool = False) -> Codec | None:
    """The codec for a set of these nft types; None if its elements are sent as text, or the types are unknown."""
    verdicts = values == ("verdict",)
    if not {*key, *(() if verdicts else values)} <= TYPES.keys() or (interval and len(key) == 1):
        return None
    types = [TYPES[name] for name in key]
    if interval and not all(type_.ordered for type_ in types):
        return None
    value = Fields(tuple(TYPES[name] for name in values)) if values and not verdicts else None
    return Codec(Fields(tuple(types)), value, verdicts, ranges=interval)


def codec_of(named: NamedSet) -> Codec | None:
    """None where elements are sent as text: prefixes and ranges of one field, and sets of unknown types."""
    return codec_for(named.key, named.values, interval=named.interval)
