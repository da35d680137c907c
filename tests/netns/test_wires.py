"""What is on an uplink's own wire: hosts beside the gateway, and networks behind other routers there."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab import GatewayHost, Lab, add_lan
from tests.lab.daemon import Daemon
from tests.lab.net import Host, until
from tests.lab.segments import join
from tests.netns.scenarios import EDGE

pytestmark = pytest.mark.netns

A, A6 = "203.0.113.2", "2001:db8:a::2"
NAS, NAS6 = "203.0.113.4", "2001:db8:a::4"
DEPOT, DEPOT6 = "10.66.0.9", "fd00:66::9"  # in a branch network behind another router of the wire

SPEC = (
    EDGE.format(dataplane="{ type: auto }")
    + """\
  uplinks:
    office:
      interface: wan0
      nextHop: [203.0.113.1, 2001:db8:a::1]
      addresses: [203.0.113.2, 2001:db8:a::2]
  sourceNat:
    - name: everyone
      as: office
  forwards:
    web:
      ports: 443/tcp
      to: [192.168.1.80, "fd00:1::80"]
"""
)


@dataclass
class Wire:
    """The gateway, a NAS beside it, and an office with a depot behind a router; the ISP's router takes none of it."""

    gateway: Host
    router: Host
    nas: Host
    depot: Host
    client: Host

    def through_router(self) -> int:
        return self.router.counter("isp", "turned")


@pytest.fixture
def wire(lab: Lab) -> Iterator[Wire]:
    gateway, router, nas = lab.host("gw"), lab.host("router"), lab.host("nas")
    branch, depot = lab.host("branch"), lab.host("depot")
    segment = lab.host("wan-sw")
    segment.ip("link add name br0 type bridge", "link set dev br0 up")
    for host, ifname, last in ((gateway, "wan0", 2), (router, "gwa", 1), (nas, "eth0", 4), (branch, "wan", 5)):
        join(lab, segment, host, ifname)
        host.ip(
            f"addr add 203.0.113.{last}/29 dev {ifname}",
            f"addr add 2001:db8:a::{last}/64 dev {ifname} nodad",
        )
    gateway.ip("route add default via 203.0.113.1", "route add ::/0 via 2001:db8:a::1")
    lab.link(branch, "lan", depot, "eth0")
    branch.ip("addr add 10.66.0.1/24 dev lan", "addr add fd00:66::1/64 dev lan nodad")
    depot.ip(
        f"addr add {DEPOT}/24 dev eth0",
        f"addr add {DEPOT6}/64 dev eth0 nodad",
        "route add default via 10.66.0.1",
        "route add ::/0 via fd00:66::1",
    )
    for host in (router, branch):
        host.write("net/ipv4/ip_forward", "1")
        host.write("net/ipv6/conf/all/forwarding", "1")
    # A router that keeps state, or just does not hand back what came from the wire.
    router.nft(
        "table inet isp {\ncounter turned { }\nchain f {\ntype filter hook forward priority 0\n"
        "iifname gwa oifname gwa counter name turned drop\n}\n}\n"
    )
    nas.address, nas.address6, depot.address, depot.address6 = NAS, NAS6, DEPOT, DEPOT6
    add_lan(lab, gateway, "lan0", {"client": 10, "server": 80})
    for host, port in ((nas, 443), (depot, 443), (lab.hosts["server"], 443)):
        host.serve(port)
    yield Wire(gateway, router, nas, depot, lab.hosts["client"])
    assert router.counter("isp", "turned") == 0, "nothing for the wire went to the ISP's router"


def test_hosts_beside_the_gateway_are_reached_and_reach_it_without_the_router(wire: Wire) -> None:
    GatewayHost(wire.gateway).apply(SPEC)
    for nas, own in ((NAS, A), (NAS6, A6)):
        assert wire.client.connect(nas, 443).seen == own
        assert wire.gateway.connect(nas, 443).seen == own
        assert wire.nas.connect(own, 443).by == "server"


