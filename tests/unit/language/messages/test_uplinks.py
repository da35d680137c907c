"""Probes, and uplinks by preference."""

from __future__ import annotations

from tests.unit.language.specs import BASE, Reported, Rows, each, problems_in

FAR = "name one beyond the provider, such as a name server of another operator"

REFUSED: Rows = {
    "probes": (
        "    a: {interface: a0, health: 192.168.1.80}\n"
        "    b: {interface: b0, health: [203.0.113.17, 192.0.2.1, 192.0.2.1]}\n"
        "    c: {interface: c0, addresses: 192.0.2.9, health: 2001:db8::1}\n",
        [
            (
                "13:32",
                "spec.uplinks.a.health",
                "ping 192.168.1.80: 192.168.1.80 is inside, behind lan0: no uplink leads there",
                FAR,
            ),
            (
                "14:32",
                "spec.uplinks.b.health",
                "ping 203.0.113.17: 203.0.113.17 is this gateway's own, of uplink 'isp-a'",
                FAR,
            ),
            (
                "14:32",
                "spec.uplinks.b.health",
                "ping 192.0.2.1 is named twice: one target that fails would count twice",
                "keep one of them",
            ),
            (
                "15:54",
                "spec.uplinks.c.health",
                "ping 2001:db8::1: the uplink has no IPv6 address",
                "name an IPv4 target",
            ),
        ],
    ),
    "values of probes": (
        "    a: {interface: a0, health: {probes: 192.0.2.1, quorum: 2}}\n"
        "    b: {interface: b0, health: {probes: [{tcp: 192.0.2.1}, {http: 'http://x.org/'}, {pong: 1}], up: 0}}\n"
        "    c: {interface: c0, health: {probes: 192.0.2.1, interval: 1s}}\n"
        "    d: {interface: d0, health: {probes: 192.0.2.1, timeout: 2}}\n"
        "    e: {interface: e0, health: }\n",
        [
            ("13:32", "spec.uplinks.a.health", "quorum 2 is more than there are probes (1)", ""),
            (
                "14:42",
                "spec.uplinks.b.health.probes[0]",
                "tcp 192.0.2.1: name one port, as in 192.0.2.80:443",
                "",
            ),
            (
                "14:67",
                "spec.uplinks.b.health.probes[1].http",
                "'http://x.org/' is not a page of a server by its address",
                "write http:// with an address, as in http://192.0.2.80/generate_204; a name goes into `host`",
            ),
            ("14:86", "spec.uplinks.b.health.probes[2].pong", "there is no field 'pong'", ""),
            ("14:101", "spec.uplinks.b.health.up", "0 is too small: at least 1", "choose a larger number"),
            (
                "15:62",
                "spec.uplinks.c.health.interval",
                "expected a number, found '1s'",
                "write a number such as 1",
            ),
            ("16:32", "spec.uplinks.d.health", "timeout 2 is longer than interval 1", ""),
            ("17:32", "spec.uplinks.e.health", "there is no value", "write one, or leave the field out"),
        ],
    ),
    "probes of servers": (
        "  forwards:\n"
        "    a: {ports: 53/udp, to: 192.168.1.80, health: tcp}\n"
        "    b: {ports: 53/udp, to: 192.168.1.81, health: pnig}\n"
        "    c: {ports: 53/udp, to: 192.168.1.82, health: {by: dns, port: 53}}\n"
        "    d: {ports: 53/udp, to: 192.168.1.83, health: {path: healthz}}\n"
        "    e: {ports: 53/udp, to: 192.168.1.84, health: }\n",
        [
            (
                "14:8",
                "spec.forwards.a",
                "health tcp: the forward names no tcp port: give the health a `port`",
                "",
            ),
            (
                "15:50",
                "spec.forwards.b.health",
                "'pnig' is none of 'ping', 'tcp', 'dns' or 'http'",
                "did you mean 'ping'?",
            ),
            ("16:50", "spec.forwards.c.health", "port goes with tcp and http, and not with dns", ""),
            ("17:50", "spec.forwards.d.health.by", "by is missing", "add `by: ...` here"),
            (
                "17:57",
                "spec.forwards.d.health.path",
                "'healthz' is not a path such as /healthz",
                "",
            ),
            ("18:50", "spec.forwards.e.health", "there is no value", "write one, or leave the field out"),
        ],
    ),
    "uplinks by preference": (
        "  sourceNat:\n    - {name: a, as: {first: [isp-a, [isp-b, isp-a]]}}\n"
        "    - {name: b, as: {first: [dsl, {}]}}\n"
        "    - {name: c, as: {first: [isp-a, 5]}}\n"
        "  routes:\n    - {name: r, to: 10.0.0.0/8, via: [isp-a, isp-b]}\n"
        "    - {name: s, to: 10.0.0.0/8, via: {first: [isp-a, [isp-b]]}}\n",
        [
            (
                "14:29",
                "spec.sourceNat[0].as.first",
                "'isp-a' is named twice: an uplink has one place in the order",
                "",
            ),
            ("15:29", "spec.sourceNat[1].as.first", "a group is empty: name an uplink", ""),
            ("16:37", "spec.sourceNat[2].as.first[1]", "expected an uplink's name, found 5", ""),
            (
                "18:38",
                "spec.routes[0].via",
                "expected an uplink's name, or {first: [...]} for several by preference",
                "",
            ),
            (
                "19:46",
                "spec.routes[1].via.first",
                "expected an uplink's name, found a list: only sourceNat has groups of uplinks",
                "",
            ),
        ],
    ),
    "uplinks by preference that are not there": (
        "  sourceNat: [{name: c, as: {first: [isp-a, isp-x]}}]\n"
        "  routes: [{name: r, to: 10.0.0.0/8, via: {first: [isp-a, isp-y]}}]\n"
        "  defaultUplink: {first: [isp-a, isp-z]}",
        [
            (
                "8:107",
                "spec.uplinks.isp-a.default",
                "defaultUplink says which uplink is the default",
                "leave it out here",
            ),
            ("13:29", "spec.sourceNat[0].as", "there is no uplink 'isp-x'", "did you mean 'isp-b'?"),
            ("14:43", "spec.routes[0].via", "there is no uplink 'isp-y'", "did you mean 'isp-b'?"),
            ("15:18", "spec.defaultUplink", "there is no uplink 'isp-z'", "did you mean 'isp-b'?"),
        ],
    ),
}


@each(REFUSED)
def test_a_mistake_is_told_with_its_place_and_what_to_do(text: str, reported: list[Reported]) -> None:
    assert problems_in(BASE + text + "\n") == reported
