"""Notes about rules of the spec that have no effect on this host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_network

from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.source_nat import SourceNat
from nvi_operator.language.model.values import SELF, Network
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.interfaces import Uplink


def rules_without_effect(spec: GatewaySpec, facts: Facts, uplinks: Sequence[Uplink]) -> Iterator[str]:
    """Rules that give an address to which no answer comes, rules for the gateway's own packets that do not say so,
    and a `pick` with one address to choose from.
    """
    yield from _unanswered(spec, facts)
    own: set[Network] = {ip_network(address) for uplink in uplinks for address in uplink.addresses}
    own |= {ip_network(interface.ip) for link in facts.links.values() for interface in link.addresses}
    for rule in spec.source_nat:
        if rule.from_ and own.issuperset(rule.from_) and SELF not in (rule.in_ or ()):
            yield f"sourceNat {rule.name}: {_is_own(rule.from_)}: for what it sends itself write in: {SELF}"
        if _has_one(rule):
            yield f"sourceNat {rule.name}: pick {rule.as_.pick}: there is only one address to choose: leave pick out"


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


def _is_own(networks: Iterable[Network]) -> str:
    return f"from {', '.join(str(network.network_address) for network in networks)} is the gateway itself"


def _has_one(rule: SourceNat) -> bool:
    """Is there a single address or uplink in each family? `pick: hash` is the default and does not count."""
    pool = rule.as_.pool or {}
    sizes = [sum(r.size for r in pool if r.family == family) for family in (4, 6)]
    return rule.as_.pick != "hash" and len(rule.as_.names) <= 1 and max(sizes) <= 1
