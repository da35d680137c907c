"""The flow cache by itself: what it learns, how packets look that took the fast path, what it counts."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address

import pytest

from nvi_operator.kernel.bpf import flow_cache, syscall
from nvi_operator.state.flow import FlowTuple
from tests.dataplane.bench import CLIENT, CLIENT6, SERVER, SERVER6, STAGE
from tests.dataplane.cached import LAN_IFNAME, MECHANISMS, WAN_IFNAME, CachedBench, cached_bench
from tests.dataplane.netns import until
from tests.dataplane.talk import upload

pytestmark = pytest.mark.netns

FAMILIES = pytest.mark.parametrize("far", [SERVER, SERVER6], ids=["v4", "v6"])


@pytest.fixture(params=MECHANISMS)
def gateway(request: pytest.FixtureRequest) -> Iterator[CachedBench]:
    with cached_bench(request.param) as made:
        yield made


@pytest.fixture
def cached() -> Iterator[CachedBench]:
    with cached_bench() as made:
        yield made


def near(far: str) -> str:
    return CLIENT6 if ":" in far else CLIENT


def ip(far: str) -> str:
    return "ip6" if ":" in far else "ip"


# --------------------------------------------------------------------------- what is learned


@FAMILIES
def test_an_established_flow_skips_both_passes(gateway: CachedBench, far: str) -> None:
    gateway.gateway.count("passes", f"{ip(far)} saddr {{ {near(far)}, {far} }} meta l4proto udp")
    with gateway.talk(far) as flow:
        gateway.learned(flow)
        before = gateway.gateway.packets("passes")
        flow.go_on(5)
        assert gateway.gateway.packets("passes") == before
        assert flow.peer == (gateway.public(far), flow.source_port)


@FAMILIES
def test_entries_say_what_becomes_of_a_flow(cached: CachedBench, far: str) -> None:
    lan, wan = cached.ifindex(LAN_IFNAME), cached.ifindex(WAN_IFNAME)
    with cached.talk(far) as flow:
        cached.learned(flow)
        inside, server = (ip_address(near(far)), flow.source_port), (ip_address(far), flow.port)
        public = (ip_address(cached.public(far)), flow.source_port)
        found = {f.original: f for f in cached.cache.flows(6 if ":" in far else 4)}
        there, back = found[FlowTuple(*inside, *server)], found[FlowTuple(*server, *public)]
    assert len(found) == 2
    assert (there.iif, there.oif, there.translated, there.mark) == (lan, wan, FlowTuple(*public, *server), STAGE)
    assert (back.iif, back.oif, back.translated) == (wan, lan, FlowTuple(*server, *inside))


@FAMILIES
@pytest.mark.parametrize("offload", ["on", "off"])
def test_bulk_tcp_is_cached_and_whole(gateway: CachedBench, far: str, offload: str) -> None:
    gateway.offload(offload == "on")
    size = 20_000_000
    assert upload(gateway.client, gateway.server, far, size) == size
    carried = max(total.bytes for total in gateway.cache.totals().values())
    assert carried > size * 0.9


def test_only_an_answer_opens_the_cache(cached: CachedBench) -> None:
    """A flood in one direction inserts nothing, and takes no slot."""
    with cached.talk() as flow:
        for _ in range(100):
            assert flow.ask()
        assert cached.cache.flows() == []
        assert cached.cache.counters().keys() <= {"unknown", "other_protocol"}


def test_a_flood_of_connection_requests_inserts_nothing(cached: CachedBench) -> None:
    sockets = []
    for port in range(1000, 1100):
        sock = cached.client.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.connect_ex((SERVER, port))  # refused: each has an answer, a reset
        sockets.append(sock)
    for sock in sockets:
        sock.close()
    assert cached.cache.flows() == []
    assert cached.cache.counters().keys() <= {"tcp_control", "other_protocol"}


def test_short_flows_are_not_learned(cached: CachedBench) -> None:
    with cached.talk() as flow:
        flow.go_on(6)
    assert cached.cache.flows() == []


def test_a_flood_of_short_flows_evicts_none(cached: CachedBench) -> None:
    with cached.talk() as lasting:
        cached.learned(lasting)
        for _ in range(30):
            with cached.talk() as short:
                short.go_on(2)
        assert len(cached.cache.flows()) == 2


# --------------------------------------------------------------------------- how packets look


@FAMILIES
@pytest.mark.parametrize("hide_hop", [False, True], ids=["", "hide_hop"])
def test_the_fast_path_takes_as_many_hops(far: str, hide_hop: bool) -> None:
    with cached_bench(hide_hop=hide_hop) as cached, cached.talk(far) as flow:
        field = "ip6 hoplimit" if ":" in far else "ip ttl"
        other = f"udp dport {flow.port} {field} != {63 if hide_hop else 62}"
        cached.server.count("other", other)
        cached.learned(flow)
        flow.go_on(3)
        assert cached.server.packets("other")[0] == 0


@FAMILIES
def test_a_packet_whose_ttl_ends_here_does_not_leave(cached: CachedBench, far: str) -> None:
    level, option = (
        (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) if ":" in far else (socket.IPPROTO_IP, socket.IP_TTL)
    )
    with cached.talk(far) as flow:
        cached.learned(flow)
        for ttl in (1, 2):
            flow.client.setsockopt(level, option, ttl)
            assert not flow.ask()
        assert cached.cache.count("ttl_low") == 2
        flow.client.setsockopt(level, option, 3)
        assert flow.ask()


def test_a_udp_packet_without_checksum_stays_without(cached: CachedBench) -> None:
    no_check = 11  # SO_NO_CHECK, include/uapi/asm-generic/socket.h
    with cached.talk() as flow:
        flow.client.setsockopt(socket.SOL_SOCKET, no_check, 1)
        cached.server.count("summed", f"udp dport {flow.port} udp checksum != 0")
        cached.learned(flow)
        flow.go_on(3)
        assert cached.server.packets("summed")[0] == 0


def test_a_capture_sees_packets_of_the_fast_path(cached: CachedBench) -> None:
    with cached.talk() as flow:
        captures = []
        for ifname in (LAN_IFNAME, WAN_IFNAME):
            capture = cached.gateway.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
            capture.bind((ifname, 0x0003))
            captures.append(capture)

        def on_the_fast_path() -> bool:
            for capture in captures:
                while select.select([capture], [], [], 0)[0]:
                    capture.recv(2048)
            before = cached.cache.hits()
            flow.go_on()
            return cached.cache.hits() == before + 2

        until(on_the_fast_path, "both directions take the fast path, and nothing else is captured")
        for capture in captures:
            with capture:
                expected = {flow.port.to_bytes(2, "big"), flow.source_port.to_bytes(2, "big")}
                while expected:  # a timeout ends it
                    expected.discard(capture.recv(2048)[20:22])


# --------------------------------------------------------------------------- what it counts


def test_totals_and_entries_count_every_packet_of_the_fast_path(cached: CachedBench) -> None:
    lan, wan = cached.ifindex(LAN_IFNAME), cached.ifindex(WAN_IFNAME)
    with cached.talk() as flow:
        cached.learned(flow, size=100)
        before = cached.cache.totals()
        entries = {f.iif: f for f in cached.cache.flows()}
        flow.go_on(10, size=100)
        after = cached.cache.totals()
        for way in ((lan, wan), (wan, lan)):
            assert after[way].packets - before[way].packets == 10
            assert after[way].bytes - before[way].bytes == 10 * (20 + 8 + 100)
        for each in cached.cache.flows():
            assert each.packets - entries[each.iif].packets == 10
            assert each.bytes - entries[each.iif].bytes == 10 * (20 + 8 + 100)


def test_totals_survive_the_eviction_of_entries() -> None:
    with cached_bench(entries=8) as cached:
        for _ in range(40):
            with cached.talk() as flow:
                flow.go_on(12)
        asked = sum(cached.cache.counters()[reason] for reason in ("unknown", "learning", "suspended"))
        assert len(cached.cache.flows()) <= 8
        assert cached.cache.hits() + asked == 40 * 12 * 2


def test_both_directions_take_no_more_memory_than_promised() -> None:
    overhead = 48 + 16  # struct htab_elem (kernel/bpf/hashtab.c), and a bucket; they exist before the first flow does
    directions = 2 * (flow_cache.KEY_SIZE[4] + flow_cache.ENTRY_SIZE[4] + overhead)
    assert directions + 4 * flow_cache.doors(1 << 16) / (1 << 15) <= 304


# --------------------------------------------------------------------------- what is learned


def test_flows_that_share_a_door_are_all_learned() -> None:
    """One is left alone until it is cached, then the next has its turn."""
    with cached_bench(door_mask=0) as cached, ExitStack() as stack:
        flows = [stack.enter_context(cached.talk()) for _ in range(2)]
        for _ in range(40):  # two directions of each, one after another
            for flow in flows:
                flow.go_on()
        assert len(cached.cache.flows()) == 4


def test_flows_beyond_the_entries_do_not_drive_each_other_out() -> None:
    """Entries are made at a rate at which each of them stays for a while."""
    with cached_bench(cpu_learns=1) as cached, ExitStack() as stack:
        flows = [stack.enter_context(cached.talk()) for _ in range(8)]
        began = time.monotonic()
        for _ in range(30):
            for flow in flows:
                flow.go_on()
        seconds = time.monotonic() - began
        # Until it knows how many jiffies a second has, a CPU takes 100 for one: ten times as many at most.
        assert 0 < len(cached.cache.flows()) <= (1 + 10 * seconds) * syscall.possible_cpus()


def test_a_door_is_not_left_to_a_flow_that_is_silent() -> None:
    with cached_bench(door_mask=0) as cached, cached.talk() as flow:
        with cached.talk() as silent:
            silent.go_on(4)
            before = time.monotonic()
        until(lambda: flow.go_on() or len(cached.cache.flows()) == 2, "it has its turn", seconds=40)
        assert time.monotonic() - before > 0.5, "a pause between two packets is not the end of a flow"


def test_one_direction_stays_cached_while_the_other_is_not(cached: CachedBench) -> None:
    with cached.talk() as flow:
        cached.learned(flow)
        lan = cached.ifindex(LAN_IFNAME)
        cached.cache.forget(next(each for each in cached.cache.flows() if each.iif == lan))
        before, hits = cached.cache.counters(), cached.cache.hits()
        flow.go_on(4)
        after = cached.cache.counters()
        assert cached.cache.hits() - hits == 4, "the answers"
        assert after["unknown"] - before["unknown"] == 4, "the packets out"
        assert "reused" not in after
