"""Every kind of in-interface, with both dataplanes and both ways to identify it."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from tests.dataplane.bench import SERVER, STAGE, WAN, Bench, InInterfaceSource, options
from tests.dataplane.talk import ask, serve, upload
from tests.lab.dataplanes import IN_INTERFACES

pytestmark = pytest.mark.netns

FAR, NEAR = "10.5.0.2", "10.5.0.1"


def _address(lab: Bench, theirs: str, ours: str) -> None:
    lab.client.run(f"ip address add {FAR}/24 dev {theirs}")
    lab.client.run(f"ip link set {theirs} up")
    lab.gateway.run(f"ip address add {NEAR}/24 dev {ours}")
    lab.gateway.run(f"ip link set {ours} up")
    lab.client.run(f"ip route replace default via {NEAR}")


def vlan(lab: Bench) -> str:
    lab.client.run("ip link add link eth0 name eth0.5 type vlan id 5")
    lab.gateway.run("ip link add link lan0 name lan0.5 type vlan id 5")
    _address(lab, "eth0.5", "lan0.5")
    return "lan0.5"


def bridge(lab: Bench) -> str:
    lab.gateway.run("ip link add br0 type bridge")
    lab.gateway.run("ip link set lan0 master br0")
    _address(lab, "eth0", "br0")
    return "br0"


def gre(lab: Bench) -> str:
    """An interface without a link-layer header."""
    lab.client.run("ip tunnel add gre9 mode gre local 10.1.0.2 remote 10.1.0.1 ttl 64")
    lab.gateway.run("ip tunnel add gre9 mode gre local 10.1.0.1 remote 10.1.0.2 ttl 64")
    _address(lab, "gre9", "gre9")
    return "gre9"


def vrf(lab: Bench) -> str:
    """Forwarding sees the VRF device as in-interface, so rules steer and mark by that.

    The VRF's local addresses are in its table; its rule must precede the steering rules, or ARP is not answered.
    """
    lab.gateway.run("ip rule add l3mdev pref 50")
    lab.gateway.run("ip link add vrf0 type vrf table 10")
    lab.gateway.run("ip link set vrf0 up")
    lab.gateway.run("ip link set lan0 master vrf0")
    _address(lab, "eth0", "lan0")
    lab.gateway.run("ip route add 10.5.0.0/24 dev lan0")
    return "vrf0"


@pytest.mark.parametrize("make", [vlan, bridge, gre, vrf], ids=lambda made: made.__name__)
@pytest.mark.parametrize("source", IN_INTERFACES)
def test_packets_that_come_in_by(lab: Bench, source: InInterfaceSource, make: Callable[[Bench], str]) -> None:
    ifname = make(lab)
    lab.steer_from(ifname)
    lab.table(source, ifname, "wan0")
    lab.load(options(source), ifname, "wan0")
    lab.gateway.count("second", f"ip daddr {SERVER} iifname {ifname} meta mark & {STAGE:#x} == {STAGE:#x}")
    with serve(lab.server, SERVER, socket.SOCK_DGRAM) as port:
        assert ask(lab.client, SERVER, port, socket.SOCK_DGRAM, b"x") == (WAN, b"x")
    hooks = 2 if make is vrf else 1  # in a VRF hooks run for the interface and for the VRF device
    assert lab.gateway.packets("second")[0] == hooks
    assert lab.nonzero() == {"reinjected": 2}
    assert upload(lab.client, lab.server, SERVER, 2_000_000) == 2_000_000
