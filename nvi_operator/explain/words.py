"""A packet as a person writes it, and back: `tcp 10.0.0.5:40000 to 203.0.113.9:443`.

    PROTOCOL SOURCE to DESTINATION [FIELD VALUE] ...

`to` may be written `->`, which a shell takes for a redirection unless it is quoted. IPv6 addresses with a port stand
in brackets. `self` as the source is the gateway itself, with the address that it chooses. The interface that a packet
comes in by is not among the words: it is an option of every command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, ip_address
from typing import Any

from nvi_operator.dataclass import replace
from nvi_operator.errors import NviError
from nvi_operator.explain.packet import ECHO_REQUEST, ICMP, ICMP_OF, ICMPV6, TCP, WITH_PORTS, Packet
from nvi_operator.explain.packet import address as address_of
from nvi_operator.language.model.packet_fields import dscp_name, parse_dscp, parse_mark
from nvi_operator.language.model.services import (
    PROTOCOL_NAMES,
    PortRange,
    parse_port_range,
    parse_protocol,
    protocol_number,
)
from nvi_operator.language.model.values import SELF, Address, parse_address
from nvi_operator.language.wording import HintedError, nearest, shown

EXAMPLE = "tcp 10.0.0.5:40000 to 203.0.113.9:443"
ANY_PORT = 40000  # of a client, where the words name none
ARROWS = ("to", "->", "→", "=>")
_TCP_FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg")
# RFC 792 and RFC 4443, with the names that nft has; of those that open a flow, or might be asked about.
_ICMP_TYPES: Mapping[int, Mapping[str, int]] = {
    ICMP: {"echo-reply": 0, "redirect": 5, "echo-request": 8, "timestamp-request": 13, "timestamp-reply": 14},
    ICMPV6: {"echo-request": 128, "echo-reply": 129, "nd-router-solicit": 133, "nd-neighbor-solicit": 135},
}
_ERRORS = frozenset({3, 4, 11, 12})  # of ICMP; of ICMPv6 all types below 128
_ERROR_NAMES = frozenset({"destination-unreachable", "packet-too-big", "time-exceeded", "parameter-problem"})


class PacketError(NviError):
    """The words are no packet. The message says which word, and the hint what to write."""


def parse_packet(words: Sequence[str], in_interface: str | None) -> Packet:
    """Words as a shell splits them, or one text. Raises PacketError.

    Without a source port it is ANY_PORT; ICMP is an echo request, where no `type` is given.
    """
    split = [part for word in words for part in word.split()]
    try:
        return _packet(split, in_interface)
    except ValueError as error:
        raise PacketError(
            f"packet: {error}", hint=getattr(error, "hint", "") or f"write it as in {EXAMPLE}"
        ) from error


def packet_words(packet: Packet) -> str:
    """The words of a packet, without its interface: parsed, they are this packet again."""
    protocol = PROTOCOL_NAMES.get(packet.protocol, str(packet.protocol))
    source = end_words(packet.source, None if packet.icmp_type is not None else packet.source_port)
    parts = [protocol, source, "to", end_words(packet.destination, packet.destination_port)]
    return " ".join([*parts, *_field_words(packet)])


def end_words(address: Address, port: int | None) -> str:
    """`10.0.0.5:40000`, `[fd00::5]:40000`, `10.0.0.5`, `self`"""
    if address.is_unspecified:
        return SELF if port is None else f"{SELF}:{port}"
    if port is None:
        return str(address)
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


# --------------------------------------------------------------------------- reading


def _packet(words: Sequence[str], in_interface: str | None) -> Packet:
    if words and words[-1] == "-":
        message = "it ends with '-': a shell takes the > of -> for a redirection, and writes into a file"
        raise HintedError(message, f"write `to`, as in {EXAMPLE}; the file has the name of the destination")
    if not words:
        raise ValueError("there is none")
    name, *rest = words
    arrow = next((number for number, word in enumerate(rest) if word in ARROWS), None)
    if arrow is None:
        raise ValueError("there is no `to` between source and destination")
    if arrow == 0 or arrow == len(rest) - 1:
        raise ValueError(f"there is no {'destination behind' if arrow else 'source before'} `to`")
    if arrow > 1:
        raise ValueError(f"expected `to` behind the source, found {shown(rest[1])}")
    protocol = _protocol(name)
    destination, destination_port = _end(rest[2], _destination)
    source, source_port = _own(rest[0], destination) if rest[0].partition(":")[0] == SELF else _end(rest[0])
    if source.is_unspecified and in_interface is not None:
        raise HintedError(f"{SELF} sends nothing that comes in by {in_interface}", "leave -i out")
    if source.version != destination.version:
        raise ValueError(f"{source} and {destination} are of two families: both IPv4, or both IPv6")
    if protocol in (ICMP, ICMPV6):
        protocol = _icmp(name, source)
    packet = Packet(in_interface, protocol, source, destination, source_port, destination_port)
    return _with_fields(_with_ports(packet), rest[3:])


def _protocol(word: str) -> int:
    return protocol_number(parse_protocol(word.lower()))


def _icmp(name: str, source: Address) -> int:
    """`icmp` is that of either family; `icmpv6` is not."""
    if name.lower() != "icmp" and (ICMP_OF[source.version] != _protocol(name)):
        raise HintedError(f"{name} is of the other family than {source}", "write icmp for either family")
    return ICMP_OF[source.version]


def _end(word: str, parse: Callable[[str], Address] = parse_address) -> tuple[Address, int | None]:
    text, port = word, None
    if word.startswith("["):
        host, bracket, rest = word[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{shown(word)} is not of the form [fd00::5]:40000")
        text, port = host, rest[1:] or None
    elif word.count(":") == 1:
        text, _, port = word.partition(":")
    try:
        address = parse(text)
    except ValueError as error:
        if word.count(":") > 1 and not word.startswith("["):
            raise HintedError(
                str(error), "an IPv6 address with a port stands in brackets: [fd00::5]:40000"
            ) from error
        raise
    return address, None if port is None else _port(port)


def _destination(text: str) -> Address:
    """A host's, or a group: what becomes of those is said by name."""
    with suppress(ValueError):
        found = ip_address(text)
        if found.is_multicast or found == IPv4Address("255.255.255.255"):
            return found
    return parse_address(text)


