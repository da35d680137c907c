"""How the elements of a set lie in bytes: one NFTA_LIST_ELEM attribute each, as the kernel dumps them.

What is packed here is byte for byte what comes back, so that the difference of two large maps is a difference
of sets of bytes. Sets with exact keys, and concatenations with ranges (the kernel keeps both ends of those in
one element), are written and read so. Prefixes and ranges of a single field are pairs of elements in a tree,
with rules for what touches: libnftables writes those, they are few, and `intervals.py` reads them.

Source: include/uapi/linux/netfilter/nf_tables.h; nf_tables_fill_setelem() in net/netfilter/nf_tables_api.c.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain, compress, islice, repeat, starmap
from operator import and_, itemgetter
from typing import Any
from zlib import crc32

from nvi_operator.nft.ast import Data, Element, NamedSet, Parts, Value, Verdict
from nvi_operator.nft.wire.attributes import WireError, attribute, attributes, only
from nvi_operator.nft.wire.types import TYPES, Packed, Type, high_end, low_end

ELEMENT = 1  # NFTA_LIST_ELEM
KEY, DATA, FLAGS, USERDATA, KEY_END = 1, 2, 3, 6, 10  # NFTA_SET_ELEM_*
_VALUE, _VERDICT = 1, 2  # NFTA_DATA_*
_CODE, _CHAIN = 1, 2  # NFTA_VERDICT_*
_CODES = {"accept": 1, "drop": 0, "return": -5, "jump": -3}
_VERDICTS = {code: kind for kind, code in _CODES.items()}
_AT_ONCE = 8192  # rows, so that many elements need little memory besides themselves

Row = tuple[Value | Verdict, ...]


@dataclass(frozen=True)
class Fields:
    """A key, or a value: fields side by side. In a concatenation each is padded to a register of 4 bytes."""

    types: tuple[Type, ...]

    @property
    def widths(self) -> tuple[int, ...]:
        if len(self.types) == 1:
            return (self.types[0].size,)
        return tuple(type_.size + 3 & ~3 for type_ in self.types)

    @property
    def columns(self) -> tuple[tuple[Type, int], ...]:
        return tuple(zip(self.types, self.widths, strict=True))

    def header(self, kind: int) -> bytes:
        """Of an attribute of this kind around an NFTA_DATA_VALUE of this size."""
        size = sum(self.widths)
        return struct.pack("=HHHH", 8 + (size + 3 & ~3), kind, 4 + size, _VALUE)

    @property
    def code(self) -> str:
        """What the struct module calls them."""
        return "".join(f"{type_.code}{width - type_.size}x" for type_, width in self.columns)

    @property
    def padding(self) -> bytes:
        return bytes(-sum(self.widths) % 4)

    def split(self, payload: bytes) -> tuple[bytes, ...]:
        """The bytes of each field, of an attribute's payload."""
        kind, raw = only(payload)
        if kind != _VALUE or len(raw) != sum(self.widths):
            raise WireError(f"{len(raw)} bytes where {sum(self.widths)} should be")
        parts, offset = [], 0
        for type_, width in self.columns:
            parts.append(raw[offset : offset + type_.size])
            offset += width
        return tuple(parts)

    def unpack(self, payload: bytes) -> Parts:
        return tuple(t.unpack(part) for t, part in zip(self.types, self.split(payload), strict=True))


