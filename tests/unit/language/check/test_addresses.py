"""Addresses that belong to no uplink, that mix families, or that no host has."""

from __future__ import annotations

import pytest

from tests.unit.language.specs import BASE, HEAD, MIXED, NOWHERE, Reported, Rows, each, problems_in

REFUSED: Rows = {
    "source NAT, pool on no uplink": (
        "  sourceNat: [{name: a, as: 203.0.113.30-203.0.113.40}]",
        [
            (
                "13:29",
                "spec.sourceNat[0].as",
                "203.0.113.30-203.0.113.40 belongs to no uplink",
                NOWHERE,
            )
        ],
    ),
    "source NAT, an inside address on its way out": (
        "  sourceNat: [{name: a, to: [192.168.1.0/28, 8.8.8.0/24], as: 192.168.1.1}]",
        [
            (
                "13:63",
                "spec.sourceNat[0].as",
                "192.168.1.1 is an inside address, and nothing leaves by an uplink with such a source",
                "name an uplink; or in `to` the inside network that this rule is meant for",
            )
        ],
    ),
    "forward, address on no uplink": (
        "  forwards:\n    web:\n      at: [isp-b, 192.0.2.9]\n      ports: 443/tcp\n      to: 192.168.1.80",
        [("15:11", "spec.forwards.web.at", "192.0.2.9 belongs to no uplink", NOWHERE)],
    ),
    "1:1, address on no uplink": (
        "  static:\n    a: {address: 192.168.1.80, as: 192.0.2.9}",
        [
            (
                "14:36",
                "spec.static.a.as",
                "192.0.2.9/32 belongs to no uplink",
                NOWHERE + ", or to an interface's knownAs",
            )
        ],
    ),
    "source NAT, from and pool": (
        "  sourceNat: [{name: a, from: 'fd00:1::/64', as: 203.0.113.17}]",
        [
            (
                "13:50",
                "spec.sourceNat[0].as",
                MIXED + "from is IPv6 and as is IPv4",
                "write one rule for each family",
            )
        ],
    ),
    "source NAT, from and to": (
        "  sourceNat: [{name: a, from: 'fd00:1::/64', to: 192.0.2.0/24, as: isp-a}]",
        [
            (
                "13:50",
                "spec.sourceNat[0].to",
                MIXED + "from is IPv6 and to is IPv4",
                "write one rule for each family",
            )
        ],
    ),
    "source NAT, an uplink of IPv4": (
        "  sourceNat: [{name: a, from: 'fd00:1::/64', as: isp-b}]",
        [
            (
                "13:50",
                "spec.sourceNat[0].as",
                MIXED + "from is IPv6 and as is IPv4",
                "write one rule for each family",
            )
        ],
    ),
    "source NAT, icmpv6 to IPv4": (
        "  sourceNat: [{name: a, protocol: icmpv6, as: isp-b}]",
        [
            (
                "13:47",
                "spec.sourceNat[0].as",
                MIXED + "protocol is IPv6 and as is IPv4",
                "write one rule for each family",
            )
        ],
    ),
    "forward, public IPv4 and server IPv6": (
        "  forwards:\n    web: {at: 203.0.113.17, ports: 443/tcp, to: 'fd00:1::80'}",
        [
            (
                "14:15",
                "spec.forwards.web.at",
                MIXED + "203.0.113.17 is IPv4, and no server is",
                "add a server of that family to `to`",
            )
        ],
    ),
    "forward, a server that nothing leads to": (
        "  forwards:\n    web: {at: isp-b, ports: 443/tcp, to: [192.168.1.80, 'fd00:1::80']}",
        [
            (
                "14:42",
                "spec.forwards.web.to",
                MIXED + "a server is IPv6, and it is published on no IPv6 address",
                "publish it on an IPv6 address as well, or leave that server out",
            )
        ],
    ),
    "forward, a port that is part of the address": (
        "  forwards:\n    web: {at: isp-b, ports: 443/tcp, to: 'fd00:1::80:8080'}",
        [
            (
                "14:42",
                "spec.forwards.web.to",
                MIXED + "a server is IPv6, and it is published on no IPv6 address",
                "publish it on an IPv6 address as well, or leave that server out; "
                "a port goes after brackets: [fd00:1::80]:8080",
            )
        ],
    ),
    "forward, an address that ends in no port": (
        "  forwards:\n    web: {at: isp-b, ports: 1/tcp, to: ['fd00:1::80', 'fd00:1::80:bad', '[fd00:1::9:8]:8080']}",
        [
            (
                "14:40",
                "spec.forwards.web.to",
                MIXED + "a server is IPv6, and it is published on no IPv6 address",
                "publish it on an IPv6 address as well, or leave that server out",
            )
        ],
    ),
    "forward, clients of IPv4": (
        "  forwards:\n    web: {at: isp-a, ports: 443/tcp, from: 192.0.2.0/24, to: 'fd00:1::80'}",
        [
            (
                "14:44",
                "spec.forwards.web.from",
                MIXED + "from is IPv4 and the servers are IPv6",
                "name clients of the servers' family",
            )
        ],
    ),
    "route": (
        "  routes: [{name: a, from: 203.0.113.17, to: '2001:db8:f::/48', via: isp-a}]",
        [("13:46", "spec.routes[0].to", MIXED + "from is IPv4 and to is IPv6", "write one route for each family")],
    ),
    "route by an uplink of IPv4": (
        "  routes: [{name: a, to: '2001:db8:f::/48', via: isp-b}]",
        [("13:50", "spec.routes[0].via", MIXED + "to is IPv6 and via is IPv4", "write one route for each family")],
    ),
}


