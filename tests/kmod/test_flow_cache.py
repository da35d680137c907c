"""The flow cache of nvi.ko: what takes the fast path, and what makes it forget."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple, NFCTSocket

from tests.dataplane.bench import CLIENT, SERVER, SERVER6, WAN, WAN6, Bench
from tests.dataplane.netns import until
from tests.dataplane.talk import upload
from tests.kmod.flows import Talk, cached, flow_cache, talk, took

pytestmark = pytest.mark.netns

PAIRS = [(SERVER, WAN), (SERVER6, WAN6)]


@contextmanager
def nft(lab: Bench, chain: str, family: str = "inet") -> Iterator[None]:
    """A foreign chain, for the duration of the `with`."""
    lab.gateway.nft(f"table {family} foreign {{ chain c {{ {chain};\n}}\n}}")
    try:
        yield
    finally:
        lab.gateway.run(f"nft delete table {family} foreign")


@pytest.mark.parametrize(("address", "seen"), PAIRS)
def test_both_directions_of_a_flow_take_the_fast_path(caching: Bench, address: str, seen: str) -> None:
    with talk(caching, address) as flow:
        assert flow.ask()[0] == seen
        cached(caching, flow)
        before = caching.counters()
        for size in (0, 1, 2, 17, 1400):
            assert flow.ask(bytes(range(1, 18)) * (size // 17) + bytes(size % 17))[0] == seen
        assert took(caching, before) == {"cached": 10}


@pytest.mark.parametrize("offload", ["on", "off"])
@pytest.mark.parametrize("address", [SERVER, SERVER6])
def test_a_stream_takes_the_fast_path_and_ends_in_time_wait(caching: Bench, address: str, offload: str) -> None:
    """Conntrack sees its beginning, some samples and its end, with sequence numbers far from what it knows."""
    caching.client.run(f"ethtool -K eth0 tx {offload} tso {offload}")
    try:
        assert upload(caching.client, caching.server, address, 4_000_000) == 4_000_000
    finally:
        caching.client.run("ethtool -K eth0 tx on tso on")
    assert caching.counters()["flow_hit"] > 50, caching.nonzero()
    until(lambda: "TIME_WAIT" in caching.gateway.run(f"conntrack -L -p tcp -d {address}"), "the end of the stream")


def test_a_flow_with_a_translated_destination_and_port_takes_the_fast_path(caching: Bench) -> None:
    with nft(caching, f"type nat hook prerouting priority -110; ip daddr 192.0.2.9 udp dport 53 dnat to {SERVER}:7"):
        flow = Talk(caching, SERVER, port=7, as_address="192.0.2.9", as_port=53)
        try:
            cached(caching, flow)
        finally:
            flow.close()


def test_entries_and_traffic_are_told(caching: Bench) -> None:
    with talk(caching) as flow:
        cached(caching, flow)
        for _ in range(10):
            flow.ask(bytes(72))
        with flow_cache(caching) as cache:
            entries = {entry.iif: entry for entry in cache.flows()}
            traffic = cache.traffic()
        lan, wan = (caching.port(name).ifindex for name in ("lan0", "wan0"))
        out, back = entries[lan], entries[wan]
        assert (str(out.original.source), str(out.translated.source)) == (CLIENT, WAN)
        assert (str(back.original.destination), str(back.translated.destination)) == (WAN, CLIENT)
        assert (out.oif, back.oif, out.protocol, out.suspended) == (wan, lan, "udp", False)
        assert out.packets == traffic[lan, wan].packets >= 10
        assert out.bytes == traffic[lan, wan].bytes >= 1000
        caching.gateway.run("conntrack -F")
        until(lambda: not list(flows_of(caching)), "entries whose connection has ended are removed", seconds=10)
        with flow_cache(caching) as cache:
            assert cache.traffic() == traffic, "totals do not depend on entries"


def flows_of(lab: Bench) -> list[object]:
    with flow_cache(lab) as cache:
        return list(cache.flows())


def test_conntracks_own_counters_count_the_fast_path(caching: Bench) -> None:
    caching.gateway.sysctls({"net/netfilter/nf_conntrack_acct": 1})
    try:
        with talk(caching) as flow:
            cached(caching, flow)
            caching.gateway.run("conntrack -L -z")
            for _ in range(20):
                flow.ask()
            listed = caching.gateway.run(f"conntrack -L -p udp -d {SERVER}")
            assert listed.count("packets=20 ") == 2, listed
    finally:
        caching.gateway.sysctls({"net/netfilter/nf_conntrack_acct": 0})


# ---------------------------------------------------------------------------- packets that stay on the slow path


@pytest.mark.parametrize(
    ("level", "option", "value", "reason"),
    [
        (socket.IPPROTO_IP, socket.IP_TOS, struct.pack("i", 0x28), "dscp_differs"),
        (socket.IPPROTO_IP, socket.IP_OPTIONS, b"\x01\x01\x01\x00", "options"),
    ],
    ids=["dscp", "options"],
)
def test_a_packet_unlike_those_of_the_entry_takes_the_slow_path(
    caching: Bench, level: int, option: int, value: bytes, reason: str
) -> None:
    with talk(caching) as flow:
        cached(caching, flow)
        flow.client.setsockopt(level, option, value)
        before = caching.counters()
        flow.ask()
        assert took(caching, before) == {f"flow_{reason}": 1, "cached": 1}


@pytest.mark.parametrize(("address", "seen"), PAIRS)
def test_fragments_take_the_slow_path(caching: Bench, address: str, seen: str) -> None:
    with talk(caching, address) as flow:
        cached(caching, flow)
        before = caching.counters()
        assert flow.ask(bytes(3000))[0] == seen
        assert took(caching, before)["flow_fragment"] >= 4


def test_a_packet_whose_ttl_ends_here_is_answered_by_the_gateway(caching: Bench) -> None:
    with talk(caching) as flow:
        cached(caching, flow)
        flow.client.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR: tell of time exceeded as well
        for ttl, arrives in ((3, True), (2, False), (1, False)):
            flow.client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            if arrives:
                flow.ask()
            else:
                flow.client.send(b"too far")
                with pytest.raises(OSError, match="No route to host"):
                    flow.client.recv(10)
        assert caching.counters()["flow_ttl_low"] == 2


@pytest.mark.parametrize("lock", ["", "mtu lock 900"], ids=["device", "route"])
def test_a_packet_larger_than_the_mtu_is_answered_by_the_gateway(caching: Bench, lock: str) -> None:
    discover = 10, 2  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
    try:
        with talk(caching) as flow:
            cached(caching, flow)
            flow.client.setsockopt(socket.IPPROTO_IP, *discover)
            if lock:
                caching.gateway.run(f"ip route add {SERVER} dev wan0 {lock}")
            else:
                caching.gateway.run("ip link set wan0 mtu 900")
            cached(caching, flow)
            flow.client.send(bytes(1000))
            with pytest.raises(OSError, match="Message too long"):
                flow.client.recv(10)
            assert caching.counters()["flow_too_big"] == 1
    finally:
        caching.gateway.run("ip link set wan0 mtu 1500")
        caching.gateway.run(f"ip route del {SERVER} dev wan0", check=False)
        caching.client.run("ip route flush cache")


def test_a_flow_with_a_helper_is_never_cached(caching: Bench) -> None:
    caching.gateway.nft(
        """table inet foreign {
            ct helper h { type "ftp" protocol tcp; l3proto inet; }
            chain c { type filter hook prerouting priority 0; ct state new meta l4proto tcp ct helper set "h"; }
        }"""
    )
    try:
        assert upload(caching.client, caching.server, SERVER, 300_000) == 300_000
    finally:
        caching.gateway.run("nft delete table inet foreign")
    counters = caching.nonzero()
    assert counters["flow_helper"] > 0
    assert "flow_hit" not in counters


def test_nothing_is_cached_while_there_are_ipsec_policies(caching: Bench) -> None:
    with talk(caching) as flow:
        cached(caching, flow)
        caching.gateway.run("ip xfrm policy add src 192.0.2.1/32 dst 192.0.2.2/32 dir out action block")
        try:
            before = caching.counters()
            flow.ask()
            assert took(caching, before) == {"flow_xfrm": 2}
        finally:
            caching.gateway.run("ip xfrm policy flush")
        cached(caching, flow)


@pytest.mark.parametrize("hook", ["ingress", "egress"])
def test_foreign_hooks_of_interfaces_see_every_packet(caching: Bench, hook: str) -> None:
    device = {"ingress": "lan0", "egress": "wan0"}[hook]
    chain = f"type filter hook {hook} device {device} priority 500; udp dport 7 counter name seen"
    with talk(caching, port=7) as flow:
        cached(caching, flow)
        caching.gateway.nft(f"table netdev foreign {{ counter seen {{ }}; chain c {{ {chain}; }}; }}")
        try:
            for _ in range(5):
                flow.ask()
            listed = caching.gateway.run("nft list counter netdev foreign seen")
            # Twice, if it happens to take the slow path, which hands it back.
            assert int(listed.partition("packets ")[2].split()[0]) >= 5
        finally:
            caching.gateway.run("nft delete table netdev foreign")


# ---------------------------------------------------------------------------- what makes it forget


def silent(flow: Talk) -> bool:
    """Is a datagram of the flow lost?"""
    flow.client.send(b"lost")
    flow.server.settimeout(0.2)
    try:
        flow.server.recvfrom(16)
    except TimeoutError:
        return True
    finally:
        flow.server.settimeout(2)
    return False


def test_a_foreign_drop_rule_acts_within_the_interval_and_at_once_when_it_is_told(caching: Bench) -> None:
    drop = "type filter hook forward priority 0; udp dport 7 drop"
    with talk(caching, port=7) as flow:
        cached(caching, flow)
        with nft(caching, drop):
            until(lambda: silent(flow), "the rule acts", seconds=3)
            assert silent(flow), "and goes on to"
        cached(caching, flow)
        with nft(caching, drop), flow_cache(caching) as cache:
            cache.invalidate()
            assert silent(flow)
        cached(caching, flow)
        with nft(caching, drop), flow_cache(caching) as cache:
            cache.invalidate(caching.port("wan0").ifindex)
            assert silent(flow)


def test_routes_and_neighbours_act_at_once(caching: Bench) -> None:
    with talk(caching) as flow:
        cached(caching, flow)
        before = caching.counters()
        caching.gateway.run(f"ip route add blackhole {SERVER}")
        assert silent(flow)
        caching.gateway.run(f"ip route del blackhole {SERVER}")
        cached(caching, flow)
        before = caching.counters()
        caching.gateway.run(f"ip neigh replace {SERVER} lladdr 02:00:00:00:00:99 dev wan0")
        assert silent(flow)
        caching.gateway.run(f"ip neigh del {SERVER} dev wan0")
        flow.ask()
        assert took(caching, before) == {"cached": 3}, "it is the neighbour that changed"


def test_a_connection_that_is_deleted_is_translated_again(caching: Bench) -> None:
    with talk(caching) as flow:
        cached(caching, flow)
        before = caching.counters()
        caching.gateway.run("conntrack -D -p udp")
        flow.ask()
        assert "cached" not in took(caching, before)
        assert caching.gateway.run(f"conntrack -L -p udp -d {SERVER}").count("src=") == 2


def _mark(client: tuple[str, int], server: tuple[str, int], mark: int) -> None:
    tuple_ = NFCTAttrTuple(
        saddr=client[0], daddr=server[0], proto=socket.IPPROTO_UDP, sport=client[1], dport=server[1]
    )
    with NFCTSocket() as conntrack:
        conntrack.entry("set", mark=mark, mark_mask=0xFFFFFFFF, tuple_orig=tuple_)


def test_another_mark_of_the_connection_is_seen(caching: Bench) -> None:
    """Rules may depend on it."""
    with talk(caching) as flow:
        cached(caching, flow)
        client, server = (sock.getsockname() for sock in (flow.client, flow.server))
        marks = iter(range(1, 100))

        def seen() -> bool:
            cached(caching, flow)
            caching.gateway.call(_mark, client, server, next(marks))
            flow.ask()
            return caching.counters()["flow_conntrack"] > 0

        until(seen, "packets that see another mark", seconds=10)


def test_a_reset_ends_the_flow(caching: Bench) -> None:
    with caching.server.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((SERVER, 0))
        listener.listen()
        client = caching.client.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.connect(listener.getsockname())
        server, _ = listener.accept()
        for _ in range(40):
            client.sendall(b"x")
            server.recv(1)
        assert caching.counters()["flow_hit"] > 40
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        with server, pytest.raises(ConnectionResetError):
            server.recv(1)
    until(lambda: not flows_of(caching), "both directions end", seconds=10)
    assert "ESTABLISHED" not in caching.gateway.run("conntrack -L -p tcp")
