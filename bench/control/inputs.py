"""What is applied: a gateway with so many port forwards, in every form that one of the contestants reads. Pure.

400 ports of each public address, 16 to a server: 100,000 forwards have 250 addresses and 6,250 servers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from itertools import islice

GATEWAY = "bench"
LAN, WAN = "lan0", "wan0"
TABLE = 7900  # of routes
NEXT_HOP = "10.0.0.9"
UPLINK_ROUTER = "203.0.113.1"
PROTOCOL = 78  # of the gateway's rules and routes

_PUBLIC = int(IPv4Address("198.18.0.0"))  # RFC 2544: the network for benchmarks
_INSIDE = int(IPv4Address("10.1.0.0"))
_PORTS, _SERVICES = 400, 16
_SPARE = 50_000  # a server's port that no entry has at first

# Lines of `ip -batch`: what a host has before there is a gateway.
HOST = f"""\
link set lo up
link add {LAN} type veth peer name far0
link add {WAN} type veth peer name far1
link set {LAN} up
link set {WAN} up
link set far0 up
link set far1 up
addr add 10.0.0.1/8 dev {LAN}
addr add 203.0.113.2/29 dev {WAN}
"""

_HEAD = f"""\
apiVersion: nvi-operator/v1
kind: Gateway
metadata:
  name: {GATEWAY}
spec:
  interfaces:
    {LAN}:
      networks: 10.0.0.0/8
  uplinks:
    isp:
      interface: {WAN}
      nextHop: {UPLINK_ROUTER}
      addresses: 203.0.113.2
      routed: 198.18.0.0/16
      default: true
  sourceNat:
    - name: everyone
      as: isp
"""


@dataclass(frozen=True)
class Entry:
    """A port forward, TCP."""

    name: str
    public: str
    port: int
    server: str
    server_port: int


def entries(count: int) -> Iterator[Entry]:
    for i in range(count):
        public, server = IPv4Address(_PUBLIC + 1 + i // _PORTS), IPv4Address(_INSIDE + i // _SERVICES)
        yield Entry(f"f{i:06}", str(public), 1024 + i % _PORTS, str(server), 8000 + i % _SERVICES)


def edited(count: int, number: int) -> Entry:
    """The entry in the middle, to another port of its server with each number; 0 is as it was."""
    entry = next(islice(entries(count), count // 2, None))
    return replace(entry, server_port=_SPARE + number) if number else entry


def with_edit(count: int, number: int) -> Iterator[Entry]:
    changed = edited(count, number)
    return (changed if entry.name == changed.name else entry for entry in entries(count))


def yaml(listed: Iterable[Entry]) -> str:
    lines = (
        f"    {e.name}: {{at: {e.public}, ports: {e.port}/tcp, to: '{e.server}:{e.server_port}'}}\n" for e in listed
    )
    return f"{_HEAD}  forwards:\n{''.join(lines)}"


def yaml_beside(file: str) -> str:
    """The document that names a file of forwards."""
    return f"{_HEAD}  forwardsFrom: {file}\n"


def csv(listed: Iterable[Entry]) -> str:
    lines = (f"{e.name},{e.public},{e.port}/tcp,{e.server}:{e.server_port}\n" for e in listed)
    return f"name,at,ports,to\n{''.join(lines)}"


def ferm(listed: Iterable[Entry]) -> str:
    lines = (f"  proto tcp daddr {e.public} dport {e.port} DNAT to {e.server}:{e.server_port};\n" for e in listed)
    return f"domain ip table nat chain PREROUTING {{\n{''.join(lines)}}}\n"


def destinations(count: int) -> Iterator[str]:
    """Networks for rules and routes."""
    return (f"{IPv4Address(_INSIDE + i)}/32" for i in range(count))


def rule_priorities(count: int) -> range:
    return range(2000, 2000 + count)


def ip_rules(count: int) -> str:
    pairs = zip(rule_priorities(count), destinations(count), strict=True)
    return "".join(f"rule add pref {at} from {net} lookup {TABLE} protocol {PROTOCOL}\n" for at, net in pairs)


def ip_routes(count: int) -> str:
    words = f"via {NEXT_HOP} dev {LAN} table {TABLE} proto {PROTOCOL} metric 1024"
    return "".join(f"route add {net} {words}\n" for net in destinations(count))
