"""What `nvictl init` takes for uplinks and for inside networks."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_interface, ip_network
from pathlib import Path
from types import MappingProxyType

import pytest

from nvi_operator.errors import NviError
from nvi_operator.language.load.loader import load_directory
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.topology.facts import Facts, ForeignRule, LinkFact, RouteTableFact, WireRoute
from nvi_operator.topology.first_spec import guess
from nvi_operator.view.first_spec import first_spec_lines

WAN = LinkFact("wan0", 2, mac="02::", addresses=(ip_interface("203.0.113.2/29"),), next_hops=((4, "203.0.113.1"),))
LAN = LinkFact("lan0", 3, mac="02::", addresses=(ip_interface("192.168.1.1/24"), ip_interface("fd00:1::1/64")))


def facts(*links: LinkFact, best: str = "wan0", hostname: str = "gw.example.org") -> Facts:
    return Facts(hostname, MappingProxyType({link.ifname: link for link in links}), default_interfaces={4: best})


def valid(found: Facts, tmp_path: Path, *uplinks: str) -> str:
    """The text, which `nvictl validate` takes."""
    text = "".join(f"{line}\n" for line in first_spec_lines(guess(found, uplinks)))
    (tmp_path / "gateway.yaml").write_text(text)
    load_directory(tmp_path, hostname=found.hostname)
    return text


def test_a_default_route_makes_an_uplink_and_private_addresses_an_inside_network(tmp_path: Path) -> None:
    text = valid(facts(WAN, LAN), tmp_path)
    assert "  name: gw\n" in text
    assert "    lan0:\n      networks: [192.168.1.0/24]\n" in text
    assert "    isp:\n      interface: wan0\n      nextHop: auto # now 203.0.113.1\n" in text
    assert "      as: isp\n" in text
    assert "#   lan0: fd00:1::/64: no uplink has IPv6" in text


def test_of_several_uplinks_the_best_default_route_is_first(tmp_path: Path) -> None:
    other = LinkFact("ppp0", 4, addresses=(ip_interface("198.51.100.2/32"),), direct=frozenset({4}))
    text = valid(facts(WAN, LAN, other, best="wan0"), tmp_path)
    assert "      as: {first: [isp-b, isp-a]}" in text, "by interface, ppp0 is isp-a"
    assert "    isp-a:\n      interface: ppp0\n      addresses: auto" in text, "no router at the other end"
    assert text.count("default: true") == 1


@pytest.mark.parametrize(
    ("link", "why"),
    [
        (
            LinkFact("docker0", 9, mac="02::", addresses=(ip_interface("172.17.0.1/16"),)),
            "translates its networks itself",
        ),
        (LinkFact("eth3", 9, mac="02::", master="br0", addresses=(ip_interface("10.3.0.1/24"),)), "a port of br0"),
        (LinkFact("dmz0", 9, mac="02::", addresses=(ip_interface("198.51.100.65/26"),)), "routed and not translated"),
        (LinkFact("lan1", 9, mac="02::", addresses=(ip_interface("192.168.1.1/25"),)), "is on another interface"),
        (LinkFact("wg0", 9, addresses=(ip_interface("10.9.0.1/24"),)), "it is a tunnel"),
        (LinkFact("eth4", 9, mac="02::"), "it has no address"),
        (LinkFact("eth:5", 9, mac="02::", addresses=(ip_interface("10.5.0.1/24"),)), "a spec cannot name it"),
        (LinkFact("wan9", 9, mac="02::", addresses=(ip_interface("198.51.100.2/24"),)), "--uplink wan9"),
    ],
)
def test_what_is_left_out_is_named_with_its_reason(link: LinkFact, why: str, tmp_path: Path) -> None:
    wan9 = ForeignRule(FibRule(4, 100, "lookup", table=100), RouteTableFact(default=("wan9",)))
    text = valid(replace(facts(WAN, LAN, link), rules=(wan9,)), tmp_path)
    assert any(line.startswith(f"  #   {link.ifname}: ") and why in line for line in text.splitlines()), text


def test_networks_behind_a_router_inside_are_inside(tmp_path: Path) -> None:
    routed = LinkFact("1", 5, mac="02::", addresses=(ip_interface("10.0.0.1/30"),), routes=(
        WireRoute(ip_network("10.0.0.0/30")), WireRoute(ip_network("10.0.0.0/16"), "10.0.0.2"),
    ))  # fmt: skip
    assert '    "1":\n      networks: [10.0.0.0/16]\n' in valid(facts(WAN, routed), tmp_path)


def test_what_is_on_a_wire_counts_before_what_lies_behind_routers(tmp_path: Path) -> None:
    """A company's 10.0.0.0/8 leads to a router somewhere, and parts of it are on wires here."""
    company = WireRoute(ip_network("10.0.0.0/8"), "10.0.1.2")
    one = LinkFact("eth1", 4, mac="02::", addresses=(ip_interface("10.0.1.1/24"),), routes=(company,))
    two = LinkFact("eth2", 5, mac="02::", addresses=(ip_interface("10.7.0.1/16"),))
    text = valid(facts(WAN, one, two), tmp_path)
    assert "    eth1:\n      networks: [10.0.1.0/24]\n    eth2:\n      networks: [10.7.0.0/16]\n" in text
    assert "  #   eth1: 10.0.0.0/8: 10.7.0.0/16 is on another interface" in text
    text = valid(facts(replace(WAN, routes=(replace(company, via="203.0.113.1"),)), two), tmp_path)
    assert "    eth2:\n      networks: [10.7.0.0/16]\n" in text
    within = replace(WAN, routes=(WireRoute(ip_network("10.7.9.0/24")), WireRoute(ip_network("10.7.0.0/16"))))
    assert "eth2: 10.7.0.0/16: 10.7.0.0/16 is on another interface" in valid(facts(within, two), tmp_path)


