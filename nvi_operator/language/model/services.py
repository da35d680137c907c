"""Protocols and ports, and what is made of them: services (`443/tcp`) and servers (`192.168.1.80:8443`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.values import SELF, Address, as_text, check_forwarded, parse_address
from nvi_operator.language.other_words import BOTH
from nvi_operator.language.wording import HintedError, nearest, short, shown
from nvi_operator.pattern import pattern

PORT_PROTOCOLS = ("tcp", "udp", "sctp", "dccp", "udplite")
PROTOCOLS = (*PORT_PROTOCOLS, "icmp", "icmpv6", "gre", "esp", "ah")
# Protocol Numbers of IANA, for the protocols that have a name here.
PROTOCOL_NAMES = {
    1: "icmp",
    6: "tcp",
    17: "udp",
    33: "dccp",
    47: "gre",
    50: "esp",
    51: "ah",
    58: "icmpv6",
    132: "sctp",
    136: "udplite",
}
PROTOCOL_NUMBERS = {name: number for number, name in PROTOCOL_NAMES.items()}
FAMILY_OF_PROTOCOL: Mapping[str, int] = {"icmp": 4, "icmpv6": 6}  # of those that belong to one
_PORT = pattern(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


@dataclass(frozen=True, order=True, slots=True)
class PortRange:
    """Ports from `first` to `last`, both included (1-65535)."""

    first: int
    last: int

    @property
    def size(self) -> int:
        return self.last - self.first + 1

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last

    def overlaps(self, other: PortRange) -> bool:
        return self.first <= other.last and other.first <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def parse_port_range(value: object) -> PortRange:
    """``443`` or ``8000-8010``."""
    if isinstance(value, PortRange):
        return value
    return _port_range(
        str(value) if isinstance(value, int) and not isinstance(value, bool) else as_text(value, "a port")
    )


@lru_cache(maxsize=4096)
def _port_range(text: str) -> PortRange:
    if len(text) < 6 and text.isascii() and text.isdecimal() and 0 < (port := int(text)) < 65536:
        return PortRange(port, port)
    match = _PORT.fullmatch(text)
    if not match:
        message = f"{shown(text)} is not a port or a port range such as 8000-8010"
        if _PORT.fullmatch(ports := text.replace(":", "-", 1)):
            raise HintedError(message, f"write {ports}")
        raise ValueError(message)
    first = int(match[1])
    last = int(match[2] or match[1])
    if not (1 <= first <= 65535 and 1 <= last <= 65535):
        raise ValueError(f"{shown(text)}: ports are 1 to 65535")
    if last < first:
        raise ValueError(f"{shown(text)} runs backwards")
    return PortRange(first, last)


def parse_source_ports(value: object) -> PortRange | Literal["random"]:
    """A port range, or ``random``: any port, drawn for each flow."""
    if value == "random":
        return "random"
    if isinstance(value, str) and not value[:1].isdecimal():
        raise HintedError(f"{shown(value)} is neither random nor a port range", "write random, or as in 20000-20999")
    return parse_port_range(value)


@dataclass(frozen=True, order=True, slots=True)
class Service:
    """A transport protocol and its destination ports, written ``443/tcp``."""

    protocol: str
    ports: PortRange

    def __str__(self) -> str:
        return f"{self.ports}/{self.protocol}"


def parse_service(value: object) -> Service:
    """``443/tcp`` or ``8000-8010/udp``."""
    if isinstance(value, Service):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(
            f"{shown(value)} names no protocol: write {short(str(value))}/tcp or {short(str(value))}/udp"
        )
    text = as_text(value, "a port with its protocol, such as 443/tcp,")
    ports, slash, protocol = text.partition("/")
    if not slash:
        raise _no_service(text)
    if (known := protocol.lower()) in _PORTLESS or ports.lower() in _PORTLESS:
        raise _portless(known if known in _PORTLESS else ports.lower())
    if ports in PORT_PROTOCOLS and _PORT.fullmatch(protocol):
        raise HintedError(f"{shown(text)} has its protocol first", f"write {protocol}/{ports}")
    if protocol.lower() in BOTH:
        several = f"[{short(ports)}/tcp, {short(ports)}/udp]"
        raise HintedError(f"{shown(protocol)} is not a protocol with ports", f"write both: {several}")
    if protocol not in PORT_PROTOCOLS:
        raise _no_protocol(f"{shown(protocol)} is not a protocol with ports", protocol, PORT_PROTOCOLS)
    return Service(protocol, parse_port_range(ports))


def check_protocols(
    ports: Sequence[Service] | None, from_ports: Sequence[Service] | None, protocol: object = None
) -> None:
    """Check `ports` and `fromPorts` with each other, and that `protocol` stands beside neither. Raises ValueError."""
    for name, services in (("ports", ports), ("fromPorts", from_ports)):
        if services and protocol:
            raise ValueError(f"{name} name their protocol already ({services[0]}): leave protocol out")
    if not ports or not from_ports:
        return
    if alone := {service.protocol for service in ports} ^ {service.protocol for service in from_ports}:
        raise ValueError(f"ports and fromPorts must be of the same protocols: only one names {min(alone)}")


_PORTLESS = tuple(protocol for protocol in PROTOCOLS if protocol not in PORT_PROTOCOLS)


def _no_service(text: str) -> ValueError:
    """Why what has no slash is no ports with protocol."""
    if text.lower() in _PORTLESS:
        return _portless(text.lower())
    if text.lower() in PORT_PROTOCOLS:
        name = text.lower()
        hint = f"write 443/{name}, or 1-65535/{name} for all of them; sourceNat has `protocol: {name}`"
        return HintedError(f"{shown(text)} names no port", hint)
    if text[:1].isdecimal():
        return ValueError(f"{shown(text)} names no protocol: write it as 443/tcp or 8000-8010/udp")
    return HintedError(
        f"{shown(text)} is not a port with its protocol", "write numbers, as in 443/tcp or 8000-8010/udp"
    )


def _portless(protocol: str) -> HintedError:
    return HintedError(
        f"{protocol} has no ports",
        f"write `protocol: {protocol}`; a forward without ports and protocol takes everything that is sent to its "
        f"address, {protocol} as well",
    )


def _no_protocol(message: str, text: str, known: tuple[str, ...]) -> HintedError:
    others = ", or the number of another" if known == PROTOCOLS else ""

    def hint() -> str:
        close = nearest(text.lower(), known)
        return f"did you mean {close!r}?" if close else f"write one of {', '.join(known)}{others}"

    return HintedError(message, hint)


@dataclass(frozen=True, order=True, slots=True)
class Target:
    """Where destination NAT sends a packet: an address, and perhaps other ports than it was sent to.

    `weight` is its share where there are several.
    """

    address: Address
    ports: PortRange | None = None
    weight: int = 1

    def __str__(self) -> str:
        if self.ports is None:
            return str(self.address)
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{host}:{self.ports}"


def parse_target(value: object) -> Target:
    """``192.168.1.80``, ``192.168.1.80:8443``, ``192.168.1.80:9000-9010``, ``[fd00::80]:8443``, ``fd00::80``."""
    if isinstance(value, Target):
        return value
    text = as_text(value, "an address with or without a port")
    if text.count(":") == 1 and text[0] != "[":
        host, _, port = text.partition(":")
        return Target(parse_address(host), parse_port_range(port))
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{shown(text)} is not of the form [fd00::80]:8443")
        address = parse_address(host)
        if address.version != 6:
            raise ValueError(f"{shown(text)}: brackets are for IPv6 addresses only")
        return Target(address, parse_port_range(rest[1:]) if rest else None)
    return Target(parse_address(text))


def parse_server(value: object) -> Target:
    """A target that packets are forwarded to. Link-local ones are not, though the gateway may probe them."""
    if isinstance(value, str) and value.partition(":")[0] == SELF:
        raise HintedError(f"{shown(value)} is not an address", "name one of the gateway on an inside interface")
    target = parse_target(value)
    check_forwarded(target.address)
    return target


def parse_protocol(value: object) -> str:
    """A protocol by its name, or by its number where it has no name here: ``gre``, ``47`` and ``41``."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _numbered(value)
    text = as_text(value, "a protocol")
    if text.isascii() and text.isdecimal() and len(text) < 6:
        return _numbered(int(text))
    if text not in PROTOCOLS:
        raise _no_protocol(f"{shown(text)} is not a protocol known here", text, PROTOCOLS)
    return text


def _numbered(number: int) -> str:
    if not 1 <= number <= 255:
        raise ValueError(f"{shown(number)} is not a protocol: numbers are 1 to 255")
    return PROTOCOL_NAMES.get(number, str(number))


def protocol_number(protocol: str) -> int:
    """The number of a protocol that `parse_protocol` returned."""
    return int(protocol) if protocol.isdecimal() else PROTOCOL_NUMBERS[protocol]
