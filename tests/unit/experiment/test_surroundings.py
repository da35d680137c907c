"""What is assumed of the networks around a gateway."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface
from pathlib import Path

from nvi_operator.experiment.surroundings import Surroundings, surroundings
from nvi_operator.language.load.loader import load_directory

HEAD = "apiVersion: nvi-operator/v1\nkind: Gateway\nmetadata: { name: edge }\nspec:\n"


def around(tmp_path: Path, spec: str) -> Surroundings:
    file = tmp_path / "edge.yaml"
    file.write_text(HEAD + spec)
    return surroundings(load_directory(file).spec)


def shown(found: Surroundings, ifname: str) -> list[str]:
    return [str(address) for address in found.wire(ifname).addresses]


def test_an_address_and_its_router_are_in_the_smallest_usual_network(tmp_path: Path) -> None:
    found = around(
        tmp_path,
        "  interfaces: { lan0: { networks: [10.0.0.0/24, 10.7.7.7] } }\n"
        "  uplinks:\n"
        "    a: { interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, default: true }\n"
        "    b: { interface: wan1, nextHop: 172.20.1.1, addresses: 198.51.100.7 }\n"
        "    c: { interface: wan2, nextHop: 192.0.2.1, addresses: 192.0.2.2, routed: 192.0.2.64/27,\n"
        "         announce: true }\n",
    )
    assert shown(found, "wan0") == ["203.0.113.2/29"]
    assert shown(found, "wan1") == ["198.51.100.7/32"]
    assert str(found.wire("wan1").routes[0].network) == "172.20.1.1/32"
    assert shown(found, "wan2") == ["192.0.2.2/25"]
    assert shown(found, "lan0") == ["10.0.0.1/24"]
    assert [str(route.network) for route in found.wire("lan0").routes] == ["10.7.7.7/32"]


def test_a_lease_and_a_delegated_prefix_are_assumed_and_told(tmp_path: Path) -> None:
    found = around(
        tmp_path,
        "  interfaces: { lan0: { networks: 10.0.0.0/24, delegated: { from: isp, subnet: 2 } } }\n"
        "  uplinks: { isp: { interface: wan0, nextHop: auto, delegated: auto } }\n",
    )
    assert shown(found, "wan0") == ["198.18.1.2/24", "2001:db8:ffff:1::2/64"]
    assert shown(found, "lan0") == ["10.0.0.1/24", "2001:db8:d01:2::1/64"]
    assert "uplink isp: the lease is 198.18.1.2/24, router 198.18.1.1" in found.assumed
    assert "uplink isp: the ISP delegates 2001:db8:d01::/56" in found.assumed


def test_the_gateway_has_no_address_of_a_server_and_those_that_rules_give(tmp_path: Path) -> None:
    found = around(
        tmp_path,
        "  interfaces: { lan0: { networks: 10.0.0.0/24 }, dmz0: { networks: 10.1.0.0/24 } }\n"
        "  uplinks: { isp: { interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2 } }\n"
        "  forwards: { web: { ports: 443/tcp, to: 10.0.0.1 } }\n"
        "  sourceNat: [{ name: to-dmz, to: 10.1.0.0/24, as: { pool: 10.1.0.77 } }]\n",
    )
    assert shown(found, "lan0") == ["10.0.0.254/24"]
    assert found.wire("dmz0").addresses == (ip_interface("10.1.0.77/24"),)
    assert ip_address("10.0.0.1") in found.taken
