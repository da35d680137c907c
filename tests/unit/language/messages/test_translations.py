"""1:1 NAT, prefix NAT and source NAT."""

from __future__ import annotations

from tests.unit.language.specs import BASE, Reported, Rows, each, problems_in

REFUSED: Rows = {
    "unequal prefixes": (
        "  static: {a: {address: 192.168.1.0/24, as: 203.0.113.16/28}}",
        [
            (
                "13:15",
                "spec.static.a",
                "address 192.168.1.0/24 and as 203.0.113.16/28 are not of the same size",
                "give both the same prefix length",
            )
        ],
    ),
    "1:1 with two prefixes of one family": (
        "  static: {a: {address: [192.168.1.1, 192.168.1.2], as: 203.0.113.17}}",
        [
            (
                "13:25",
                "spec.static.a.address",
                "192.168.1.1/32 and 192.168.1.2/32 are of one family: one each, IPv4 and IPv6",
                "",
            )
        ],
    ),
    "source ports that are none": (
        "  sourceNat: [{name: a, as: {uplinks: isp-a, ports: rnd}}]",
        [
            (
                "13:53",
                "spec.sourceNat[0].as.ports",
                "'rnd' is neither random nor a port range",
                "write random, or as in 20000-20999",
            )
        ],
    ),
    "source ports of another protocol": (
        "  sourceNat: [{name: a, ports: 1/tcp, fromPorts: 2/udp, as: isp-a}]",
        [
            (
                "13:15",
                "spec.sourceNat[0]",
                "ports and fromPorts must be of the same protocols: only one names tcp",
                "",
            )
        ],
    ),
    "prefix NAT of IPv4": (
        "  prefixNat: {a: {address: 192.168.1.0/24, as: 203.0.113.0/24}}",
        [
            (
                "13:18",
                "spec.prefixNat.a",
                "192.168.1.0/24 is IPv4",
                "prefixNat is of IPv6 prefixes; sourceNat translates IPv4",
            )
        ],
    ),
    "prefix NAT to another size": (
        "  prefixNat: {a: {address: 'fd00:1::/64', as: [{from: isp-a, length: 60}]}}",
        [
            (
                "13:18",
                "spec.prefixNat.a",
                "subnet 0 of isp-a is a /60, and fd00:1::/64 is none: they are of one length",
                "",
            )
        ],
    ),
    "a part of a delegated prefix with an unknown field": (
        "  prefixNat: {a: {address: 'fd00:1::/64', as: [{from: isp-a, nett: 60}]}}",
        [("13:47", "spec.prefixNat.a.as", "there is no field 'nett'", "there are: from, length, subnet")],
    ),
    "a part of a delegated prefix that is no number": (
        "  prefixNat: {a: {address: 'fd00:1::/64', as: [{from: isp-a, subnet: -1}]}}",
        [("13:47", "spec.prefixNat.a.as", "subnet: Input should be greater than or equal to 0", "")],
    ),
    "1:1 of two families": (
        "  static: {a: {address: 'fd00::1', as: 203.0.113.17}}",
        [
            (
                "13:15",
                "spec.static.a",
                "address fd00::1/128 and as 203.0.113.17/32 mix IPv4 and IPv6",
                "write one entry for each",
            )
        ],
    ),
    "names among addresses": (
        "  sourceNat: [{name: a, as: [isp-a, 203.0.113.17]}]",
        [
            (
                "13:29",
                "spec.sourceNat[0].as",
                "'isp-a' is an uplink's name among addresses: name uplinks or addresses, not both",
                "",
            )
        ],
    ),
}


@each(REFUSED)
def test_a_mistake_is_told_with_its_place_and_what_to_do(text: str, reported: list[Reported]) -> None:
    assert problems_in(BASE + text + "\n") == reported
