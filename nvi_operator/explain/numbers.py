"""Values of nft as numbers: addresses, protocols, ports, ICMP types, so that every test is one of spans."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_network

from nvi_operator.explain.spans import Span
from nvi_operator.language.model.services import PROTOCOL_NUMBERS
from nvi_operator.nft.ast import Interval, Value

_PROTOCOLS = {**PROTOCOL_NUMBERS, "ipv6-icmp": 58}  # as `ip rule` calls it
ICMP_TYPES = {
    "echo-reply": 0,
    "destination-unreachable": 3,
    "redirect": 5,
    "echo-request": 8,
    "time-exceeded": 11,
    "parameter-problem": 12,
}
ICMPV6_TYPES = {
    "destination-unreachable": 1,
    "packet-too-big": 2,
    "time-exceeded": 3,
    "parameter-problem": 4,
    "echo-request": 128,
    "echo-reply": 129,
    "nd-router-solicit": 133,
    "nd-router-advert": 134,
    "nd-neighbor-solicit": 135,
    "nd-neighbor-advert": 136,
}


def protocol_of(value: int | str) -> int:
    """The number of a protocol as nft or a FIB rule has it. KeyError: an unknown name."""
    if isinstance(value, int):
        return value
    return int(value) if value.isdecimal() else _PROTOCOLS[value]


@lru_cache(maxsize=65536)
def address_span(value: str) -> Span:
    """The span of an address or a prefix."""
    network = ip_network(value)
    return int(network[0]), int(network[-1])


def span_of(value: Value, type_: str) -> Span:
    """The span of a value of this nft type. KeyError, ValueError: it is none."""
    if isinstance(value, Interval):
        return span_of(value.first, type_)[0], span_of(value.last, type_)[1]
    if type_ in ("ipv4_addr", "ipv6_addr"):
        return address_span(str(value))
    if type_ == "inet_proto":
        number = protocol_of(value)
    elif isinstance(value, int):
        number = value
    elif type_ == "icmp_type":
        number = ICMP_TYPES[value]
    elif type_ == "icmpv6_type":
        number = ICMPV6_TYPES[value]
    else:
        number = int(value, 0)
    return number, number
