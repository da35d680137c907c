"""A typed AST of the nftables table of ours: only the forms that we render, in the form the kernel lists.

Values are canonical (see `nft/values.py`): addresses and prefixes as `ipaddress` prints them, ports as
int, protocols by name. Two tables are equal when they mean the same. What a listing holds beyond this
vocabulary becomes `Opaque`, equal to nothing that we would write, and so shows up as drift.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from typing import Literal

from nvi_operator.language.model.values import Family


@dataclass(frozen=True, order=True)
class Interval:
    """From `first` to `last`, both included: ports, addresses, or slots of a hash."""

    first: int | str
    last: int | str


Value = int | str | Interval


@dataclass(frozen=True)
class Field:
    """Something that a packet or its conntrack entry has, by its nft name, as in `ip saddr`."""

    name: str


@dataclass(frozen=True)
class Masked:
    """Some bits of a mark, or one flag of a bit field."""

    field: Field
    mask: int | str


@dataclass(frozen=True)
class Concat:
    """Several fields as one key."""

    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Numgen:
    """A number from 0 to `mod` - 1: counting up (`inc`) or random."""

    mode: Literal["inc", "random"]
    mod: int


@dataclass(frozen=True)
class Hash:
    """A number from 0 to `mod` - 1 that is the same for equal fields.

    With no `seed` the kernel draws one for each rule (nft_jhash_init()), and again when the rule is replaced.
    """

    fields: tuple[Field, ...]
    mod: int
    seed: int | None = None


Key = Field | Masked | Concat | Numgen | Hash


@dataclass(frozen=True)
class SetRef:
    """A named set or map of the table."""

    name: str


@dataclass(frozen=True)
class Verdict:
    kind: Literal["accept", "drop", "return", "jump"]
    target: str | None = None


# An element of a set or map: the key's parts, and the value's (None in a set).
Parts = tuple[Value, ...]
Data = Parts | Verdict | None
Element = tuple[Parts, Data]


@dataclass(frozen=True)
class Lookup:
    """The value that a map holds for `key`; the map is named or given here."""

    key: Key
    map: SetRef | frozenset[Element]


@dataclass(frozen=True)
class Match:
    """`in` and `not in` are for bit fields such as `ct status`: any (none) of the bits."""

    left: Key
    op: Literal["==", "!=", "in", "not in"]
    right: Value | SetRef | frozenset[Value]


@dataclass(frozen=True)
class Notrack:
    pass


@dataclass(frozen=True)
class Count:
    """Count in the named counter."""

    counter: str


@dataclass(frozen=True)
class Assign:
    """Write a field."""

    field: Field
    value: int | Lookup


@dataclass(frozen=True)
class SetBits:
    """field = (field & ~clear) | set. Bits of `set` are never in `clear`: setting says it."""

    field: Field
    set: int = 0
    clear: int = 0


@dataclass(frozen=True)
class Nat:
    """`netmap`: the address is a prefix (or a map to prefixes), and host parts are kept."""

    kind: Literal["snat", "dnat"]
    family: Family
    address: Value | Lookup | Field
    ports: int | Interval | None = None
    flags: frozenset[str] = frozenset()
    netmap: bool = False


@dataclass(frozen=True)
class Vmap:
    """Jump to what the map holds for `key`."""

    key: Key
    map: SetRef | frozenset[Element]


@dataclass(frozen=True)
class Opaque:
    """A statement of a listing that we never write; `json` is its text."""

    json: str


Statement = Match | Verdict | Notrack | Count | Assign | SetBits | Nat | Vmap | Opaque
Rule = tuple[Statement, ...]


@dataclass(frozen=True)
class Hook:
    """The hook a base chain is attached to. We only write policy accept: dropping is done by rules that count."""

    type: Literal["filter", "nat", "route"]
    hook: Literal["prerouting", "output", "forward", "postrouting", "input"]
    priority: int
    policy: Literal["accept", "drop"] = "accept"


@dataclass(frozen=True)
class Chain:
    name: str
    hook: Hook | None
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class NamedSet:
    """A named set, or a map if `values` says so. `key` and `values` are nft type names.

    `elements` may be kept in the kernel's own form (nft/wire/packed_elements.py): equal is what means the same.
    """

    name: str
    key: tuple[str, ...]
    elements: Set[Element] = field(hash=False)
    values: tuple[str, ...] = ()
    interval: bool = False
    # Room for so many elements; None: the kernel grows it. It means nothing, so that one forward more or less
    # never makes a map anew that has room.
    size: int | None = field(default=None, compare=False)
    # Values that are prefixes (netmap). A listing does not say it of an empty map.
    prefix_values: bool = field(default=False, compare=False)

    @property
    def foreign(self) -> bool:
        """Stands for something else of a listing that we never write: a quota, a set with a timeout."""
        return " " in self.name

    def becomes(self, other: NamedSet) -> bool:
        """Can it be made `other` by elements alone?"""
        same = (self.key, self.values, self.interval) == (other.key, other.values, other.interval)
        return same and (self.size is None or self.size >= len(other.elements))


@dataclass(frozen=True)
class Table:
    """The table `inet NAME`, without handles, comments and counts."""

    name: str
    counters: frozenset[str] = frozenset()
    sets: frozenset[NamedSet] = frozenset()
    chains: frozenset[Chain] = frozenset()

    @property
    def key(self) -> str:
        return f"inet {self.name}"
