"""Rules that match a DSCP, a packet mark, or all but some addresses and ports."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import pytest

from tests.lab import GatewayHost, Host, Site
from tests.lab.net import until
from tests.lab.traffic import family_of
from tests.netns.scenarios import A6, B6, A, B, spec

pytestmark = pytest.mark.netns

# Source ports of the client, that its own nft gives a DSCP, and that of the gateway a mark in stage 1.
EF, AF41, FIVE, MARKED, OTHER_MARK, PLAIN = 40046, 40034, 40005, 40016, 40017, 40000
_DSCP = {EF: "ef", AF41: "af41", FIVE: "5"}
_SET = "\n".join(f"udp sport {n} {ip} dscp set {name}" for n, name in _DSCP.items() for ip in ("ip", "ip6"))
CLIENT = f"""
table inet qos {{
chain out {{
type filter hook output priority -150
{_SET}
}}
}}
"""
GATEWAY = f"""
table inet marks {{
chain pre {{
type filter hook prerouting priority -150
iifname "lan0" meta mark & 0x80000000 == 0 udp sport {MARKED} meta mark set 0x1210
iifname "lan0" meta mark & 0x80000000 == 0 udp sport {OTHER_MARK} meta mark set 0x20
iifname {{ "wan0", "wan1" }} meta mark & 0x80000000 == 0 udp sport {MARKED} meta mark set 0x1210
}}
}}
"""
RULES = """\
    - { name: voice, dscp: [ef, 34, 5], as: isp-b }
    - { name: marked, mark: 0x10/0xff, as: isp-b }
    - { name: printer, to: 192.0.2.0/24, except: { to: 192.0.2.80 }, as: isp-b }
    - { name: ports, ports: 1000-1010/udp, except: { ports: [1003/udp, 1005-1006/udp], from: 192.168.1.80 },
        as: isp-b }
"""


def text(dataplane: str, rules: str = RULES, more: str = "") -> str:
    written = spec(dataplane, more).replace("  sourceNat:\n", "  sourceNat:\n" + rules)
    return written.replace('    - name: server\n      from: [192.168.1.80, "fd00:1::80"]\n      as: isp-b\n', "")


def seen(host: Host, address: str, port: int, source_port: int = 0, protocol: str = "udp") -> str:
    with host.connect(address, port, protocol=protocol, source_port=source_port) as flow:
        return flow.seen


def served(site: Site, ports: Sequence[int], protocol: str = "udp") -> None:
    for port in ports:
        for address in (None, "192.0.2.200"):
            site.far.serve(port, protocol=protocol, address=address)


def test_a_flow_is_known_by_the_dscp_or_mark_of_its_first_packet(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    served(site, [7])
    site.client.nft(CLIENT)
    site.gateway.nft(GATEWAY)
    gateway.apply(text(dataplane))
    assert gateway.differences(text(dataplane)) == []
    for far, a, b in ((site.far.address, A, B), (site.far.address6, A6, B6)):
        for port in (EF, AF41, FIVE, MARKED):
            assert seen(site.client, far, 7, port) == b, port
        for port in (OTHER_MARK, PLAIN):
            assert seen(site.client, far, 7, port) == a, port
    assert site.leaks() == 0


def test_a_cached_flow_keeps_its_translation_whatever_its_later_packets_bear(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    """Beside a flow of another DSCP between the same hosts."""
    served(site, [7])
    gateway.apply(text(dataplane))
    for far, a, b in ((site.far.address, A, B), (site.far.address6, A6, B6)):
        site.client.nft(CLIENT)
        with (
            site.client.connect(far, 7, protocol="udp", source_port=EF) as voice,
            site.client.connect(far, 7, protocol="udp", source_port=PLAIN) as plain,
        ):
            for _ in range(20):
                assert voice.again().seen == b
                assert plain.again().seen == a
            site.client.nft("delete table inet qos")
            for _ in range(20):
                assert voice.again().seen == b
        assert seen(site.client, far, 7, EF + 1) == a
    assert site.leaks() == 0


def test_all_but_some_addresses_and_ports(site: Site, gateway: GatewayHost, dataplane: str) -> None:
    served(site, [7, 1000, 1003, 1004, 1006, 1007])
    gateway.apply(text(dataplane))
    assert seen(site.client, "192.0.2.200", 7) == B
    assert seen(site.client, site.far.address, 7) == A
    for port, source in ((1000, B), (1003, A), (1004, B), (1006, A), (1007, B)):
        assert seen(site.client, site.far.address, port) == source, port
        assert seen(site.server, site.far.address, port) == A, port
    assert seen(site.client, site.far.address6, 1003) == A6
    assert seen(site.client, site.far.address6, 1004) == B6


def test_all_but_some_ports_of_all_protocols(site: Site, gateway: GatewayHost) -> None:
    """What has no ports, ICMP, is among all."""
    served(site, [7, 25])
    served(site, [25, 26], "tcp")
    rules = """\
    - { name: most, except: { ports: [25/tcp, 7/udp], to: 192.0.2.200 }, as: isp-b }
    - { name: some, protocol: [tcp, icmp], in: lan0, except: { ports: 26/tcp }, to: 192.0.2.200, as: isp-b }
