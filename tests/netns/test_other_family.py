"""A family without uplinks, or of which the spec says nothing, is routed as the host does it."""

from __future__ import annotations

import subprocess
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from nvi_operator.experiment.probe import Expected, PacketProbe
from nvi_operator.explain.packet import UDP, Packet
from nvi_operator.simulate.exchange import ProbeRunner
from nvi_operator.simulate.simulation import SimulatedGateway
from tests.lab.simulated import in_gateway

pytestmark = pytest.mark.netns

SPEC = """\
apiVersion: nvi-operator/v1
kind: Gateway
metadata: {{ name: edge }}
spec:
  interfaces: {{ lan0: {{ networks: {0} }}, lan1: {{ networks: {1} }} }}
  uplinks: {{ isp: {{ interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2 }} }}
  sourceNat: [{{ name: all, as: isp }}]
"""
HOST = """\
address add 2001:db8:1::1/64 dev lan0 nodad
address add 2001:db8:2::1/64 dev lan1 nodad
address add 2001:db8:a::2/64 dev wan0 nodad
route add ::/0 via 2001:db8:a::1
"""


def arrivals(gateway: SimulatedGateway, *flows: tuple[str, str, str]) -> list[str]:
    """Where packets arrive, and their answers return: `lan1`; otherwise what became of them."""
    probes = []
    for number, (ifname, source, to) in enumerate(flows):
        packet = Packet(ifname, UDP, ip_address(source), ip_address(to), 20000 + number, 53)
        probes.append(PacketProbe("", "", "", packet, Expected(), "isp" if ifname == "wan0" else None))
    results = ProbeRunner(gateway.ends).run(probes)
    return [r.arrived.ifname if r.arrived and r.passed else "; ".join(r.problems) for r in results]


def test_ipv6_that_the_spec_does_not_have_passes_the_gateway_as_before(tmp_path: Path) -> None:
    def route(gateway: SimulatedGateway) -> Any:
        subprocess.run(["ip", "-6", "-batch", "-"], input=HOST, text=True, check=True)
        Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text("1")
        inside, outside = "2001:db8:1::10", "2001:db8:f::80"
        return arrivals(
            gateway, ("lan0", inside, "2001:db8:2::10"), ("lan0", inside, outside), ("wan0", outside, inside)
        )

    (tmp_path / "edge.yaml").write_text(SPEC.format("192.168.1.0/24", "192.168.2.0/24"))
    assert in_gateway(tmp_path / "edge.yaml", tmp_path, route) == ["lan1", "wan0", "lan0"]


def test_inside_networks_of_a_family_without_uplinks_reach_each_other_alone(tmp_path: Path) -> None:
    def send(gateway: SimulatedGateway) -> Any:
        inside = "fd00:1::10"
        return arrivals(gateway, ("lan0", inside, "fd00:2::10"), ("lan0", inside, "2001:db8:f::80"))

    (tmp_path / "edge.yaml").write_text(SPEC.format("[192.168.1.0/24, fd00:1::/64]", "[192.168.2.0/24, fd00:2::/64]"))
    reached, refused = in_gateway(tmp_path / "edge.yaml", tmp_path, send)
    assert reached == "lan1"
    assert "refused by fd00:1::1: ICMP type 1" in refused
