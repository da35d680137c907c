"""Networks ready made. The drawings are in docs/lab.md."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.lab.isp import Isp, Leaks
from tests.lab.net import Host, Lab
from tests.lab.segments import add_lan, add_router

FAR, FAR6 = "192.0.2.80", "2001:db8:f::80"
OTHER, OTHER6 = "192.0.2.200", "2001:db8:f::200"  # the same host by another address


@dataclass
class Site:
    """A gateway with what is around it."""

    lab: Lab
    gateway: Host
    far: Host
    isps: dict[str, Isp] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Host:
        return self.lab.hosts[name]

    @property
    def client(self) -> Host:
        return self.lab.hosts["client"]

    @property
    def server(self) -> Host:
        return self.lab.hosts["server"]

    def leaks(self) -> Leaks:
        """Packets with a source (or a destination) that an ISP must never see. An int that can say which."""
        each = [isp.leaks() for isp in self.isps.values()]
        return Leaks(sum(each), tuple(line for leaks in each for line in leaks.details))

    def used(self) -> dict[str, tuple[int, int]]:
        """For each ISP, the packets sent through it and received back by it so far.

        The last words of a flow that was closed may still be on their way: they are waited for, for up to 0.2 s.
        """
        now = self._used()
        for _ in range(20):
            time.sleep(0.01)
            before, now = now, self._used()
            if before == now:
                break
        return now

    def _used(self) -> dict[str, tuple[int, int]]:
        return {name: isp.used() for name, isp in self.isps.items()}

    def through(self, before: dict[str, tuple[int, int]]) -> tuple[set[str], set[str]]:
        """The ISPs that carried packets out, and those that carried packets in, since `before`."""
        now = self.used()
        out = {name for name in now if now[name][0] > before[name][0]}
        back = {name for name in now if now[name][1] > before[name][1]}
        return out, back

    def used_uplinks(self, function: Callable[..., object], *arguments: Any) -> tuple[set[str], set[str]]:
        """The ISPs that carried packets out, and in, while `function` ran."""
        before = self.used()
        function(*arguments)
        return self.through(before)


def _isp(site: Site, name: str, ifname: str, net: str, letter: str, *, mtu: int = 1500) -> None:
    """`net` is the ISP's /24: .0/29 on the link (.1 the ISP's, .2 the gateway's), .16/28 routed to the gateway."""
    lab, gateway, far = site.lab, site.gateway, site.far
    host = lab.host(name)
    lab.link(gateway, ifname, host, "gwa", mtu=mtu)
    up = f"{letter}0"
    lab.link(host, "up0", far, up)
    number = len(site.isps) + 1
    v6 = f"2001:db8:{letter}"
    gateway.ip(f"addr add {net}.2/29 dev {ifname}", f"addr add {v6}::2/64 dev {ifname} nodad")
    host.ip(
        f"addr add {net}.1/29 dev gwa",
        f"addr add {v6}::1/64 dev gwa nodad",
        f"addr add 172.31.{number}.1/30 dev up0",
        f"addr add fd00:f{number}::1/64 dev up0 nodad",
        f"route add 192.0.2.0/24 via 172.31.{number}.2",
        f"route add 2001:db8:f::/48 via fd00:f{number}::2",
        f"route add {net}.16/28 via {net}.2",
        f"route add {v6}:1::/64 via {v6}::2",
    )
    far.ip(
        f"addr add 172.31.{number}.2/30 dev {up}",
        f"addr add fd00:f{number}::2/64 dev {up} nodad",
        f"route add {net}.0/24 via 172.31.{number}.1",
        f"route add {v6}::/48 via fd00:f{number}::1",
    )
    host.write("net/ipv4/ip_forward", "1")
    host.write("net/ipv6/conf/all/forwarding", "1")
    isp = Isp(host, (f"{net}.0/24",), (f"{v6}::/48",))
    isp.arm()
    site.isps[name] = isp


def _outside(lab: Lab, *, uplink_mtu: int = 1500) -> Site:
    """The gateway, two ISPs, and a far server that is reached through both."""
    site = Site(lab, lab.host("gw"), lab.host("far"))
    site.far.address, site.far.address6 = FAR, FAR6
    site.far.ip(*(f"addr add {a} dev lo" for a in (FAR, OTHER, f"{FAR6}/128", f"{OTHER6}/128")))
    _isp(site, "isp-a", "wan0", "203.0.113", "a", mtu=uplink_mtu)
    _isp(site, "isp-b", "wan1", "198.51.100", "b", mtu=uplink_mtu)
    site.gateway.ip("route add default via 203.0.113.1", "route add ::/0 via 2001:db8:a::1")
    return site


def dual_wan(lab: Lab, *, uplink_mtu: int = 1500, lan_mtu: int = 1500, routed_lan: bool = False) -> Site:
    """A LAN with `client` (.10) and `server` (.80) at lan0, and two ISPs.

    `routed_lan`: also `router` (.254) on the LAN, and behind it `deep`, 192.168.7.10 and fd00:7::10.
    """
    with lab.at_once():
        site = _outside(lab, uplink_mtu=uplink_mtu)
        add_lan(lab, site.gateway, "lan0", {"client": 10, "server": 80}, mtu=lan_mtu)
        if routed_lan:
            add_router(lab, site.gateway, "lan0", {"deep": 10})
    return site


def tenants(lab: Lab, *, names: Sequence[str] = ("red", "blue")) -> Site:
    """Networks with the same addresses, at red0 and blue0, each with a client (.10) and a server (.80)."""
    with lab.at_once():
        site = _outside(lab)
        for name in names:
            add_lan(lab, site.gateway, f"{name}0", {f"{name}-client": 10, f"{name}-server": 80})
    return site


def partner_link(lab: Lab, *, partner_mtu: int = 1500) -> Site:
    """`dual_wan`, and at part0 a partner whose hosts 192.168.1.20 and fd00:1::20 have addresses of the LAN."""
    site = dual_wan(lab)
    partner = lab.host("partner")
    lab.link(site.gateway, "part0", partner, "gwa", mtu=partner_mtu)
    site.gateway.ip("addr add 10.255.0.2/30 dev part0", "addr add fd00:ff::2/64 dev part0 nodad")
    partner.address, partner.address6 = "192.168.1.20", "fd00:1::20"
    partner.ip(
        "addr add 10.255.0.1/30 dev gwa",
        "addr add fd00:ff::1/64 dev gwa nodad",
        f"addr add {partner.address}/32 dev lo",
        f"addr add {partner.address6}/128 dev lo nodad",
        "route add 10.1.0.0/24 via 10.255.0.2",
        "route add fd00:a1::/64 via fd00:ff::2",
    )
    return site


TOPOLOGIES: dict[str, Callable[[Lab], Site]] = {
    "dual-wan": dual_wan,
    "routed-lan": lambda lab: dual_wan(lab, routed_lan=True),
    "tenants": tenants,
    "partner-link": partner_link,
}