"""
    gateway.apply(text("{ type: bpf }", rules))
    far = site.far.address
    assert [seen(site.client, far, *each) for each in ((7, 0), (25, 0), (25, 0, "tcp"), (26, 0, "tcp"))] == [
        A,
        B,
        A,
        B,
    ]
    other = [seen(site.client, "192.0.2.200", port, protocol=p) for port, p in ((7, "udp"), (25, "tcp"), (26, "tcp"))]
    assert other == [A, B, A]
    for to, isp in ((far, "isp-b"), ("192.0.2.200", "isp-b")):
        before = site.used()
        assert site.client.pings(to)
        assert site.through(before) == ({isp}, {isp})
    assert site.leaks() == 0


def test_a_forward_is_for_a_dscp_a_mark_or_all_but_some_clients(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    site.far.nft(CLIENT)
    site.gateway.nft(GATEWAY)
    forwards = """\
  forwards:
    voice: { ports: 5060/udp, dscp: ef, to: [192.168.1.80:1, "[fd00:1::80]:1"] }
    slow: { ports: 5060/udp, dscp: cs1, to: 192.168.1.80:2 }
    marked: { ports: 5061/udp, mark: 0x1000/0xf000, to: [192.168.1.80:2, "[fd00:1::80]:2"] }
    most: { ports: 5062/udp, except: 192.0.2.200, to: 192.168.1.80:3 }
    rest: { ports: 5062/udp, from: 192.0.2.200, to: 192.168.1.80:4 }
"""
    for port in (1, 2, 3, 4):
        for address in ("192.168.1.80", "fd00:1::80"):
            site.server.serve(port, protocol="udp", address=address)
    gateway.apply(text(dataplane).replace("  forwards:\n", forwards))
    for public in (A, B, A6, B6):
        assert site.far.connect(public, 5060, protocol="udp", source_port=EF).by == "server"
        assert site.far.connect(public, 5061, protocol="udp", source_port=MARKED).by == "server"
        for port in (5060, 5061):
            with pytest.raises(AssertionError):
                site.far.connect(public, port, protocol="udp", source_port=PLAIN)
    for public in (A, B):
        for source in (site.far.address, "192.0.2.200"):
            assert site.far.connect(public, 5062, protocol="udp", source=source).by == "server"
    counters = gateway.counters()
    assert counters["dnat_most"] == counters["dnat_rest"] == 2
    assert site.leaks() == 0


def test_a_route_by_mark_and_all_but_some_addresses(site: Site, gateway: GatewayHost) -> None:
    """Whatever the translated source is; own packets with their uplink's."""
    served(site, [7])
    site.gateway.nft(GATEWAY)
    routes = """\
  routes:
    - { name: marked, in: lan0, mark: 0x10/0xff, via: isp-b }
    - { name: most, to: 192.0.2.0/24, except: { to: 192.0.2.80 }, via: isp-b }
"""
    gateway.apply(text("{ type: bpf, keepMarks: true }", "", routes))
    for isp in site.isps.values():
        isp.host.nft(
            "table inet came {\ncounter in { }\nchain pre {\ntype filter hook prerouting priority -500\n"
            'iifname "gwa" udp dport 7 counter name in\n}\n}'
        )
    for number, (port, to, name) in enumerate(
        (
            (MARKED, site.far.address, "isp-b"),
            (OTHER_MARK, site.far.address, "isp-a"),
            (PLAIN, site.far.address, "isp-a"),
            (PLAIN, "192.0.2.200", "isp-b"),
            (MARKED, site.far.address6, "isp-b"),
        )
    ):
        came = {isp: site.isps[isp].host.counter("came", "in") for isp in site.isps}
        with site.client.socket(family_of(to), socket.SOCK_DGRAM) as sock:
            sock.bind(("", port + 100 * number if port == PLAIN else port))
            sock.sendto(b"hello\n", (to, 7))
        until(lambda: any(site.isps[i].host.counter("came", "in") > came[i] for i in came), "the packet")  # noqa: B023
        assert site.isps[name].host.counter("came", "in") == came[name] + 1, (port, to)
    for to, source in (("192.0.2.200", B), (site.far.address, A), (site.far.address6, A6)):
        assert seen(site.gateway, to, 7) == source
