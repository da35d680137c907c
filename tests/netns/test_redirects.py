"""Inside hosts get the resolver of the spec, whatever address they ask; the resolver itself may ask others."""

from __future__ import annotations

import pytest

from tests.lab import GatewayHost, Host, Site
from tests.lab.segments import add_host
from tests.lab.topologies import OTHER, OTHER6
from tests.netns.scenarios import A6, A, spec

pytestmark = pytest.mark.netns

OWN, OWN6 = "192.168.1.1", "fd00:1::1"


def redirects(dataplane: str, *entries: str) -> str:
    return spec(dataplane) + "  redirects:\n" + "".join(f"    {entry}\n" for entry in entries)


def answers(client: Host, asked: str, *, port: int = 53, protocol: str = "udp", own: int = 0) -> tuple[str, str]:
    """Who answers, from the address that was asked, and whom it sees."""
    with client.connect(asked, port, protocol=protocol, source_port=own) as flow:
        return flow.by, flow.seen


def serve(*hosts: Host, port: int = 53) -> None:
    for host in hosts:
        for protocol in ("udp", "tcp"):
            host.serve(port, protocol=protocol)


def test_a_resolver_beside_its_clients_answers_for_every_other(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    serve(site.far, site.server)
    serve(site.far, port=123)
    gateway.apply(redirects(dataplane, 'dns: { ports: [53/udp, 53/tcp], to: [192.168.1.80, "fd00:1::80"] }'))
    for protocol in ("udp", "tcp"):
        for asked, own in ((site.far.address, OWN), (OWN, OWN), (A, OWN), (site.far.address6, OWN6), (A6, OWN6)):
            before = site.used()
            assert answers(site.client, asked, protocol=protocol) == ("server", own), "it knows the gateway"
            assert site.through(before) == (set(), set())
        for asked in (site.far.address, site.far.address6):
            assert answers(site.server, asked, protocol=protocol)[0] == "far", "the resolver itself asks others"
    assert answers(site.client, site.far.address, port=123) == ("far", A), "other ports are left alone"
    assert gateway.counters()["redirect_dns"] >= 10, "new flows"
    assert site.leaks() == 0


def test_a_resolver_in_another_network_sees_its_clients_and_some_may_ask_whom_they_like(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    dmz = add_host(site.lab, site.gateway, "dmz0", "dmz", network="192.168.2", network6="fd00:2:")
    serve(site.far)
    for other in (OTHER, OTHER6):
        site.far.serve(53, protocol="udp", address=other)
    serve(dmz, port=5353)
    text = redirects(
        dataplane,
        'dns: { in: lan0, ports: [53/udp, 53/tcp], to: ["192.168.2.10:5353", "[fd00:2::10]:5353"],'
        f' except: [192.168.1.80, "fd00:1::80", {OTHER}, "{OTHER6}"] }}',
    ).replace("  uplinks:\n", "    dmz0:\n      networks: [192.168.2.0/24, fd00:2::/64]\n  uplinks:\n", 1)
    gateway.apply(text)
    assert (dmz.address, dmz.address6) == ("192.168.2.10", "fd00:2::10")
    for asked, other, own in (
        (site.far.address, OTHER, site.client.address),
        (site.far.address6, OTHER6, site.client.address6),
    ):
        assert answers(site.client, asked) == ("dmz", own)
        assert answers(site.client, asked, protocol="tcp") == ("dmz", own)
        assert answers(site.client, other)[0] == "far", "a server that may be asked"
        assert answers(site.server, asked)[0] == "far", "a client that may ask it"
        assert answers(dmz, asked)[0] == "far", "it came in by another interface"
    assert site.leaks() == 0


@pytest.mark.parametrize("port", [53, 5353])
def test_the_gateway_itself_may_answer(site: Site, gateway: GatewayHost, dataplane: str, port: int) -> None:
    site.gateway.address, site.gateway.address6 = OWN, OWN6
    serve(site.far)
    serve(site.gateway, port=port)
    to = "self" if port == 53 else f"self:{port}"
    gateway.apply(redirects(dataplane, f"dns: {{ in: lan0, ports: [53/udp, 53/tcp], to: {to} }}"))
    for protocol in ("udp", "tcp"):
        for asked in (site.far.address, A, site.far.address6, A6):
            client = site.client.address6 if ":" in asked else site.client.address
            assert answers(site.client, asked, protocol=protocol) == ("gw", client)
        for asked in (site.far.address, site.far.address6):
            with site.gateway.connect(asked, 53, protocol=protocol) as flow:
                assert flow.by == "far", "its own questions are left alone"
    with pytest.raises(AssertionError):
        site.far.connect(A, 53, protocol="udp")
    assert site.leaks() == 0


def test_it_is_of_one_tenant_where_others_have_the_same_addresses(tenant_site: Site, dataplane: str) -> None:
    site, gateway = tenant_site, GatewayHost(tenant_site.gateway)
    for host in (site["red-server"], site["blue-server"], site.far):
        serve(host)
    text = spec(dataplane.replace("inInterface: mark", "inInterface: skb_iif"))
    head, _, rest = text.partition("  interfaces:\n")
    uplinks = rest[rest.index("  uplinks:\n") : rest.index("  sourceNat:\n")]
    gateway.apply(
        head
        + "  interfaces:\n"
        + "".join(f"    {n}0: {{ networks: [192.168.1.0/24, fd00:1::/64], tenant: {n} }}\n" for n in ("red", "blue"))
        + uplinks
        + "  sourceNat: [{ name: everyone, as: isp-a }]\n"
        + '  redirects:\n    dns: { in: red0, ports: 53/udp, to: [192.168.1.80, "fd00:1::80"] }\n'
    )
    for asked in (site.far.address, site.far.address6):
        assert answers(site["red-client"], asked)[0] == "red-server"
        assert answers(site["blue-client"], asked)[0] == "far"
        assert answers(site["red-server"], asked)[0] == "far"
    assert site.leaks() == 0
