"""Site-to-site IPsec that ends on the gateway."""

from __future__ import annotations

import pytest

from tests.lab import GatewayHost, Site
from tests.netns.scenarios import A, spec

pytestmark = pytest.mark.netns

PEER, THEIRS, HOST = "192.0.2.80", "10.9.0.0/24", "10.9.0.80"
OURS = "192.168.1.0/24"
KEY = "0x" + "ab" * 20


def tunnel(site: Site) -> None:
    """Policies and keys at both ends, by hand. The far host is the peer, with an address of the network behind it."""
    site.far.ip(f"addr add {HOST}/32 dev lo", f"route add {OURS} via 172.31.1.1")
    ends = {site.gateway: (A, PEER, OURS, THEIRS), site.far: (PEER, A, THEIRS, OURS)}
    for host, (own, peer, inner, outer) in ends.items():
        for spi, source, destination in ((0x1000, A, PEER), (0x1001, PEER, A)):
            host.run(
                *f"ip xfrm state add src {source} dst {destination} proto esp spi {spi} mode tunnel".split(),
                *f"aead rfc4106(gcm(aes)) {KEY} 128".split(),
            )
        out = f"tmpl src {own} dst {peer} proto esp mode tunnel"
        back = f"tmpl src {peer} dst {own} proto esp mode tunnel"
        host.run(*f"ip xfrm policy add src {inner} dst {outer} dir out {out}".split())
        for way in ("in", "fwd"):
            host.run(*f"ip xfrm policy add src {outer} dst {inner} dir {way} {back}".split())


@pytest.fixture
def ends(site: Site, gateway: GatewayHost, dataplane: str) -> Site:
    text = spec(dataplane.replace(" }", ", ipsec: true }"))
    gateway.apply(text)
    tunnel(site)
    site.server.serve(22)
    site.far.serve(443)
    site.far.serve(443, address=HOST)
    return site


def test_a_host_behind_the_peer_reaches_one_inside_and_is_answered(ends: Site) -> None:
    with ends.far.connect("192.168.1.80", 22, source=HOST) as flow:
        assert (flow.by, flow.seen) == ("server", HOST)
        assert flow.again(b"x" * 100_000).size == 100_001
    assert ends.leaks() == 0


def test_an_inside_host_reaches_one_behind_the_peer_by_its_own_address(ends: Site) -> None:
    with ends.client.connect(HOST, 443) as flow:
        assert flow.seen == ends.client.address
        assert flow.again(b"x" * 100_000).size == 100_001
    assert ends.leaks() == 0


def test_everything_else_is_translated_as_always(ends: Site) -> None:
    assert ends.client.connect(PEER, 443).seen == A
    assert ends.leaks() == 0


def test_without_the_tunnel_nothing_of_it_leaves(ends: Site) -> None:
    ends.gateway.run("ip", "xfrm", "policy", "flush")
    assert not ends.client.pings(HOST, wait=0.3)
    assert ends.leaks() == 0
