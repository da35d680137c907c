"""By which source port a line knows a flow, and which port and address the flow gets."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.lab import GatewayHost, Host, Site
from tests.netns.scenarios import A6, B6, A, B, spec

pytestmark = pytest.mark.netns


@pytest.fixture
def talk(site: Site) -> Site:
    site.far.serve(7, protocol="udp")
    site.far.serve(7)
    return site


def lines(dataplane: str, *lines_: str) -> str:
    text = "".join(f"    - {{ {line} }}\n" for line in lines_)
    return spec(dataplane).replace("  sourceNat:\n", f"  sourceNat:\n{text}")


def seen(host: Host, address: str, source_port: int, protocol: str = "udp") -> tuple[str, int]:
    with host.connect(address, 7, protocol=protocol, source_port=source_port) as flow:
        return flow.seen, flow.seen_port


def test_a_line_may_go_by_the_port_that_a_client_sends_from(talk: Site, gateway: GatewayHost, dataplane: str) -> None:
    gateway.apply(lines(dataplane, "name: sip, fromPorts: [5060-5061/udp, 6000/tcp], as: isp-b"))
    for far, a, b in ((talk.far.address, A, B), (talk.far.address6, A6, B6)):
        assert seen(talk.client, far, 5061) == (b, 5061)
        assert seen(talk.client, far, 6000, "tcp") == (b, 6000)
        assert seen(talk.client, far, 6000) == (a, 6000)
        assert seen(talk.client, far, 5061, "tcp") == (a, 5061)
    assert talk.leaks() == 0


def test_both_ports_may_be_asked_for(talk: Site, gateway: GatewayHost) -> None:
    gateway.apply(lines("{ type: bpf }", "name: ike, fromPorts: 500/udp, ports: 7/udp, as: isp-b"))
    for far, a, b in ((talk.far.address, A, B), (talk.far.address6, A6, B6)):
        assert seen(talk.client, far, 500)[0] == b
        assert seen(talk.client, far, 501)[0] == a


def test_ports_may_be_drawn_for_each_flow(talk: Site, gateway: GatewayHost, dataplane: str) -> None:
    gateway.apply(lines(dataplane, "name: hidden, as: { uplinks: [isp-b], ports: random }"))
    for far, b in ((talk.far.address, B), (talk.far.address6, B6)):
        found = [seen(talk.client, far, 40000 + number) for number in range(8)]
        assert {address for address, _ in found} == {b}
        assert len({port for _, port in found} - set(range(40000, 40008))) >= 7, "hardly one keeps its own"
        assert talk.client.pings(far)
    assert talk.leaks() == 0


def test_fixed_ports_go_with_a_choice_of_uplinks(talk: Site, gateway: GatewayHost) -> None:
    gateway.apply(
        lines("{ type: bpf }", "name: few, as: { uplinks: [isp-a, isp-b], ports: 20000-20099, pick: client-port }")
    )
    for far, publics in ((talk.far.address, {A, B}), (talk.far.address6, {A6, B6})):
        found = [seen(talk.client, far, 40000 + number) for number in range(16)]
        assert {address for address, _ in found} == publics, "one client uses both: by its port"
        assert all(20000 <= port < 20100 for _, port in found)
        assert talk.client.pings(far), "what has no ports has none to change"
    assert talk.leaks() == 0


def test_addresses_of_a_pool_are_used_by_their_weights(talk: Site, gateway: GatewayHost) -> None:
    pool = "203.0.113.18: 3, 203.0.113.19: 1, '2001:db8:a:1::18': 3, '2001:db8:a:1::19': 1"
    gateway.apply(lines("{ type: bpf }", f"name: p, as: {{ pool: {{ {pool} }}, pick: round-robin }}"))
    for far, heavy, light in (
        (talk.far.address, "203.0.113.18", "203.0.113.19"),
        (talk.far.address6, "2001:db8:a:1::18", "2001:db8:a:1::19"),
    ):
        found = Counter(seen(talk.client, far, 40000 + number)[0] for number in range(8))
        assert found == {heavy: 6, light: 2}


def test_a_forward_may_go_by_the_port_that_a_client_sends_from(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    more = """\
    sip:
      ports: 5060/udp
      fromPorts: [5060-5061/udp, 6000/udp]
      to: [192.168.1.80, "fd00:1::80"]
    others:
      ports: 5060/udp
      fromPorts: 40000-40001/udp
      to: ["192.168.1.10:7", "[fd00:1::10]:7"]
    any-port:
      at: [203.0.113.20, "2001:db8:a:1::20"]
      fromPorts: [7000/udp, 7000/tcp]
      to: [192.168.1.80, "fd00:1::80"]
"""
    gateway.apply(spec(dataplane, more))
    site.server.serve(5060, protocol="udp")
    site.server.serve(5060)
    site.client.serve(7, protocol="udp")
    for public in (A, B, A6, B6):
        for source_port, server in ((5060, "server"), (6000, "server"), (40001, "client")):
            with site.far.connect(public, 5060, protocol="udp", source_port=source_port) as flow:
                assert (flow.by, flow.seen_port) == (server, source_port)
        with pytest.raises(AssertionError):
            site.far.connect(public, 5060, protocol="udp", source_port=5062)
    for public in ("203.0.113.20", "2001:db8:a:1::20"):
        for protocol in ("udp", "tcp"):
            assert site.far.connect(public, 5060, protocol=protocol, source_port=7000).by == "server"
        with pytest.raises(AssertionError):
            site.far.connect(public, 5060, protocol="udp", source_port=7001)
    assert site.leaks() == 0
