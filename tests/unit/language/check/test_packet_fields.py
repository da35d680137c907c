"""Marks, DSCP, exceptions, and packets of the gateway itself."""

from __future__ import annotations

from tests.unit.language.specs import BASE, Reported, Rows, each, problems_in

REFUSED: Rows = {
    "marks that the gateway has, or takes away": (
        "  sourceNat: [{name: a, mark: 0x80000000/0x80000000, as: isp-b}]\n"
        "  forwards: {web: {at: isp-b, ports: 80/tcp, to: 192.168.1.80, mark: 0x10/0x40000010}}\n"
        "  routes: [{name: a, mark: 0x10, via: isp-a}]",
        [
            (
                "13:31",
                "spec.sourceNat[0].mark",
                "0x80000000/0x80000000 asks for bit 31, which is the gateway's own (dataplane.stageBit)",
                "leave that bit out of the mask, or give the gateway another stageBit",
            ),
            (
                "14:70",
                "spec.forwards.web.mark",
                "0x10/0x40000010 asks for bit 30, which is the gateway's own (dataplane.localBit)",
                "leave that bit out of the mask, or give the gateway another localBit",
            ),
            (
                "15:28",
                "spec.routes[0].mark",
                "packets of inside hosts lose their marks before routes are looked up",
                "write dataplane: {keepMarks: true}; or choose the uplink by sourceNat, which sees every mark",
            ),
        ],
    ),
    "exceptions that leave nothing": (
        "  sourceNat: [{name: a, in: self, dscp: ef, ports: 80-90/tcp, except: {ports: [79-85/tcp, 86-99/tcp]}, "
        "as: isp-b}]\n"
        "  forwards: {web: {at: isp-b, ports: 80/tcp, to: 192.168.1.80, from: 192.0.2.0/25, except: 192.0.2.0/24}}\n"
        "  routes: [{name: a, to: [192.0.2.0/25, 192.0.2.128/25], except: {to: 192.0.2.0/24}, via: isp-a}]",
        [
            (
                "13:41",
                "spec.sourceNat[0].dscp",
                "the route of what the gateway sends is looked up before it has a DSCP",
                "leave dscp out, or self",
            ),
            ("13:79", "spec.sourceNat[0].except.ports", "it takes away all of ports", "leave it out, or the rule"),
            (
                "14:92",
                "spec.forwards.web.except",
                "it takes away all of from: no client is left",
                "leave it out, or the forward",
            ),
            ("15:71", "spec.routes[0].except.to", "it takes away all of to", "leave it out, or the rule"),
        ],
    ),
    "own packets that are bound to an uplink's address": (
        "  sourceNat: [{name: a, in: self, from: 203.0.113.2, as: isp-b}]\n"
        "  routes: [{name: a, in: [self, lan0], from: 198.51.100.2, to: 192.0.2.0/24, via: isp-a}]",
        [
            (
                f"{line}",
                path,
                f"{address} is of uplink '{uplink}', and what the gateway sends from it leaves by it",
                "leave from out: it is then about what is bound to no address",
            )
            for line, path, address, uplink in (
                ("13:41", "spec.sourceNat[0].from", "203.0.113.2", "isp-a"),
                ("14:46", "spec.routes[0].from", "198.51.100.2", "isp-b"),
            )
        ],
    ),
    "own packets with what only hosts have": (
        "  sourceNat: [{name: a, in: self, to: 192.168.1.0/24, as: 192.168.1.7},\n"
        "    {name: b, in: self, as: {pool: 203.0.113.16/28, overload: false}}]",
        [
            (
                "13:59",
                "spec.sourceNat[0].as",
                "192.168.1.7 is an inside address, and what the gateway sends to the inside has one already",
                "name an uplink, or leave self out",
            ),
            (
                "14:29",
                "spec.sourceNat[1].as",
                "overload: false gives each of several sources its own address, and the gateway is one",
                "leave overload out",
            ),
        ],
    ),
}


@each(REFUSED)
def test_a_mistake_is_told_with_its_place_and_what_to_do(text: str, reported: list[Reported]) -> None:
    assert problems_in(BASE + text + "\n") == reported
