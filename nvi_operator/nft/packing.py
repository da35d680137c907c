"""A table as the kernel is to hold it: elements in the kernel's form, with room, and large maps as several.

The ruleset says what a table means; this says how it is stored. `kinds/nft_table.py` is the one caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from nvi_operator.nft.ast import Lookup, NamedSet, Nat, Rule, SetRef, Statement, Table
from nvi_operator.nft.references import set_names
from nvi_operator.nft.shards import declared_size, shards
from nvi_operator.nft.wire.codec import codec_of
from nvi_operator.nft.wire.packed_elements import PackedElements, packed, raw_elements


def pack_table(table: Table) -> Table:
    """The table in the form in which it is stored. It means the same for every packet."""
    only_nat = _asked_by_nat(table)
    stored = {named.name: _stored(named, sharded=named.name in only_nat) for named in table.sets}
    several = {name: sets for name, sets in stored.items() if len(sets) > 1}
    chains = [replace(c, rules=tuple(_rules(c.rules, several))) for c in table.chains] if several else table.chains
    return replace(table, sets=frozenset(chain.from_iterable(stored.values())), chains=frozenset(chains))


def _stored(named: NamedSet, *, sharded: bool) -> tuple[NamedSet, ...]:
    if named.interval or (codec := codec_of(named)) is None:
        return (packed(named),)
    elements = raw_elements(codec, named.elements)
    if sharded:
        return shards(named, codec, elements)
    return (replace(named, elements=PackedElements(codec, frozenset(elements)), size=declared_size(len(elements))),)


def _asked_by_nat(table: Table) -> frozenset[str | None]:
    """Sets that nothing but NAT asks: once for each flow, and without effect where the set has no such key."""
    by_nat, by_others = set[str | None](), set[str | None]()
    for statement in chain.from_iterable(rule for c in table.chains for rule in c.rules):
        (by_nat if isinstance(statement, Nat) else by_others).update(set_names(statement))
    return frozenset(by_nat - by_others)


def _asked(statement: Statement) -> str | None:
    """The named map of a NAT statement."""
    if isinstance(statement, Nat) and isinstance(statement.address, Lookup):
        where = statement.address.map
        return where.name if isinstance(where, SetRef) else None
    return None


def _rules(rules: Iterable[Rule], several: Mapping[str, Sequence[NamedSet]]) -> Iterator[Rule]:
    """A rule that asks a map of several shards is a rule for each."""
    for rule in rules:
        asked = next((name for statement in rule if (name := _asked(statement)) in several), None)
        if asked is None:
            yield rule
        else:
            for shard in several[asked]:
                yield tuple(_asking(statement, asked, shard) for statement in rule)


def _asking(statement: Statement, whole: str, shard: NamedSet) -> Statement:
    if _asked(statement) != whole:
        return statement
    assert isinstance(statement, Nat)
    assert isinstance(statement.address, Lookup)
    return replace(statement, address=replace(statement.address, map=SetRef(shard.name)))
