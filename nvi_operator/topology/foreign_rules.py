"""Which foreign FIB rules stage 2 honours, and which it cannot. Pure.

Other software, such as a mesh VPN, keeps routes in its own tables behind its own rules. Behind the gateway's block
such a rule would never match an inside packet, because the uplink follows the translated source. So the networks in
its table are looked up before that, as those of `main` are: without its default routes, and without routes through an
uplink. What a rule would have done beyond that becomes a note.

A rule in front of the block is evaluated first whatever the gateway does, and takes packets past all translation. The
kernel puts every rule there that is added without a priority (`fib_default_rule_pref()`), as wg-quick's are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_network
from typing import Literal, Protocol

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.values import Family, Network
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.topology.facts import Facts, ForeignRule, RouteTableFact
from nvi_operator.topology.numbers import (
    KERNEL_TABLES,
    LOCAL,
    MAIN_PRIORITY,
    MAX_HONOURED_BEFORE_MAIN,
    MAX_HONOURED_BEHIND_MAIN,
    Priorities,
)
from nvi_operator.topology.rules import Honoured

_DECIDES = ("lookup", "unreachable", "blackhole", "prohibit", "goto")


@dataclass(frozen=True)
class NotHonoured:
    """What a rule of others would have done with packets of inside hosts, and what to write for that."""

    rule: FibRule
    what: str
    todo: str

    def __str__(self) -> str:
        return f"{self.rule.command}: {self.rule}: {self.what}; {self.todo}"


class AnyRule(Protocol):
    """What `taken_before` asks of a rule: one of the topology's, or of doctor's."""

    @property
    def priority(self) -> int: ...
    @property
    def action(self) -> str: ...
    @property
    def table(self) -> int | None: ...
    @property
    def goto(self) -> int | None: ...
    @property
    def iif(self) -> str | None: ...
    @property
    def oif(self) -> str | None: ...
    @property
    def source(self) -> str | None: ...
    @property
    def destination(self) -> str | None: ...
    @property
    def mark(self) -> int | None: ...
    @property
    def mask(self) -> int | None: ...
    @property
    def inverted(self) -> bool: ...
    @property
    def suppress_prefix_length(self) -> int | None: ...
    @property
    def selects(self) -> bool: ...


@dataclass(frozen=True)
class TakenBefore:
    """What a foreign rule in front of the gateway's takes past it. `everything`: no packet reaches the gateway."""

    what: str
    extent: Literal["everything", "networks", "some"] = "some"

    @property
    def everything(self) -> bool:
        return self.extent == "everything"


def taken_before(
    rule: AnyRule,
    table: RouteTableFact | None,
    first: int,
    inside: Mapping[str, Iterable[Network]],
    uplinks: Iterable[str],
) -> TakenBefore | None:
    """What `rule` does to the packets of a gateway whose rules begin at the priority `first`.

    `table` is the one that it looks up, None where that is not known; `inside` has the networks by interface.
    """
    if rule.priority >= first or rule.action not in _DECIDES or (rule.goto is not None and rule.goto <= first):
        return None
    if rule.action == "lookup" and rule.table == LOCAL:
        return None  # the kernel's own first rule, which some move behind rules of theirs
    comes = "comes before the gateway's rules"
    if rule.selects:
        taken = _may_match(rule, inside, uplinks)
        return TakenBefore(f"{comes} and matches packets that the spec translates") if taken else None
    suppressed = rule.suppress_prefix_length is not None and rule.suppress_prefix_length >= 0
    decides_all = table is None or table.default or table.refuses or table.delivers
    if rule.action == "lookup" and (suppressed or not decides_all):
        networks = f"{comes}: what inside hosts send to the networks in that table is not translated"
        return TakenBefore(networks, "networks") if table is None or table.specific else None
    return TakenBefore(f"{comes} and matches every packet: nothing is translated", "everything")


def _may_match(rule: AnyRule, inside: Mapping[str, Iterable[Network]], uplinks: Iterable[str]) -> bool:
    """Could a packet of stage 1 match? Selectors that are not understood are ignored."""
    if rule.oif or rule.inverted:
        return False
    if rule.mark is not None and (rule.mark & (rule.mask or 0)):
        return False  # packets that come in have no mark yet
    if rule.iif is not None and rule.iif not in (*inside, *uplinks):
        return False
    if rule.source is None:
        return rule.iif is not None or rule.destination is not None
    source = ip_network(rule.source, strict=False)
    return any(source.overlaps(network) for networks in inside.values() for network in networks)


def has_inside(spec: GatewaySpec, family: Family) -> bool:
    """Has it inside networks of the family, or may an ISP delegate one?"""
    return any(
        (family == 6 and interface.delegated) or any(network.version == family for network in interface.networks)
        for interface in spec.interfaces.values()
    )


def judge_rules_before(spec: GatewaySpec, facts: Facts) -> Iterator[tuple[FibRule, TakenBefore]]:
    """The foreign rules that take packets past the gateway, in the kernel's order."""
    inside = {ifname: interface.networks for ifname, interface in spec.interfaces.items()}
    for fact in facts.rules:
        if not has_inside(spec, fact.rule.family):
            continue
        table = None if fact.rule.table in KERNEL_TABLES else fact.table
        if taken := taken_before(fact.rule, table, spec.numbers.rule_priority, inside, spec.wires):
            yield fact.rule, taken


