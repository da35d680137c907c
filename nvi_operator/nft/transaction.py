"""The least nft text that turns one table into another, as one transaction.

A chain is re-made as a whole when one of its rules differs: rules hold no state, since counters are
named. Elements come and go one by one, so that a port forward more is one element more. The order
within the transaction: empty what changes, take away, put in, fill.
"""

from __future__ import annotations

from collections.abc import Iterator, Set

from nvi_operator.nft.ast import Element, NamedSet, Table
from nvi_operator.nft.text import chain_definition, elements_text, rule_text, set_definition

_ELEMENTS_PER_COMMAND = 2000  # a line of nft text stays of sane length


def transaction(before: Table | None, after: Table | None) -> str:
    """Text for `nft -f`; empty when nothing differs."""
    if after is None:
        return "" if before is None else f"delete table inet {before.name}\n"
    lines: list[str] = []
    if before is not None and before != after and any(s.foreign for s in before.sets):
        # What is not in our vocabulary cannot be taken away by name: the whole table is re-made.
        lines.append(f"delete table inet {before.name}")
        before = None
    if before is None:
        lines.append(f"add table inet {after.name}")
    lines += _commands(before or Table(after.name), after)
    return "".join(f"{line}\n" for line in lines)


def _commands(before: Table, after: Table) -> Iterator[str]:
    name = f"inet {after.name}"
    old_sets = {s.name: s for s in before.sets}
    new_sets = {s.name: s for s in after.sets}
    old_chains = {c.name: c for c in before.chains}
    new_chains = {c.name: c for c in after.chains}

    gone_sets = {n for n in old_sets if n not in new_sets or not old_sets[n].becomes(new_sets[n])}
    born_sets = {n for n in new_sets if n not in old_sets or n in gone_sets}
    gone_chains = {n for n in old_chains if n not in new_chains or old_chains[n].hook != new_chains[n].hook}
    born_chains = {n for n in new_chains if n not in old_chains or n in gone_chains}
    # What refers to a set or chain that goes has to let go of it first; re-making every chain is
    # simple and right, and happens only when a definition changes.
    remake_all = bool(gone_sets or gone_chains)
    emptied = {
        n
        for n, chain in old_chains.items()
        if remake_all or n not in new_chains or chain.rules != new_chains[n].rules
    }

    for n in sorted(emptied):
        yield f"flush chain {name} {n}"
    kept_sets = old_sets.keys() & new_sets.keys() - gone_sets
    changed_sets = {n for n in kept_sets if old_sets[n].elements != new_sets[n].elements}
    for n in sorted(changed_sets):
        yield from _elements("delete", name, old_sets[n], old_sets[n].elements - new_sets[n].elements)
    for n in sorted(gone_sets):
        yield f"delete {_noun(old_sets[n])} {name} {n}"
    for n in sorted(gone_chains):
        yield f"delete chain {name} {n}"
    for counter in sorted(before.counters - after.counters):
        yield f"delete counter {name} {counter}"

    for counter in sorted(after.counters - before.counters):
        yield f"add counter {name} {counter}"
    for n in sorted(born_chains):
        definition = chain_definition(new_chains[n])
        yield f"add chain {name} {n}" + (f" {{ {definition} }}" if definition else "")
    for n in sorted(born_sets):
        yield f"add {_noun(new_sets[n])} {name} {n} {{ {set_definition(new_sets[n])} }}"
    for n in sorted(new_sets.keys() - kept_sets | changed_sets):
        wanted = new_sets[n].elements
        yield from _elements("add", name, new_sets[n], wanted - old_sets[n].elements if n in kept_sets else wanted)
    for n in sorted(new_chains):
        if n in emptied or n in born_chains:
            for rule in new_chains[n].rules:
                yield f"add rule {name} {n} {rule_text(rule)}"


def _noun(named: NamedSet) -> str:
    return "map" if named.values else "set"


def _elements(verb: str, table: str, named: NamedSet, elements: Set[Element]) -> Iterator[str]:
    ordered = sorted(elements, key=str)
    for start in range(0, len(ordered), _ELEMENTS_PER_COMMAND):
        part = ordered[start : start + _ELEMENTS_PER_COMMAND]
        yield f"{verb} element {table} {named.name} {{ {elements_text(part, named.key, named.values)} }}"
