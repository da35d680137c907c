"""What changes on the host reaches cached flows: at once beside `nvictl run`, within a second without it."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from nvi_operator.kernel.bpf import syscall, tcx
from tests.lab import GatewayHost, Site
from tests.lab.daemon import Daemon
from tests.lab.net import until
from tests.netns.scenarios import spec

pytestmark = pytest.mark.netns

ON = spec("{ type: bpf, flowCache: auto }")
INTERVAL = 1.0  # seconds
AT_ONCE = 0.05
_GUARD = """\
table inet guard {
chain forward {
type filter hook forward priority 0
ip daddr 192.0.2.80 drop
}
}
"""

# A command or a ruleset, and how to undo it.
DROPS = {
    "rule of nft": ("", _GUARD, "nft delete table inet guard"),
    "FIB rule": ("ip rule add pref 5 to 192.0.2.80 blackhole", "", "ip rule del pref 5"),
    "route": ("ip route add blackhole 192.0.2.80", "", "ip route del blackhole 192.0.2.80"),
}


class Stream:
    """Datagrams from the client to the far server, several hundred a second, and when the last one was answered."""

    def __init__(self, site: Site) -> None:
        site.far.serve(443, protocol="udp")
        self._socket = site.client.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect((site.far.address, 443))
        self._socket.settimeout(0.02)
        self.last = float("-inf")
        self._stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped:
            with suppress(OSError):
                self._socket.send(b"x" * 32)
                self._socket.recv(4096)
                self.last = time.monotonic()
            time.sleep(0.002)

    def runs(self) -> None:
        now = time.monotonic()
        until(lambda: self.last > now, "a datagram is answered", seconds=15)

    def ends(self) -> float:
        """When the last one was answered, once there are no more."""
        until(lambda: time.monotonic() - self.last > 2 * INTERVAL, "nothing is answered any more", seconds=10)
        return self.last

    def close(self) -> None:
        self._stopped = True
        self._thread.join()
        self._socket.close()


@pytest.fixture
def stream(site: Site) -> Iterator[Stream]:
    made = Stream(site)
    yield made
    made.close()


@pytest.fixture
def daemon(site: Site, tmp_path: Path) -> Iterator[Daemon]:
    directory = tmp_path / "spec"
    directory.mkdir()
    (directory / "gateway.yaml").write_text(ON)
    made = Daemon(site.gateway, directory, tmp_path / "log")
    made.until("applied", seconds=30)
    yield made
    made.stop(signal.SIGKILL)


def counters(gateway: GatewayHost) -> dict[str, int]:
    found = json.loads(gateway.nvictl("status", "-o", "json", check=False).stdout)["counters"].get("flow cache", {})
    assert isinstance(found, dict)
    return found


def is_cached(gateway: GatewayHost, stream: Stream) -> None:
    stream.runs()
    before = counters(gateway).get("fast", 0)
    until(lambda: counters(gateway).get("fast", 0) > before + 20, "the flow is cached", seconds=15)


def change(site: Site, command: str, text: str = "") -> float:
    """When it was done."""
    if text:
        site.gateway.nft(text)
    else:
        site.gateway.run(*command.split())
    return time.monotonic()


@pytest.mark.parametrize("how", DROPS)
def test_what_drops_a_cached_flow_does_so_at_once(
    site: Site, gateway: GatewayHost, daemon: Daemon, stream: Stream, how: str
) -> None:
    drop, text, undo = DROPS[how]
    took = []
    for _ in range(4):
        is_cached(gateway, stream)
        at = change(site, drop, text)
        took.append(stream.ends() - at)
        change(site, undo)
        if took[-1] <= AT_ONCE:
            break
    assert min(took) <= AT_ONCE, f"it took {took}"
    assert max(took) <= 1.5 * INTERVAL


def test_without_nvictl_run_it_does_so_within_the_interval(site: Site, gateway: GatewayHost, stream: Stream) -> None:
    gateway.apply(ON)
    drop, text, undo = DROPS["rule of nft"]
    is_cached(gateway, stream)
    at = change(site, drop, text)
    assert stream.ends() - at <= 1.5 * INTERVAL
    change(site, undo)
    stream.runs()


def test_a_set_that_changes_all_the_time_leaves_flows_cached(
    site: Site, gateway: GatewayHost, daemon: Daemon, stream: Stream
) -> None:
    site.gateway.nft("table inet busy {\nset peers {\ntype ipv4_addr\n}\n}\n")
    is_cached(gateway, stream)
    before = counters(gateway)
    end, number = time.monotonic() + 3, 0
    while time.monotonic() < end:
        number += 1
        site.gateway.libnftables(f"add element inet busy peers {{ 10.0.{number // 256 % 256}.{number % 256} }}")
    after = counters(gateway)
    slow = sum(after[each] - before[each] for each in ("unknown", "learning", "invalidated", "suspended", "expired"))
    assert after["invalidated"] > before["invalidated"], "elements count"
    assert after["fast"] - before["fast"] > slow, "most packets, on a busy machine as well"


def test_a_neighbour_with_another_address_is_followed_at_once(
    site: Site, gateway: GatewayHost, daemon: Daemon, stream: Stream
) -> None:
    took = []
    for number in range(1, 5):
        is_cached(gateway, stream)
        mac = f"02:00:00:00:aa:0{number}"
        site["isp-a"].ip(f"link set gwa address {mac}")
        at = change(site, f"ip neigh replace 203.0.113.1 lladdr {mac} dev wan0")
        while stream.last <= at:
            assert time.monotonic() - at < 5, "answers come from there"
        took.append(stream.last - at)
        if took[-1] <= AT_ONCE:
            return
    raise AssertionError(f"it took {took}")


def test_a_link_that_goes_down_and_up_again_carries_the_flow_again(
    site: Site, gateway: GatewayHost, daemon: Daemon, stream: Stream
) -> None:
    is_cached(gateway, stream)
    change(site, "ip link set wan0 down")
    stream.ends()
    change(site, "ip link set wan0 up")
    is_cached(gateway, stream)


def test_programs_that_another_process_removes_come_back(
    site: Site, gateway: GatewayHost, daemon: Daemon, stream: Stream
) -> None:
    is_cached(gateway, stream)
    site.gateway.call(_remove)
    daemon.until("lan0 ingress", "healed")
    is_cached(gateway, stream)


def test_a_rule_that_counts_packets_switches_the_cache_off_while_it_is_there(
    site: Site, gateway: GatewayHost, daemon: Daemon, stream: Stream
) -> None:
    is_cached(gateway, stream)
    site.gateway.nft("table inet guard {\nchain forward {\ntype filter hook forward priority 0\ncounter\n}\n}\n")
    until(lambda: not counters(gateway), "the cache is off", seconds=10)
    change(site, "nft delete table inet guard")
    until(lambda: counters(gateway), "it is on again", seconds=10)
    is_cached(gateway, stream)


def _remove() -> None:
    ifindex = socket.if_nametoindex("lan0")
    listing = tcx.programs(ifindex, "ingress")
    tcx.detach(ifindex, "ingress", syscall.program_fd(listing.programs[0]), listing.revision)