@dataclass(frozen=True)
class Layout:
    """Of a set, or of a map to `value` or to verdicts. `ranges`: each field of the key has two ends."""

    key: Fields
    value: Fields | None = None
    verdicts: bool = False
    ranges: bool = False

    def pack(self, elements: Iterable[Element]) -> frozenset[bytes]:
        """The elements in the kernel's form. WireError names a value that has no place in the set."""
        return self.pack_rows(_row(*element) for element in elements)

    def pack_rows(self, rows: Iterable[Row]) -> frozenset[bytes]:
        """The same of key and value in one flat tuple."""
        return frozenset(chain.from_iterable(self._packed(iter(rows))))

    def pack_columns(self, columns: Sequence[Iterable[Any]]) -> list[bytes]:
        """The same of exact keys and plain values, in columns as `Type.column` takes them; a third of the time."""
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
            raise WireError(f"something has no place in a set of {code}: {error}") from error

    def parts(self, elements: Iterable[bytes], count: int) -> tuple[frozenset[bytes], ...]:
        """Packed elements in so many parts, about equally large. Its key says in which one is.

        `count` is a power of two, 256 at most.
        """
        if count == 1:
            return (frozenset(elements),)
        found = list(elements)
        keys = map(itemgetter(slice(self.key_end)), found)
        numbers = bytes(map(and_, map(crc32, keys), repeat(count - 1)))
        parts = (frozenset(compress(found, numbers.translate(_is(number)))) for number in range(count))
        return tuple(part | frozenset() for part in parts)  # a copy is not made by growing, and has half the room

    @cached_property
    def key_end(self) -> int:
        """Bytes of an element before its value."""
        return 4 + (8 + sum(self.key.widths) + len(self.key.padding)) * (2 if self.ranges else 1)

    @cached_property
    def size(self) -> int | None:
        """Bytes of one element; None where they differ, because verdicts name chains."""
        if self.verdicts:
            return None
        value = 8 + sum(self.value.widths) + len(self.value.padding) if self.value else 0
        return self.key_end + value

    def _packed(self, rows: Iterator[Row]) -> Iterator[Iterable[bytes]]:
        """Column by column, so that the loops run in C: a map may hold 100,000 elements and more."""
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
        """The element that these bytes are; a comment is nothing to us. WireError if it is none of this set."""
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
        """As we would write it; what is no element of ours stays as it is, and so differs from all of ours."""
        try:
            (packed,) = self.pack([self.unpack(raw)])
        except WireError:
            return raw
        return packed

    def split(self, payload: bytes) -> list[bytes]:
        """The elements in an NFTA_SET_ELEM_LIST_ELEMENTS attribute, in our form."""
        size = self.size
        if size and _all_of(size, payload):
            return [payload[start : start + size] for start in range(0, len(payload), size)]
        return [raw if self._is_plain(raw) else self.canonical(raw) for raw in elements(payload)]

    def _is_plain(self, raw: bytes) -> bool:
        return _is_verdict(raw[self.key_end :]) if self.verdicts else len(raw) == self.size


def _is(number: int) -> bytes:
    """A table for `bytes.translate`: 1 for this number, 0 for all others."""
    return bytes(number) + b"\1" + bytes(255 - number)


def elements(payload: bytes) -> Iterator[bytes]:
    """The elements in an NFTA_SET_ELEM_LIST_ELEMENTS attribute, each with its header, as they are."""
    offset = 0
    while offset < len(payload):
        (size,) = struct.unpack_from("=H", payload, offset)
        end = offset + (max(size, 4) + 3 & ~3)
        yield payload[offset:end]
        offset = end


def _all_of(size: int, payload: bytes) -> bool:
    """Is there an element of this size at every multiple of it? Each byte of the headers in one go."""
    header = struct.pack("=HH", size, ELEMENT)
    count, rest = divmod(len(payload), size)
    return not rest and all(payload[place::size] == header[place : place + 1] * count for place in range(4))


def _row(key: Parts, data: Data) -> Row:
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
    """Is this all of an element after its key, and as we write it?"""
    try:
        kind, payload = only(data)
        return kind == DATA and _verdict_attribute(_unpack_verdict(payload)) == data
    except (KeyError, ValueError, struct.error):
        return False


@lru_cache
def layout(key: tuple[str, ...], values: tuple[str, ...] = (), *, interval: bool = False) -> Layout | None:
    """For a set of these nft types; None if its elements go as text, or are none that we know."""
    verdicts = values == ("verdict",)
    if not {*key, *(() if verdicts else values)} <= TYPES.keys() or (interval and len(key) == 1):
        return None
    types = [TYPES[name] for name in key]
    if interval and not all(type_.ordered for type_ in types):
        return None
    value = Fields(tuple(TYPES[name] for name in values)) if values and not verdicts else None
    return Layout(Fields(tuple(types)), value, verdicts, ranges=interval)


def layout_of(named: NamedSet) -> Layout | None:
    """None where elements go as text: prefixes and ranges of one field, and what is none of ours."""
    return layout(named.key, named.values, interval=named.interval)