@each(REFUSED)
def test_a_mistake_is_told_with_its_place_and_what_to_do(text: str, reported: list[Reported]) -> None:
    assert problems_in(BASE + text + "\n") == reported


EVERY = "name the prefixes that are there and nowhere else"


@pytest.mark.parametrize("networks", ["0.0.0.0/0", "[0.0.0.0/1, 128.0.0.0/1]"])
def test_no_interface_has_every_address(networks: str) -> None:
    spec = f"""{HEAD}spec:
  interfaces: {{lan0: {{networks: {networks}}}}}
  uplinks: {{isp: {{interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, routed: "::/0"}}}}
"""
    assert [reported for reported in problems_in(spec) if reported[2].startswith("this is every")] == [
        ("5:33", "spec.interfaces.lan0.networks", "this is every IPv4 address", EVERY),
        ("6:90", "spec.uplinks.isp.routed", "this is every IPv6 address", EVERY),
    ]


LINK_LOCAL = "link-local addresses are each link's own: leave it out"


def test_link_local_networks_belong_to_no_interface() -> None:
    spec = f"""{HEAD}spec:
  interfaces: {{lan0: {{networks: [192.168.1.0/24, "fe80::/64", "f000::/4"], knownAs: 169.254.7.0/24}}}}
  uplinks: {{isp: {{interface: wan0, nextHop: "fe80::1", addresses: "2001:db8::2", routed: "fe80:1::/64"}}}}
"""
    assert problems_in(spec) == [
        ("5:33", "spec.interfaces.lan0.networks", "fe80::/64 is link-local", LINK_LOCAL),
        ("5:33", "spec.interfaces.lan0.networks", "fe80::/10 is in f000::/4", LINK_LOCAL),
        ("5:85", "spec.interfaces.lan0.knownAs", "169.254.7.0/24 is link-local", LINK_LOCAL),
        ("6:90", "spec.uplinks.isp.routed", "fe80:1::/64 is link-local", LINK_LOCAL),
    ]


HOSTS = "name the prefixes that hosts have"


def test_no_host_is_in_a_special_network() -> None:
    spec = f"""{HEAD}spec:
  interfaces: {{lan0: {{networks: [192.168.1.0/24, 127.0.0.0/8, "ff02::/16"]}}}}
  uplinks: {{isp: {{interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, routed: 239.1.2.0/24}}}}
"""
    assert problems_in(spec) == [
        ("5:33", "spec.interfaces.lan0.networks", "127.0.0.0/8 is loopback: no host is in it", HOSTS),
        ("5:33", "spec.interfaces.lan0.networks", "ff02::/16 is multicast: no host is in it", HOSTS),
        ("6:90", "spec.uplinks.isp.routed", "239.1.2.0/24 is multicast: no host is in it", HOSTS),
    ]
