"""Gateways of a few lines, packets of a few words, and a walk as one line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_interface
from types import MappingProxyType
from typing import Any

import yaml

from nvi_operator.explain.machine import Machine
from nvi_operator.explain.packet import Packet
from nvi_operator.explain.surroundings import machine_of
from nvi_operator.explain.verdict import Delivered, Dropped, Forwarded, NotModelled, Refused
from nvi_operator.explain.walk import Walk, walks
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.plan.compile import desired_state
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts, LinkFact
from nvi_operator.topology.resolve import resolve

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "icmpv6": 58}

EDGE = """
interfaces:
  lan0: { networks: [192.168.1.0/24, "fd00:1::/64"] }
  dmz0: { networks: 172.16.0.0/24 }
uplinks:
  isp-a:
    interface: wan0
    addresses: [203.0.113.2, "2001:db8:a::2"]
    nextHop: [203.0.113.1, "2001:db8:a::1"]
    routed: 203.0.113.16/28
    default: true
  isp-b: { interface: wan1, addresses: 198.51.100.2, nextHop: 198.51.100.1 }
sourceNat:
  - { name: server, from: 192.168.1.80, as: isp-b }
  - { name: everyone, as: isp-a }
"""


def gateway(spec: str, more: str = "", links: Mapping[str, LinkFact] | None = None, **facts: Any) -> Machine:
    """The gateway of a spec; `more` are further sections. What `links` lack is assumed."""
    loaded = GatewaySpec.model_validate(yaml.safe_load(spec) | (yaml.safe_load(more) or {}))
    known = replace(Facts("test", links=MappingProxyType(dict(links or {}))), **facts)
    found = assume_missing(loaded, known)
    topology = resolve("edge", loaded, found)
    return machine_of(topology, desired_state(topology), found)


def link(ifname: str, ifindex: int, *addresses: str, **more: Any) -> LinkFact:
    mac = f"02:00:00:00:00:{ifindex:02x}"
    return LinkFact(ifname, ifindex, mac, mtu=1500, addresses=tuple(map(ip_interface, addresses)), **more)


def packet(words: str, **more: Any) -> Packet:
    """`lan0 tcp 192.168.1.5:40000 -> 192.0.2.1:443`; `self` for what the gateway itself sends."""
    ifname, protocol, source, _, destination = words.split()
    (address, port), (to, to_port) = _endpoint(source), _endpoint(destination)
    in_interface = None if ifname == "self" else ifname
    number = PROTOCOLS[protocol]
    return Packet(in_interface, number, ip_address(address), ip_address(to), port, to_port, **more)


def _endpoint(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        address, _, port = text[1:].partition("]:")
        return address.rstrip("]"), int(port) if port else None
    address, _, port = text.partition(":") if text.count(":") < 2 else (text, "", "")
    return address, int(port) if port else None


def told(walk: Walk) -> str:
    """How it ends: `wan0 203.0.113.2:40000 -> 192.0.2.1:443`."""
    left = walk.packet
    ends = f"{_shown(left.source, left.source_port)} -> {_shown(left.destination, left.destination_port)}"
    match walk.verdict:
        case Forwarded(interface, _):
            return f"{interface} {ends}"
        case Delivered():
            return f"self {ends}"
        case Dropped(where, counter):
            return f"dropped: {where}{f' ({counter})' if counter else ''}"
        case Refused(error, where, _):
            return f"{error}: {where}"
        case NotModelled(what, _):
            return f"not modelled: {what.name}"
    raise AssertionError(walk.verdict)


def _shown(address: object, port: int | None) -> str:
    if port is None:
        return str(address)
    return f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"


def the_walk(machine: Machine, words: str, **more: Any) -> Walk:
    (walk,) = walks(machine, packet(words, **more))
    return walk


def where(machine: Machine, words: str, **more: Any) -> str:
    return told(the_walk(machine, words, **more))