def test_the_gateways_own_address_answers_a_link_local_neighbour(wire: Wire) -> None:
    """No router may forward to one."""
    GatewayHost(wire.gateway).apply(SPEC)
    wire.nas.ip("addr add fe80::4/64 dev eth0 nodad")
    wire.nas.run("ping", "-6", "-c1", "-W2", "-I", "fe80::4%eth0", A6)


@pytest.mark.parametrize("family", [4, 6])
def test_a_network_behind_another_router_of_the_wire_is_reached_through_it(wire: Wire, family: int) -> None:
    """As a lease (RFC 3442) or a router advertisement (RFC 4191) puts it into `main`."""
    network, router, depot = (
        ("10.66.0.0/24", "203.0.113.5", DEPOT) if family == 4 else ("fd00:66::/64", "2001:db8:a::5", DEPOT6)
    )
    wire.gateway.ip(f"route add {network} via {router}")
    GatewayHost(wire.gateway).apply(SPEC)
    assert wire.client.connect(depot, 443).seen == (A if family == 4 else A6)


def test_what_main_learns_of_the_wire_is_followed(wire: Wire, tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(SPEC)
    daemon = Daemon(wire.gateway, tmp_path, tmp_path.with_suffix(".log"), "--kernel")
    try:
        daemon.until("in sync")
        wire.gateway.ip("nexthop add id 7 via 203.0.113.5 dev wan0", "route add 10.66.0.0/24 nhid 7")
        daemon.until("10.66.0.0/24", "in sync")
        assert wire.client.connect(DEPOT, 443).seen == A
        wire.gateway.ip("nexthop del id 7")  # and the route with it, of which the kernel reports nothing
        daemon.until("10.66.0.0/24", "in sync")
        table = "ip", "route", "show", "table", "7801"
        until(lambda: "10.66.0.0/24" not in wire.gateway.run(*table).stdout, "the route to go")
    finally:
        daemon.stop(signal.SIGKILL)


def test_a_modem_on_the_wire_is_reached_from_the_second_address(wire: Wire) -> None:
    """It knows no router, so it answers its own network only."""
    wire.nas.ip("addr flush dev eth0", "addr add 192.168.100.1/24 dev eth0")
    wire.nas.serve(443, address="192.168.100.1")
    wire.gateway.ip("addr add 192.168.100.2/24 dev wan0")
    fixed = "nextHop: [203.0.113.1, 2001:db8:a::1]\n      addresses: [203.0.113.2, 2001:db8:a::2]"
    dynamic = SPEC.replace(fixed, "nextHop: auto")
    GatewayHost(wire.gateway).apply(dynamic)
    assert wire.client.connect("192.168.100.1", 443).seen == "192.168.100.2"
    modem = "      default: true\n    modem:\n      interface: wan0\n      addresses: 192.168.100.2\n  sourceNat:\n"
    modem += "    - name: modem\n      to: 192.168.100.0/24\n      as: modem\n"
    GatewayHost(wire.gateway).apply(dynamic.replace("  sourceNat:\n", modem))
    assert wire.client.connect("192.168.100.1", 443).seen == "192.168.100.2"


def test_the_connected_networks_of_a_crowded_wire_are_reported(wire: Wire) -> None:
    """A full table of BGP by way of the ISP's network is not copied."""
    many = "".join(f"route add 10.{n >> 8}.{n & 255}.0/24 via 203.0.113.5\n" for n in range(600))
    wire.gateway.run("ip", "-batch", "-", text=many)
    warnings = GatewayHost(wire.gateway).apply(SPEC).stderr
    assert "note: uplink office: main has more than 500 networks through wan0" in warnings
    routes = wire.gateway.run("ip", "route", "show", "table", "7801").stdout
    assert [line.split()[0] for line in routes.splitlines()] == ["default", "unreachable", "203.0.113.0/29"]
    assert wire.client.connect(NAS, 443).seen == A
