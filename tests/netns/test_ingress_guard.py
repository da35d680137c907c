"""The program at each interface's ingress: without the table, no neighbour gets in with a gateway's address.

Everywhere here the table is flushed, the rest of the gateway stands, and no daemon heals it.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Iterator

import pytest

from nvi_operator.kernel.bpf import tcx
from tests.lab import GatewayHost, Host, Site, packets
from tests.lab.net import until
from tests.netns.losses import nothing_of_the_table, remove_ingress_guard
from tests.netns.operator import Operator
from tests.netns.scenarios import A6, A, spec
from tests.netns.test_egress_guard import INGRESS, TUNNEL, _drop_all, _tun

pytestmark = pytest.mark.netns

PORT = 5353
LAN, LAN6 = "192.168.1.1", "fd00:1::1"


class Service:
    """A UDP service of the gateway itself, on all its addresses: what reaches it."""

    def __init__(self, host: Host, port: int = PORT) -> None:
        self.socket = host.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.bind(("::", port))

    def sources(self) -> list[str]:
        """The payloads of all datagrams since the last call, in their order."""
        found = []
        while select.select([self.socket], [], [], 0)[0]:
            found.append(self.socket.recvfrom(2048)[1][0].removeprefix("::ffff:"))
        return found

    def hears(self, source: str) -> None:
        """Waits for a datagram from this source; whatever was sent before it would have come before it."""
        heard: list[str] = []

        def last() -> bool:
            heard.extend(self.sources())
            return source in heard

        until(last, f"a datagram from {source}")
        assert heard == [source]


@pytest.fixture
def service(site: Site) -> Iterator[Service]:
    made = Service(site.gateway)
    yield made
    made.socket.close()


@pytest.fixture
def flushed(site: Site, gateway: GatewayHost, dataplane: str) -> Site:
    gateway.apply(spec(dataplane))
    nothing_of_the_table(site.gateway)
    return site


def neighbours(site: Site) -> dict[str, tuple[Host, str]]:
    """The neighbour at an interface of the gateway, and its own interface there."""
    return {"lan0": (site.client, "eth0"), "wan0": (site.isps["isp-a"].host, "gwa")}


def send(site: Site, ifname: str, source: str, to: str | None = None) -> None:
    """A datagram for the gateway's service, from the neighbour at this interface."""
    host, own = neighbours(site)[ifname]
    target = to or (LAN6 if ":" in source else LAN)
    host.inject(own, packets.udp(source, target, PORT), to=site.gateway.mac(ifname))


@pytest.mark.parametrize("ifname", ["lan0", "wan0"])
@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_a_neighbour_reaches_nothing_by_an_address_of_the_gateway(
    flushed: Site, gateway: GatewayHost, service: Service, ifname: str, v6: bool
) -> None:
    own = [A6, LAN6, "2001:db8:b::2"] if v6 else [A, LAN, "198.51.100.2"]
    for source in own:
        send(flushed, ifname, source)
    other = "2001:db8:f::99" if v6 else "192.0.2.99"
    send(flushed, ifname, other)
    service.hears(other)
    assert gateway.counters()["ingress_spoofed"] == 3
    remove_ingress_guard(flushed.gateway, ifname)
    for source in own:
        send(flushed, ifname, source)
        service.hears(source)  # it is the program that kept it away


def test_addresses_of_every_scope_and_interface_are_the_gateways(
    site: Site, gateway: GatewayHost, service: Service
) -> None:
    site.gateway.ip(
        "link add other0 type veth peer name other1",
        "addr add 10.77.0.1/24 dev other0",
        "addr add 10.77.1.1/24 dev lan0 scope link",
        "addr add fd77::1/128 dev lo",
    )
    gateway.apply(spec())
    nothing_of_the_table(site.gateway)
    for source in ("10.77.0.1", "10.77.1.1", "fd77::1"):
        send(site, "lan0", source)
    send(site, "lan0", "10.77.0.2")
    service.hears("10.77.0.2")
    assert gateway.counters()["ingress_spoofed"] == 3


def test_an_address_that_comes_or_goes_is_followed(site: Site, gateway: GatewayHost, service: Service) -> None:
    gateway.apply(spec())
    site.gateway.ip("addr add 192.168.1.7/24 dev lan0")
    assert {line for line in gateway.differences(spec()) if "192.168.1.7" not in line} == {
        f"update ingress-guard {ifname} ingress" for ifname in ("lan0", "wan0", "wan1")
    }
    gateway.apply(spec())
    nothing_of_the_table(site.gateway)
    send(site, "lan0", "192.168.1.7")
    until(lambda: gateway.counters()["ingress_spoofed"] == 1, "it is refused")
    site.gateway.ip("addr del 192.168.1.7/24 dev lan0")
    gateway.apply(spec())
    send(site, "lan0", "192.168.1.7")
    service.hears("192.168.1.7")
    assert gateway.counters()["ingress_spoofed"] == 1, "and counters go on"


