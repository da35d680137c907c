"""What cached flows live beside: a helper's data connections, IPsec policies, bridges, silence."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time

import pytest

from nvi_operator.kernel.bpf.attach import Mechanism
from tests.dataplane.bench import CLIENT, LAN, SERVER, SERVER6, WAN
from tests.dataplane.cached import BRIDGE, MECHANISMS, WAN_IFNAME, CachedBench, cached_bench
from tests.dataplane.netns import SLOWNESS, until, wire

pytestmark = pytest.mark.netns

FAMILIES = pytest.mark.parametrize("far", [SERVER, SERVER6], ids=["v4", "v6"])
BULK = 2_000_000
HELPER = """table ip helpers {
    ct helper ftp { type "ftp" protocol tcp; }
    chain assign { type filter hook prerouting priority 0; tcp dport 21 ct helper set "ftp"; }
}"""


# --------------------------------------------------------------------------- FTP


def connect(cached: CachedBench) -> tuple[socket.socket, socket.socket]:
    """A control connection: the client's end and the server's."""
    with cached.server.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((SERVER, 21))
        listener.listen()
        client = cached.client.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.connect((SERVER, 21))
        server, _ = listener.accept()
    for each in (client, server):
        each.settimeout(5)
    return client, server


def say(sender: socket.socket, receiver: socket.socket, line: str) -> str:
    sender.sendall(f"{line}\r\n".encode())
    heard = b""
    while not heard.endswith(b"\r\n"):
        heard += receiver.recv(2048)
    return heard.decode().strip()


def place(line: str) -> tuple[str, int]:
    """The address and port of a PORT command, or of an answer to PASV."""
    numbers = re.search(r"(\d+),(\d+),(\d+),(\d+),(\d+),(\d+)", line)
    assert numbers, line
    *address, high, low = numbers.groups()
    return ".".join(address), int(high) << 8 | int(low)


def written(address: str, port: int) -> str:
    return ",".join([*address.split("."), str(port >> 8), str(port & 0xFF)])


@pytest.mark.parametrize("active", [True, False], ids=["active", "passive"])
def test_ftp_has_its_commands_translated_and_its_data_cached(active: bool) -> None:
    if modprobe := shutil.which("modprobe"):  # the rule brings nf_conntrack_ftp alone
        subprocess.run([modprobe, "-q", "nf_nat_ftp"], check=False)
    with cached_bench(conntrack=True) as cached:
        cached.gateway.nft(HELPER)
        client, server = connect(cached)
        for _ in range(20):
            assert say(client, server, "NOOP") == "NOOP"
            assert say(server, client, "200 OK") == "200 OK"
        assert cached.cache.flows() == [], "a helper reads its packets"
        assert cached.cache.count("helper") > 0

        listening, connecting = (cached.client, cached.server) if active else (cached.server, cached.client)
        with listening.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.bind((CLIENT if active else SERVER, 0))
            listener.listen()
            own = listener.getsockname()
            told = f"PORT {written(*own)}" if active else f"227 Entering Passive Mode ({written(*own)})."
            heard = say(client, server, told) if active else say(server, client, told)
            assert place(heard)[0] == (WAN if active else SERVER)
            second = connecting.socket(socket.AF_INET, socket.SOCK_STREAM)
            second.connect(place(heard))
            first, _ = listener.accept()
        sender, receiver = (second, first) if active else (first, second)
        hits = cached.cache.hits()
        received = 0
        for _ in range(BULK // 20_000):
            sender.sendall(bytes(20_000))
            received += len(receiver.recv(20_000, socket.MSG_WAITALL))
        assert received == BULK
        assert cached.cache.hits() > hits, "the data"
        # The length of a translated command moves the sequence numbers of all that follow.
        for _ in range(20):
            assert say(client, server, "NOOP") == "NOOP"
            assert say(server, client, "226 Transfer complete.") == "226 Transfer complete."
        for each in (client, server, first, second):
            each.close()


# --------------------------------------------------------------------------- IPsec policies


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_policy_that_blocks_is_obeyed_within_the_interval(mechanism: Mechanism) -> None:
    with cached_bench(mechanism, interval_ms=300) as cached, cached.talk() as flow:
        until(lambda: flow.go_on() or cached.cache.hits(), "it is cached")
        policy = f"xfrm policy add dir fwd src 0.0.0.0/0 dst {SERVER}/32"
        cached.gateway.ip(f"{policy} action block")
        until(lambda: not flow.ask(), "the policy drops it", seconds=3)
        hits = cached.cache.hits()
        assert not flow.ask()
        assert cached.cache.hits() == hits
        cached.gateway.ip(policy.replace(" add ", " delete "))
        until(flow.ask, "it goes on")


# --------------------------------------------------------------------------- bridges


@FAMILIES
def test_flows_of_a_bridge_are_cached(far: str) -> None:
    with cached_bench(bridged=True) as cached, cached.talk(far) as flow:
        cached.learned(flow)
        bridge, wan = cached.ifindex(BRIDGE), cached.ifindex(WAN_IFNAME)
        assert cached.cache.totals().keys() == {(bridge, wan), (wan, bridge)}
        assert flow.peer[0] == cached.public(far)


def test_a_host_that_moves_to_another_port_of_a_bridge_is_followed() -> None:
    """Its frames come in elsewhere, and the bridge learns that; the cache knows the bridge alone."""
    with cached_bench(bridged=True) as cached, cached.talk() as flow:
        cached.learned(flow)
        mac = cached.client.run("cat /sys/class/net/eth0/address").strip()
        wire(cached.client, "eth1", cached.gateway, "lan1")
        cached.gateway.ip(f"link set lan1 master {BRIDGE}")
        cached.client.ip(
            "link set eth0 down",
            "address flush dev eth0",
            "link set eth1 down",
            f"link set eth1 address {mac} up",
            f"address add {CLIENT}/24 dev eth1",
            f"route add default via {LAN}",
        )
        hits = cached.cache.hits()
        until(flow.ask, "the other port is used")
        flow.go_on(3)
        assert cached.cache.hits() > hits


# --------------------------------------------------------------------------- silence


def test_a_flow_that_is_silent_for_longer_than_the_interval_is_confirmed_and_goes_on() -> None:
    """As a call that rings: a few packets, seconds of silence, a few packets."""
    with cached_bench(interval_ms=200) as cached, cached.talk() as flow:
        until(lambda: flow.go_on() or cached.cache.hits(), "it is cached")
        flow.go_on(10)
        for _ in range(3):
            silent = time.monotonic() + 0.5 * SLOWNESS
            until(lambda end=silent: time.monotonic() > end, "a ring is over")  # type: ignore[misc]
            expired, hits = cached.cache.count("expired"), cached.cache.hits()
            flow.go_on(10)
            assert cached.cache.count("expired") - expired >= 2, "each direction is asked again"
            assert cached.cache.count("learned") == 2, "and not forgotten"
            assert cached.cache.hits() - hits >= 10