def judge_rules(spec: GatewaySpec, facts: Facts) -> tuple[tuple[Honoured, ...], tuple[NotHonoured, ...]]:
    """In the kernel's order. Rules before the gateway's block need neither; doctor names those within it."""
    honoured: list[Honoured] = []
    not_honoured: list[NotHonoured] = []
    last = Priorities(spec.numbers.rule_priority).end
    for fact in facts.rules:
        if fact.rule.priority <= last or _is_for_the_host(fact.rule):
            continue
        honours = _honoured(spec, fact)
        if honours is not None:
            before = honours.before_main
            if sum(h.before_main == before and h.family == honours.family for h in honoured) < _room(before):
                honoured.append(honours)
            else:
                not_honoured.append(NotHonoured(fact.rule, "is one of too many", "have them share a table"))
        not_honoured += _not_honoured(spec, fact, honours is not None)
    return tuple(honoured), tuple(not_honoured)


def _room(before_main: bool) -> int:
    return MAX_HONOURED_BEFORE_MAIN if before_main else MAX_HONOURED_BEHIND_MAIN


def _is_for_the_host(rule: FibRule) -> bool:
    """Rules that no forwarded packet matches, and those to the kernel's own tables, which need no attention."""
    words = {word.split()[0] for word in rule.other}
    return bool(
        rule.action == "nop"
        or (rule.action == "lookup" and rule.table in KERNEL_TABLES)
        or rule.iif == "lo"
        or rule.oif is not None
        or words & {"uidrange", "l3mdev"}
    )


def _honoured(spec: GatewaySpec, fact: ForeignRule) -> Honoured | None:
    """The rule as stage 2 evaluates it: translated sources; the mark is the stage bit, unless marks are kept."""
    rule, table = fact.rule, fact.table
    if rule.action != "lookup" or rule.table is None or not table.specific or table.refuses or rule.narrowed:
        return None
    stage = 1 << spec.dataplane.stage_bit
    mark, mask = stage, stage
    if rule.inverted and (rule.source or rule.destination or rule.iif or not rule.mark):
        return None
    if rule.mark is not None and rule.mark & (rule.mask or 0) and not rule.inverted:
        if not spec.dataplane.keep_marks or (rule.mask or 0) & stage:
            return None
        mark, mask = stage | rule.mark, stage | (rule.mask or 0)
    return Honoured(
        rule.family,
        rule.priority < MAIN_PRIORITY,
        rule.table,
        rule.iif,
        rule.source,
        rule.destination,
        mark,
        mask,
        max(rule.suppress_prefix_length or 0, 0),
        table.ways,
    )


# --------------------------------------------------------------------------- what is not


def _not_honoured(spec: GatewaySpec, fact: ForeignRule, honoured: bool) -> Iterator[NotHonoured]:
    rule, table = fact.rule, fact.table
    marked = bool(rule.mark and rule.mark & (rule.mask or 0) and not rule.inverted)
    sources = [ip_network(rule.source)] if rule.source else []
    inside = [n for i in spec.interfaces.values() for n in i.networks if n.version == rule.family]
    if not inside or (sources and not any(sources[0].overlaps(n) for n in inside)):
        return  # matches no packet of the gateway
    if rule.iif and rule.iif not in spec.interfaces:
        return
    if rule.action != "lookup":
        if not marked:
            yield NotHonoured(
                rule, f"would {_verb(rule)} packets of inside hosts, but is never evaluated", _first(rule)
            )
        return
    declared = {*spec.interfaces, *spec.wires}
    for ifname in table.ways if honoured else ():
        if ifname not in declared:
            yield NotHonoured(
                rule,
                f"leads to {ifname}, which the spec does not name: inside hosts bear an uplink's address there",
                f"name it under interfaces, with the networks behind it: {{{ifname}: {{networks: [...]}}}}",
            )
    if not honoured and table.specific:
        yield NotHonoured(
            rule, f"does not apply to packets of inside hosts: {_reason(spec, rule, table.refuses)}", _instead(fact)
        )
    elif rule.source and table.specific:
        yield NotHonoured(rule, "applies to inside hosts only where packets keep their source", _instead(fact))
    elif table.default and (rule.suppress_prefix_length is None or rule.suppress_prefix_length < 0):
        where = ", ".join(table.default)
        yield NotHonoured(
            rule,
            f"has a default route by {where}, which packets of inside hosts do not take: they leave by the uplink of "
            "their translated source",
            _instead(fact),
        )
    elif table.delivers:
        yield NotHonoured(
            rule,
            "would hand packets of inside hosts to this host, as a transparent proxy needs, but is never evaluated",
            _first(rule),
        )
    elif table.refuses:
        yield NotHonoured(rule, "would refuse packets of inside hosts, but is never evaluated", _first(rule))


def _verb(rule: FibRule) -> str:
    return {"goto": "jump with", "blackhole": "drop", "prohibit": "refuse", "unreachable": "refuse"}.get(
        rule.action, "take"
    )


def _reason(spec: GatewaySpec, rule: FibRule, refuses: bool) -> str:
    if refuses:
        return "its table ends in a route that refuses, which would refuse everything else"
    if rule.narrowed:
        return f"{rule.narrowed[0].split()[0]} matches the original packet only"
    if rule.mark is not None and not rule.inverted and not spec.dataplane.keep_marks:
        return "their mark is the gateway's by then (dataplane: {keepMarks: true} keeps it)"
    return "not as it is written"


def _first(rule: FibRule) -> str:
    before = str(rule).replace(f"pref {rule.priority} ", "pref 999 ", 1)
    return f"to apply it: {rule.command} add {before}"


def _instead(fact: ForeignRule) -> str:
    ways = fact.table.default or fact.table.ways
    ifname = ways[0] if ways else "INTERFACE"
    source = f", from: {fact.rule.source}" if fact.rule.source else ""
    to = f", to: {fact.rule.destination}" if fact.rule.destination else ""
    return (
        f"to route them so: uplinks: {{NAME: {{interface: {ifname}}}}}, and first under sourceNat: "
        f"{{name: NAME{source}{to}, as: NAME}}"
    )
