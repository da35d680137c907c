"""What changes around cached flows: rules, neighbours, interfaces, other gateways, other versions."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from nvi_operator.kernel.bpf.attach import Mechanism
from tests.dataplane.bench import DEVICE, SERVER, SERVER6, options
from tests.dataplane.cached import LAN_IFNAME, MECHANISMS, WAN_IFNAME, CachedBench, Conversation, cached_bench
from tests.dataplane.flow_cache import leave_tag, refuse_tags
from tests.dataplane.netns import until

pytestmark = pytest.mark.netns


@pytest.fixture
def cached() -> Iterator[CachedBench]:
    with cached_bench() as made:
        yield made


DROP = "udp dport 1-65535 drop"


def foreign(cached: CachedBench, rule: str, hook: str = "filter hook forward priority 0") -> None:
    """A rule of another program."""
    cached.gateway.nft(f"table ip foreign {{ chain c {{ type {hook}; {rule}\n}}; }}")


def forget(cached: CachedBench) -> None:
    cached.gateway.nft("delete table ip foreign")


def dscp(value: int, flow: Conversation) -> None:
    flow.client.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, value << 2)


# --------------------------------------------------------------------------- foreign rules


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_new_drop_rule_is_obeyed_within_the_interval(mechanism: Mechanism) -> None:
    """Also when no operator is there to say so: nothing that comes out renews the entry."""
    with cached_bench(mechanism, interval_ms=300) as cached, cached.talk() as flow:
        until(lambda: flow.go_on() or cached.cache.hits(), "it is cached")
        foreign(cached, DROP)
        until(lambda: not flow.ask(), "the rule drops it", seconds=3)
        hits = cached.cache.hits()
        assert not flow.ask()
        assert cached.cache.hits() == hits
        forget(cached)
        until(flow.ask, "it goes on")


def test_a_new_drop_rule_is_obeyed_at_once_when_user_space_says_so(cached: CachedBench) -> None:
    with cached.talk() as flow:
        cached.learned(flow)
        foreign(cached, DROP)
        assert flow.ask(), "the cache does not know yet"
        cached.cache.invalidate()
        assert not flow.ask()
        forget(cached)
        assert flow.ask()
        cached.learned(flow)


def test_a_generation_costs_a_flow_one_slow_packet_in_each_direction(cached: CachedBench) -> None:
    with cached.talk() as flow:
        cached.learned(flow)
        before = cached.cache.hits()
        cached.cache.invalidate()
        flow.go_on(10)
        assert cached.cache.hits() == before + 20 - 2
        assert cached.cache.count("invalidated") == 2


@pytest.mark.parametrize(("ifname", "concerned"), [(LAN_IFNAME, True), (WAN_IFNAME, True), (DEVICE, False)])
def test_a_generation_of_an_interface_asks_its_flows_only(cached: CachedBench, ifname: str, concerned: bool) -> None:
    with cached.talk() as flow:
        cached.learned(flow)
        cached.cache.invalidate(cached.ifindex(ifname))
        flow.go_on()
        assert cached.cache.count("invalidated") == (2 if concerned else 0)


def test_a_flow_whose_dscp_a_rule_rewrites_is_never_cached(cached: CachedBench) -> None:
    foreign(cached, "ip dscp set af11")
    with cached.talk() as flow:
        cached.server.count("marked", f"udp dport {flow.port} ip dscp af11")
        flow.go_on(20)
        assert cached.server.packets("marked")[0] == 20
        assert cached.cache.flows() == []
        assert cached.cache.count("modified") > 0


def test_a_packet_with_another_dscp_meets_the_rules(cached: CachedBench) -> None:
    """A rule may look at the DSCP of each packet."""
    foreign(cached, "ip dscp ef drop")
    with cached.talk() as flow:
        cached.learned(flow)
        dscp(46, flow)
        assert not flow.ask()
        dscp(0, flow)
        assert flow.ask()
        cached.learned(flow)


def test_a_rewritten_payload_is_not_learned(cached: CachedBench) -> None:
    """The first eight bytes of a datagram belong to its fingerprint."""
    foreign(cached, f"ip daddr {SERVER} udp dport 1-65535 @th,64,32 set 0x7a7a7a7a")
    with cached.talk() as flow:
        for _ in range(20):
            flow.client.send(bytes(64))
            data, flow.peer = flow.server.recvfrom(2048)
            assert data[:4] == b"zzzz"
            assert flow.answer()
        assert [each for each in cached.cache.flows() if each.iif == cached.ifindex(LAN_IFNAME)] == []


# --------------------------------------------------------------------------- neighbours and interfaces


@pytest.mark.parametrize("far", [SERVER, SERVER6], ids=["v4", "v6"])
def test_a_neighbour_with_another_mac_is_followed(cached: CachedBench, far: str) -> None:
    with cached.talk(far) as flow:
        cached.learned(flow)
        mac = "02:00:00:00:00:99"
        cached.server.ip(f"link set eth0 address {mac}")
        cached.gateway.ip(f"neigh replace {far} lladdr {mac} dev wan0 nud permanent")
        assert not flow.ask(), "the cache does not know yet"
        cached.cache.invalidate(cached.ifindex(WAN_IFNAME))
        flow.go_on(3)
        cached.learned(flow)


def test_a_neighbour_with_another_mac_is_followed_within_the_interval() -> None:
    with cached_bench(interval_ms=300) as cached, cached.talk() as flow:
        until(lambda: flow.go_on() or cached.cache.hits(), "it is cached")
        mac = "02:00:00:00:00:99"
        cached.server.ip(f"link set eth0 address {mac}")
        cached.gateway.ip(f"neigh replace {SERVER} lladdr {mac} dev wan0 nud permanent")
        until(flow.ask, "its packets arrive")


def test_an_interface_that_is_down_sends_nothing_and_then_goes_on(cached: CachedBench) -> None:
    with cached.talk() as flow:
        cached.learned(flow)
        cached.gateway.ip("link set wan0 down")
        assert not flow.ask()
        cached.gateway.ip("link set wan0 up")
        flow.go_on(3)


# --------------------------------------------------------------------------- other gateways, other versions


@pytest.mark.parametrize("left", [0x8000, 0x4001, 0xC001, 0xFFFF], ids=hex)
@pytest.mark.parametrize("clean", [False, True], ids=["cached", "clean"])
def test_what_another_gateway_left_in_tc_index_does_no_harm(left: int, clean: bool) -> None:
    """A veth keeps it."""
    with cached_bench() as cached, cached.talk() as flow:
        if clean:
            cached.cache.detach(LAN_IFNAME, WAN_IFNAME)
            cached.cache.attach(LAN_IFNAME, WAN_IFNAME, clean=True)
        leave_tag(cached.client, "eth0", left)
        flow.go_on(20)
        assert bool(cached.cache.hits()) != clean


@pytest.mark.parametrize("clean", [False, True], ids=["cached", "clean"])
def test_nothing_is_left_in_tc_index_for_the_next_gateway(clean: bool) -> None:
    with cached_bench() as cached, cached.talk() as flow:
        if clean:
            cached.cache.detach(LAN_IFNAME, WAN_IFNAME)
            cached.cache.attach(LAN_IFNAME, WAN_IFNAME, clean=True)
        for host in (cached.client, cached.server):
            refuse_tags(host, "eth0")
        flow.go_on(20)


def test_a_device_of_another_version_costs_only_speed(cached: CachedBench) -> None:
    """Its program overwrites tc_index: packets come out without the number of their slot."""
    cached.lab.load(replace(options(), flow_cache=False))
    with cached.talk() as flow:
        flow.go_on(30)
        assert cached.cache.flows() == []
        assert cached.cache.hits() == 0
    cached.lab.load(replace(options(), flow_cache=True))
    cached.cache.free_slots()
    with cached.talk() as flow:
        cached.learned(flow)


def test_the_loop_guard_holds_with_the_cache(cached: CachedBench) -> None:
    foreign(cached, "meta mark set 5", "filter hook prerouting priority -140")
    with cached.talk() as flow:
        assert not flow.ask()
    assert cached.lab.nonzero() == {"reinjected": 1, "loop": 1}
