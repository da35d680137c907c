"""LANs: one segment with hosts on it, and networks behind a router of a segment."""

from __future__ import annotations

from collections.abc import Mapping

from tests.lab.net import Host, Lab

NETWORK, NETWORK6 = "192.168.1", "fd00:1:"


def add_lan(
    lab: Lab,
    gateway: Host,
    ifname: str,
    members: Mapping[str, int],
    *,
    network: str = NETWORK,
    network6: str = NETWORK6,
    mtu: int = 1500,
) -> Host:
    """Hosts `network`.N/24 and `network6`:N/64 on one segment with `gateway`'s interface, which is .1 and ::1.

    The segment is a bridge in a namespace of its own, which is returned: `join` adds more to it.
    """
    segment = lab.host(f"{ifname}-sw" if gateway.name == "gw" else f"{gateway.name}-{ifname}-sw")
    segment.ip("link add name br0 type bridge", "link set dev br0 up")
    join(lab, segment, gateway, ifname, mtu=mtu)
    gateway.ip(f"addr add {network}.1/24 dev {ifname}", f"addr add {network6}:1/64 dev {ifname} nodad")
    for name, last in members.items():
        host = lab.host(name)
        join(lab, segment, host, "eth0", mtu=mtu)
        _at(host, last, network, network6)
    return segment


def add_host(lab: Lab, gateway: Host, ifname: str, name: str, *, network: str, network6: str) -> Host:
    """A host alone at the gateway's `ifname`, without a bridge: `network`.10/24 and `network6`:10/64."""
    host = lab.host(name)
    lab.link(gateway, ifname, host, "eth0")
    gateway.ip(f"addr add {network}.1/24 dev {ifname}", f"addr add {network6}:1/64 dev {ifname} nodad")
    _at(host, 10, network, network6)
    return host


def _at(host: Host, last: int, network: str, network6: str) -> None:
    """The addresses that end in `last` at eth0, and all ways by the gateway's, which end in 1."""
    host.address, host.address6 = f"{network}.{last}", f"{network6}:{last}"
    host.ip(
        f"addr add {host.address}/24 dev eth0",
        f"addr add {host.address6}/64 dev eth0 nodad",
        f"route add default via {network}.1",
        f"route add ::/0 via {network6}:1",
    )


def join(lab: Lab, segment: Host, host: Host, ifname: str, *, mtu: int = 1500) -> None:
    """A link from `host` to the bridge of `segment`."""
    port = f"p{segment.ports}"
    segment.ports += 1
    lab.link(host, ifname, segment, port, mtu=mtu)
    segment.ip(f"link set dev {port} master br0")


def add_router(
    lab: Lab,
    gateway: Host,
    ifname: str,
    members: Mapping[str, int],
    *,
    name: str = "router",
    network: str = "192.168.7",
    network6: str = "fd00:7:",
    mtu: int = 1500,
) -> Host:
    """A router at .254 on the LAN at the gateway's `ifname`, and hosts on `network` behind it: one more hop.

    The gateway gets ordinary routes to that network. `mtu` is that of the network behind.
    """
    router = lab.host(name)
    join(lab, lab.hosts[f"{ifname}-sw"], router, "up0")
    router.address, router.address6 = f"{NETWORK}.254", f"{NETWORK6}:254"
    router.write("net/ipv4/ip_forward", "1")
    router.write("net/ipv6/conf/all/forwarding", "1")
    router.ip(
        f"addr add {router.address}/24 dev up0",
        f"addr add {router.address6}/64 dev up0 nodad",
        f"route add default via {NETWORK}.1",
        f"route add ::/0 via {NETWORK6}:1",
    )
    add_lan(lab, router, "lan0", members, network=network, network6=network6, mtu=mtu)
    gateway.ip(
        f"route add {network}.0/24 via {router.address}",
        f"route add {network6}:/64 via {router.address6}",
    )
    return router
