"""A case: a host, a spec and what happens to the packets that are sent through it; all of it data, as YAML.

    host:
      links: {lan0: [192.168.1.1/24], wan0: [203.0.113.2/29]}    # the gateway's, with its addresses
      ip: [route add default via 203.0.113.1]                    # further lines for `ip`
      nft: "table inet other { ... }"                            # what other programs have there
      down: [wan1]                                               # interfaces without a carrier
      health: {isp-b: down, web 192.168.1.80: down}              # what probes say of uplinks, and of servers
    spec: {...}                                                  # `spec` of a gateway, as in docs/spec.md
    talks:
      - send: lan0 tcp 192.168.1.10:40000 > 192.0.2.80:443
        then: [reply, again, error, inner-error, clash]          # what follows: see `Talk`

A talk begins with an empty conntrack table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import yaml

from tests.differential.datagram import ECHO, ICMP, ICMP6, PROTOCOLS, TCP, UDP, Datagram

HEAD = {"apiVersion": "nvi-operator/v1", "kind": "Gateway", "metadata": {"name": "edge"}}

INSIDE = ("lan0", "lan1", "lan2")
OUTSIDE = ("wan0", "wan1", "wan2")
INTERFACES = (*INSIDE, *OUTSIDE, "mgmt0")

SELF = "self"  # in place of an interface: the gateway itself sends
FOLLOW = ("reply", "again", "error", "inner-error", "clash")


@dataclass(frozen=True)
class Sent:
    """A packet, and the interface by which the gateway gets it.

    `SELF`: a socket of the gateway sends it, with this mark; bound to the source address unless that is unspecified.
    """

    interface: str
    packet: Datagram
    mark: int = 0
    bound: str = ""  # the interface that the gateway's socket is bound to

    def __str__(self) -> str:
        place = f"{self.interface}/{self.bound}" if self.bound else self.interface
        return f"{place} {written(self.packet)}" + (f" mark {self.mark:#x}" if self.mark else "")


@dataclass(frozen=True)
class Talk:
    """A packet and what follows: `reply` from where it came out, the flow's next packet (`again`), an ICMP `error`
    from a router there, or from one whose address looks like an inside one (`inner-error`), the same packet from the
    next address (`clash`).
    """

    send: Sent
    then: tuple[str, ...] = ()


@dataclass(frozen=True)
class Surroundings:
    """The host apart from the gateway."""

    links: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ip: tuple[str, ...] = ()
    nft: str = ""
    down: tuple[str, ...] = ()
    health: Mapping[str, str] = field(default_factory=dict)
    mtu: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    host: Surroundings
    spec: Mapping[str, Any]
    talks: tuple[Talk, ...] = ()

    @property
    def text(self) -> str:
        """The spec's document."""
        return yaml.safe_dump({**HEAD, "spec": self.spec}, sort_keys=False)


# ---------------------------------------------------------------- packets as words

_END = re.compile(r"\[?([0-9a-fA-F.:]+?)\]?(?::(\d+))?")
_NUMBERS = ("ttl", "dscp", "size", "mark", "id", "type", "code")


def written(packet: Datagram) -> str:
    """As `read_packet` reads it."""
    word = next(word for word, number in PROTOCOLS.items() if number == packet.protocol)
    words = [word if packet.protocol != ICMP6 else "icmp"]
    ends = (
        _end(packet.source, packet.source_port, packet),
        ">",
        _end(packet.destination, packet.destination_port, packet),
    )
    words += ends
    if packet.icmp is not None:
        words += ["type", str(packet.icmp[0]), "code", str(packet.icmp[1]), "id", str(packet.source_port or 0)]
    if packet.protocol == TCP and packet.flags != {"syn"}:
        words += ["flags", "+".join(sorted(packet.flags)) or "none"]
    words += ["ttl", str(packet.ttl)] if packet.ttl != 64 else []
    words += ["dscp", str(packet.dscp)] if packet.dscp else []
    words += ["size", str(packet.size)] if packet.size else []
    words += ["df"] if packet.keep_whole else []
    return " ".join(words)


def _end(address: Any, port: int | None, packet: Datagram) -> str:
    if packet.protocol not in (TCP, UDP) or port is None:
        return str(address)
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def read_sent(text: str) -> Sent:
    """`INTERFACE PROTOCOL SOURCE[:PORT] > DESTINATION[:PORT] [ttl N] [dscp N] [flags syn+ack] [mark N] ...`."""
    interface, word, first, arrow, second, *rest = text.split()
    if arrow != ">":
        raise ValueError(f"{text!r}: expected SOURCE > DESTINATION")
    interface, _, bound = interface.partition("/")
    source, source_port = _read_end(first)
    destination, destination_port = _read_end(second)
    more: dict[str, int] = {}
    flags, keep_whole = frozenset({"syn"}), False
    words = iter(rest)
    for name in words:
        if name == "df":
            keep_whole = True
        elif name == "flags":
            flags = frozenset(next(words).split("+")) - {"none"}
        elif name in _NUMBERS:
            more[name] = int(next(words), 0)
        else:
            raise ValueError(f"{text!r}: unknown word {name!r}")
    protocol = ICMP6 if word == "icmp" and source.version == 6 else PROTOCOLS[word]
    icmp = None
    if protocol in (ICMP, ICMP6):
        icmp = (more.get("type", ECHO[source.version][0]), more.get("code", 0))
        source_port = more.get("id", 0) if icmp[0] in ECHO[source.version] else None
    packet = Datagram(
        source,
        destination,
        protocol,
        source_port,
        destination_port,
        icmp,
        flags if protocol == TCP else frozenset(),
        more.get("ttl", 64),
        more.get("dscp", 0),
        size=more.get("size", 0),
        keep_whole=keep_whole,
    )
    return Sent(interface, packet, more.get("mark", 0), bound)


def _read_end(text: str) -> tuple[Any, int | None]:
    if text.count(":") > 1 and not text.startswith("["):
        return ip_address(text), None
    match = _END.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r}: expected ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT")
    return ip_address(match[1]), int(match[2]) if match[2] else None


# ---------------------------------------------------------------- files


def to_yaml(case: Case, comment: str = "") -> str:
    host = case.host
    surroundings = {
        "links": {ifname: list(addresses) for ifname, addresses in host.links.items()},
        "mtu": dict(host.mtu),
        "ip": list(host.ip),
        "nft": host.nft,
        "down": list(host.down),
        "health": dict(host.health),
    }
    data = {
        "host": {name: value for name, value in surroundings.items() if value},
        "spec": case.spec,
        "talks": [
            {"send": str(talk.send), **({"then": list(talk.then)} if talk.then else {})} for talk in case.talks
        ],
    }
    lines = "".join(f"# {line}\n" for line in comment.splitlines())
    return lines + yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=110)


def from_yaml(text: str) -> Case:
    data = yaml.safe_load(text)
    host = data["host"]
    return Case(
        Surroundings(
            {ifname: tuple(addresses) for ifname, addresses in host.get("links", {}).items()},
            tuple(host.get("ip", ())),
            host.get("nft", ""),
            tuple(host.get("down", ())),
            host.get("health", {}),
            host.get("mtu", {}),
        ),
        data["spec"],
        tuple(Talk(read_sent(talk["send"]), _steps(talk.get("then", ()))) for talk in data["talks"]),
    )


def _steps(words: Sequence[str]) -> tuple[str, ...]:
    unknown = set(words) - set(FOLLOW)
    if unknown:
        raise ValueError(f"then: unknown: {', '.join(sorted(unknown))}; there are {', '.join(FOLLOW)}")
    return tuple(words)
