"""Forwards and redirects: each public port leads to one place."""

from __future__ import annotations

from tests.unit.language.specs import BASE, TAKEN, Reported, Rows, each, problems_in

REFUSED: Rows = {
    "forwards, same port": (
        "  forwards:\n"
        "    a: {at: isp-b, ports: 443/tcp, to: 192.168.1.80}\n"
        "    b: {at: 198.51.100.2, ports: 443/tcp, to: 192.168.1.81}",
        [("15:34", "spec.forwards.b.ports", "198.51.100.2 tcp port 443 is already used by forward 'a'", TAKEN)],
    ),
    "forwards, overlapping ranges": (
        "  forwards:\n"
        "    a: {at: isp-b, ports: 8000-8010/udp, to: 192.168.1.80}\n"
        "    b: {ports: [53/udp, 8008-8020/udp], to: 192.168.1.81}",
        [
            (
                "15:16",
                "spec.forwards.b.ports",
                "198.51.100.2 udp ports 8008-8010 are already used by forward 'a'",
                TAKEN,
            )
        ],
    ),
    "forward, same port twice": (
        "  forwards:\n    a: {at: isp-b, ports: [443/tcp, 440-450/tcp], to: 192.168.1.80}",
        [("14:27", "spec.forwards.a.ports", "198.51.100.2 tcp port 443 is used twice", TAKEN)],
    ),
    "forwards, dynamic uplink": (
        "  forwards:\n"
        "    a: {at: dsl, ports: 443/tcp, to: 192.168.1.80}\n"
        "    b: {at: dsl, ports: 443/tcp, to: 192.168.1.81}",
        [("15:25", "spec.forwards.b.ports", "dsl tcp port 443 is already used by forward 'a'", TAKEN)],
    ),
    "forwards, whole address twice": (
        "  forwards:\n    a: {at: isp-b, to: 192.168.1.80}\n    b: {at: isp-b, to: 192.168.1.81}",
        [
            (
                "15:13",
                "spec.forwards.b.at",
                "everything that is sent to 198.51.100.2 is already used by forward 'a'",
                TAKEN,
            )
        ],
    ),
    "forwards, overlapping clients": (
        "  forwards:\n"
        "    a: {at: isp-b, ports: 22/tcp, from: 192.0.2.0/25, to: 192.168.1.80}\n"
        "    b: {at: isp-b, ports: 22/tcp, from: 192.0.2.128/25, to: 192.168.1.81}\n"
        "    c: {at: isp-b, ports: 22/tcp, from: 192.0.2.200, to: 192.168.1.82}",
        [("16:27", "spec.forwards.c.ports", "198.51.100.2 tcp port 22 is already used by forward 'b'", TAKEN)],
    ),
    "redirects, one port for the same clients": (
        "  redirects:\n    a: {ports: [53/udp, 53/tcp], to: 192.168.1.53}\n"
        "    b: {in: lan0, ports: 50-60/tcp, to: self}\n    c: {in: wan0, ports: 1/udp, to: 192.168.1.54}\n",
        [
            (
                "15:26",
                "spec.redirects.b.ports",
                "50-60/tcp is already redirected by 'a'",
                "change the ports, `in` or `from`",
            ),
            ("16:13", "spec.redirects.c.in", "there is no inside interface 'wan0'", "did you mean 'lan0'?"),
        ],
    ),
    "a redirect to the gateway by an uplink's address": (
        "  redirects: {a: {ports: 53/udp, to: 203.0.113.2}}",
        [
            (
                "13:38",
                "spec.redirects.a.to",
                "203.0.113.2 is the gateway's own address on an uplink",
                "write `self`",
            )
        ],
    ),
    "one protocol, two servers": (
        "  forwards:\n    a: {at: isp-b, protocol: [gre, 41], to: 192.168.1.80}\n"
        "    b: {at: isp-b, protocol: 41, to: 192.168.1.81}\n",
        [
            (
                "15:30",
                "spec.forwards.b.protocol",
                "198.51.100.2 protocol 41 is already used by forward 'a'",
                "a protocol leads to one place: change the address or `from`, or leave it out here",
            )
        ],
    ),
    "one port, sent to from ports that overlap": (
        "  forwards:\n    a: {at: isp-b, ports: 500/udp, fromPorts: 500/udp, to: 192.168.1.80}\n"
        "    b: {at: isp-b, ports: 500/udp, fromPorts: 400-600/udp, to: 192.168.1.81}\n",
        [("15:27", "spec.forwards.b.ports", "198.51.100.2 udp port 500 is already used by forward 'a'", TAKEN)],
    ),
    "one port, sent to from some ports and from all": (
        "  forwards:\n    a: {at: isp-b, ports: 500/udp, fromPorts: 500/udp, to: 192.168.1.80}\n"
        "    b: {at: isp-b, ports: 500/udp, to: 192.168.1.81}\n",
        [("15:27", "spec.forwards.b.ports", "198.51.100.2 udp port 500 is already used by forward 'a'", TAKEN)],
    ),
    "forwards, some clients and all": (
        "  forwards:\n"
        "    a: {at: isp-b, ports: 22/tcp, from: 192.0.2.0/25, to: 192.168.1.80}\n"
        "    b: {at: isp-b, ports: 22/tcp, to: 192.168.1.81}",
        [("15:27", "spec.forwards.b.ports", "198.51.100.2 tcp port 22 is already used by forward 'a'", TAKEN)],
    ),
    "forward, shifted too far": (
        "  forwards:\n    a: {at: isp-b, ports: 10000-20000/udp, to: '192.168.1.80:20000-30000'}",
        [
            (
                "14:27",
                "spec.forwards.a.ports",
                "10000-20000/udp is a shifted range of 10001 ports: at most 4096",
                "keep the port numbers as they are, or shift fewer",
            )
        ],
    ),
    "forward to the gateway": (
        "  forwards:\n    a: {at: isp-b, ports: 22/tcp, to: 203.0.113.2}",
        [
            (
                "14:39",
                "spec.forwards.a.to",
                "203.0.113.2 is the gateway's own address (uplink 'isp-a')",
                "name a server: the gateway itself answers what is sent to its own addresses",
            )
        ],
    ),
}


@each(REFUSED)
def test_a_mistake_is_told_with_its_place_and_what_to_do(text: str, reported: list[Reported]) -> None:
    assert problems_in(BASE + text + "\n") == reported
