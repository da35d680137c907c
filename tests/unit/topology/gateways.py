"""Gateways for tests: specs with uplinks, facts of a host that has their interfaces, and what they resolve to."""

from __future__ import annotations

from ipaddress import ip_interface
from types import MappingProxyType

from nvi_operator.kmod.facts import ModuleFacts
from nvi_operator.language.load.loader import load_texts
from nvi_operator.topology.facts import Facts, LinkFact
from nvi_operator.topology.model import Topology
from nvi_operator.topology.resolve import resolve

HEAD = "apiVersion: nvi-operator/v1\nkind: Gateway\nmetadata: { name: edge }\nspec:\n"
LAN = "  interfaces:\n    lan0: { networks: [192.168.1.0/24, 'fd00:1::/64'] }\n"
AUTO = "  uplinks:\n    isp-a: { interface: wan0, nextHop: auto }\n"
TWO = """
  uplinks:
    isp-a:
      interface: wan0
      nextHop: [203.0.113.1, 2001:db8:a::1]
      addresses: [203.0.113.2, 2001:db8:a::2]
      routed: [203.0.113.16/28, '2001:db8:a:1::/64']
      default: true
      weight: 3
    isp-b: { interface: wan1, nextHop: 198.51.100.1, addresses: 198.51.100.2, routed: 198.51.100.16/28 }
"""


def link(ifname: str, *addresses: str, hops: tuple[str, ...] = (), up: bool = True) -> LinkFact:
    return LinkFact(
        ifname,
        len(ifname),
        "02:00:00:00:00:01",
        up=up,
        addresses=tuple(map(ip_interface, addresses)),
        next_hops=tuple((6 if ":" in hop else 4, hop) for hop in hops),
    )


def topology(text: str, *links: LinkFact, module: bool = False, cookie: int = 1) -> Topology:
    present = links or (link("lan0"), link("wan0"), link("wan1"))
    facts = Facts(
        "host", MappingProxyType({fact.ifname: fact for fact in present}), cookie, ModuleFacts(loaded=module)
    )
    return resolve("edge", load_texts({"edge.yaml": HEAD + text}).spec, facts)
