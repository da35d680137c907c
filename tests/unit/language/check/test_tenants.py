"""Tenants, whose networks have the same addresses."""

from __future__ import annotations

from tests.unit.language.specs import HEAD, TENANTS, Reported, Rows, each, problems_in

REFUSED: Rows = {
    "overlapping networks": (
        TENANTS.replace("tenant: blue, ", "").replace("    lan0", "    #"),
        [
            (
                "7:23",
                "spec.interfaces.blue0.networks",
                "192.168.1.0/24 overlaps 192.168.1.0/24 of interface 'red0'",
                "name it at one of them, if a router brings it by both; "
                "give each a tenant, if these are two networks with the same addresses",
            )
        ],
    ),
    "a network within another": (
        TENANTS.replace("tenant: blue, ", "")
        .replace("    lan0", "    #")
        .replace("192.168.1.0/24", "192.168.1.64/26", 1),
        [
            (
                "7:23",
                "spec.interfaces.blue0.networks",
                "192.168.1.0/24 overlaps 192.168.1.64/26 of interface 'red0'",
                "if 192.168.1.64/26 is behind red0 alone, name of 192.168.1.0/24 at blue0 the rest: 192.168.1.0/26, "
                "192.168.1.128/25; give each a tenant, if these are two networks with the same addresses",
            )
        ],
    ),
    "server of several tenants": (
        TENANTS + "  forwards: {web: {at: 203.0.113.17, to: 192.168.1.80}}\n",
        [
            (
                "13:42",
                "spec.forwards.web.to",
                "192.168.1.80 exists in several tenants: blue, red",
                "name one with `tenant`",
            )
        ],
    ),
    "server of another tenant": (
        TENANTS + "  forwards: {web: {at: 203.0.113.17, tenant: green, to: 192.168.1.80}}\n",
        [
            (
                "13:57",
                "spec.forwards.web.to",
                "192.168.1.80 is not in the networks of tenant 'green'",
                "name a server of that tenant, or add its network to the interface",
            )
        ],
    ),
    "unknown tenant": (
        TENANTS + "  forwards: {web: {at: 203.0.113.17, tenant: gren, to: 172.17.0.9}}\n",
        [("13:46", "spec.forwards.web.tenant", "there is no tenant 'gren'", "did you mean 'green'?")],
    ),
    "source NAT of several tenants": (
        TENANTS + "  sourceNat: [{name: a, from: 192.168.1.0/25, as: isp-a}]\n",
        [
            (
                "13:31",
                "spec.sourceNat[0].from",
                "these addresses exist in several tenants: blue, red",
                "name one with `tenant`, or the interface with `in`",
            )
        ],
    ),
    "source NAT of a tenant who has no such address": (
        TENANTS + "  sourceNat: [{name: a, tenant: red, from: 172.17.0.0/24, as: isp-a}]\n",
        [
            (
                "13:44",
                "spec.sourceNat[0].from",
                "none of these addresses is in the networks of tenant 'red'",
                "correct from, or leave it out to mean all of the tenant",
            )
        ],
    ),
    "1:1 in a tenant": (
        TENANTS + "  static: {a: {address: 192.168.1.80, as: 203.0.113.17}}\n",
        [
            (
                "13:25",
                "spec.static.a.address",
                "192.168.1.80/32 exists in tenants blue, red",
                "name one with `tenant`",
            )
        ],
    ),
    "1:1 of another tenant": (
        TENANTS + "  static: {a: {tenant: green, address: 192.168.1.80, as: 203.0.113.17}}\n",
        [
            (
                "13:40",
                "spec.static.a.address",
                "192.168.1.80/32 is not in the networks of tenant 'green'",
                "name an address of that tenant, or add its network to the interface",
            )
        ],
    ),
    "the mark as in-interface": (
        TENANTS + "  dataplane: {inInterface: mark}\n",
        [
            (
                "13:28",
                "spec.dataplane.inInterface",
                "tenants need the mark: inInterface cannot be mark",
                "write inInterface: auto",
            )
        ],
    ),
    "ipsec and tenants": (
        TENANTS + "  dataplane: {ipsec: true}\n",
        [
            (
                "13:22",
                "spec.dataplane.ipsec",
                "ipsec sends what it decrypts by its destination, and tenants' networks have the same",
                "leave it out, or the tenants",
            )
        ],
    ),
    "too many": (
        HEAD
        + "spec:\n  interfaces:\n"
        + "".join(f"    i{n}: {{tenant: t{n}, networks: 192.168.1.0/24}}\n" for n in range(256)),
        [("6:5", "spec.interfaces", "256 tenants: at most 255", "put the others on another gateway")],
    ),
}


@each(REFUSED)
def test_a_mistake_is_told_with_its_place_and_what_to_do(text: str, reported: list[Reported]) -> None:
    assert problems_in(text) == reported
