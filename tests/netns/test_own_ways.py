"""What the gateway itself sends follows `routes` and rules of `sourceNat`, and reaches what the gateway publishes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab import GatewayHost, Site
from tests.lab.net import until
from tests.netns.scenarios import A6, B6, A, B, spec

pytestmark = pytest.mark.netns

OTHER, OTHER6 = "192.0.2.200", "2001:db8:f::200"
ROUTES = f"""\
  routes:
    - {{ name: endpoint, to: [{OTHER}, "{OTHER6}"], via: isp-b }}
    - {{ name: client, in: lan0, to: [192.0.2.201], via: isp-b }}
"""
RULES = """\
    - { name: mail, ports: [25/tcp, 587-588/tcp], as: isp-b }
    - { name: dns, in: self, ports: 53/udp, as: { first: [isp-b, isp-a] } }
    - { name: kept, in: self, ports: 54/udp, as: unchanged }
    - { name: inside, in: lan0, ports: 55/udp, as: isp-b }
    - { name: sip, in: [self, lan0], fromPorts: 5060/udp, as: { uplinks: { isp-a: 1, isp-b: 9 } } }
    - { name: pool, in: self, ports: 26/tcp, as: [198.51.100.17, "2001:db8:b:1::17"] }
    - { name: ports, in: self, ports: 27/tcp, as: { uplinks: isp-b, ports: 20000-20009 } }
    - { name: own-lan, in: self, from: [192.168.1.1, "fd00:1::1"], as: isp-b }
    - { name: any-54, in: self, ports: 54/udp, as: isp-b }
"""
POOL, POOL6 = "198.51.100.17", "2001:db8:b:1::17"

# Port and protocol, with the sources that the far side sees; None: the uplink's that `main` leads by.
WAYS = [
    (25, "tcp", B, B6),
    (588, "tcp", B, B6),
    (589, "tcp", A, A6),
    (25, "udp", A, A6),
    (53, "udp", B, B6),
    (54, "udp", A, A6),
    (55, "udp", A, A6),
    (26, "tcp", POOL, POOL6),
    (27, "tcp", B, B6),
]


def text(dataplane: str) -> str:
    written = spec(dataplane, ROUTES)
    return written.replace("  sourceNat:\n", "  sourceNat:\n" + RULES)


@pytest.fixture
def own(site: Site, gateway: GatewayHost, dataplane: str) -> Site:
    for port, protocol, *_ in WAYS:
        site.far.serve(port, protocol=protocol)
    site.far.ip("addr add 192.0.2.201/32 dev lo")
    for other in (OTHER, OTHER6, "192.0.2.201"):
        site.far.serve(589, address=other)
    gateway.apply(text(dataplane))
    return site


@contextmanager
def by_alone(site: Site, isp: str) -> Iterator[None]:
    """Whatever is sent within leaves by one uplink, and is answered by it."""
    before = site.used()
    yield
    assert site.through(before) == ({isp}, {isp})


def test_its_packets_leave_by_the_uplink_of_the_first_rule_that_matches(own: Site) -> None:
    for port, protocol, *expected in WAYS:
        for far, source in zip((own.far.address, own.far.address6), expected, strict=True):
            isp = "isp-a" if source in (A, A6) else "isp-b"
            with by_alone(own, isp), own.gateway.connect(far, port, protocol=protocol) as flow:
                assert flow.seen == source, (port, protocol)
                assert port != 27 or flow.seen_port in range(20000, 20010)
                flow.again()
    for to in (OTHER, OTHER6):
        assert own.gateway.connect(to, 589).seen in (B, B6), "by its destination"
    assert own.gateway.connect("192.0.2.201", 589).seen == A, "a route for packets of lan0"
    for far, source in ((own.far.address, B), (own.far.address6, B6)):
        assert own.gateway.connect(far, 25, protocol="udp", source_port=5060).seen == source
    assert own.leaks() == 0


def test_what_is_bound_to_an_address_or_an_interface_stays_with_it(own: Site) -> None:
    """Of inside addresses only those that a rule names leave, translated."""
    for source, far, isp in (
        (A, own.far.address, "isp-a"),
        (A6, own.far.address6, "isp-a"),
        (B, own.far.address, "isp-b"),
        (B6, own.far.address6, "isp-b"),
    ):
        with by_alone(own, isp):
            assert own.gateway.connect(far, 25, source=source).seen == source
            assert own.gateway.pings(far, source=source)
    for far, wan, isp in ((own.far.address, "wan1", "isp-b"), (own.far.address6, "wan0", "isp-a")):
        with by_alone(own, isp):
            own.gateway.run("ping", "-c1", "-W2", "-I", wan, far)
    with by_alone(own, "isp-b"):
        assert own.gateway.connect(own.far.address, 589, source="192.168.1.1").seen == B
        assert own.gateway.connect(own.far.address6, 589, source="fd00:1::1").seen == B6
    assert own.leaks() == 0


def test_its_services_answer_by_the_uplink_that_was_asked(own: Site) -> None:
    """Also to a host that a route leads elsewhere."""
    for address in (A, B, A6, B6):
        own.gateway.serve(22, address=address)
        own.gateway.serve(23, address=address, protocol="udp")
    for asked, source, isp in (
        (A, OTHER, "isp-a"),
        (A6, OTHER6, "isp-a"),
        (B, OTHER, "isp-b"),
        (B6, OTHER6, "isp-b"),
    ):
        with by_alone(own, isp):
            with own.far.connect(asked, 22, source=source) as flow:
                assert flow.by == "gw"
                flow.download(100_000)
            assert own.far.connect(asked, 23, protocol="udp", source=source).by == "gw"
    assert own.leaks() == 0


def test_connected_networks_come_before_the_rules(own: Site) -> None:
    own.server.serve(25)
    for server in (own.server.address, own.server.address6):
        assert own.gateway.connect(server, 25).by == "server"
    assert own.client.connect(own.server.address, 25).by == "server"
    assert own.gateway.pings("203.0.113.1")
    assert own.gateway.pings("198.51.100.1")
    for router, source in (("203.0.113.1", A), ("2001:db8:a::1", A6)):
        own.isps["isp-a"].host.serve(25, address=router)
        assert own.gateway.connect(router, 25).seen == source


def test_inside_hosts_follow_the_same_rules_where_these_are_theirs(own: Site) -> None:
    for port, protocol, source in ((25, "tcp", B), (53, "udp", A), (54, "udp", A), (55, "udp", B), (26, "tcp", A)):
        assert own.client.connect(own.far.address, port, protocol=protocol).seen == source, port
    assert own.client.connect(own.far.address, 25, protocol="udp", source_port=5060).seen == B
    assert own.leaks() == 0


def test_an_uplink_that_fails_gives_its_packets_to_the_next(own: Site, gateway: GatewayHost, dataplane: str) -> None:
    """Of a rule with one uplink they are refused: nothing leaves by another with its source."""
    own.isps["isp-b"].host.ip("link set dev gwa down")
    until(lambda: "NO-CARRIER" in own.gateway.run("ip", "link", "show", "wan1").stdout, "no carrier")
    gateway.apply(text(dataplane))
    for far, source in ((own.far.address, A), (own.far.address6, A6)):
        assert own.gateway.connect(far, 53, protocol="udp").seen == source
        assert not own.gateway.reaches(far, 25)
        assert own.gateway.connect(far, 589).seen == source
    assert own.leaks() == 0


def test_it_reaches_what_it_publishes(own: Site, gateway: GatewayHost, dataplane: str) -> None:
    more = (
        ROUTES
        + """\
  static:
    one: { address: 192.168.1.80, as: 198.51.100.21 }