# --------------------------------------------------------------------------- what it lets in


def test_ordinary_traffic_takes_both_passes(site: Site, gateway: GatewayHost, dataplane: str) -> None:
    """The second pass comes in by lan0 with the uplink's address, which is the gateway's own."""
    gateway.apply(spec(dataplane))
    site.far.serve(443)
    site.server.serve(443)
    assert site.client.connect(site.far.address, 443).seen == A
    assert site.client.connect(site.far.address6, 443).seen == A6
    assert site.far.connect(A, 443).by == "server"
    for address in (A, A6):
        assert site.client.connect(address, 443).by == "server", "hairpin"
    assert site.gateway.connect(site.far.address, 443).seen == A
    counters = gateway.counters()
    assert counters["ingress_spoofed"] == 0
    assert counters["stage_2"] >= 20


def test_neighbours_are_found_and_leases_asked_for(flushed: Site, gateway: GatewayHost, service: Service) -> None:
    for ifname in ("lan0", "wan0"):
        flushed.gateway.ip(f"neigh flush dev {ifname}")
    flushed.client.ip("neigh flush dev eth0")
    assert flushed.client.pings(LAN)
    assert flushed.client.pings(LAN6)
    assert flushed.gateway.pings("203.0.113.1")
    assert flushed.gateway.pings("2001:db8:a::1")
    send(flushed, "lan0", "0.0.0.0", to="255.255.255.255")
    service.hears("0.0.0.0")
    for setting in ("accept_dad", "dad_transmits"):
        flushed.client.write(f"net/ipv6/conf/eth0/{setting}", "1")
    flushed.client.ip(f"addr add {LAN6}/64 dev eth0")
    until(
        lambda: "dadfailed" in flushed.client.run("ip", "addr", "show", "dev", "eth0").stdout,
        "a host that takes the gateway's address learns it: duplicate address detection asks from ::",
    )
    assert gateway.counters()["ingress_spoofed"] == 0


@pytest.mark.parametrize("table", [True, False], ids=["with-the-table", "without-it"])
def test_what_the_gateway_sends_to_a_group_comes_back_to_its_own_members(
    site: Site, gateway: GatewayHost, service: Service, dataplane: str, table: bool
) -> None:
    """The kernel loops it back as received on the interface it leaves by."""
    gateway.apply(spec(dataplane))
    if not table:
        nothing_of_the_table(site.gateway)
    membership = socket.inet_aton("224.0.0.99") + socket.inet_aton(LAN)
    service.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    with site.gateway.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LAN))
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for group in ("224.0.0.99", "192.168.1.255"):
            sender.sendto(b"here", (group, PORT))
            service.hears(LAN)
    lan0 = site.gateway.call(socket.if_nametoindex, "lan0")
    number = struct.pack("@I", lan0)
    group6 = socket.inet_pton(socket.AF_INET6, "ff05::99")
    service.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group6 + number)
    with site.gateway.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        sender.bind((LAN6, 0))
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, lan0)
        sender.sendto(b"here", ("ff05::99", PORT))
        service.hears(LAN6)
    counters = gateway.counters()
    assert counters["ingress_spoofed"] == 0
    assert counters.get("spoofed", 0) == 0


def test_a_neighbour_sends_nothing_to_a_group_in_the_gateways_name(
    site: Site, gateway: GatewayHost, service: Service
) -> None:
    gateway.apply(spec())
    membership = socket.inet_aton("224.0.0.99") + socket.inet_aton(LAN)
    service.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    remove_ingress_guard(site.gateway, "lan0")  # the table alone
    for source in (LAN, "192.168.1.10"):
        site.client.inject("eth0", packets.udp(source, "224.0.0.99", PORT), to="01:00:5e:00:00:63")
    service.hears("192.168.1.10")
    assert gateway.counters()["spoofed"] == 1


# --------------------------------------------------------------------------- frames of other sorts


def tagged(site: Site, tags: list[int], packet: bytes) -> None:
    """A frame with VLAN tags, outermost first, from the client to lan0."""
    ethertype = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    headers = b"".join(struct.pack("!HH", 0x8100, tag) for tag in tags) + struct.pack("!H", ethertype)
    addresses = (bytes.fromhex(mac.replace(":", "")) for mac in (site.gateway.mac("lan0"), site.client.mac("eth0")))
    with site.client.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind(("eth0", 0))
        raw.send(b"".join(addresses) + headers + packet)


