"""Entries that no packet reaches are named, with what takes their packets; and no others are."""

from __future__ import annotations

import pytest

from nvi_operator.invariants.dead import dead_entries
from tests.unit.invariants.gateways import gateway
from tests.unit.language.specs import BASE, TENANTS


def dead(text: str, base: str = BASE) -> dict[str, str]:
    """By what each dead entry is called: what takes its packets."""
    found: dict[str, str] = {}
    for finding in dead_entries(gateway(text, base)):
        entry, _, rest = finding.message.partition(" has no effect")
        found[entry] = rest.partition("taken by ")[2] or rest.partition(": ")[2]
    return found


def rules(*lines: str) -> str:
    return "  sourceNat:\n" + "".join(f"    - {{{line}}}\n" for line in lines)


def test_a_rule_behind_one_for_everything_is_dead() -> None:
    text = rules("name: all, as: isp-a", "name: host, from: 192.168.1.9, as: isp-b")
    (found,) = dead_entries(gateway(text))
    assert found.path == ("spec", "sourceNat", 1)
    assert found.others == (("spec", "sourceNat", 0),)
    assert found.hint == "place it before 'all', or delete it"
    assert found.packet is not None
    assert (found.packet.in_interface, str(found.packet.source)) == ("lan0", "192.168.1.9")


def test_several_rules_together_take_all_packets_of_another() -> None:
    halves = ("name: low, from: 192.168.1.0/25, as: isp-a", "name: high, from: 192.168.1.128/25, as: isp-b")
    assert dead(rules(*halves, "name: v4, from: 192.168.1.0/24, as: isp-a")) == {
        "sourceNat 'v4'": "sourceNat 'high', 'low'"
    }
    # The other family, one port, one DSCP, one host more, and it is alive.
    for alive in ("as: isp-a", "from: 192.168.0.0/23, as: isp-a"):
        assert dead(rules(*halves, f"name: v4, {alive}")) == {}


@pytest.mark.parametrize(
    ("earlier", "later", "is_dead"),
    [
        ("ports: 443/tcp", "ports: 443/tcp, dscp: ef", True),
        ("ports: 443/tcp", "ports: 443/udp", False),
        ("ports: 400-500/tcp", "ports: [443/tcp, 480-490/tcp]", True),
        ("ports: 400-500/tcp", "ports: [443/tcp, 600/tcp]", False),
        ("ports: 400-500/tcp", "protocol: tcp", False),
        ("protocol: tcp", "ports: 443/tcp", True),
        ("protocol: tcp", "fromPorts: 5060/tcp", True),
        ("fromPorts: 5060/udp", "protocol: udp", False),
        ("to: 10.0.0.0/8", "to: 10.1.0.0/16, protocol: icmp", True),
        ("to: 10.0.0.0/8, except: {to: 10.1.0.0/16}", "to: 10.1.0.0/16", False),
        ("to: 10.0.0.0/8, except: {ports: 25/tcp}", "to: 10.1.0.0/16, ports: 25/tcp", False),
        ("to: 10.0.0.0/8, except: {ports: 25/tcp}", "to: 10.1.0.0/16, ports: 26/tcp", True),
        ("to: 10.0.0.0/8, dscp: [ef, cs1]", "to: 10.0.0.0/8, dscp: ef", True),
        ("to: 10.0.0.0/8, dscp: ef", "to: 10.0.0.0/8, dscp: [ef, cs1]", False),
        ("to: 10.0.0.0/8, mark: 0x10/0xf0", "to: 10.0.0.0/8, mark: 0x11/0xff", True),
        ("to: 10.0.0.0/8, mark: 0x10/0xf0", "to: 10.0.0.0/8, mark: 0x20/0xf0", False),
        ("to: 10.0.0.0/8, mark: 0x10", "to: 10.0.0.0/8", False),
        ("in: lan0, to: 10.0.0.0/8", "in: [lan0, wan0], to: 10.0.0.0/8", False),
        ("in: [lan0, wan0], to: 10.0.0.0/8", "in: wan0, to: 10.0.0.0/8", True),
    ],
)
def test_what_two_rules_have_in_common(earlier: str, later: str, is_dead: bool) -> None:
    text = rules(f"name: one, {earlier}, as: isp-a", f"name: two, from: 192.168.1.0/24, {later}, as: isp-b")
    assert bool(dead(text)) is is_dead


