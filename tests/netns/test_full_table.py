"""A connection tracking table full of answered flows, which make room for no other."""

from __future__ import annotations

import json
import signal
import socket
import struct
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.lab import GatewayHost, Host, Site
from tests.lab.daemon import Daemon
from tests.netns.scenarios import A6, A, B

pytestmark = pytest.mark.netns

_MAX = "net/netfilter/nf_conntrack_max"
# include/uapi/linux/netfilter/nfnetlink_conntrack.h and nf_conntrack_common.h
_NETFILTER, _NEW, _REQUEST, _CREATE, _NESTED = 12, 0x100, 1, 0x400, 0x8000
_ANSWERED = 2 | 4 | 8  # seen-reply, assured, confirmed
_PORTS = range(1024, 61024)


def _attribute(number: int, *data: bytes) -> bytes:
    content = b"".join(data)
    return struct.pack("=HH", len(content) + 4, number) + content + bytes(-len(content) % 4)


def _tuple(number: int, source: bytes, destination: bytes, ports: tuple[int, int]) -> bytes:
    ends = _attribute(1 | _NESTED, _attribute(1, source), _attribute(2, destination))
    numbers = (_attribute(n, struct.pack("!H", port)) for n, port in zip((2, 3), ports, strict=True))
    return _attribute(number | _NESTED, ends, _attribute(2 | _NESTED, _attribute(1, b"\x11"), *numbers))


def _add_flows(count: int) -> None:
    """UDP flows of hosts that no test asks; what the kernel does not take it need not tell."""
    server, first = ip_address("10.77.0.1").packed, int(ip_address("10.77.1.0"))
    last = _attribute(3, struct.pack("!I", _ANSWERED)) + _attribute(7, struct.pack("!I", 600))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as netlink:
        netlink.bind((0, 0))
        messages = b""
        for number in range(count):
            client, port = ip_address(first + number // len(_PORTS)).packed, _PORTS[number % len(_PORTS)]
            flow = _tuple(1, client, server, (port, 9)) + _tuple(2, server, client, (9, port)) + last
            head = struct.pack("=IHHIIBBH", 20 + len(flow), _NEW, _REQUEST | _CREATE, number, 0, 2, 0, 0)
            messages += head + flow
            if len(messages) > 30_000 or number == count - 1:
                netlink.send(messages)
                messages = b""


def _until_full(host: Host) -> None:
    most = int(host.call(Path("/proc/sys", _MAX).read_text))
    host.call(partial(_add_flows, most + most // 100))


def _degraded(gateway: GatewayHost, directory: Path) -> tuple[int, list[str]]:
    done = gateway.nvictl("status", directory, "-o", "json", check=False)
    return done.returncode, json.loads(done.stdout)["degraded"]


def test_with_a_full_connection_tracking_table_known_flows_go_on_and_nothing_leaves_untranslated(
    site: Site, gateway: GatewayHost, start: Callable[..., Daemon], directory: Path
) -> None:
    daemon = start()
    daemon.until("in sync")
    site.server.serve(443)
    site.far.serve(5000)
    assert _degraded(gateway, directory) == (0, [])
    with (
        site.client.connect(site.far.address, 5000) as out,
        site.client.connect(site.far.address6, 5000) as out6,
        site.far.connect(B, 443) as published,
        site.far.connect(A6, 443) as published6,
    ):
        _until_full(site.gateway)
        for flow in (out, out6, published, published6):
            flow.again()
        for far in (site.far.address, site.far.address6):
            assert not site.client.reaches(far, 5000)
            assert not site.client.pings(far, wait=0.3)
            assert not site.gateway.pings(far, wait=0.3)
        assert not site.far.reaches(A, 443)
        assert site.leaks() == 0
    full = "the connection tracking table is full: new flows are dropped (nvictl doctor says what to do)"
    assert _degraded(gateway, directory) == (1, [full]), "so says the daemon"
    daemon.stop(signal.SIGKILL)
    assert _degraded(gateway, directory) == (1, [full]), "and nvictl by itself"
