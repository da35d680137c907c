"""Which sources may not come in by which interface: the gateway's own addresses, as the table's guard has it."""

from __future__ import annotations

from ipaddress import ip_interface
from types import MappingProxyType

from nvi_operator.kinds.ingress_guard import INGRESS_GUARD
from nvi_operator.kmod.facts import ModuleFacts
from nvi_operator.language.load.loader import load_texts
from nvi_operator.topology.facts import Facts, LinkFact
from nvi_operator.topology.model import Topology
from nvi_operator.topology.resolve import resolve

HEAD = "apiVersion: nvi-operator/v1\nkind: Gateway\nmetadata: { name: edge }\nspec:\n"
SPEC = """
  interfaces:
    lan0: { networks: 192.168.1.0/24 }
  uplinks:
    isp: { interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2 }
"""
TENANTS = SPEC.replace("lan0: {", "lan0: { tenant: red,")


def link(ifname: str, number: int, *addresses: str, kind: str | None = None, master: str | None = None) -> LinkFact:
    has = tuple(map(ip_interface, addresses))
    return LinkFact(ifname, number, kind=kind, master=master, mac=f"02:00:00:00:00:{number:02x}", addresses=has)


LINKS = (
    link("lo", 1, "10.255.0.1/32"),
    link("wan0", 2, "203.0.113.2/29", "2001:db8::2/64"),
    link("lan0", 3, "192.168.1.1/24"),
    link("docker0", 4, "172.17.0.1/16"),
    link("blue", 5, "10.1.0.1/32", kind="vrf"),
    link("blue0", 6, "10.1.1.1/24", master="blue"),
)


def resolved(text: str, **facts: object) -> Topology:
    loaded = load_texts({"edge.yaml": HEAD + text})
    found = Facts("host", MappingProxyType({each.ifname: each for each in LINKS}), **facts)  # type: ignore[arg-type]
    return resolve("edge", loaded.spec, found)


def guards(text: str, **facts: object) -> dict[str, set[str]]:
    return {each.ifname: set(each.entries) for each in INGRESS_GUARD.desired(resolved(text, **facts))}


def test_every_interface_refuses_every_address_of_the_host_outside_vrfs() -> None:
    """IPv6 is not this gateway's business, and its table does not check it."""
    own = {"10.255.0.1", "203.0.113.2", "192.168.1.1", "172.17.0.1"}
    assert guards(SPEC) == {"lan0": own, "wan0": own}


def test_with_tenants_an_interface_refuses_its_own() -> None:
    assert guards(TENANTS) == {"lan0": {"192.168.1.1"}, "wan0": {"203.0.113.2"}}


def test_without_anti_spoofing_there_is_none() -> None:
    assert guards(SPEC + "  guards: { antiSpoof: off }\n") == {}


def test_where_no_program_can_be_loaded_there_is_none() -> None:
    assert guards(SPEC, module=ModuleFacts(loaded=True), programs=False) == {}
