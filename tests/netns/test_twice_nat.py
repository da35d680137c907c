"""A partner with the addresses of the inside: which side may open flows, and what gets the gateway's own address."""

from __future__ import annotations

import pytest

from tests.lab import GatewayHost, Host, Site
from tests.lab.net import until
from tests.netns.scenarios import A6, EDGE, A

pytestmark = pytest.mark.netns

OWN, OWN6 = "192.168.1.1", "fd00:1::1"  # of the gateway, and of a host of the partner's as well

SPEC = """\
  uplinks:
    isp-a: {interface: wan0, nextHop: [203.0.113.1, "2001:db8:a::1"], addresses: [203.0.113.2, "2001:db8:a::2"], default: true}
    partner:
      interface: part0
      nextHop: [10.255.0.1, "fd00:ff::1"]
      addresses: [10.255.0.2, "fd00:ff::2"]
      routed: [10.1.0.0/24, "fd00:a1::/64"]
  twiceNat:
    four: {from: 192.168.1.0/24, as: 10.1.0.0/24, to: 10.2.0.0/24, becomes: 192.168.1.0/24, via: partner, opens: OPENS}
    six: {from: "fd00:1::/64", as: "fd00:a1::/64", to: "fd00:a2::/64", becomes: "fd00:1::/64", via: partner, opens: OPENS}
  sourceNat:
    - {name: everyone, as: isp-a}
"""  # noqa: E501


def spec(dataplane: str, opens: str = "both") -> str:
    return EDGE.format(dataplane=dataplane) + SPEC.replace("OPENS", opens)


@pytest.fixture
def partner(partner_site: Site) -> Host:
    partner: Host = partner_site["partner"]
    partner.ip(f"addr add {OWN}/32 dev lo", f"addr add {OWN6}/128 dev lo nodad")
    for protocol in ("tcp", "udp"):
        for address in (partner.address, partner.address6, OWN, OWN6):
            partner.serve(443, protocol=protocol, address=address)
    return partner


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_either_side_opens_flows(partner_site: Site, partner: Host, dataplane: str, protocol: str) -> None:
    GatewayHost(partner_site.gateway).apply(spec(dataplane))
    client = partner_site.client
    client.serve(443, protocol=protocol)
    for alias, known_as in (("10.2.0.20", "10.1.0.10"), ("fd00:a2::20", "fd00:a1::10")):
        with client.connect(alias, 443, protocol=protocol) as flow:
            assert (flow.by, flow.seen) == ("partner", known_as)
    for source, known_as, seen in (
        (partner.address, "10.1.0.10", "10.2.0.20"),
        (partner.address6, "fd00:a1::10", "fd00:a2::20"),
    ):
        with partner.connect(known_as, 443, protocol=protocol, source=source) as flow:
            assert (flow.by, flow.seen) == ("client", seen)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_with_opens_us_the_partner_opens_none(
    partner_site: Site, partner: Host, dataplane: str, protocol: str
) -> None:
    gateway = GatewayHost(partner_site.gateway)
    gateway.apply(spec(dataplane, "us"))
    client = partner_site.client
    client.serve(443, protocol=protocol)
    for source, known_as in ((partner.address, "10.1.0.10"), (partner.address6, "fd00:a1::10")):
        before = gateway.counters()["not_opened"]
        assert not partner.reaches(known_as, 443, protocol=protocol, source=source)
        assert gateway.counters()["not_opened"] > before
    for alias, known_as in (("10.2.0.20", "10.1.0.10"), ("fd00:a2::20", "fd00:a1::10")):
        with client.connect(alias, 443, protocol=protocol) as flow:
            assert (flow.by, flow.seen) == ("partner", known_as)
        assert client.pings(alias)


def test_a_far_host_with_the_gateways_own_number_is_refused_and_not_answered_for(
    partner_site: Site, partner: Host, dataplane: str
) -> None:
    gateway = GatewayHost(partner_site.gateway)
    done = gateway.apply(spec(dataplane))
    assert f"10.2.0.1 ({OWN})" in done.stdout + done.stderr
    assert f"fd00:a2::1 ({OWN6})" in done.stdout + done.stderr
    for own in (OWN, OWN6):
        partner_site.gateway.serve(443, address=own)
    for alias in ("10.2.0.1", "fd00:a2::1"):
        with pytest.raises(AssertionError, match=r"unreachable|No route to host"):
            partner_site.client.connect(alias, 443)
    for own in (OWN, OWN6):
        assert partner_site.client.connect(own, 443).by == "gw", "by its own number the gateway answers"
    assert partner_site.client.connect("10.2.0.20", 443).by == "partner", "and all others are reached"