def test_one_to_one_nat_comes_before_the_rules() -> None:
    static = "  static: {host: {address: 192.168.1.80, as: 203.0.113.17}}\n"
    assert dead(static + rules("name: host, from: 192.168.1.80, as: isp-b")) == {"sourceNat 'host'": "static 'host'"}
    limited = "  static: {host: {address: 192.168.1.80, as: 203.0.113.17, to: 10.0.0.0/8}}\n"
    assert dead(limited + rules("name: host, from: 192.168.1.80, as: isp-b")) == {}
    assert dead(limited + rules("name: host, from: 192.168.1.80, to: 10.1.0.0/16, as: isp-b")) == {
        "sourceNat 'host'": "static 'host'"
    }


def test_rules_with_an_inside_address_come_before_the_others() -> None:
    base = BASE.replace("    lan0:", "    lan1: {networks: 172.16.0.0/24}\n    lan0:")
    text = rules(
        "name: all, from: 192.168.1.0/24, as: isp-a",
        "name: in, from: 192.168.1.0/24, to: 172.16.0.0/24, as: 172.16.0.1",
    )
    assert dead(text, base) == {}


def test_of_the_gateways_own_packets_the_order_is_another() -> None:
    # `all` is about inside hosts, and `dns` leads the gateway's own packets as well, where nothing is for all of it.
    text = rules(
        "name: lan, from: [192.168.1.0/24, 'fd00:1::/64'], as: isp-a", "name: dns, to: 192.0.2.53, as: isp-b"
    )
    (found,) = dead_entries(gateway(text))
    assert found.message.startswith("sourceNat 'dns' has no effect on what is forwarded: ")
    assert "in: self" in found.hint
    own = ("name: own, in: self, to: 192.0.2.0/24, as: isp-a", "name: dns, in: self, to: 192.0.2.53, as: isp-b")
    assert dead(rules(*own)) == {"sourceNat 'dns'": "sourceNat 'own'"}


def test_tenants_with_equal_addresses_hide_nothing_of_one_another() -> None:
    text = rules("name: red, tenant: red, as: isp-a", "name: blue, tenant: blue, as: isp-a")
    assert dead(text, TENANTS) == {}
    again = rules(
        "name: red, tenant: red, as: isp-a", "name: again, tenant: red, from: 192.168.1.7, as: 203.0.113.17"
    )
    assert dead(again, TENANTS) == {"sourceNat 'again'": "sourceNat 'red'"}


def test_routes_redirects_and_one_to_one_nat() -> None:
    routes = (
        "  routes:\n    - {name: wide, to: 10.0.0.0/8, via: isp-a}\n"
        "    - {name: narrow, to: 10.1.0.0/16, in: lan0, via: isp-b}\n"
    )
    assert dead(routes) == {"routes 'narrow'": "routes 'wide'"}
    redirect = "{ports: 53/udp, from: 192.168.1.7, to: 192.168.1.53, except: 192.168.1.0/24}"
    assert dead(f"  redirects: {{dns: {redirect}}}\n") == {
        "redirect 'dns'": "no packet of an inside host is as it says"
    }
    static = (
        "  static: {two: {address: 192.168.1.80/31, as: 203.0.113.16/31, except: [192.168.1.80, 203.0.113.17]}}\n"
    )
    assert dead(static) == {"static 'two'": "except leaves nothing of it"}


def test_what_an_isp_assigns_is_not_judged() -> None:
    base = BASE.replace("    dsl:", "    dhcp: {interface: wan2, addresses: auto, nextHop: auto}\n    dsl:")
    text = rules("name: own, in: self, to: 192.0.2.53, as: dhcp", "name: all, as: dhcp") + (
        "  routes:\n    - {name: own, in: self, to: 192.0.2.54, via: dhcp}\n"
    )
    assert dead(text, base) == {}


def test_many_rules_are_not_each_compared_with_all_others() -> None:
    lines = [f"name: r{n}, from: 10.{n >> 8}.{n & 255}.0/24, as: isp-a" for n in range(500)]
    text = rules(*lines, "name: late, from: 10.1.7.7, as: isp-b")
    assert dead(text) == {"sourceNat 'late'": "sourceNat 'r263'"}
