"""What a cache could do wrong to packets and flows, and does not."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator

import pytest

from tests.dataplane.bench import CLIENT, SERVER, SERVER6, WAN
from tests.dataplane.cached import WAN_IFNAME, CachedBench, cached_bench
from tests.dataplane.flow_cache import hashes_leaving
from tests.dataplane.netns import SLOWNESS, until
from tests.dataplane.talk import upload

pytestmark = pytest.mark.netns

IP_MTU_DISCOVER, PMTUDISC_DO, PMTUDISC_PROBE = 10, 2, 3  # include/uapi/linux/in.h
UDP_SEGMENT = 103  # include/uapi/linux/udp.h


@pytest.fixture
def cached() -> Iterator[CachedBench]:
    with cached_bench() as made:
        yield made


# --------------------------------------------------------------------------- queues


@pytest.mark.parametrize("far", [SERVER, SERVER6], ids=["v4", "v6"])
def test_packets_of_both_paths_wait_in_the_same_queue(cached: CachedBench, far: str) -> None:
    """A flow of two hashes would have two, and the packets of one overtake those of the other."""
    with hashes_leaving(cached.gateway, WAN_IFNAME) as hashes, cached.talk(far) as flow:
        cached.learned(flow)
        assert len(hashes()) == 1


# --------------------------------------------------------------------------- packets that are not like the others


def test_fragments_take_the_slow_path(cached: CachedBench) -> None:
    with cached.talk() as flow:
        cached.learned(flow)
        hits = cached.cache.hits()
        assert flow.ask(size=4000)
        assert cached.cache.count("fragment") == 3
        assert cached.cache.hits() == hits


def test_packets_with_options_take_the_slow_path(cached: CachedBench) -> None:
    with cached.talk() as flow:
        cached.learned(flow)
        hits = cached.cache.hits()
        flow.client.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"\x01\x01\x01\x00")
        assert flow.ask()
        assert (cached.cache.count("options"), cached.cache.hits()) == (1, hits)


def test_a_segment_that_only_scans_send_meets_the_rules(cached: CachedBench) -> None:
    """Firewalls have rules for segments without flags; one without ACK is never part of an established flow."""
    listener = cached.server.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((SERVER, 0))
    listener.listen()
    client = cached.client.socket(socket.AF_INET, socket.SOCK_STREAM)
    client.connect(listener.getsockname())
    server, _ = listener.accept()

    def is_cached() -> bool:
        for sender, receiver in ((client, server), (server, client)):
            receiver.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)  # no ACK comes later
            sender.send(b"x")
            receiver.recv(1)
        return cached.cache.hits() > 0

    until(is_cached, "the flow is cached")
    hits, slow = cached.cache.hits(), cached.cache.count("tcp_control")
    with cached.client.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        ports = client.getsockname()[1], listener.getsockname()[1]
        raw.sendto(struct.pack("!HHIIBBHHH", *ports, 1, 1, 5 << 4, 0, 0, 0, 0), (SERVER, 0))
    until(lambda: cached.cache.count("tcp_control") == slow + 1, "it took the slow path")
    assert cached.cache.hits() == hits
    for each in (client, server, listener):
        each.close()


def test_a_padded_frame_is_cached(cached: CachedBench) -> None:
    """Ethernet pads frames of less than 60 bytes: a TCP acknowledgement, say."""
    with cached.talk() as flow:
        cached.learned(flow, size=8)
        hits = cached.cache.hits()
        mac = bytes.fromhex(cached.gateway.run("cat /sys/class/net/lan0/address").strip().replace(":", ""))
        with cached.client.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind(("eth0", 0x0800))
            payload = (1 << 40).to_bytes(8, "big")
            udp = struct.pack("!HHHH", flow.source_port, flow.port, 16, 0) + payload
            head = struct.pack(
                "!BBHHHBBH4s4s", 0x45, 0, 36, 0, 0, 64, 17, 0, *map(socket.inet_aton, (CLIENT, SERVER))
            )
            words = sum(struct.unpack("!10H", head))
            words = (words & 0xFFFF) + (words >> 16)
            head = head[:10] + struct.pack("!H", ~((words & 0xFFFF) + (words >> 16)) & 0xFFFF) + head[12:]
            raw.send((mac + bytes(6) + b"\x08\x00" + head + udp).ljust(60, b"\xff"))
        assert flow.server.recv(2048) == payload
        assert cached.cache.hits() == hits + 1


# --------------------------------------------------------------------------- MTU


@pytest.mark.parametrize("how", ["the device's", "a route's", "a locked route's"])
def test_too_large_a_packet_is_refused_as_ever(cached: CachedBench, how: str) -> None:
    if how == "the device's":
        cached.gateway.ip("link set wan0 mtu 1300")
    else:
        lock = "mtu lock 1300" if "locked" in how else "mtu 1300"
        cached.gateway.ip(f"route change 203.0.113.0/24 dev wan0 {lock}")
    with cached.talk() as flow:
        flow.client.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO)
        cached.learned(flow)
        assert not flow.ask(size=1400)
        with pytest.raises(OSError) as refused:
            until(lambda: flow.ask(size=1400), "the gateway's ICMP error")
        assert refused.value.errno == errno.EMSGSIZE
        flow.client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # the same error, once more
        cached.learned(flow, size=1200)


def test_segments_that_fit_pass_whole_and_others_do_not(cached: CachedBench) -> None:
    """TCP finds the MTU of a locked route by the gateway's ICMP errors, though its packets are of 64 kB."""
    cached.gateway.ip("route change 203.0.113.0/24 dev wan0 mtu lock 1300")
    assert upload(cached.client, cached.server, SERVER, 5_000_000) == 5_000_000
    assert cached.cache.hits() > 10


