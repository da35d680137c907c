"""Packets in nvi.ko, beyond what both dataplanes share: why it drops them, taps, foreign rules."""

from __future__ import annotations

import json
import socket
import struct
from pathlib import Path

import pytest

from tests.dataplane.bench import CLIENT, DEVICE, SERVER, STAGE, WAN, Bench, options
from tests.dataplane.netns import until

pytestmark = pytest.mark.netns


def test_statistics_add_up(translating: Bench) -> None:
    assert translating.client.pings(SERVER)
    for index in range(1, 4):
        translating.inject(DEVICE, 0x0800, bytes(60), index)
    assert translating.nonzero() == {"reinjected": 2, "no_stage_bit": 3}
    (link,) = json.loads(translating.gateway.run(f"ip -s -j link show {DEVICE}"))
    assert link["stats64"]["tx"]["packets"] == 2
    assert link["stats64"]["tx"]["bytes"] == 2 * 84
    assert link["stats64"]["tx"]["dropped"] == 3


def test_nothing_is_handed_back_on_an_interface_that_is_down(translating: Bench) -> None:
    mark = STAGE | translating.port("lan0").ifindex
    translating.gateway.run("ip link set lan0 down")
    translating.inject(DEVICE, 0x0800, b"\x45" + bytes(59), mark)
    assert translating.nonzero() == {"device_down": 1}


@pytest.mark.parametrize(("ethertype", "first"), [(0x0800, 0x60), (0x86DD, 0x45), (0x0800, 0x00)])
def test_a_header_of_another_version_is_refused(translating: Bench, ethertype: int, first: int) -> None:
    mark = STAGE | translating.port("lan0").ifindex
    translating.inject(DEVICE, ethertype, bytes([first]) + bytes(59), mark)
    assert translating.nonzero() == {"other": 1}


def test_a_number_of_another_namespace_is_no_device(translating: Bench) -> None:
    translating.client.run("ip link add far index 777 type bridge")
    translating.client.run("ip link set far up")
    translating.inject(DEVICE, 0x0800, b"\x45" + bytes(59), STAGE | 777)
    assert translating.nonzero() == {"no_device": 1}


def test_a_bridge_port_is_not_an_in_interface(translating: Bench) -> None:
    """The bridge would consume the packet and drop it. Packets name a port where a flowtable is attached to it."""
    translating.gateway.run("ip link add br0 type bridge")
    translating.gateway.run("ip link set lan0 master br0")
    translating.inject(DEVICE, 0x0800, b"\x45" + bytes(59), STAGE | translating.port("lan0").ifindex)
    assert translating.nonzero() == {"no_device": 1}


def test_the_transmit_queue_does_not_become_the_receive_queue(translating: Bench) -> None:
    """Otherwise get_rps_cpu() warns where the in-interface uses RPS and has fewer queues."""
    gateway = translating.gateway
    gateway.run("ip link add nvi8 numtxqueues 8 type nvi")
    gateway.run("ip link set nvi8 up")
    gateway.run("ip link add rps0 numrxqueues 2 type veth peer name rps1")
    gateway.run("ip link set rps0 up")
    gateway.run("tee /sys/class/net/rps0/queues/rx-0/rps_cpus", text="3")
    for port in range(64):
        udp = struct.pack("!HHHH", port, 53, 8, 0)
        packet = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, 0, 0, 64, 17, 0, bytes(4), bytes(4)) + udp
        translating.inject("nvi8", 0x0800, packet, STAGE | translating.port("rps0").ifindex)
    assert "reinjected: 64" in gateway.run("ethtool -S nvi8")
    assert "received packet on queue" not in gateway.run("dmesg")


def test_a_full_backlog_is_counted(translating: Bench) -> None:
    """A burst of 40 datagrams; net.core.netdev_max_backlog of them may wait on a CPU."""
    translating.client.run("ethtool -K eth0 tso off tx-udp-segmentation off")
    translating.gateway.run("ethtool -K lan0 gro on")  # with both, lan0 has a queue of its own
    limit = Path("/proc/sys/net/core/netdev_max_backlog")
    before = limit.read_text(encoding="ascii")
    limit.write_text("10", encoding="ascii")
    try:
        with translating.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_UDP, 103, 100)  # UDP_SEGMENT, include/uapi/linux/udp.h
            sock.sendto(bytes(4000), (SERVER, 7))
        until(lambda: sum(translating.counters().values()) >= 40, "the burst")
    finally:
        limit.write_text(before, encoding="ascii")
    counters = translating.nonzero()
    assert counters["backlog"] > 10
    assert counters["reinjected"] >= 10


