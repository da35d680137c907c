"""What `nvictl init` takes for uplinks and for inside networks."""

from __future__ import annotations

from ipaddress import ip_interface, ip_network
from pathlib import Path
from types import MappingProxyType

import pytest

from nvi_operator.errors import NviError
from nvi_operator.language.load.loader import load_directory
from nvi_operator.topology.facts import Facts, LinkFact, WireRoute
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
    assert "    isp:\n      interface: wan0\n      nextHop: auto # of the main table; now 203.0.113.1\n" in text
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
    ],
)
def test_what_is_left_out_is_named_with_its_reason(link: LinkFact, why: str, tmp_path: Path) -> None:
    text = valid(facts(WAN, LAN, link), tmp_path)
    assert any(line.startswith(f"  #   {link.ifname}: ") and why in line for line in text.splitlines()), text


def test_networks_behind_a_router_inside_are_inside(tmp_path: Path) -> None:
    routed = LinkFact("1", 5, mac="02::", addresses=(ip_interface("10.0.0.1/30"),), routes=(
        WireRoute(ip_network("10.0.0.0/30")), WireRoute(ip_network("10.0.0.0/16"), "10.0.0.2"),
    ))  # fmt: skip
    assert '    "1":\n      networks: [10.0.0.0/16]\n' in valid(facts(WAN, routed), tmp_path)


def test_a_machine_without_inside_networks_has_a_spec_as_well(tmp_path: Path) -> None:
    assert "  # None was found" in valid(facts(WAN), tmp_path)


def test_without_a_default_route_an_uplink_is_named_by_hand(tmp_path: Path) -> None:
    with pytest.raises(NviError, match="no default route"):
        guess(facts(LAN))
    with pytest.raises(NviError, match="no interface wan7"):
        guess(facts(LAN), ["wan7"])
    bare = LinkFact("wan0", 2, mac="02::", addresses=(ip_interface("203.0.113.2/29"),))
    assert "interface: wan0" in valid(facts(bare, LAN), tmp_path, "wan0")
