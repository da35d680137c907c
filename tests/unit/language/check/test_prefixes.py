"""Delegated prefixes, and the prefixes of prefixNat."""

from __future__ import annotations

from tests.unit.language.specs import UPLINK_A, Reported, Rows, each, problems_in, uplinks

REFUSED: Rows = {
    "delegated parts of uplinks that have none, and prefixes that belong to no uplink": (
        uplinks(
            UPLINK_A.replace("}", ", delegated: auto}"),
            "b: {interface: wan1, addresses: 198.51.100.2, delegated: 192.0.2.0/24}",
            "c: {interface: wan2, addresses: 198.51.100.9}",
            interfaces="lan0: {networks: 192.168.1.0/24, delegated: [{from: c}, {from: d, subnet: 2}]}",
            more="  prefixNat:\n    x: {address: 'fd00:1::/64', as: [{from: a}, '2001:db8:9::/64']}\n"
            "    y: {address: 'fd00:1::/64', as: {from: a}}\n",
        ),
        [
            (
                "6:49",
                "spec.interfaces.lan0.delegated",
                "uplink 'c' has no delegated prefix",
                "write `delegated: auto` there",
            ),
            ("6:49", "spec.interfaces.lan0.delegated", "there is no uplink 'd'", "there are: a, b, c"),
            (
                "9:62",
                "spec.uplinks.b.delegated",
                "192.0.2.0/24 is IPv4: only IPv6 prefixes are delegated",
                "name the ISP's IPv6 prefix, or write auto",
            ),
            ("12:37", "spec.prefixNat.x.as", "2001:db8:9::/64 belongs to no uplink", "add it to routed of one"),
            (
                "13:18",
                "spec.prefixNat.y.address",
                "fd00:1::/64 overlaps fd00:1::/64 of prefixNat 'x'",
                "give all prefixes of it in one entry",
            ),
            (
                "13:37",
                "spec.prefixNat.y.as",
                "subnet 0 of a is already used by prefixNat 'x'",
                "give each its own prefix",
            ),
        ],
    ),
    "prefixes that two entries have, and those that an interface has natively": (
        uplinks(
            UPLINK_A.replace("203.0.113.16/28}", "'2001:db8:a::/48', delegated: auto}"),
            interfaces="lan0: {networks: 192.168.1.0/24, delegated: {from: a, subnet: 1}}",
            more="  static: {s: {address: 'fd00:2::/64', as: '2001:db8:a:1::/64'}}\n"
            "  prefixNat:\n    x: {address: 'fd00:1::/64', as: ['2001:db8:a:1::/64', {from: a, subnet: 18}]}\n"
            "    y: {address: 'fd00:2::/60', as: ['2001:db8:a:20::/60', {from: a, subnet: 1}]}\n"
            "    z: {address: 'fd00:3::/64', as: ['2001:db8:a:21::/64', {from: a, subnet: 1}]}\n",
        ),
        [
            (
                "11:37",
                "spec.prefixNat.x.as",
                "2001:db8:a:1::/64 is already used by static 's'",
                "give each its own prefix",
            ),
            (
                "12:18",
                "spec.prefixNat.y.address",
                "fd00:2::/60 overlaps fd00:2::/64 of static 's'",
                "translate it by one of them",
            ),
            (
                "12:37",
                "spec.prefixNat.y.as",
                "subnet 1 of a overlaps subnet 18 of a of prefixNat 'x'",
                "give each its own prefix",
            ),
            (
                "13:37",
                "spec.prefixNat.z.as",
                "2001:db8:a:21::/64 overlaps 2001:db8:a:20::/60 of prefixNat 'y'",
                "give each its own prefix",
            ),
            (
                "13:37",
                "spec.prefixNat.z.as",
                "subnet 1 of a is already used by interface 'lan0'",
                "give each its own prefix",
            ),
        ],
    ),
    "a prefix of a tenant's 1:1 entry, as what comes in asks one map for all tenants": (
        uplinks(
            "a: {interface: wan0, addresses: '2001:db8:a::2', routed: '2001:db8:a:1::/64'}",
            interfaces="red0: {networks: 'fd00:1::/64', tenant: red}",
            more="  static:\n    s: {tenant: red, address: 'fd00:1::14/126', as: '2001:db8:a:1::8/126'}\n"
            "  prefixNat:\n    x: {address: 'fd00:1::/64', as: '2001:db8:a:1::/64'}\n",
        ),
        [
            (
                "12:37",
                "spec.prefixNat.x.as",
                "2001:db8:a:1::/64 overlaps 2001:db8:a:1::8/126 of static 's'",
                "give each its own prefix",
            ),
        ],
    ),
}


@each(REFUSED)
def test_a_mistake_is_told_with_its_place_and_what_to_do(text: str, reported: list[Reported]) -> None:
    assert problems_in(text) == reported
