"""What may leave by which uplink, by addresses: the same that the table's guards say."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface
from types import MappingProxyType

from nvi_operator.kinds.egress_guard import EGRESS_GUARD, EgressGuard, GuardEntry, PrefixRole
from nvi_operator.kmod.facts import ModuleFacts
from nvi_operator.language.load.loader import load_texts
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts, LinkFact
from nvi_operator.topology.model import Topology
from nvi_operator.topology.resolve import resolve

HEAD = "apiVersion: nvi-operator/v1\nkind: Gateway\nmetadata: { name: edge }\nspec:\n"
UPLINKS = """
  uplinks:
    isp-a: { interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, default: true }
    isp-b: { interface: wan1, nextHop: 198.51.100.1, addresses: 198.51.100.2, routed: 198.51.100.16/28 }
"""
LAN = "  interfaces:\n    lan0: { networks: 192.168.0.0/16 }\n"
OWN, INSIDE, OTHER, NONE = PrefixRole.OWN, PrefixRole.INSIDE, PrefixRole.OTHER, PrefixRole.NONE


def topology(text: str, facts: Facts | None = None) -> Topology:
    loaded = load_texts({"edge.yaml": HEAD + text})
    return resolve("edge", loaded.spec, assume_missing(loaded.spec, facts or Facts("host")))


def guard(text: str, ifname: str = "wan0") -> EgressGuard:
    (found,) = (each for each in EGRESS_GUARD.desired(topology(text)) if each.ifname == ifname)
    return found


def sources(text: str, ifname: str = "wan0") -> dict[str, tuple[PrefixRole, int]]:
    entries = guard(text, ifname).entries
    return {each.network: (each.standing, each.rules) for each in entries if each.side == "source"}


def test_an_uplink_lets_out_its_own_sources_and_knows_the_others() -> None:
    assert sources(LAN + UPLINKS, "wan1") == {
        "198.51.100.2/32": (OWN, 0),
        "198.51.100.16/28": (OWN, 0),
        "203.0.113.2/32": (OTHER, 0),
        "192.168.0.0/16": (INSIDE, 0),
        "::/0": (PrefixRole.FREE, 0),  # of which the spec says nothing
    }


def test_an_inside_interface_asks_for_answers_from_public_addresses_alone() -> None:
    assert sources(LAN + UPLINKS, "lan0") == {
        "198.51.100.2/32": (OWN, 0),
        "198.51.100.16/28": (OWN, 0),
        "203.0.113.2/32": (OWN, 0),
        "0.0.0.0/0": (PrefixRole.FREE, 0),
        "::/0": (PrefixRole.FREE, 0),
    }


def test_a_family_without_uplinks_is_free_between_inside_interfaces_alone() -> None:
    lan = LAN.replace("192.168.0.0/16", "[192.168.0.0/16, fd00:1::/64]")
    assert sources(lan + UPLINKS, "lan0")["::/0"] == (PrefixRole.FREE, 0)
    assert "::/0" not in sources(lan + UPLINKS, "wan0")


def test_without_rules_no_destination_is_asked() -> None:
    assert not [each for each in guard(LAN + UPLINKS).entries if each.side == "destination"]


def test_an_uplinks_address_within_a_wide_inside_network_is_its_own() -> None:
    modem = UPLINKS.replace("203.0.113.2", "192.168.9.2").replace("203.0.113.1", "192.168.9.1")
    found = sources(LAN + modem)
    assert found["192.168.9.2/32"] == (OWN, 0)
    assert found["192.168.0.0/16"] == (INSIDE, 0)


def test_a_rule_that_leaves_sources_unchanged_has_a_bit_at_both_ends() -> None:
    line = """
  sourceNat:
    - { name: vpn, from: 192.168.1.0/24, to: 10.9.0.0/16, as: unchanged }
    - { name: all, as: isp-a }
"""
    entries = guard(LAN + UPLINKS + line).entries
    assert GuardEntry("source", "192.168.1.0/24", INSIDE, 1) in entries
    assert GuardEntry("source", "192.168.0.0/16", INSIDE, 0) in entries
    assert GuardEntry("destination", "10.9.0.0/16", rules=1) in entries
    assert GuardEntry("destination", "192.168.0.0/16", rules=0) in entries


def test_a_route_lets_a_foreign_source_out_and_no_inside_one() -> None:
    route = "  routes:\n    - { name: all, to: 192.0.2.0/24, via: isp-a }\n"
    found = sources(LAN + UPLINKS + route)
    assert found["0.0.0.0/0"] == (NONE, 1)
    assert found["198.51.100.16/28"] == (OTHER, 1)
    assert found["192.168.0.0/16"] == (INSIDE, 0)
    assert sources(LAN + UPLINKS + route, "wan1")["192.168.0.0/16"] == (INSIDE, 0)
    assert "0.0.0.0/0" not in sources(LAN + UPLINKS + route, "wan1")


def test_where_no_program_can_be_loaded_there_is_a_note_and_the_module() -> None:
    module = Facts("host", module=ModuleFacts(loaded=True), programs=False)
    made = topology(LAN + UPLINKS, module)
    assert made.dataplane == "kmod"
    assert list(EGRESS_GUARD.desired(made)) == []
    assert any("no program guards their egress" in note for note in made.notes)
    assert not any("guards" in note for note in topology(LAN + UPLINKS, replace(module, programs=True)).notes)


def test_the_addresses_of_a_renamed_uplink_are_still_anothers() -> None:
    """The interface keeps its link group; a dynamic uplink without interface has no addresses."""
    dynamic = UPLINKS.replace("nextHop: 198.51.100.1, addresses: 198.51.100.2, routed: 198.51.100.16/28", "")
    dynamic = dynamic.replace("interface: wan1, ", "interface: wan1, addresses: auto, nextHop: auto")
    renamed = LinkFact("wan9", 9, group=78, addresses=(ip_interface("198.51.100.2/29"),))
    loaded = load_texts({"edge.yaml": HEAD + LAN + dynamic})
    wan0 = LinkFact("wan0", 2, addresses=(ip_interface("203.0.113.2/29"),))
    made = resolve("edge", loaded.spec, Facts("host", MappingProxyType({"wan0": wan0, "wan9": renamed})))
    (found,) = EGRESS_GUARD.desired(made)
    assert GuardEntry("source", "198.51.100.2/32", OTHER) in found.entries
