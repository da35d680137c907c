"""Notes about rules and forwards of the spec that have no effect on this host, or not for all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_network

from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.source_nat import SourceNat
from nvi_operator.language.model.values import FAMILIES, SELF, Address, Family, Network, within
from nvi_operator.language.wording import counted
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.interfaces import Inside, Uplink
from nvi_operator.topology.rules import SourceRule
from nvi_operator.topology.ways import shares

_MOST_NAMED = 3  # of forwards, which may be many
_MANY_TIMES = 100  # an uplink with so small a share was perhaps meant for emergencies


def rules_without_effect(spec: GatewaySpec, facts: Facts, uplinks: Sequence[Uplink]) -> Iterator[str]:
    """Rules that give an address to which no answer comes, rules for the gateway's own packets that do not say so,
    a `pick` with one address to choose from, weights that were perhaps meant to keep an uplink in reserve, and sites
    that get no answers.
    """
    yield from _unanswered(spec, facts)
    own: set[Network] = {ip_network(address) for uplink in uplinks for address in uplink.addresses}
    own |= {ip_network(interface.ip) for link in facts.links.values() for interface in link.addresses}
    for rule in spec.source_nat:
        if rule.from_ and own.issuperset(rule.from_) and SELF not in (rule.in_ or ()):
            yield f"sourceNat {rule.name}: {_is_own(rule.from_)}: for what it sends itself write in: {SELF}"
        if _has_one(rule):
            yield f"sourceNat {rule.name}: pick {rule.as_.pick}: there is only one address to choose: leave pick out"
        yield from _small_shares(rule, uplinks)
        yield from _unanswered_sites(spec, rule, uplinks)


def _unanswered_sites(spec: GatewaySpec, rule: SourceNat, uplinks: Sequence[Uplink]) -> Iterator[str]:
    """A rule may bring what a site sends through its tunnel to another uplink. Answers have sources beyond that one,
    which lead them anywhere but back.
    """
    for uplink in uplinks:
        if uplink.interface.ifname not in (rule.in_ or ()) or not set(rule.as_.names) - {uplink.name}:
            continue
        led = [n for route in spec.routes if uplink.name in route.via.first for n in route.to or ()]
        if left := [n for n in uplink.far if not any(within(n, network) for network in led)]:
            site = ", ".join(map(str, left))
            yield (
                f"sourceNat {rule.name}: no route leads answers back to {site} behind uplink {uplink.name}: "
                f"routes: {{name: {rule.name}, to: [{site}], via: {uplink.name}}}"
            )


def _small_shares(rule: SourceNat, uplinks: Sequence[Uplink]) -> Iterator[str]:
    for group in shares(rule.as_.tiers, {uplink.name: uplink for uplink in uplinks}):
        total = sum(weight for _, weight in group)
        for uplink, weight in group:
            if weight * _MANY_TIMES <= total:
                yield (
                    f"sourceNat {rule.name}: {weight} of {total} flows leave by {uplink.name} also while the others "
                    "work; for one in reserve write weight 0"
                )


def _unanswered(spec: GatewaySpec, facts: Facts) -> Iterator[str]:
    """A rule may give an address of an inside network, to which answers come only if the gateway has it."""
    own = {interface.ip for fact in facts.links.values() for interface in fact.addresses}
    inside = [network for interface in spec.interfaces.values() for network in interface.networks]
    for rule in spec.source_nat:
        for address in (r.first for r in rule.as_.pool or () if r.size == 1):
            if address not in own and not facts.assumed and any(address in network for network in inside):
                yield (
                    f"sourceNat {rule.name}: {address} is on no interface now; "
                    "answers to it come back only if their sender has a route to it through this gateway"
                )


def forwards_without_way(
    spec: GatewaySpec,
    uplinks: Sequence[Uplink],
    inside_interfaces: Sequence[Inside],
    elsewhere: Iterable[tuple[str, Address]],
) -> Iterator[str]:
    """Forwards to servers beyond an uplink, which carries sources of its own only: clients need a translation, or a
    route of the spec. `elsewhere`: servers that no inside host can be.
    """
    shared = {address: inside.interface.ifname for inside in inside_interfaces for address in inside.shared}
    wires = tuple(dict.fromkeys(uplink.interface.ifname for uplink in uplinks))
    by_name = {uplink.name: uplink for uplink in uplinks}
    left: dict[tuple[str, str | None], list[str]] = {}
    for name, server in elsewhere:
        if server in shared:
            what = "the broadcast address" if server.version == 4 else "the address of all routers"
            yield (
                f"forward {name}: {server} is {what} of the network at {shared[server]}, and no host's: "
                "name the address of a server"
            )
        elif not any(_brings(rule, wires, server) for rule in spec.source_nat) and not any(
            not route.to or _is_among(server, route.to) for route in spec.routes
        ):
            beyond = next((uplink.name for uplink in uplinks if _is_among(server, uplink.far)), None)
            left.setdefault((name, beyond), []).append(str(server))
    for (name, beyond), servers in list(left.items())[:_MOST_NAMED]:
        wire = by_name[beyond].interface.ifname if beyond else None
        others = ", ".join([ifname for ifname in wires if ifname != wire] or wires)
        listed = ", ".join(servers)
        rule = f"sourceNat: {{name: {name}, in: [{others}], to: [{listed}], as: {beyond or 'UPLINK'}}}"
        if beyond:
            yield (
                f"forward {name}: {listed} is behind uplink {beyond}, which carries no client untranslated: "
                f"first under {rule}"
            )
        else:
            yield (
                f"forward {name}: {listed} is behind no interface of the spec: name its network under interfaces; "
                f"or, where it is beyond an uplink, first under {rule}"
            )
    if len(left) > _MOST_NAMED:
        yield f"{counted(len(left) - _MOST_NAMED, 'more forward')} to servers that are behind no inside interface"


def _brings(rule: SourceNat, wires: Iterable[str], server: Address) -> bool:
    """Does it translate what comes in by an uplink for this server?"""
    return bool(set(rule.in_ or ()) & set(wires)) and (not rule.to or _is_among(server, rule.to))


def _is_among(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _is_own(networks: Iterable[Network]) -> str:
    return f"from {', '.join(str(network.network_address) for network in networks)} is the gateway itself"


def _has_one(rule: SourceNat) -> bool:
    """Is there a single address or uplink in each family? `pick: hash` is the default and does not count."""
    pool = rule.as_.pool or {}
    sizes = [sum(r.size for r in pool if r.family == family) for family in (4, 6)]
    return rule.as_.pick != "hash" and len(rule.as_.names) <= 1 and max(sizes) <= 1


def left_to_other_rules(
    spec: GatewaySpec, rules: Iterable[SourceRule], inside_interfaces: Sequence[Inside]
) -> Iterator[str]:
    """Rules for both families whose uplinks have one: the other leaves by a rule behind, as IPv6 beside a VPN does.

    A rule behind that is for that family alone was meant so. `rules` are those of the spec, resolved.
    """
    resolved: dict[str, dict[Family, list[SourceRule]]] = {}
    for rule in rules:
        resolved.setdefault(rule.name, {}).setdefault(rule.conditions.family, []).append(rule)
    for number, given in enumerate(spec.source_nat):
        families = resolved.get(given.name, {})
        if len(families) != 1 or not given.as_.names or given.protocol:
            continue
        family = next(other for other in FAMILIES if other not in families)
        if given.to and not any(network.version == family for network in given.to):
            continue
        named = given.from_ or [
            n
            for i in inside_interfaces
            if i.interface.ifname in (given.in_ or (i.interface.ifname,))
            for n in i.private
        ]
        sources = [network for network in named if network.version == family]
        taker = next(
            (
                behind.name
                for behind in spec.source_nat[number + 1 :]
                if len(resolved.get(behind.name, {})) == len(FAMILIES)
                for each in resolved[behind.name][family]
                if any(one.overlaps(other) for one in sources for other in each.conditions.sources)
            ),
            None,
        )
        if taker is not None:
            of = ", ".join(map(str, sources[:_MOST_NAMED]))
            yield (
                f"sourceNat {given.name}: IPv{family} of {of} leaves by rule {taker}: the spec has no IPv{family} "
                f"address of {', '.join(given.as_.names)}; with addresses: auto it is held back until there is one"
            )
