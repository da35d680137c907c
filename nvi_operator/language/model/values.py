"""The scalar values of the spec language: addresses, prefixes, ports, names.

Each is written as one YAML string and parsed here, once; after this module nothing is text any more,
which is what keeps a spec from reaching nft or a shell unescaped. Every parser raises ValueError with a
sentence; `language/load/loader.py` adds the place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import (
    BeforeValidator,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import CoreSchema

from nvi_operator.language.wording import HintedError, nearest, short, shown

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

Family = Literal[4, 6]
FAMILIES: tuple[Family, Family] = (4, 6)
PORT_PROTOCOLS = ("tcp", "udp", "sctp", "dccp", "udplite")
PROTOCOLS = (*PORT_PROTOCOLS, "icmp", "icmpv6", "gre", "esp", "ah")

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
# `all` and `default` stand for all interfaces in /proc/sys/net/ipv4/conf: Linux 6.18 refuses them as names ("Invalid
# argument"). `lo` takes part in no NAT.
RESERVED_IFNAMES = ("all", "default", "lo")
_IFNAME = re.compile(rf"(?!(?:{'|'.join(RESERVED_IFNAMES)})$)[A-Za-z0-9_][A-Za-z0-9_.-]{{0,14}}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_PORT = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
# No absolute path, no parent, nothing hidden: no part begins with a dot.
_ENTRY_FILE = re.compile(r"(?:[^./\\\0-\x1f][^/\\\0-\x1f]*/)*[^./\\\0-\x1f][^/\\\0-\x1f]*\.(?:csv|jsonl)")
_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}")


# Where no host's address is (RFC 6890, RFC 4291). Linux forwards nothing to the first of them, nor to the second.
_NO_HOSTS: tuple[tuple[Network, str], ...] = (
    (IPv4Network("0.0.0.0/8"), "unspecified"),
    (IPv4Network("127.0.0.0/8"), "loopback"),
    (IPv4Network("224.0.0.0/4"), "multicast"),
    (IPv4Network("255.255.255.255/32"), "broadcast"),
    (IPv6Network("::/128"), "unspecified"),
    (IPv6Network("::1/128"), "loopback"),
    (IPv6Network("::ffff:0:0/96"), "IPv4-mapped"),
    (IPv6Network("ff00::/8"), "multicast"),
)


# Each link has them for itself: they are never forwarded, and neighbours and routers are found by them.
_LINK_LOCAL: tuple[Network, ...] = (IPv4Network("169.254.0.0/16"), IPv6Network("fe80::/10"))

_HOSTS = frozenset({*range(1, 127), *range(128, 224)})  # first octets that need no look at the list


def no_hosts(network: Network) -> str | None:
    """What its addresses are, if no host has one of them."""
    return next((what for special, what in _NO_HOSTS if within(network, special)), None)


def check_hosts(network: Network, field: str) -> None:
    """ValueError unless hosts may have the addresses of `network`. Quick, because a spec may hold 100,000 of them."""
    first = int(network.network_address) >> 24 if network.version == 4 else 0
    if first not in _HOSTS and (what := no_hosts(network)):
        _refuse(f"{field} {network}", what)


def _refuse(whose: str, what: str) -> NoReturn:
    message = f"{whose} is {what}: no host has it"
    if what == "loopback":
        raise HintedError(
            message, "name an address of an inside interface of the gateway, and let its service listen there"
        )
    raise ValueError(message)


def link_local(network: Network) -> Network | None:
    """The link-local addresses, if any of them is in it."""
    return next((own for own in _LINK_LOCAL if own.version == network.version and own.overlaps(network)), None)


def within(inner: Network, outer: Network) -> bool:
    """Is every address of `inner` in `outer`, too?"""
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)


def _text(value: object, what: str) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"expected {what} as text, found {shown(value)}")


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def parse_name(value: object) -> str:
    text = _text(value, "a name")
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"{shown(text)} is not a name: use 1 to 40 of a-z, 0-9 and '-', and neither start nor end with '-'"
        )
    return text


def parse_ifname(value: object) -> str:
    text = _text(value, "an interface name")
    if text in RESERVED_IFNAMES:
        what = "the loopback interface" if text == "lo" else "what the kernel calls the settings of all interfaces"
        raise HintedError(f"{shown(text)} is {what}: it takes part in no NAT", "name an interface; see `ip link`")
    if not _IFNAME.fullmatch(text):
        raise ValueError(
            f"{shown(text)} is not an interface name: use 1 to 15 letters, digits, '_', '.' or '-', "
            "not starting with '-' or '.'"
        )
    return text


def parse_hostname(value: object) -> str:
    text = _text(value, "a hostname")
    if not _HOST.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a hostname")
    return text


def parse_address(value: object) -> Address:
    """One that a host can have."""
    if isinstance(value, IPv4Address | IPv6Address):
        return value
    return _address(_text(value, "an IP address"))


@lru_cache(maxsize=4096)  # servers have many ports, and uplinks many forwards: one object for each address
def _address(text: str) -> Address:
    match = _IPV4.fullmatch(text)
    if match:  # what ip_address() does, in a quarter of the time: a spec may hold 100,000 of them
        first, second, third, fourth = map(int, match.groups())
        ipv4 = IPv4Address(first << 24 | second << 16 | third << 8 | fourth)
        return ipv4 if first in _HOSTS else _of_a_host(ipv4)
    if "%" in text:
        raise ValueError(f"{shown(text)}: a zone index is not allowed here")
    try:
        address = ip_address(text)
    except ValueError:
        raise ValueError(f"{shown(text)} is not an IPv4 or IPv6 address") from None
    return _of_a_host(address)


def _of_a_host(address: Address) -> Address:
    what = no_hosts(ip_network(address))
    if what:
        _refuse(str(address), what)
    return address


def parse_network(value: object) -> Network:
    """A prefix, or an address, which is a prefix of one."""
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    text = _text(value, "a prefix")
    if "/" in text and not text.rpartition("/")[2].isdecimal():
        raise ValueError(f"{shown(text)}: write the prefix length as a number, as in 192.0.2.0/24")
    if "%" in text:
        raise ValueError(f"{shown(text)}: a zone index is not allowed here")
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        loose = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{shown(text)} is not a prefix such as 192.0.2.0/24 or 2001:db8::/32") from None
    address = text.partition("/")[0]
    hint = f"write {loose} for the whole prefix, or {address} for this address alone"
    raise HintedError(f"{shown(text)} has host bits set", hint)


@dataclass(frozen=True, order=True, slots=True)
class AddressRange:
    """Addresses from `first` to `last`, both included, of one family."""

    first: Address
    last: Address

    @property
    def family(self) -> int:
        return self.first.version

    @property
    def size(self) -> int:
        return int(self.last) - int(self.first) + 1

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def parse_address_range(value: object) -> AddressRange:
    """``192.0.2.1``, ``192.0.2.1-192.0.2.9`` or ``192.0.2.0/28`` (every address of the prefix)."""
    if isinstance(value, AddressRange):
        return value
    text = _text(value, "an address, a range or a prefix")
    if "/" in text:
        network = parse_network(text)
        return AddressRange(network[0], network[-1])
    first_text, dash, last_text = text.partition("-")
    first = parse_address(first_text)
    last = parse_address(last_text) if dash else first
    if first.version != last.version:
        raise ValueError(f"{shown(text)} mixes IPv4 and IPv6")
    if int(last) < int(first):
        raise ValueError(f"{shown(text)} runs backwards")
    return AddressRange(first, last)


@dataclass(frozen=True, order=True, slots=True)
class PortRange:
    """Ports from `first` to `last`, both included (1-65535)."""

    first: int
    last: int

    @property
    def size(self) -> int:
        return self.last - self.first + 1

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def parse_port_range(value: object) -> PortRange:
    """``443`` or ``8000-8010``."""
    if isinstance(value, PortRange):
        return value
    return _port_range(
        str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value, "a port")
    )


@lru_cache(maxsize=4096)
def _port_range(text: str) -> PortRange:
    if len(text) < 6 and text.isascii() and text.isdecimal() and 0 < (port := int(text)) < 65536:
        return PortRange(port, port)
    match = _PORT.fullmatch(text)
    if not match:
        raise ValueError(f"{shown(text)} is not a port or a port range such as 8000-8010")
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
    text = _text(value, "a port with its protocol, such as 443/tcp,")
    ports, slash, protocol = text.partition("/")
    if not slash:
        raise _no_service(text)
    if (known := protocol.lower()) in _PORTLESS or ports.lower() in _PORTLESS:
        raise _portless(known if known in _PORTLESS else ports.lower())
    if ports in PORT_PROTOCOLS and _PORT.fullmatch(protocol):
        raise HintedError(f"{shown(text)} has its protocol first", f"write {protocol}/{ports}")
    if protocol not in PORT_PROTOCOLS:
        raise _no_protocol(f"{shown(protocol)} is not a protocol with ports", protocol, PORT_PROTOCOLS)
    return Service(protocol, parse_port_range(ports))


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
        f"in sourceNat write `protocol: {protocol}`; a forward without ports takes everything that is sent to its "
        f"address, {protocol} as well",
    )


def _no_protocol(message: str, text: str, known: tuple[str, ...]) -> HintedError:
    def hint() -> str:
        close = nearest(text.lower(), known)
        return f"did you mean {close!r}?" if close else f"write one of {', '.join(known)}"

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
    text = _text(value, "an address with or without a port")
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


T = TypeVar("T")


def as_tuple(value: Any) -> Any:
    """One value where a list may stand: ``from: 192.0.2.1`` is ``from: [192.0.2.1]``."""
    if isinstance(value, list):
        if not value:
            raise ValueError("the list is empty: leave the field out or name something")
        return tuple(value)
    return value if isinstance(value, tuple) else (value,)


def distinct(value: Any) -> Any:
    """as_tuple, and nothing is named twice."""
    values = as_tuple(value)
    for number, item in enumerate(values):
        if item in values[:number]:
            raise ValueError(f"{shown(item)} is named twice: once is enough")
    return values


def _one_or_several(parse: Callable[[object], T]) -> Callable[[Any, ValidatorFunctionWrapHandler], tuple[T, ...]]:
    """distinct, with a short way for the one text that most entries have."""

    def validate(value: Any, handler: ValidatorFunctionWrapHandler) -> tuple[T, ...]:
        several: tuple[T, ...] = (parse(value),) if isinstance(value, str) else handler(distinct(value))
        return several

    return validate


def _one_per_family(parse: Callable[[object], T]) -> Callable[[Any, ValidatorFunctionWrapHandler], tuple[T, ...]]:
    """One value, or two of which one is IPv4 and the other IPv6."""
    several = _one_or_several(parse)

    def validate(value: Any, handler: ValidatorFunctionWrapHandler) -> tuple[T, ...]:
        values: tuple[Any, ...] = several(value, handler)
        versions = [item.version for item in values]
        if len(set(versions)) < len(versions):
            raise ValueError(f"{values[0]} and {values[1]} are of one family: one each, IPv4 and IPv6")
        return values

    return validate


def _one_or_many(item: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]}


NAME_SCHEMA = {"type": "string", "pattern": f"^{_NAME.pattern}$"}
_IFNAME_SCHEMA = {"type": "string", "pattern": f"^{_IFNAME.pattern}$"}
_ADDRESS_SCHEMA = {"type": "string", "examples": ["192.0.2.1", "2001:db8::1"]}
_NETWORK_SCHEMA = {"type": "string", "examples": ["192.0.2.0/24", "2001:db8::/32"]}
RANGE_SCHEMA = {"type": "string", "examples": ["192.0.2.1", "192.0.2.1-192.0.2.9", "192.0.2.0/28"]}
_PORTS_SCHEMA: dict[str, Any] = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"type": "string"}]}
_SERVICE_SCHEMA = {
    "type": "string",
    "pattern": f"^[0-9]+(-[0-9]+)?/({'|'.join(PORT_PROTOCOLS)})$",
    "examples": ["443/tcp", "8000-8010/udp"],
}
_TARGET_SCHEMA = {"type": "string", "examples": ["192.168.1.80", "192.168.1.80:8443", "[fd00::80]:8443"]}
_PROTOCOL_SCHEMA = {"enum": list(PROTOCOLS)}
_HOST_SCHEMA = {"type": "string", "pattern": f"^{_HOST.pattern}$"}
_ENTRY_FILE_SCHEMA = {"type": "string", "pattern": r"\.(csv|jsonl)$", "examples": ["forwards.csv", "forwards.jsonl"]}
_PLACE_SCHEMA = {"type": "string", "examples": ["isp-a", "192.0.2.1"]}


def _no_null(value: Any) -> Any:
    """`from:` with nothing after it would be everybody."""
    if value is None:
        raise ValueError("there is no value")
    return value


class _NoNullSchema:
    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        forms = [form for form in schema["anyOf"] if form != {"type": "null"}]
        return forms[0] if len(forms) == 1 else {"anyOf": forms}


# A field that may be left out; what is written is no null.
Maybe = Annotated[T | None, BeforeValidator(_no_null), _NoNullSchema()]


class OrShort:
    """For the JSON Schema of a model that may also be written in a shorter form."""

    def __init__(self, *forms: dict[str, Any]) -> None:
        self._forms = forms

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [*self._forms, handler(core)]}


def parse_place(value: object) -> str:
    """An uplink's name, or an address; as text, in the one way that each is written."""
    text = _text(value, "an uplink's name or an address")
    return str(parse_address(text)) if any(sign in text for sign in ".:/") else parse_name(text)