# --------------------------------------------------------------------------- the life of a flow


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_the_end_of_a_connection_ends_its_entries(reset: bool) -> None:
    with cached_bench(conntrack=True) as cached:
        listener = cached.server.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind((SERVER, 0))
        listener.listen()
        client = cached.client.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.connect(listener.getsockname())
        server, _ = listener.accept()
        server.settimeout(2)

        def is_cached() -> bool:
            client.send(b"x")
            server.recv(1)
            server.send(b"y")
            client.recv(1)
            return len(cached.cache.flows()) == 2

        until(is_cached, "both directions are cached")
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        until(lambda: not cached.cache.flows(), "no entry is left")
        server.close()
        listener.close()
        assert "INVALID" not in cached.gateway.run("conntrack -S")


def test_none_overtakes_a_packet_on_the_slow_path() -> None:
    """Packets that come at once: when an entry has ended, those behind the one that renews it wait their turn."""
    with cached_bench(interval_ms=100) as cached, cached.talk() as flow:
        # Segments are made before the interface, which gets them in one go. Before 6.11 the kernel refuses to cut UDP
        # where the interface makes no checksums (net/ipv4/udp.c, udp_send_skb()).
        cached.offload(False, checksums=True)
        until(lambda: flow.go_on() or cached.cache.hits(), "both directions are cached")
        flow.client.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 64)
        number = 0

        def in_order() -> bool:
            nonlocal number
            burst = [(number + each).to_bytes(8, "big").ljust(64, b"z") for each in range(16)]
            flow.client.send(b"".join(burst))
            assert [flow.server.recv(2048) for _ in burst] == burst
            number += len(burst)
            return cached.cache.count("expired") > 20 and cached.cache.hits() > 100

        until(in_order, "20 renewals between packets of the fast path", seconds=20)


def test_a_renewed_flow_keeps_its_conntrack_entry_and_port() -> None:
    """Packets of the fast path extend no timeout: those that renew do."""
    with cached_bench(interval_ms=300) as cached, cached.talk() as flow:
        timeouts = ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream")
        cached.gateway.sysctls({f"net/netfilter/{name}": SLOWNESS for name in timeouts})
        cached.learned(flow)
        peer = flow.peer
        renewed = cached.cache.count("renewed")

        def often() -> bool:
            flow.go_on()
            assert flow.peer == peer
            return cached.cache.count("renewed") >= renewed + 16

        until(often, "16 renewals", seconds=20)
        assert f"dport={flow.port}" in cached.gateway.run("conntrack -L -p udp")


def test_without_a_free_slot_flows_go_on_slowly(cached: CachedBench) -> None:
    with cached.talk() as flow:
        flow.go_on(4)
        cached.cache.exhaust_slots()
        flow.go_on(10)
        assert cached.cache.count("no_slot") > 0
        assert cached.cache.hits() == 0
        cached.cache.free_slots()
        cached.learned(flow)


# --------------------------------------------------------------------------- conntrack


def test_an_address_and_port_that_another_host_has_now_is_not_answered_to_the_first(cached: CachedBench) -> None:
    other = "10.1.0.3"
    cached.client.ip(f"address add {other}/24 dev eth0")
    with cached.talk(source_port=5000) as first:
        cached.learned(first)
        cached.gateway.run("conntrack -F")
        with cached.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as second:
            second.bind((other, 5000))
            second.sendto(b"second", (SERVER, first.port))
            data, peer = first.server.recvfrom(2048)
            assert (data, peer) == (b"second", (WAN, 5000))
            first.server.sendto(b"to the second", peer)
            assert second.recv(2048) == b"to the second"
        assert cached.cache.count("reused") > 0
        # And the first has a port of its own, once conntrack has seen it again.
        assert first.ask()
        assert first.peer[1] != 5000


def test_udp_is_learned_when_conntrack_calls_it_assured() -> None:
    with cached_bench(conntrack=True) as cached, cached.talk() as flow:
        flow.go_on(30)
        assert cached.cache.flows() == []
        assert cached.cache.count("unassured") > 0
        until(lambda: flow.go_on() or len(cached.cache.flows()) == 2, "it is assured")


def test_a_flow_with_a_helper_is_never_cached() -> None:
    """A helper reads each packet, and changes sequence numbers (FTP)."""
    with cached_bench(conntrack=True) as cached:
        cached.gateway.nft(
            """table ip helpers {
                ct helper ftp { type "ftp" protocol tcp; }
                chain assign { type filter hook prerouting priority 0; tcp dport 1-65535 ct helper set "ftp"; }
            }"""
        )
        assert upload(cached.client, cached.server, SERVER, 2_000_000) == 2_000_000
        assert cached.cache.flows() == []
        assert cached.cache.count("helper") > 0