def test_what_stands_for_the_gateway_follows_its_addresses(partner_site: Site, partner: Host, dataplane: str) -> None:
    gateway, client = GatewayHost(partner_site.gateway), partner_site.client
    gateway.apply(spec(dataplane))
    assert client.connect("10.2.0.20", 443).by == "partner"
    partner_site.gateway.ip("addr add 192.168.1.20/32 dev lo")
    gateway.apply(spec(dataplane))
    with pytest.raises(AssertionError, match=r"unreachable|No route to host"):
        client.connect("10.2.0.20", 443)
    partner_site.gateway.ip("addr del 192.168.1.20/32 dev lo")
    gateway.apply(spec(dataplane))
    assert client.connect("10.2.0.20", 443).by == "partner"


def test_an_alias_that_is_the_gateways_own_address_is_answered_by_the_gateway(
    partner_site: Site, partner: Host, dataplane: str
) -> None:
    partner.ip("addr add 192.168.1.77/32 dev lo")
    partner.serve(22, address="192.168.1.77")
    partner_site.gateway.ip("addr add 10.2.0.77/32 dev lo")
    GatewayHost(partner_site.gateway).apply(spec(dataplane))
    partner_site.gateway.serve(22, address="10.2.0.77")
    assert partner_site.client.connect("10.2.0.77", 22).by == "gw"


def test_each_side_may_know_the_other_by_the_numbers_that_it_is_known_by(
    partner_site: Site, partner: Host, dataplane: str
) -> None:
    """`to` is `as`: the packet to the far side and its answer still differ, by the real addresses."""
    partner.ip("addr add 10.77.0.20/32 dev lo", "addr add fd00:77::20/128 dev lo nodad")
    text = spec(dataplane)
    for old, new in (
        ("to: 10.2.0.0/24, becomes: 192.168.1.0/24", "to: 10.1.0.0/24, becomes: 10.77.0.0/24"),
        ('to: "fd00:a2::/64", becomes: "fd00:1::/64"', 'to: "fd00:a1::/64", becomes: "fd00:77::/64"'),
    ):
        assert old in text
        text = text.replace(old, new)
    GatewayHost(partner_site.gateway).apply(text)
    client = partner_site.client
    client.serve(443)
    for far, as_, to in (("10.77.0.20", "10.1.0.10", "10.1.0.20"), ("fd00:77::20", "fd00:a1::10", "fd00:a1::20")):
        partner.serve(443, address=far)
        with client.connect(to, 443) as flow:
            assert (flow.by, flow.seen) == ("partner", as_)
        with partner.connect(as_, 443, source=far) as flow:
            assert (flow.by, flow.seen) == ("client", to)
    assert partner_site.leaks() == 0


def test_the_partner_reaches_the_gateway_as_it_knows_it(partner_site: Site, partner: Host, dataplane: str) -> None:
    """Its answers reach the partner, though the partner has the address of an inside host."""
    GatewayHost(partner_site.gateway).apply(spec(dataplane))
    for own in (OWN, OWN6):
        partner_site.gateway.serve(22, address=own)
    for source, known_as in ((partner.address, "10.1.0.1"), (partner.address6, "fd00:a1::1")):
        assert partner.connect(known_as, 22, source=source).by == "gw"
    assert partner_site.leaks() == 0


def test_others_leave_as_before(partner_site: Site, partner: Host, dataplane: str) -> None:
    GatewayHost(partner_site.gateway).apply(spec(dataplane, "us"))
    partner_site.far.serve(443)
    assert partner_site.client.connect(partner_site.far.address, 443).seen == A
    assert partner_site.client.connect(partner_site.far.address6, 443).seen == A6
    until(lambda: partner_site.leaks() == 0, "nothing leaks")
