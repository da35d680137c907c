"""What is measured: a gateway between a client and a server with two links, and sinks that count.

    client eth0 --- lan0 [gateway] wan0 --- a0 server 192.0.2.80
                                   wan1 --- b0

The sinks take the generators' packets as soon as they arrive, before the stack of the host sees them: they
tell what was translated from what was not, and cost the same for every variant.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from tests.lab import Host, Lab

PORT = 9  # of the servers; discard
CLIENTS = 64

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Numbers:
    """Addresses of one family."""

    family: int
    client: str
    lan: str
    lan_length: int
    lan_network: str
    server: str
    clients: str  # the first of many that exist in packets only
    servers: str
    public: str  # the first of many that only exist translated
    uplinks: tuple[tuple[str, str], tuple[str, str]]  # (ours, next hop)
    uplink_length: int


V4 = Numbers(
    4,
    "192.168.1.10",
    "192.168.1.1",
    24,
    "192.168.1.0/24",
    "192.0.2.80",
    "192.168.1.100",
    "198.18.0.0",  # RFC 2544: the network for benchmarks
    "100.64.0.0",
    (("203.0.113.2", "203.0.113.1"), ("198.51.100.2", "198.51.100.1")),
    29,
)
V6 = Numbers(
    6,
    "fd00:1::10",
    "fd00:1::1",
    64,
    "fd00:1::/64",
    "2001:db8:f::80",
    "fd00:1::100",
    "2001:db8:f:1::",
    "2001:db8:f:2::",
    (("2001:db8:a::2", "2001:db8:a::1"), ("2001:db8:b::2", "2001:db8:b::1")),
    64,
)
FAMILIES = {4: V4, 6: V6}


@dataclass(frozen=True)
class Seen:
    """Packets of generators that arrived at a sink: as they should, and otherwise."""

    right: int
    wrong: int

    def __sub__(self, before: Seen) -> Seen:
        return Seen(self.right - before.right, self.wrong - before.wrong)


class Bed:
    """The hosts of one variant, addressed, but not yet a gateway.

    `inner` is the host with lan0, `outer` the one with wan0 and wan1; they are the same unless the variant
    puts a host between them.
    """

    def __init__(self, lab: Lab, name: str, *, boxed: bool = False) -> None:
        self.name = name
        self.client = lab.host(f"{name}-client")
        self.inner = lab.host(f"{name}-gw")
        self.outer = lab.host(f"{name}-box") if boxed else self.inner
        self.server = lab.host(f"{name}-server")
        self.clients = CLIENTS  # in the generators' packets
        self.translated: dict[int, Network | None] = {n.family: ip_network(n.uplinks[0][0]) for n in (V4, V6)}
        lab.link(self.client, "eth0", self.inner, "lan0")
        lab.link(self.outer, "wan0", self.server, "a0")
        lab.link(self.outer, "wan1", self.server, "b0")
        for numbers in (V4, V6):
            self._addresses(numbers)
        self.forward(self.inner)

    def _addresses(self, n: Numbers) -> None:
        any_ = "default" if n.family == 4 else "::/0"
        self.client.ip(f"addr add {n.client}/{n.lan_length} dev eth0 {_nodad(n)}")
        self.inner.ip(f"addr add {n.lan}/{n.lan_length} dev lan0 {_nodad(n)}")
        self.client.ip(f"route add {any_} via {n.lan}")
        self.server.ip(f"addr add {n.server}/{32 if n.family == 4 else 128} dev lo")
        for (ours, theirs), ifname, theirs_ifname in zip(n.uplinks, ("wan0", "wan1"), ("a0", "b0"), strict=True):
            self.outer.ip(f"addr add {ours}/{n.uplink_length} dev {ifname} {_nodad(n)}")
            self.server.ip(f"addr add {theirs}/{n.uplink_length} dev {theirs_ifname} {_nodad(n)}")
            neighbours(self.outer, ifname, ours, self.server, theirs_ifname, theirs)
        neighbours(self.client, "eth0", n.client, self.inner, "lan0", n.lan)
        mac = self.client.mac("eth0")
        many = (ip_address(n.clients) + each for each in range(CLIENTS))
        self.inner.ip(*(f"neigh replace {client} lladdr {mac} dev lan0 nud permanent" for client in many))
        self.outer.ip(f"route add {any_} via {n.uplinks[0][1]}")
        # So that a variant which does not translate is seen by its packets, not by their absence.
        self.server.ip(f"route add {n.lan_network} via {n.uplinks[0][0]}")

    @staticmethod
    def forward(host: Host) -> None:
        host.write("net/ipv4/ip_forward", "1")
        host.write("net/ipv6/conf/all/forwarding", "1")

    def one_to_one(self, clients: int) -> None:
        """For a variant with so few clients (a power of two), each with a public address of its own."""
        self.clients = clients
        for n in (V4, V6):
            first = ip_network(n.public)
            self.translated[n.family] = first.supernet(new_prefix=first.max_prefixlen - (clients.bit_length() - 1))

    def untranslated(self) -> None:
        """For a variant that does not translate."""
        self.translated = {4: None, 6: None}

    def sinks(self, family: int) -> None:
        """Arm them for packets of this family."""
        n, ip = FAMILIES[family], "ip" if family == 4 else "ip6"
        for host, devices, match, expected in (
            (
                self.server,
                ("a0", "b0"),
                f"udp dport {PORT}",
                f"{ip} saddr {self.translated[family] or n.lan_network}",
            ),
            (self.client, ("eth0",), f"udp sport {PORT}", f"{ip} daddr {n.lan_network}"),
        ):
            chains = "".join(
                f"chain {device} {{ type filter hook ingress device {device} priority 0;\n"
                f"{match} {expected} counter name right drop\n"
                f"{match} counter name wrong drop\n}}\n"
                for device in devices
            )
            host.nft(f"table netdev bench {{\ncounter right {{ }}\ncounter wrong {{ }}\n{chains}}}\n")

    def disarm(self) -> None:
        for host in (self.server, self.client):
            host.run("nft", "delete", "table", "netdev", "bench")


def seen(sink: Host) -> Seen:
    listing = json.loads(sink.run("nft", "-j", "list", "counters", "table", "netdev", "bench").stdout)
    counters = {e["counter"]["name"]: e["counter"]["packets"] for e in listing["nftables"] if "counter" in e}
    return Seen(counters["right"], counters["wrong"])


def neighbours(one: Host, ifname: str, address: str, other: Host, other_ifname: str, other_address: str) -> None:
    """They know each other for good: no ARP and no probes while it is measured."""
    one.ip(f"neigh replace {other_address} lladdr {other.mac(other_ifname)} dev {ifname} nud permanent")
    other.ip(f"neigh replace {address} lladdr {one.mac(ifname)} dev {other_ifname} nud permanent")


def _nodad(numbers: Numbers) -> str:
    return "nodad" if numbers.family == 6 else ""