"""
    )
    balanced = """\
  forwards:
    two: { ports: 8443/tcp, to: { 192.168.1.80:443: 1, 192.168.1.80:444: 1 } }
    out: { ports: 8444/tcp, to: 192.168.1.80:443, hairpin: false }
    self: { ports: 8445/tcp, to: 192.168.1.1:9443 }
"""
    gateway.apply(spec(dataplane, more).replace("  forwards:\n", balanced))
    for server in (own.server.address, own.server.address6):
        own.server.serve(443, address=server)
        own.server.serve(443, address=server, protocol="udp")
        own.server.serve(444, address=server)
    own.gateway.serve(9443, address="192.168.1.1")
    for public in (A, B, A6, B6, "198.51.100.20", "2001:db8:b:1::20", "198.51.100.21"):
        for protocol in ("tcp", "udp"):
            with own.gateway.connect(public, 443, protocol=protocol) as flow:
                assert flow.by == "server", (public, protocol)
                if protocol == "tcp":
                    flow.download(100_000)
    assert own.gateway.pings("198.51.100.20")
    for host, by in ((own.gateway, "server"), (own.client, "server")):
        assert host.connect(A, 8443).by == by
    assert own.gateway.connect(A, 8445).by == "gw"
    assert not own.gateway.reaches(A, 8444), "not from inside"
    assert own.leaks() == 0


def test_a_further_address_of_an_uplinks_interface_leaves_by_that_uplink(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    """Programs are bound to it; the spec does not list it."""
    for further in ("198.51.100.3/29", "2001:db8:b::3/64 nodad"):
        site.gateway.ip(f"addr add {further} dev wan1")
    gateway.apply(spec(dataplane))
    site.far.serve(443)
    before = site.used()
    for far, source in ((site.far.address, "198.51.100.3"), (site.far.address6, "2001:db8:b::3")):
        assert site.gateway.connect(far, 443, source=source).seen == source
    assert site.through(before) == ({"isp-b"}, {"isp-b"})
    for family, far, source in ((4, site.far.address, "198.51.100.3"), (6, site.far.address6, "2001:db8:b::3")):
        site.gateway.run("ip", f"-{family}", "rule", "del", "pref", "1601")
        assert not site.gateway.pings(far, source=source, wait=0.3)
    assert gateway.counters()["wrong_uplink_own"] == 2
    assert site.leaks() == 0
