"""Networks ready made. The drawings are in docs/lab.md."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.lab.net import Host, Lab

FAR, FAR6 = "192.0.2.80", "2001:db8:f::80"
OTHER, OTHER6 = "192.0.2.200", "2001:db8:f::200"  # the same host by another address


@dataclass
class Isp:
    """An ISP drops and counts what does not come from its own prefixes, and counts what does."""

    host: Host
    prefixes: tuple[str, ...]
    prefixes6: tuple[str, ...]

    def arm(self) -> None:
        self.host.nft(
            f"""
            table inet isp {{
                counter foreign {{ }}
                counter sent {{ }}
                counter received {{ }}
                chain check {{
                    type filter hook prerouting priority -400; policy accept;
                    iifname != "gwa" return
                    ip6 saddr {{ fe80::/10, :: }} return
                    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit }} return
                    ip saddr != {{ {", ".join(self.prefixes)} }} counter name foreign drop
                    ip6 saddr != {{ {", ".join(self.prefixes6)} }} counter name foreign drop
                    ip daddr {{ 192.168.0.0/16, 10.1.0.0/16, 10.2.0.0/16 }} counter name foreign drop
                    ip6 daddr fd00:1::/64 counter name foreign drop
                    counter name sent
                }}
                chain back {{
                    type filter hook postrouting priority 0; policy accept;
                    oifname "gwa" meta l4proto != ipv6-icmp counter name received
                    icmpv6 type != {{ echo-request, echo-reply, packet-too-big, time-exceeded }} return
                    oifname "gwa" counter name received
                }}
            }}
            """
        )

    @property
    def foreign(self) -> int:
        return self.host.counter("isp", "foreign")

    @property
    def sent(self) -> int:
        return self.host.counter("isp", "sent")

    @property
    def received(self) -> int:
        return self.host.counter("isp", "received")


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

    def leaks(self) -> int:
        """Packets with a source (or a destination) that an ISP must never see."""
        return sum(isp.foreign for isp in self.isps.values())

    def used(self) -> dict[str, tuple[int, int]]:
        """For each ISP, the packets sent through it and received back by it so far."""
        return {name: (isp.sent, isp.received) for name, isp in self.isps.items()}

    def through(self, before: dict[str, tuple[int, int]]) -> tuple[set[str], set[str]]:
        """The ISPs that carried packets out, and those that carried packets in, since `before`."""
        now = self.used()
        out = {name for name in now if now[name][0] > before[name][0]}
        back = {name for name in now if now[name][1] > before[name][1]}
        return out, back


def _lan(lab: Lab, gateway: Host, ifname: str, members: dict[str, int], *, mtu: int = 1500) -> None:
    """Hosts 192.168.1.N and fd00:1::N on one segment with the gateway's interface, which is .1 and ::1."""
    segment = lab.host(f"{ifname}-sw")
    segment.ip("link add name br0 type bridge", "link set dev br0 up")
    lab.link(gateway, ifname, segment, "p0", mtu=mtu)
    segment.ip("link set dev p0 master br0")
    gateway.ip(f"addr add 192.168.1.1/24 dev {ifname}", f"addr add fd00:1::1/64 dev {ifname} nodad")
    for number, (name, last) in enumerate(members.items(), start=1):
        host = lab.host(name)
        lab.link(host, "eth0", segment, f"p{number}", mtu=mtu)
        segment.ip(f"link set dev p{number} master br0")
        host.address, host.address6 = f"192.168.1.{last}", f"fd00:1::{last}"
        host.ip(
            f"addr add {host.address}/24 dev eth0",
            f"addr add {host.address6}/64 dev eth0 nodad",
            "route add default via 192.168.1.1",
            "route add ::/0 via fd00:1::1",
        )


def _isp(site: Site, name: str, ifname: str, net: str, letter: str, *, mtu: int = 1500) -> None:
    """`net` is the ISP's /24: .0/29 on the link (.1 theirs, .2 ours), .16/28 routed to the gateway."""
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


def dual_wan(lab: Lab, *, uplink_mtu: int = 1500, lan_mtu: int = 1500) -> Site:
    """A LAN with `client` (.10) and `server` (.80) at lan0, and two ISPs."""
    site = _outside(lab, uplink_mtu=uplink_mtu)
    _lan(lab, site.gateway, "lan0", {"client": 10, "server": 80}, mtu=lan_mtu)
    return site


def tenants(lab: Lab) -> Site:
    """Two networks with the same addresses, at red0 and blue0, each with a client (.10) and a server (.80)."""
    site = _outside(lab)
    for name in ("red", "blue"):
        _lan(lab, site.gateway, f"{name}0", {f"{name}-client": 10, f"{name}-server": 80})
    return site


def partner_link(lab: Lab) -> Site:
    """`dual_wan`, and at part0 a partner whose host 192.168.1.20 has an address of our own network."""
    site = dual_wan(lab)
    partner = lab.host("partner")
    lab.link(site.gateway, "part0", partner, "gwa")
    site.gateway.ip("addr add 10.255.0.2/30 dev part0")
    partner.address = "192.168.1.20"
    partner.ip(
        "addr add 10.255.0.1/30 dev gwa",
        "addr add 192.168.1.20/32 dev lo",
        "route add 10.1.0.0/24 via 10.255.0.2",
    )
    return site


TOPOLOGIES = {"dual-wan": dual_wan, "tenants": tenants, "partner-link": partner_link}
