"""Forwards and redirects: servers, ports, protocols."""

from __future__ import annotations

from tests.unit.language.specs import ADDRESS, BASE, Reported, Rows, each, problems_in

REFUSED: Rows = {
    "each wrong server has its place": (
        "  forwards:\n    web:\n      to: [192.168.1.80, 192.168.1.x, 'fd00:::']",
        [
            ("15:26", "spec.forwards.web.to[1]", "'192.168.1.x' is not an IPv4 or IPv6 address", ADDRESS),
            ("15:39", "spec.forwards.web.to[2]", "'fd00:::' is not an IPv4 or IPv6 address", ADDRESS),
        ],
    ),
    "each wrong weight has its place": (
        "  forwards: {web: {to: {192.168.1.80: 0, 192.168.1.81: x, web: 1}}}",
        [
            ("13:39", "spec.forwards.web.to.192.168.1.80", "0 is too small: at least 1", "choose a larger number"),
            (
                "13:56",
                "spec.forwards.web.to.192.168.1.81",
                "expected a whole number, found 'x'",
                "write a number such as 1",
            ),
            ("13:59", "spec.forwards.web.to.web", "'web' is not an IPv4 or IPv6 address", ADDRESS),
        ],
    ),
    "no server": (
        "  forwards: {web: {to: {}}}",
        [("13:24", "spec.forwards.web.to", "there is no server: name one", "")],
    ),
    "a server twice": (
        "  forwards: {web: {to: [192.168.1.80, 192.168.1.80]}}",
        [
            (
                "13:24",
                "spec.forwards.web.to",
                "a server is named twice: write a mapping of server to weight to give it more",
                "",
            )
        ],
    ),
    "unequal port ranges": (
        "  forwards: {web: {ports: 8000-8010/udp, to: 192.168.1.80:9000-9005}}",
        [
            (
                "13:19",
                "spec.forwards.web",
                "8000-8010/udp is 11 ports and 192.168.1.80:9000-9005 is 6: ranges must be of equal size",
                "make both ranges cover as many ports",
            )
        ],
    ),
    "a redirect to a range of ports": (
        "  redirects: {a: {ports: 53/udp, to: '192.168.1.53:53-54'}}",
        [
            (
                "13:38",
                "spec.redirects.a.to",
                "'192.168.1.53:53-54': a service has one port",
                "write a redirect for each port",
            )
        ],
    ),
    "a redirect to two servers of one family": (
        "  redirects: {a: {ports: 53/udp, to: [192.168.1.53, 192.168.1.54]}}",
        [
            (
                "13:38",
                "spec.redirects.a.to",
                "192.168.1.53 and 192.168.1.54 are of one family: one each, IPv4 and IPv6",
                "",
            )
        ],
    ),
    "a redirect without a server of its clients' family": (
        "  redirects: {a: {ports: 53/udp, from: 'fd00:1::/64', to: 192.168.1.53}}",
        [
            (
                "13:18",
                "spec.redirects.a",
                "from fd00:1::/64 and to 192.168.1.53 mix IPv4 and IPv6",
                "write one entry for each",
            )
        ],
    ),
    "a protocol with ports as one without": (
        "  forwards: {a: {protocol: tcp, to: 192.168.1.80}}",
        [("13:17", "spec.forwards.a", "protocol tcp has ports", "write `ports: 1-65535/tcp` for all of them")],
    ),
    "a protocol that no server has": (
        "  forwards: {a: {protocol: icmpv6, to: 192.168.1.80}}",
        [("13:17", "spec.forwards.a", "protocol icmpv6 is IPv6, and no server is", "")],
    ),
    "a protocol that no NAT lets through": (
        "  forwards: {a: {protocol: 51, to: 192.168.1.80}}",
        [
            (
                "13:17",
                "spec.forwards.a",
                "ah fails behind a forward: it signs the addresses",
                "let the tunnel use ESP",
            )
        ],
    ),
    "source ports of a protocol without": (
        "  forwards: {a: {protocol: gre, fromPorts: 5/udp, to: 192.168.1.80}}",
        [("13:17", "spec.forwards.a", "fromPorts: gre has no ports", "write a second forward for it")],
    ),
    "a protocol that is none": (
        "  forwards: {a: {protocol: [gre, 300], to: 192.168.1.80}}",
        [("13:34", "spec.forwards.a.protocol[1]", "300 is not a protocol: numbers are 1 to 255", "")],
    ),
    "a server's load": (
        "  forwards: {a: {ports: 80/tcp, to: 192.168.1.80, pick: least-connections}}",
        [
            (
                "13:57",
                "spec.forwards.a.pick",
                "'least-connections': netfilter does not know how busy a server is",
                "give each server a weight, or put a proxy that knows (IPVS, HAProxy) behind it",
            )
        ],
    ),
}


@each(REFUSED)
def test_a_mistake_is_told_with_its_place_and_what_to_do(text: str, reported: list[Reported]) -> None:
    assert problems_in(BASE + text + "\n") == reported
