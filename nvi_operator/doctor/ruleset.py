"""nft tables of other tools, from the JSON that nft prints: tables, chains, rules as lists of expressions. Pure.

Statements stay the dictionaries that nft printed: `packet.py` and `mark_bits.py` interpret them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any

from nvi_operator.dataclass import dataclass
from nvi_operator.nft.wire.tables import NftTableFact

Expression = Mapping[str, Any]


@dataclass(frozen=True)
class ListedRule:
    """One rule; `statements` are single-key dictionaries such as {"match": ...} or {"drop": None}."""

    family: str
    table: str
    chain: str
    handle: int
    statements: tuple[Expression, ...] = field(hash=False)

    @property
    def place(self) -> str:
        return f"{self.chain_place} handle {self.handle}"

    @property
    def chain_place(self) -> str:
        return f"{self.family} {self.table} {self.chain}"

    def bodies(self, name: str) -> Iterator[Any]:
        """The contents of the statements of one kind."""
        return (statement[name] for statement in self.statements if name in statement)

    def has(self, *names: str) -> bool:
        return any(name in statement for statement in self.statements for name in names)


@dataclass(frozen=True)
class ListedChain:
    """`hook` is None for a chain that is only jumped to."""

    family: str
    table: str
    name: str
    type: str | None = None
    hook: str | None = None
    priority: int = 0
    policy: str = "accept"
    rules: tuple[ListedRule, ...] = field(default=(), hash=False)

    @property
    def place(self) -> str:
        return f"{self.family} {self.table} {self.name}"


@dataclass(frozen=True)
class Flowtable:
    family: str
    table: str
    name: str
    devices: tuple[str, ...]


@dataclass(frozen=True)
class Ruleset:
    """Chains, maps and sets by family, table and name."""

    chains: Mapping[tuple[str, str, str], ListedChain] = field(default_factory=dict)
    flags: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)  # of tables
    flowtables: tuple[Flowtable, ...] = ()
    verdict_maps: Mapping[tuple[str, str, str], tuple[tuple[Any, Any], ...]] = field(default_factory=dict)
    # Statements that sets and maps have for each element: counter, quota ...
    set_statements: Mapping[tuple[str, str, str], tuple[str, ...]] = field(default_factory=dict)
    timeouts: Mapping[tuple[str, str, str], Mapping[str, int]] = field(default_factory=dict)  # of conntrack, by state

    @property
    def tables(self) -> tuple[tuple[str, str], ...]:
        return tuple(self.flags)

    def base_chains(self, *hooks: str, type_: str | None = None) -> Iterator[ListedChain]:
        """Base chains of these hooks that see IP packets."""
        for chain in self.chains.values():
            if chain.hook in hooks and chain.family in ("ip", "ip6", "inet") and type_ in (None, chain.type):
                yield chain

    def target(self, rule: ListedRule, name: str) -> ListedChain | None:
        """The chain of the same table that a rule jumps to."""
        return self.chains.get((rule.family, rule.table, name))

    def verdicts(self, rule: ListedRule, name: str) -> tuple[tuple[Any, Any], ...] | None:
        """(key, verdict) of a named map of the same table; None if its elements were not read."""
        return self.verdict_maps.get((rule.family, rule.table, name))

    def has_chain(self, family: str, table: str, prefix: str) -> bool:
        return any(key[:2] == (family, table) and key[2].startswith(prefix) for key in self.chains)

    def rules(self) -> Iterator[ListedRule]:
        return (rule for chain in self.chains.values() for rule in chain.rules)


def parse_ruleset(objects: Iterable[Mapping[str, Any]], tables: Iterable[NftTableFact] = ()) -> Ruleset:
    """Parse the objects of `nft -j list ruleset`, in any order; flags in `tables` take precedence.

    A dormant table has flags only: nothing in it is in force.
    """
    flags: dict[tuple[str, str], frozenset[str]] = {}
    heads: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    rules: dict[tuple[str, str, str], list[ListedRule]] = {}
    flowtables: list[Flowtable] = []
    verdict_maps: dict[tuple[str, str, str], tuple[tuple[Any, Any], ...]] = {}
    set_statements: dict[tuple[str, str, str], tuple[str, ...]] = {}
    timeouts: dict[tuple[str, str, str], Mapping[str, int]] = {}
    for item in objects:
        for kind, body in item.items():
            if kind in ("set", "map") and body.get("stmt"):
                names = tuple(name for statement in body["stmt"] for name in statement)
                set_statements[body["family"], body["table"], body["name"]] = names
            if kind == "table":
                flags[body["family"], body["name"]] = frozenset(_list(body.get("flags")))
            elif kind == "chain":
                heads[body["family"], body["table"], body["name"]] = body
            elif kind == "rule":
                key = (body["family"], body["table"], body["chain"])
                rules.setdefault(key, []).append(ListedRule(*key, body.get("handle", 0), tuple(body.get("expr", ()))))
            elif kind == "map" and body.get("map") == "verdict" and "elem" in body:
                key = (body["family"], body["table"], body["name"])
                verdict_maps[key] = tuple((value, verdict) for value, verdict in body["elem"])
            elif kind == "flowtable":
                devices = tuple(_list(body.get("dev")))
                flowtables.append(Flowtable(body["family"], body["table"], body["name"], devices))
            elif kind == "ct timeout":
                timeouts[body["family"], body["table"], body["name"]] = body.get("policy", {})
    flags |= {(table.family, table.name): table.flags for table in tables}
    chains = {
        key: _chain(head, tuple(rules.get(key, ())))
        for key, head in heads.items()
        if "dormant" not in flags.get(key[:2], ())
    }
    awake = tuple(table for table in flowtables if "dormant" not in flags.get((table.family, table.table), ()))
    return Ruleset(chains, flags, awake, verdict_maps, set_statements, timeouts)


def _chain(head: Mapping[str, Any], rules: tuple[ListedRule, ...]) -> ListedChain:
    return ListedChain(
        head["family"],
        head["table"],
        head["name"],
        head.get("type"),
        head.get("hook"),
        head.get("prio", 0),
        head.get("policy", "accept"),
        rules,
    )


def _list(value: Any) -> list[str]:
    """nft prints a list of one as the one."""
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