def _own(word: str, destination: Address) -> tuple[Address, int | None]:
    """`self` and `self:123`: whatever address the gateway gives it."""
    _, colon, port = word.partition(":")
    return address_of(destination.version, 0), _port(port) if colon else None


def _port(text: str) -> int:
    ports: PortRange = parse_port_range(text)
    if ports.size > 1:
        raise HintedError(f"{text} are several ports", "one packet has one: write the first")
    return ports.first


def _with_ports(packet: Packet) -> Packet:
    name = PROTOCOL_NAMES.get(packet.protocol, str(packet.protocol))
    if packet.protocol not in WITH_PORTS:
        for port in (packet.source_port, packet.destination_port):
            if port is not None:
                raise HintedError(f"{name} has no ports: {port}", "leave the port out")
        if packet.protocol in (ICMP, ICMPV6):
            return replace(packet, icmp_type=ECHO_REQUEST[packet.family], source_port=1)
        return packet
    if packet.destination_port is None:
        raise HintedError(f"{name} needs a destination port", f"write it as in {_with_port(packet.destination)}")
    return replace(packet, source_port=ANY_PORT) if packet.source_port is None else packet


def _with_port(address: Address) -> str:
    """An IPv6 address may end in what was meant as its port."""
    host, _, port = str(address).rpartition(":")
    if address.version == 6 and port.isdecimal() and len(port) > 1:
        with suppress(ValueError):
            return end_words(parse_address(host), int(port))
    return end_words(address, 443)


# --------------------------------------------------------------------------- fields


def _with_fields(packet: Packet, words: Sequence[str]) -> Packet:
    seen: set[str] = set()
    for name, value in _pairs(words):
        if name in seen:
            raise ValueError(f"{name} is given twice")
        seen.add(name)
        packet = _READERS[name](packet, value)
    return packet


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """`ttl 3` and `ttl=3`"""
    left = list(words)
    while left:
        name, equals, value = left.pop(0).partition("=")
        if name not in _READERS:
            close = nearest(name.lower(), _READERS)
            hint = f"did you mean {close!r}?" if close else f"there are: {', '.join(_READERS)}"
            raise HintedError(f"there is no field {shown(name)} of a packet", hint)
        if not equals:
            if not left:
                raise HintedError(f"{name} has no value", f"write it as in {_EXAMPLES[name]}")
            value = left.pop(0)
        yield name, value


