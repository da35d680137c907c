"""Inside interfaces: their names and aliases, and routes from inside."""

from __future__ import annotations

import time

from tests.unit.language.specs import BASE, MIXED, UPLINK_A, Reported, Rows, each, from_inside, problems_in, uplinks

REFUSED: Rows = {
    "interface and uplink": (
        uplinks(UPLINK_A, interfaces="wan0: {networks: 192.168.1.0/24}"),
        [
            (
                "6:11",
                "spec.interfaces.wan0",
                "wan0 is already the interface of uplink 'a'",
                "leave it out here: uplinks take part in NAT by themselves",
            )
        ],
    ),
    "the device is taken": (
        uplinks(UPLINK_A.replace("wan0", "nvi0")),
        [
            (
                "8:20",
                "spec.uplinks.a.interface",
                "nvi0 is the name of the NAT virtual interface",
                "set dataplane.device to another name",
            )
        ],
    ),
    "alias on an uplink": (
        uplinks(UPLINK_A, interfaces="lan0: {networks: 192.168.1.0/24, knownAs: 203.0.113.0/24}"),
        [
            (
                "6:47",
                "spec.interfaces.lan0.knownAs",
                "its addresses overlap those of uplink 'a'",
                "choose addresses that nothing else uses",
            )
        ],
    ),
    "one alias of two interfaces, and nothing that tells them apart": (
        uplinks(
            UPLINK_A,
            interfaces="lan0: {networks: 192.168.1.0/24, knownAs: 10.1.0.0/24}\n"
            "    lan1: {networks: 192.168.2.0/24, knownAs: 10.1.0.0/24}",
        ),
        [
            (
                "7:47",
                "spec.interfaces.lan1.knownAs",
                "its addresses overlap those of interface 'lan0'",
                "choose addresses that nothing else uses, or name the interfaces that use this alias with `in` of "
                "static",
            )
        ],
    ),
    "1:1 for an interface of the other family": (
        uplinks(
            UPLINK_A,
            interfaces="lan0: {networks: [192.168.1.0/24, 'fd00:1::/64'], knownAs: 'fd00:a9::/64'}\n"
            "    lan1: {networks: 192.168.2.0/24}",
            more="  static: {a: {address: 'fd00:1::/64', as: 'fd00:a9::/64', in: lan1}}\n",
        ),
        [
            (
                "10:64",
                "spec.static.a.in",
                f"{MIXED}lan1 has no IPv6 network",
                "name interfaces that have networks of the same family",
            )
        ],
    ),
    "alias of another family": (
        uplinks(UPLINK_A, interfaces="lan0: {networks: 192.168.1.0/24, knownAs: 'fd00::/64'}"),
        [
            (
                "6:47",
                "spec.interfaces.lan0.knownAs",
                MIXED + "fd00::/64 is IPv6, and the interface has no IPv6 network",
                "an alias is of the same family as what it stands for",
            )
        ],
    ),
    "a route from inside": (
        from_inside("{name: x, from: 192.168.1.12, as: unchanged}"),
        [
            (
                "11:28",
                "spec.routes[0].from",
                "192.168.1.10/31 is inside, and nothing leaves with such a source",
                "routes match after translation: write sourceNat from: 192.168.1.10/31, as: c",
            )
        ],
    ),
    "too many routes, counted by family": (
        uplinks(
            UPLINK_A, more="  routes:\n" + "".join(f"    - {{name: r{n}, in: lan0, via: a}}\n" for n in range(191))
        ),
        [
            (
                "10:5",
                "spec.routes",
                "382 routes, counting IPv4 and IPv6 apart: at most 380",
                "join them into fewer routes with more prefixes each",
            )
        ],
    ),
}


@each(REFUSED)
def test_a_mistake_is_told_with_its_place_and_what_to_do(text: str, reported: list[Reported]) -> None:
    assert problems_in(text) == reported


def test_many_networks_within_another_are_told_at_once() -> None:
    """What is left of the wider one is worked out once, and not where it is too much to write."""
    several = ", ".join(f"fd00:0:{number:x}::/64" for number in range(0, 400, 2))
    more = f"    wide0: {{networks: fd00::/8}}\n    many0: {{networks: [{several}]}}\n  uplinks:"
    began = time.process_time()
    (_, _, _, hint), *_ = problems_in(BASE.replace("  uplinks:", more))
    assert time.process_time() - began < 5
    assert hint == "give each a tenant, if these are two networks with the same addresses"