def test_a_tap_sees_a_frame_of_the_in_interface_in_each_pass(translating: Bench) -> None:
    """The source MAC of the second pass is zero, which tells the passes apart."""
    mac = bytes.fromhex(translating.gateway.run("cat /sys/class/net/lan0/address").strip().replace(":", ""))
    with translating.gateway.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as tap:
        tap.bind(("lan0", 3))
        assert translating.client.pings(SERVER)
        requests = []

        def two() -> bool:
            frame, where = tap.recvfrom(2048)
            if where[2] == socket.PACKET_HOST and frame[12:14] == b"\x08\x00" and frame[23] == 1:
                requests.append((frame[:6], frame[6:12], socket.inet_ntoa(frame[26:30])))
            return len(requests) == 2

        until(two, "both passes of an echo request")
    (to_1, from_1, source_1), (to_2, from_2, source_2) = requests
    assert (to_1, source_1) == (mac, CLIENT)
    assert (to_2, source_2) == (mac, WAN)
    assert from_1 != bytes(6)
    assert from_2 == bytes(6)


@pytest.mark.parametrize("hide_hop", [False, True], ids=["", "hide_hop"])
def test_a_zone_set_on_the_second_pass_makes_no_loop(translating: Bench, hide_hop: bool) -> None:
    """It makes an untracked packet trackable again; a rule that clears marks then steers it to the device again."""
    translating.load(options(hide_hop=hide_hop))
    translating.gateway.count("passes", f"ip daddr {SERVER}", priority=-470)
    wipe = "chain c { type filter hook prerouting priority -440; ct zone set 7; meta mark set 0; }"
    translating.gateway.nft(f"table inet vandal {{ {wipe}; }}")
    assert not translating.client.pings(SERVER, seconds=0.3)
    assert translating.gateway.packets("passes")[0] == 2
    assert translating.nonzero() == {"reinjected": 1, "loop": 1}


def test_an_ipv6_datagram_in_fragments_arrives(translating: Bench) -> None:
    """Conntrack reassembles it for the first pass. It must be fragmented once on the way out, not twice."""
    assert translating.client.pings("2001:db8:1::10", "-s3000")
    assert translating.client.pings(SERVER, "-s3000")


def test_only_the_configured_stage_bit_counts(kmod: Bench) -> None:
    """The attribute selects the stage bit; the default bit then means nothing."""
    kmod.load(options())
    kmod.set_attributes(stage_mask=1 << 30)
    kmod.inject(DEVICE, 0x0800, b"\x45" + bytes(59), STAGE)
    kmod.inject(DEVICE, 0x0800, b"\x45" + bytes(59), 1 << 30 | kmod.port("lan0").ifindex)
    assert kmod.nonzero() == {"no_stage_bit": 1, "reinjected": 1}


def test_an_established_flow_takes_the_flowtable(kmod: Bench) -> None:
    """A flowtable skips POSTROUTING: there is no stage bit, and only skb_iif records the in-interface.

    It handles the direction whose packet created its entry, here the answers: in the other direction it expects
    packets to come in by the device that the first packet left by (net/netfilter/nft_flow_offload.c), nvi0.
    """
    kmod.table("skb_iif", "lan0", "wan0")
    kmod.load(options("skb_iif"))
    kmod.set_attributes(in_interface=1, require_stage=0)
    kmod.gateway.nft(
        f"""
        table inet fast {{
            flowtable f {{ hook ingress priority 0; devices = {{ lan0, wan0, {DEVICE} }}; }}
            chain c {{ type filter hook forward priority 0;
                meta mark & {STAGE:#x} == 0 ct state established flow add @f; }}
        }}"""
    )
    stage_1 = f"meta mark & {STAGE:#x} == 0"
    kmod.gateway.count("asked", f"ip daddr {SERVER} {stage_1}", hook="forward", priority=10)
    kmod.gateway.count("answered", f"ip saddr {SERVER} {stage_1}", hook="forward", priority=10)
    kmod.server.count("translated", f"ip saddr {WAN} meta l4proto udp")
    with (
        kmod.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        kmod.server.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
    ):
        server.bind((SERVER, 7))
        for number in range(20):
            client.sendto(struct.pack("!I", number), (SERVER, 7))
            data, peer = server.recvfrom(64)
            assert peer[0] == WAN
            server.sendto(data, peer)
            assert client.recv(64) == struct.pack("!I", number)
    assert kmod.server.packets("translated")[0] == 20
    assert min(kmod.gateway.packets(way)[0] for way in ("asked", "answered")) < 5
    assert kmod.nonzero() == {"reinjected": 40}
