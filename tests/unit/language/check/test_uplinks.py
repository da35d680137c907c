"""Uplinks: addresses, next hops, defaults, announced addresses."""

from __future__ import annotations

import pytest

from tests.unit.language.specs import HEAD, TAKEN, UPLINK_A, Reported, Rows, each, load, problems_in, uplinks

ROUTED_HERE = "add it to routed, if the provider routes it here"
ONE_DEFAULT = (
    "only one can be the default: leave it out here or there, or write defaultUplink: {first: [%s]}: in each "
    "family the first that works"
)

REFUSED: Rows = {
    "nothing": (
        HEAD + "spec: {host: any}\n",
        [
            (
                "4:7",
                "spec",
                "there is nothing to do: no interfaces and no uplinks",
                "add spec.uplinks and spec.interfaces",
            )
        ],
    ),
    "nothing to announce": (
        uplinks("a: {interface: wan0, addresses: 203.0.113.2, announce: true}"),
        [
            (
                "8:60",
                "spec.uplinks.a.announce",
                "there is nothing to announce: the uplink has no `routed`",
                "name the addresses under routed",
            )
        ],
    ),
    "virtual addresses that are not written": (
        uplinks(
            "a: {interface: wan0, addresses: auto, virtual: true}",
            "b: {interface: wan1, addresses: 198.51.100.2, virtual: 198.51.100.3}",
        ),
        [
            (
                "8:52",
                "spec.uplinks.a.virtual",
                "the uplink has `addresses: auto`, which is whatever is on the interface now",
                "write the virtual addresses under addresses",
            ),
            (
                "9:60",
                "spec.uplinks.b.virtual",
                "198.51.100.3 is not in addresses",
                "add it to addresses",
            ),
        ],
    ),
    "announced addresses that are elsewhere, and too many": (
        uplinks(UPLINK_A.replace("203.0.113.16/28", "198.18.0.0/16, announce: [198.18.0.0/21, 198.19.0.1]")),
        [
            (
                "8:83",
                "spec.uplinks.a.announce",
                "198.19.0.1/32 is not in routed",
                "add it to routed: it is on no interface",
            ),
            (
                "8:83",
                "spec.uplinks.a.announce",
                "2049 addresses are announced: at most 1024",
                "name a smaller prefix, or let the ISP route it here",
            ),
        ],
    ),
    "an address that leaves no link": (
        uplinks("a: {interface: wan0, addresses: [203.0.113.2, 'fe80::2']}"),
        [
            (
                "8:37",
                "spec.uplinks.a.addresses",
                "fe80::2 is link-local: no router forwards what bears it",
                "name a global or a unique-local address, or leave IPv6 out",
            )
        ],
    ),
    "the same address": (
        uplinks(UPLINK_A, "b: {interface: wan1, addresses: 203.0.113.2}"),
        [
            (
                "9:37",
                "spec.uplinks.b.addresses",
                "203.0.113.2 already belongs to uplink 'a' (addresses 203.0.113.2)",
                "an address belongs to one uplink: packets follow it",
            )
        ],
    ),
    "overlapping routed prefixes": (
        uplinks(UPLINK_A, "b: {interface: wan1, routed: 203.0.113.24/29}"),
        [
            (
                "9:34",
                "spec.uplinks.b.routed",
                "203.0.113.24/29 already belongs to uplink 'a' (routed 203.0.113.16/28)",
                "an address belongs to one uplink: packets follow it",
            )
        ],
    ),
    "an address to translate to that is nowhere": (
        uplinks("a: {interface: wan0, addresses: 203.0.113.2, translateTo: 203.0.113.33}"),
        [
            (
                "8:63",
                "spec.uplinks.a.translateTo",
                "203.0.113.33 is not in addresses or routed of the uplink",
                ROUTED_HERE,
            )
        ],
    ),
    "an address to translate to that only a lease could have": (
        uplinks("a: {interface: wan0, routed: 203.0.113.16/28, translateTo: 203.0.113.33}"),
        [("8:64", "spec.uplinks.a.translateTo", "203.0.113.33 is not in routed of the uplink", ROUTED_HERE)],
    ),
    "two addresses of one family to translate to": (
        uplinks(UPLINK_A.replace("}", ", translateTo: [203.0.113.17, 203.0.113.18]}")),
        [
            (
                "8:88",
                "spec.uplinks.a.translateTo",
                "203.0.113.17 and 203.0.113.18 are both IPv4",
                "name one address per family; a sourceNat rule may name several as a pool",
            )
        ],
    ),
    "forwards at an address to translate to, and at the uplink's name": (
        uplinks(
            UPLINK_A.replace("addresses: 203.0.113.2", "addresses: auto").replace(
                "}", ", translateTo: 203.0.113.17}"
            ),
            more="  forwards:\n    x: {at: 203.0.113.17, ports: 80/tcp, to: 192.168.1.80}\n"
            "    y: {at: a, ports: 80/tcp, to: 192.168.1.81}\n",
        ),
        [("11:23", "spec.forwards.y.ports", "203.0.113.17 tcp port 80 is already used by forward 'x'", TAKEN)],
    ),
    "an address twice": (
        uplinks("a: {interface: wan0, addresses: [203.0.113.2, 203.0.113.2]}"),
        [("8:37", "spec.uplinks.a.addresses", "203.0.113.2 is in addresses twice", "keep one of them")],
    ),
    "two dynamic uplinks on one interface": (
        uplinks("a: {interface: wan0}", "b: {interface: wan0}", "c: {interface: wan0, addresses: 192.0.2.1}"),
        [
            (
                "9:20",
                "spec.uplinks.b.interface",
                "uplink 'a' is on wan0 as well: with addresses: auto both claim all of them",
                "write the addresses of one of them: the other has the rest",
            )
        ],
    ),
    "next hop of another family": (
        uplinks("a: {interface: wan0, addresses: 203.0.113.2, nextHop: '2001:db8::1'}"),
        [
            (
                "8:59",
                "spec.uplinks.a.nextHop",
                "2001:db8::1 is IPv6, and the uplink has no IPv6 address",
                "add an address of that family, or leave this next hop out",
            ),
            (
                "8:59",
                "spec.uplinks.a.nextHop",
                "the uplink has IPv4 addresses, and no IPv4 next hop",
                "add the router of that family",
            ),
        ],
    ),
    "next hop is the uplink itself": (
        uplinks("a: {interface: wan0, addresses: 203.0.113.2, nextHop: 203.0.113.2}"),
        [
            (
                "8:59",
                "spec.uplinks.a.nextHop",
                "203.0.113.2 is the uplink's own address",
                "write the router's address",
            )
        ],
    ),
    "no default": (
        uplinks(UPLINK_A, "b: {interface: wan1}", more="  sourceNat: [{name: x, as: unchanged}]\n"),
        [
            (
                "10:29",
                "spec.sourceNat[0].as",
                "unchanged needs a default uplink, and none of a, b is the default",
                "write defaultUplink: NAME, of the uplink it should leave through",
            )
        ],
    ),
    "two defaults": (
        uplinks(
            UPLINK_A.replace("}", ", default: true}"), "b: {interface: wan1}", "c: {interface: wan2, default: true}"
        ),
        [("10:35", "spec.uplinks.c.default", "uplink 'a' is already the default", ONE_DEFAULT % "a, c")],
    ),
    "two defaults of one family, and one of the other": (
        uplinks(
            UPLINK_A.replace("}", ", default: true}"),
            "b: {interface: wan1, addresses: '2001:db8::2', default: true}",
            "c: {interface: wan2, addresses: '2001:db8::3', default: true}",
        ),
        [("10:61", "spec.uplinks.c.default", "uplink 'b' is already the default", ONE_DEFAULT % "b, c")],
    ),
    "a default that may come to have another family": (
        uplinks(
            UPLINK_A.replace("}", ", nextHop: auto, default: true}"),
            "b: {interface: wan1, addresses: '2001:db8::2', default: true}",
        ),
        [("9:61", "spec.uplinks.b.default", "uplink 'a' is already the default", ONE_DEFAULT % "a, b")],
    ),
}


@each(REFUSED)
def test_a_mistake_is_told_with_its_place_and_what_to_do(text: str, reported: list[Reported]) -> None:
    assert problems_in(text) == reported


@pytest.mark.parametrize("probe", ["ping: 'fe80::1'", "tcp: '[fe80::1]:53'", "dns: 'fe80::1'"])
def test_a_router_may_be_probed_by_its_link_local_address(probe: str) -> None:
    head = "interface: wan0, addresses: '2001:db8::2', nextHop: 'fe80::1'"
    load(uplinks(f"a: {{{head}, health: {{probes: [{{{probe}}}]}}}}"))


def test_each_uplink_has_a_number_of_one_byte() -> None:
    uplink = "    u{0}: {{interface: w{0}, nextHop: 203.0.{0}.1, addresses: 203.0.{0}.2, default: {1}}}\n"
    uplinks = [uplink.format(number, str(number == 0).lower()) for number in range(256)]
    load(HEAD + "spec:\n  uplinks:\n" + "".join(uplinks[:255]))
    assert problems_in(HEAD + "spec:\n  uplinks:\n" + "".join(uplinks)) == [
        ("6:5", "spec.uplinks", "256 uplinks: at most 255", "put the others on another gateway")
    ]