def _number(name: str, text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and least <= int(text) <= most):
        raise ValueError(f"{name}: {shown(text)} is not a number from {least} to {most}")
    return int(text)


def _dscp(packet: Packet, text: str) -> Packet:
    return replace(packet, dscp=parse_dscp(text))


def _mark(packet: Packet, text: str) -> Packet:
    if "/" in text:
        raise HintedError(f"{shown(text)}: a packet has a whole mark", "write a number, as in 0x10")
    return replace(packet, mark=parse_mark(text).value)


def _flags(packet: Packet, text: str) -> Packet:
    if packet.protocol != TCP:
        raise ValueError("flags are of tcp only")
    flags = frozenset(text.lower().split(","))
    if wrong := sorted(flags - set(_TCP_FLAGS)):
        raise HintedError(f"there is no TCP flag {shown(wrong[0])}", f"there are: {', '.join(_TCP_FLAGS)}")
    return replace(packet, tcp_flags=flags)


def _type(packet: Packet, text: str) -> Packet:
    if packet.icmp_type is None:
        raise ValueError("type is of icmp only")
    types = _ICMP_TYPES[packet.protocol]
    if not text.isdecimal() and text not in types and text not in _ERROR_NAMES:
        raise HintedError(f"type: there is no type {shown(text)}", f"there are: {', '.join(types)}; or a number")
    number = 3 if text in _ERROR_NAMES else types[text] if text in types else _number("type", text, 0, 255)
    if number in _ERRORS if packet.protocol == ICMP else number < 128:
        raise HintedError(
            f"type {text} is an ICMP error, which has no way of its own: it follows the packet that it is about",
            "write that packet, with --error",
        )
    echo = number in (types["echo-request"], types["echo-reply"])
    return replace(packet, icmp_type=number, source_port=packet.source_port if echo else None)


def _id(packet: Packet, text: str) -> Packet:
    if packet.icmp_type is None or packet.source_port is None:
        raise ValueError("id is of icmp echoes only")
    return replace(packet, source_port=_number("id", text, 0, 65535))


def _fragment(packet: Packet, text: str) -> Packet:
    if text not in ("yes", "no") or packet.family != 4:
        raise HintedError(f"df: {shown(text)}", "write `df no` of an IPv4 packet that routers may fragment")
    return replace(packet, dont_fragment=text == "yes")


_READERS: Mapping[str, Callable[[Packet, str], Packet]] = {
    "type": _type,
    "id": _id,
    "flags": _flags,
    "dscp": _dscp,
    "mark": _mark,
    "ttl": lambda packet, text: replace(packet, ttl=_number("ttl", text, 1, 255)),
    "length": lambda packet, text: replace(packet, length=_number("length", text, 20, 65535)),
    "df": _fragment,
    "bound": lambda packet, text: replace(packet, bound_interface=text),
}
_EXAMPLES = {
    "type": "type echo-reply",
    "id": "id 7",
    "flags": "flags syn,ack",
    "dscp": "dscp ef",
    "mark": "mark 0x10",
    "ttl": "ttl 3",
    "length": "length 1500",
    "df": "df no",
    "bound": "bound wan0",
}


def _field_words(packet: Packet) -> Iterator[str]:
    plain = Packet(None, packet.protocol, packet.source, packet.destination)
    values: dict[str, Any] = {}
    if packet.icmp_type is not None:
        names = {number: name for name, number in _ICMP_TYPES.get(packet.protocol, {}).items()}
        if packet.icmp_type != ECHO_REQUEST[packet.family]:
            values["type"] = names.get(packet.icmp_type, packet.icmp_type)
        if packet.source_port not in (None, 1):
            values["id"] = packet.source_port
    if packet.protocol == TCP and packet.tcp_flags != plain.tcp_flags:
        values["flags"] = ",".join(flag for flag in _TCP_FLAGS if flag in packet.tcp_flags)
    if packet.dscp:
        values["dscp"] = dscp_name(packet.dscp)
    if packet.mark:
        values["mark"] = f"{packet.mark:#x}"
    if packet.ttl != plain.ttl:
        values["ttl"] = packet.ttl
    if packet.length is not None:
        values["length"] = packet.length
    if not packet.dont_fragment:
        values["df"] = "no"
    if packet.bound_interface:
        values["bound"] = packet.bound_interface
    yield from (f"{name} {value}" for name, value in values.items())
