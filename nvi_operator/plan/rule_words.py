"""What a FIB rule of an entry matches, in the words of the spec. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from nvi_operator.language.model.packet_fields import Mark
from nvi_operator.language.model.services import PortRange
from nvi_operator.nft.values import network_value
from nvi_operator.state.fib_rule import FibRule


def address_words(rule: FibRule) -> Iterator[str]:
    for word, network in (("from", rule.source), ("to", rule.destination)):
        if network:
            yield f"{word} {network_value(ip_network(network))}"


def service_words(rule: FibRule) -> Iterator[str]:
    """Services as the spec has them: `from 5060/udp to 5060-5070/udp`, or a protocol."""
    if rule.protocol and not rule.source_ports and not rule.destination_ports:
        yield "icmpv6" if rule.protocol == "ipv6-icmp" else rule.protocol
    if rule.mark is not None and rule.mask is not None:
        yield f"with mark {Mark(rule.mark, rule.mask)}"
    for word, ports in (("from", rule.source_ports), ("to", rule.destination_ports)):
        if ports:
            yield f"{word} {PortRange(*ports)}/{rule.protocol}"
