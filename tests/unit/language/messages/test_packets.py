"""Which packets: prefixes, protocols, ports, weights."""

from __future__ import annotations

import pytest

from tests.unit.language.specs import BASE, Reported, Rows, each, load, problems_in

REFUSED: Rows = {
    "host bits": (
        "  sourceNat: [{name: a, from: [192.0.2.0/24, 192.168.1.5/24], as: isp-a}]",
        [
            (
                "13:46",
                "spec.sourceNat[0].from[1]",
                "'192.168.1.5/24' has host bits set",
                "write 192.168.1.0/24 for the whole prefix, or 192.168.1.5 for this address alone",
            )
        ],
    ),
    "protocols that nearly are": (
        "  sourceNat: [{name: a, protocol: tpc, as: isp-a}, {name: b, ports: [53/UDP, 7/xyz], as: isp-a}]",
        [
            ("13:35", "spec.sourceNat[0].protocol", "'tpc' is not a protocol known here", "did you mean 'tcp'?"),
            ("13:70", "spec.sourceNat[1].ports[0]", "'UDP' is not a protocol with ports", "did you mean 'udp'?"),
            (
                "13:78",
                "spec.sourceNat[1].ports[1]",
                "'xyz' is not a protocol with ports",
                "write one of tcp, udp, sctp, dccp, udplite",
            ),
        ],
    ),
    "several values in one text": (
        "  sourceNat: [{name: a, from: '192.0.2.0/24, 198.18.0.0/15', ports: '80/tcp,443/tcp', as: isp-a}]",
        [
            (
                "13:31",
                "spec.sourceNat[0].from",
                "'192.0.2.0/24, 198.18.0.0/15' is not a prefix such as 192.0.2.0/24 or 2001:db8::/32",
                "write several as a list: [a, b]",
            ),
            (
                "13:69",
                "spec.sourceNat[0].ports",
                "'tcp,443/tcp' is not a protocol with ports",
                "write several as a list: [a, b]",
            ),
        ],
    ),
    "ports and protocol": (
        "  sourceNat: [{name: a, ports: 53/udp, protocol: tcp, as: isp-a}]",
        [
            (
                "13:15",
                "spec.sourceNat[0]",
                "ports name their protocol already (53/udp): leave protocol out",
                "",
            )
        ],
    ),
    "true for a service": (
        "  forwards: {web: {ports: true, to: 192.168.1.80}}",
        [
            (
                "13:27",
                "spec.forwards.web.ports",
                "expected a port with its protocol, such as 443/tcp, as text, found true",
                "put it in quotes if it is text",
            )
        ],
    ),
    "weights of uplinks": (
        "  sourceNat: [{name: a, as: {uplinks: {isp-a: -1, isp-b: }}}, {name: b, as: {uplinks: [isp-a, x y, {}]}}]",
        [
            ("13:47", "spec.sourceNat[0].as.uplinks.isp-a", "-1 is too small: at least 0", "choose a larger number"),
            ("13:58", "spec.sourceNat[0].as.uplinks.isp-b", "there is no value", "write one, or leave the field out"),
            ("13:87", "spec.sourceNat[1].as.uplinks", "expected an uplink's name, found a mapping", ""),
        ],
    ),
}


@each(REFUSED)
def test_a_mistake_is_told_with_its_place_and_what_to_do(text: str, reported: list[Reported]) -> None:
    assert problems_in(BASE + text + "\n") == reported


@pytest.mark.parametrize("protocol", ["gre", "esp", "sctp", "udplite", "ah", "icmp", "icmpv6"])
def test_protocols_by_name_are_taken_by_source_nat(protocol: str) -> None:
    assert load(BASE + f"  sourceNat: [{{name: a, protocol: {protocol}, as: isp-a}}]\n")


@pytest.mark.parametrize("ports", ["gre", "[1723/tcp, gre]", "47/gre"])
def test_a_protocol_without_ports_among_ports_is_told_where_it_belongs(ports: str) -> None:
    for lines in (
        f"forwards: {{v: {{ports: {ports}, to: 192.168.1.9}}}}",
        f"sourceNat: [{{name: a, ports: {ports}, as: isp-a}}]",
    ):
        ((_, _, message, hint),) = problems_in(BASE + f"  {lines}\n")
        assert message == "gre has no ports"
        assert hint.startswith("write `protocol: gre`; a forward without ports and protocol takes everything")


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("as: {pool: [203.0.113.17: 3, 203.0.113.18: 1]}", "pool: {203.0.113.17: 3, 203.0.113.18: 1}"),
        ("as: {203.0.113.17: 3, 203.0.113.18: 1}", "pool: {203.0.113.17: 3, 203.0.113.18: 1}"),
        ("as: [203.0.113.17: 3]", "pool: {203.0.113.17: 3}"),
        ('as: {"2001:db8::1": 3}', 'pool: {"2001:db8::1": 3}'),
        ("as: {uplinks: [isp-a: 3, isp-b: 1]}", "uplinks: {isp-a: 3, isp-b: 1}"),
        ("as: {isp-a: 3, isp-b: 1}", "uplinks: {isp-a: 3, isp-b: 1}"),
    ],
)
def test_weights_in_another_form_are_told_as_the_mapping_that_is_taken(written: str, hint: str) -> None:
    ((_, _, _, reported),) = problems_in(BASE + f"  sourceNat: [{{name: a, {written}}}]\n")
    assert reported == f"write values and weights as one mapping: `{hint}`"


def test_where_no_weights_are_taken_nothing_is_to_be_quoted() -> None:
    ((_, _, _, reported),) = problems_in(BASE + "  forwards: {v: {at: {isp-a: 3}, to: 192.168.1.9}}\n")
    assert reported == "at takes no weights: write [isp-a]"