@pytest.mark.parametrize("name", ["10", "007", "1e3", "0x1f", "null", "True", "yes", "1.2.3.4", "GW-1.example.org"])
def test_any_hostname_names_a_gateway(name: str, tmp_path: Path) -> None:
    valid(facts(WAN, LAN, hostname=name), tmp_path)


def test_the_spec_of_an_ordinary_machine_fits_80_columns(tmp_path: Path) -> None:
    wan = replace(WAN, addresses=(*WAN.addresses, ip_interface("2001:db8:a::2/64")))
    dmz = LinkFact("dmz0", 9, mac="02::", addresses=(ip_interface("198.51.100.65/26"),))
    clash = LinkFact("lan1", 9, mac="02::", addresses=(ip_interface("192.168.1.1/25"),))
    lines = valid(facts(wan, LAN, dmz, clash), tmp_path).splitlines()
    assert [line for line in lines if len(line) > 80] == []


@pytest.mark.parametrize("ifname", ["null", "NULL", "True", "Off", "10", "1e3", "br-lan"])
def test_any_interface_can_be_named(ifname: str, tmp_path: Path) -> None:
    valid(facts(replace(WAN, ifname=ifname), LAN, best=ifname), tmp_path)
    valid(facts(WAN, replace(LAN, ifname=ifname)), tmp_path)


def test_very_many_addresses_and_networks_are_readable(tmp_path: Path) -> None:
    wan = replace(WAN, addresses=tuple(ip_interface(f"203.0.113.{number}/24") for number in range(2, 254)))
    lan = replace(LAN, addresses=tuple(ip_interface(f"10.9.{number}.1/24") for number in range(250)))
    text = valid(facts(wan, lan), tmp_path)
    assert max(map(len, text.splitlines())) < 120
    assert "now 203.0.113.2, 203.0.113.3, 203.0.113.4, 203.0.113.5 and 248 more\n" in text
    assert text.count("\n        - 10.9.") == 250


def test_an_interface_whose_name_would_move_the_cursor_is_told_in_escapes(tmp_path: Path) -> None:
    odd = LinkFact("\x1b[2J", 9, mac="02::", addresses=(ip_interface("10.5.0.1/24"),))
    assert "  #   \\x1b[2J: a spec cannot name it\n" in valid(facts(WAN, LAN, odd), tmp_path)
    with pytest.raises(NviError, match=r"init: a'b: it has a default route, and a spec cannot name it"):
        guess(facts(replace(WAN, ifname="a'b"), LAN))


@pytest.mark.parametrize("version", [4, 6])
def test_what_it_suggests_in_comments_is_valid_as_well(version: int, tmp_path: Path) -> None:
    addresses = {4: ("203.0.113.2/29", "192.168.1.1/24"), 6: ("2001:db8:a::2/64", "fd00:1::1/64")}[version]
    wan, lan = (LinkFact(name, 2, mac="02::", addresses=(ip_interface(address),)) for name, address in zip(
        ("wan0", "lan0"), addresses, strict=True
    ))  # fmt: skip
    text = valid(facts(wan, lan), tmp_path, "wan0")
    suggested = re.sub(r"(?m)^( +)# (?=(?:nextHop|health|forwards| +(?:web|ports|to)):? ?)", r"\1", text)
    assert "\n      nextHop: " in suggested
    assert "\n      health: [" in suggested
    (tmp_path / "gateway.yaml").write_text(suggested)
    loaded = load_directory(tmp_path, hostname="gw")
    assert list(loaded.spec.forwards) == ["web"]


def test_a_machine_without_inside_networks_has_a_spec_as_well(tmp_path: Path) -> None:
    assert "  # None was found" in valid(facts(WAN), tmp_path)


def test_without_a_default_route_an_uplink_is_named_by_hand(tmp_path: Path) -> None:
    with pytest.raises(NviError, match="no default route"):
        guess(facts(LAN))
    with pytest.raises(NviError, match="no interface wan7"):
        guess(facts(LAN), ["wan7"])
    bare = LinkFact("wan0", 2, mac="02::", addresses=(ip_interface("203.0.113.2/29"),))
    assert "interface: wan0" in valid(facts(bare, LAN), tmp_path, "wan0")
