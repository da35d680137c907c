"""What we need to know of a host and do not own: its interfaces and addresses. Read, never written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface
from types import MappingProxyType
from typing import Literal

from nvi_operator.state.module import ModuleFacts

InterfaceAddress = IPv4Interface | IPv6Interface


@dataclass(frozen=True)
class LinkFact:
    """One interface of the host."""

    ifname: str
    ifindex: int
    mac: str | None = None  # None: frames have no Ethernet header
    kind: str | None = None
    up: bool = True
    carrier: bool = True  # is anything on the other end, as far as the interface can tell?
    group: int = 0
    addresses: tuple[InterfaceAddress, ...] = ()  # global ones, in the kernel's order
    next_hops: tuple[tuple[Literal[4, 6], str], ...] = ()  # default routers of the main table, by family
    altnames: tuple[str, ...] = ()  # further names, under which `ip` finds it, and nft does not


@dataclass(frozen=True)
class Facts:
    """One host, as found. `assumed` says that it was made up for an offline rendering."""

    hostname: str
    links: Mapping[str, LinkFact] = field(default_factory=lambda: MappingProxyType({}))
    netns_cookie: int = 1  # identifies the network namespace since boot (SO_NETNS_COOKIE)
    module: ModuleFacts = field(default_factory=ModuleFacts)
    programs: bool = True  # may eBPF programs be loaded here?
    assumed: bool = False