@pytest.mark.parametrize("tags", [[0], [0xE000], [0, 0], [0, 0, 0]], ids=str)
def test_a_priority_tag_hides_no_source(
    flushed: Site, gateway: GatewayHost, service: Service, tags: list[int]
) -> None:
    """The kernel takes a tag without a VLAN off, and the packet is the interface's own."""
    for source, target in ((A, LAN), (A6, LAN6)):
        tagged(flushed, tags, packets.udp(source, target, PORT))
    until(lambda: gateway.counters()["ingress_spoofed"] == 2, "both are counted")
    assert service.sources() == []
    tagged(flushed, tags[:2], packets.udp("192.168.1.10", LAN, PORT))
    service.hears("192.168.1.10")


def test_the_frames_of_a_vlan_are_another_interfaces(flushed: Site, gateway: GatewayHost, service: Service) -> None:
    tagged(flushed, [5], packets.udp(A, LAN, PORT))
    tagged(flushed, [0, 5], packets.udp(A, LAN, PORT))
    send(flushed, "lan0", "192.168.1.10")
    service.hears("192.168.1.10")
    assert gateway.counters()["ingress_spoofed"] == 0


def test_an_uplink_without_ethernet_header_is_guarded_likewise(
    site: Site, gateway: GatewayHost, service: Service
) -> None:
    with _tun(site.gateway, "tun0") as tun:
        site.gateway.ip(
            "addr add 203.0.113.66/32 dev tun0", "addr add 2001:db8:66::2/128 dev tun0 nodad", "link set tun0 up"
        )
        gateway.apply(TUNNEL)
        nothing_of_the_table(site.gateway)
        for source in ("203.0.113.66", "2001:db8:66::2", LAN, LAN6, "192.0.2.99"):
            target = "2001:db8:66::2" if ":" in source else "203.0.113.66"
            os.write(tun.file, packets.udp(source, target, PORT))
        service.hears("192.0.2.99")
        assert gateway.counters()["ingress_spoofed"] == 4


# --------------------------------------------------------------------------- beside others


def test_the_filters_of_others_are_asked_behind_it_and_stay(
    site: Site, gateway: GatewayHost, service: Service
) -> None:
    run = site.gateway.run
    run("tc", "qdisc", "add", "dev", "wan0", "clsact")
    for preference in ("1", "7"):
        filter_ = f"protocol ip pref {preference} u32 match u32 0xffffffff 0xffffffff at 12 flowid :1"  # no packet
        run("tc", "filter", "add", "dev", "wan0", "ingress", *filter_.split())
    before = gateway.foreign()
    gateway.apply(spec())
    if not tcx.available():
        assert "pref 2 bpf" in run("tc", "filter", "show", "dev", "wan0", "ingress").stdout, "the first that is free"
    nothing_of_the_table(site.gateway)
    site.gateway.call(_drop_all, "wan0", 9, INGRESS)
    for source in (A, "192.0.2.98"):
        send(site, "wan0", source, to=A)
    run("tc", "filter", "del", "dev", "wan0", "ingress", "pref", "9")
    send(site, "wan0", "192.0.2.99", to=A)
    service.hears("192.0.2.99")
    assert gateway.counters()["ingress_spoofed"] == 1
    gateway.down()
    assert gateway.foreign()["tc"] == before["tc"]
    assert gateway.owned() == []


def test_where_the_kernel_has_no_tcx_guards_share_a_qdisc_and_the_last_one_takes_it_away(
    site: Site, gateway: GatewayHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def qdiscs() -> set[str]:
        lines = site.gateway.run("tc", "qdisc", "show").stdout.splitlines()
        return {line.split()[line.split().index("dev") + 1] for line in lines if "clsact" in line} - {"nvi0"}

    before = gateway.foreign()
    monkeypatch.setattr(tcx, "available", lambda: False)
    operator = Operator(site)
    operator.apply(spec())
    assert qdiscs() == {"lan0", "wan0", "wan1"}
    operator.apply(spec(more="  guards: { antiSpoof: off }\n"))
    assert qdiscs() == {"lan0", "wan0", "wan1"}, "for the egress guards"
    site.gateway.run("tc", "filter", "del", "dev", "lan0", "egress")
    operator.apply(spec())
    assert qdiscs() == {"lan0", "wan0", "wan1"}
    operator.apply(None)
    assert gateway.foreign()["tc"] == before["tc"]


def test_where_anti_spoofing_is_off_there_is_no_program(site: Site, gateway: GatewayHost, service: Service) -> None:
    gateway.apply(spec(more="  guards: { antiSpoof: off }\n"))
    send(site, "lan0", LAN)
    service.hears(LAN)
    assert "ingress_spoofed" not in gateway.counters()