# Protocol Numbers of IANA, for the protocols that have a name here.
_NUMBERS = {1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 47: "gre", 50: "esp", 51: "ah", 58: "icmpv6", 132: "sctp"}


def parse_protocol(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        name = _NUMBERS.get(value)
        hint = f"write {name}" if name else f"write one of {', '.join(PROTOCOLS)}; left out: every protocol"
        raise HintedError(f"{shown(value)} is a number: protocols are known by name here", hint)
    text = _text(value, "a protocol")
    if text not in PROTOCOLS:
        raise _no_protocol(f"{shown(text)} is not a protocol known here", text, PROTOCOLS)
    return text


def parse_entry_file(value: object) -> str:
    """``forwards.csv``, ``lists/forwards.jsonl``: below the directory of the file that says so."""
    text = _text(value, "a file's name")
    if not _ENTRY_FILE.fullmatch(text):
        raise ValueError(
            f"{shown(text)} is not a file of entries: "
            "name a .csv or .jsonl file beside this one, or below, without '..'"
        )
    return text


_STR = PlainSerializer(str)


def _strings(values: tuple[object, ...]) -> list[str]:
    return [str(value) for value in values]


_STRS = PlainSerializer(_strings)

Name = Annotated[str, BeforeValidator(parse_name), WithJsonSchema(NAME_SCHEMA)]
IfName = Annotated[str, BeforeValidator(parse_ifname), WithJsonSchema(_IFNAME_SCHEMA)]
HostName = Annotated[str, BeforeValidator(parse_hostname), WithJsonSchema(_HOST_SCHEMA)]
PlaceName = Annotated[str, BeforeValidator(parse_place), WithJsonSchema(_PLACE_SCHEMA)]
Protocol = Annotated[str, BeforeValidator(parse_protocol), WithJsonSchema(_PROTOCOL_SCHEMA)]
SpecAddress = Annotated[Address, BeforeValidator(parse_address), _STR, WithJsonSchema(_ADDRESS_SCHEMA)]
SpecNetwork = Annotated[Network, BeforeValidator(parse_network), _STR, WithJsonSchema(_NETWORK_SCHEMA)]
SpecRange = Annotated[AddressRange, BeforeValidator(parse_address_range), _STR, WithJsonSchema(RANGE_SCHEMA)]
SourcePorts = Annotated[
    PortRange | Literal["random"],
    BeforeValidator(parse_source_ports),
    _STR,
    WithJsonSchema({"anyOf": [{"const": "random"}, *_PORTS_SCHEMA["anyOf"]]}),
]
SpecService = Annotated[Service, BeforeValidator(parse_service), _STR, WithJsonSchema(_SERVICE_SCHEMA)]
SpecTarget = Annotated[Target, BeforeValidator(parse_target), _STR, WithJsonSchema(_TARGET_SCHEMA)]

EntryFileName = Annotated[str, BeforeValidator(parse_entry_file), WithJsonSchema(_ENTRY_FILE_SCHEMA)]

EntryFiles = Annotated[
    tuple[EntryFileName, ...], BeforeValidator(as_tuple), WithJsonSchema(_one_or_many(_ENTRY_FILE_SCHEMA))
]
HostNames = Annotated[tuple[HostName, ...], BeforeValidator(as_tuple), WithJsonSchema(_one_or_many(_HOST_SCHEMA))]
Places = Annotated[
    tuple[PlaceName, ...], WrapValidator(_one_or_several(parse_place)), WithJsonSchema(_one_or_many(_PLACE_SCHEMA))
]
IfNames = Annotated[tuple[IfName, ...], BeforeValidator(distinct), WithJsonSchema(_one_or_many(_IFNAME_SCHEMA))]
Addresses = Annotated[
    tuple[SpecAddress, ...], BeforeValidator(as_tuple), _STRS, WithJsonSchema(_one_or_many(_ADDRESS_SCHEMA))
]
Networks = Annotated[
    tuple[SpecNetwork, ...], BeforeValidator(as_tuple), _STRS, WithJsonSchema(_one_or_many(_NETWORK_SCHEMA))
]
FamilyNetworks = Annotated[
    tuple[SpecNetwork, ...],
    WrapValidator(_one_per_family(parse_network)),
    _STRS,
    WithJsonSchema(_one_or_many(_NETWORK_SCHEMA) | {"maxItems": 2}),
]
Services = Annotated[
    tuple[SpecService, ...],
    WrapValidator(_one_or_several(parse_service)),
    _STRS,
    WithJsonSchema(_one_or_many(_SERVICE_SCHEMA)),
]
Protocols = Annotated[tuple[Protocol, ...], BeforeValidator(distinct), WithJsonSchema(_one_or_many(_PROTOCOL_SCHEMA))]
