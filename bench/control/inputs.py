"""What is applied: a gateway with so many port forwards, in every form that one of the contestants reads. Pure.

400 ports of each public address, 16 to a server: 100,000 forwards have 250 addresses and 6,250 servers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

GATEWAY = "bench"
LAN, WAN = "lan0", "wan0"
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
      nextHop: 203.0.113.1
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


def edited(entry: Entry, number: int) -> Entry:
    """The same, to another port of its server; edits of different numbers differ."""
    return replace(entry, server_port=_SPARE + number % 10_000)


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
