"""The values of the spec language that name something: addresses, prefixes, interfaces, hosts, files.

Each is written as one YAML string and parsed here, or in `services.py`, once: no text of a spec reaches nft or a
shell. Every parser raises ValueError with a sentence; `language/load/validation_messages.py` adds the place.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal, NoReturn

from nvi_operator.dataclass import dataclass
from nvi_operator.language.wording import HintedError, shown
from nvi_operator.pattern import pattern

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Family = Literal[4, 6]
FAMILIES: tuple[Family, Family] = (4, 6)
NAME_PATTERN = pattern(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
# `all` and `default` stand for all interfaces in /proc/sys/net/ipv4/conf: Linux 6.18 refuses them as names ("Invalid
# argument"). `lo` takes part in no NAT.
RESERVED_IFNAMES = ("all", "default", "lo")
SELF = "self"  # in place of an address or an interface: the gateway itself
IFNAME_PATTERN = pattern(rf"(?!(?:{'|'.join(RESERVED_IFNAMES)})$)[A-Za-z0-9_][A-Za-z0-9_.-]{{0,14}}")
HOST_PATTERN = pattern(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_HOSTNAME = pattern(r"(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z][A-Za-z0-9-]{1,62}")  # of more than one part
_MAC = pattern(r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}")
# No absolute path, no parent, nothing hidden: no part begins with a dot.
_ENTRY_FILE = pattern(r"(?:[^./\\\0-\x1f][^/\\\0-\x1f]*/)*[^./\\\0-\x1f][^/\\\0-\x1f]*\.(?:csv|jsonl)")
_OCTETS = {str(number): number for number in range(256)}
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
    if network.version == 6 and network.network_address.is_link_local:
        _refuse_link_local(f"{field} {network}")


def check_forwarded(address: Address) -> None:
    """ValueError if no router may send to the address (RFC 4291)."""
    if address.version == 6 and address.is_link_local:
        _refuse_link_local(str(address))


def _refuse_link_local(whose: str) -> NoReturn:
    raise HintedError(
        f"{whose} is link-local: no router forwards to it", "name the global or unique-local address of the host"
    )


def _refuse(whose: str, what: str) -> NoReturn:
    message = f"{whose} is {what}: no host has it"
    if what == "loopback":
        raise HintedError(
            message, "name an address of an inside interface of the gateway, and let its service listen there"
        )
    raise ValueError(message)


def link_local(network: Network) -> Network | None:
    """The link-local addresses, if any of them is in it."""
    return next((own for own in _LINK_LOCAL if own.overlaps(network)), None)


def within(inner: Network, outer: Network) -> bool:
    """Does `outer` contain every address of `inner`?"""
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)


def in_any(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def as_text(value: object, what: str) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"expected {what} as text, found {shown(value)}")


def is_name(text: str) -> bool:
    return NAME_PATTERN.fullmatch(text) is not None


def parse_name(value: object) -> str:
    text = as_text(value, "a name")
    if not NAME_PATTERN.fullmatch(text):
        raise ValueError(
            f"{shown(text)} is not a name: use 1 to 40 of a-z, 0-9 and '-', and neither start nor end with '-'"
        )
    return text


def parse_ifname(value: object) -> str:
    text = as_text(value, "an interface name")
    if text in RESERVED_IFNAMES:
        what = "the loopback interface" if text == "lo" else "what the kernel calls the settings of all interfaces"
        raise HintedError(f"{shown(text)} is {what}: it takes part in no NAT", "name an interface; see `ip link`")
    if not IFNAME_PATTERN.fullmatch(text):
        raise ValueError(
            f"{shown(text)} is not an interface name: use 1 to 15 letters, digits, '_', '.' or '-', "
            "not starting with '-' or '.'"
        )
    return text


def parse_hostname(value: object) -> str:
    text = as_text(value, "a hostname")
    if not HOST_PATTERN.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a hostname")
    return text


def parse_address(value: object) -> Address:
    """One that a host can have."""
    if isinstance(value, IPv4Address | IPv6Address):
        return value
    return _address(as_text(value, "an IP address"))


@lru_cache(maxsize=4096)  # servers have many ports, and uplinks many forwards: one object for each address
def _address(text: str) -> Address:
    try:  # what ip_address() does, in a quarter of the time: a spec may hold 100,000 of them
        first, second, third, fourth = map(_OCTETS.__getitem__, text.split("."))
    except (KeyError, ValueError):  # it is no IPv4 address
        pass
    else:
        ipv4 = IPv4Address(first << 24 | second << 16 | third << 8 | fourth)
        return ipv4 if first in _HOSTS else _of_a_host(ipv4)
    if "%" in text:
        raise ValueError(f"{shown(text)}: a zone index is not allowed here")
    try:
        address = ip_address(text)
    except ValueError:
        message = f"{shown(text)} is not an IPv4 or IPv6 address"
        if _HOSTNAME.fullmatch(text):
            raise HintedError(message, "names are not looked up: write the address") from None
        raise ValueError(message) from None
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
    text = as_text(value, "a prefix")
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
        message = f"{shown(text)} is not a prefix such as 192.0.2.0/24 or 2001:db8::/32"
        if is_name(text):
            raise HintedError(message, "write prefixes: address sets stand in from, to and except alone") from None
        if _HOSTNAME.fullmatch(text) or _MAC.fullmatch(text):
            hint = "write prefixes, or `mark`, and let a rule of your own mark the packets that you mean"
            raise HintedError(message, hint) from None
        raise ValueError(message) from None
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
    text = as_text(value, "an address, a range or a prefix")
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


def parse_place(value: object) -> str:
    """An uplink's name, or an address; as text, in the one way that each is written."""
    text = as_text(value, "an uplink's name or an address")
    return str(parse_address(text)) if any(sign in text for sign in ".:/") else parse_name(text)


def parse_entry_file(value: object) -> str:
    """``forwards.csv``, ``lists/forwards.jsonl``: below the directory of the document that names it."""
    text = as_text(value, "a file's name")
    if not _ENTRY_FILE.fullmatch(text):
        raise ValueError(
            f"{shown(text)} is not a file of entries: "
            "name a .csv or .jsonl file beside this one, or below, without '..'"
        )
    return text
