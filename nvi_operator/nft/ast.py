"""A typed AST of the gateway's nftables table: only the forms that the ruleset uses, as the kernel lists them.

Values are canonical (see `nft/values.py`): addresses and prefixes as `ipaddress` prints them, ports as
int, protocols by name. Two tables are equal when they mean the same. What a listing holds beyond this
vocabulary becomes `Opaque` or `ForeignObject`, equal to nothing in a desired table, and so shows up as drift.

What a table consists of is described in `nft/objects.py`, for every stage that reads or writes one.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import field, replace
from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.values import Family


@dataclass(frozen=True, order=True)
class Interval:
    """The values from `first` to `last`, both included: ports, addresses, or slots of a hash."""

    first: int | str
    last: int | str


Value = int | str | Interval


@dataclass(frozen=True)
class Field:
    """A field of a packet or of its conntrack entry, by its nft name, such as `ip saddr`."""

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
    """A number from 0 to `mod` - 1, the same for equal fields.

    Without `seed` the kernel chooses a random one for each rule (nft_jhash_init()), and again for its replacement.
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
    """`in` and `not in` compare bit fields such as `ct status`: any (none) of the bits."""

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
    """field = (field & ~clear) | set. `clear` never holds bits of `set`, which are set anyway."""

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
class Redirect:
    """Destination NAT to the first address of the in-interface. `port` None: the one that was asked."""

    port: int | None = None


@dataclass(frozen=True)
class Vmap:
    """Jump to what the map holds for `key`."""

    key: Key
    map: SetRef | frozenset[Element]


@dataclass(frozen=True)
class Opaque:
    """A statement of a listing that the ruleset never has; `json` is its text."""

    json: str


Statement = Match | Verdict | Notrack | Count | Assign | SetBits | Nat | Redirect | Vmap | Opaque
Rule = tuple[Statement, ...]


@dataclass(frozen=True)
class Hook:
    """The hook of a base chain. The ruleset has policy accept only: rules that count do the dropping."""

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
class Shard:
    """One of `count` maps that hold the elements of the map `whole` together (see `nft/shards.py`)."""

    whole: str
    number: int
    count: int

    @property
    def name(self) -> str:
        return f"{self.whole}_{self.number}_of_{self.count}"

    @classmethod
    def named(cls, name: str) -> Shard | None:
        """The shard with this name, as a listing has it; None for the name of a whole set."""
        found = re.fullmatch(r"(.+)_(\d+)_of_(\d+)", name)
        return cls(found[1], int(found[2]), int(found[3])) if found else None


@dataclass(frozen=True)
class NamedSet:
    """A named set, or a map if `values` is not empty. `key` and `values` are nft type names.

    `elements` may be kept in the kernel's own form (nft/wire/packed_elements.py); sets are equal in either form.
    """

    name: str
    key: tuple[str, ...]
    elements: Set[Element] = field(hash=False)
    values: tuple[str, ...] = ()
    interval: bool = False
    # Room for so many elements; None: the kernel grows it. Not compared: a map that has room is never replaced.
    size: int | None = field(default=None, compare=False)
    # Values that are prefixes (netmap). Not compared: a listing of an empty map does not tell.
    prefix_values: bool = field(default=False, compare=False)
    # Not compared: the name tells the same.
    shard: Shard | None = field(default=None, compare=False)

    @property
    def definition(self) -> NamedSet:
        """The set without its elements."""
        return replace(self, elements=frozenset())

    def becomes(self, other: NamedSet) -> bool:
        """Do changes of elements suffice to make it `other`?"""
        room = self.size is None or self.size >= len(other.elements)
        return room and self.definition == other.definition


@dataclass(frozen=True, order=True)
class ForeignObject:
    """An object of the table that the ruleset never has: a quota, a set with a timeout.

    `detail` tells what is foreign about it where the noun does not. It is deleted with the whole table only.
    """

    noun: str
    name: str
    detail: str = ""

    def __str__(self) -> str:
        return " ".join(word for word in (self.noun, self.name, self.detail) if word)


@dataclass(frozen=True)
class Table:
    """The table `inet NAME`, without handles, comments and counts.

    A desired table has neither `flags` (dormant, owner) nor `foreign` objects. A new field needs a description in
    `nft/objects.py`: every stage refuses a table with a field that has none.
    """

    name: str
    counters: frozenset[str] = frozenset()
    sets: frozenset[NamedSet] = frozenset()
    chains: frozenset[Chain] = frozenset()
    flags: frozenset[str] = frozenset()
    foreign: frozenset[ForeignObject] = frozenset()

    @property
    def key(self) -> str:
        return f"inet {self.name}"
