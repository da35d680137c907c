"""A bench whose flows are cached, and conversations through it."""

from __future__ import annotations

import fcntl
import socket
import struct
from array import array
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Self

from nvi_operator.kernel.bpf.attach import Mechanism, preferred
from tests.dataplane.bench import CLIENT, CLIENT6, LAN, LAN6, SERVER, WAN, WAN6, Bench, bench, options
from tests.dataplane.flow_cache import FlowCache
from tests.dataplane.netns import SLOWNESS, Netns, until
from tests.dataplane.talk import family

LAN_IFNAME, WAN_IFNAME, BRIDGE = "lan0", "wan0", "br0"
LONG = 20_000  # milliseconds: no test takes longer


MECHANISMS: tuple[Mechanism, ...] = ("tcx", "clsact") if preferred() == "tcx" else ("clsact",)


class Conversation:
    """UDP between two hosts, a datagram and its answer at a time."""

    def __init__(
        self,
        client: Netns,
        server: Netns,
        address: str = SERVER,
        *,
        source: str = "",
        source_port: int = 0,
        port: int = 0,
    ) -> None:
        kind = family(address)
        self.server = server.socket(kind, socket.SOCK_DGRAM)
        self.client = client.socket(kind, socket.SOCK_DGRAM)
        for each in (self.server, self.client):
            each.settimeout(0.5)
        self.server.bind((address, port))
        self.port: int = self.server.getsockname()[1]
        self.client.bind((source or (CLIENT6 if ":" in address else CLIENT), source_port))
        self.client.connect((address, self.port))
        self.source_port: int = self.client.getsockname()[1]
        self.peer: tuple[str, int] = ("", 0)
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.server.close()

    def ask(self, size: int = 64) -> bool:
        """Does the server hear it? It notes the peer."""
        self._number += 1
        data = self._number.to_bytes(8, "big").ljust(size, b"x")
        self.client.send(data)
        try:
            while True:
                heard, peer = self.server.recvfrom(65536)
                if heard == data:
                    self.peer = peer[:2]
                    return True
        except TimeoutError:
            return False

    def answer(self, size: int = 64) -> bool:
        """Does the client hear the server's answer?"""
        self._number += 1
        data = self._number.to_bytes(8, "big").ljust(size, b"y")
        self.server.sendto(data, self.peer)
        try:
            while self.client.recv(65536) != data:
                pass
        except TimeoutError:
            return False
        return True

    def go_on(self, times: int = 1, size: int = 64) -> None:
        """Ask and answer; every datagram must arrive."""
        for _ in range(times):
            assert self.ask(size), "the server did not hear it"
            assert self.answer(size), "the client did not hear the answer"


class CachedBench:
    """A bench with the cache's programs at both interfaces. Its device keeps the cache's tags."""

    def __init__(
        self,
        lab: Bench,
        mechanism: Mechanism,
        *,
        conntrack: bool,
        hide_hop: bool,
        bridged: bool,
        interval_ms: int,
        **constants: int,
    ) -> None:
        self.lab = lab
        self.client, self.gateway, self.server = lab.client, lab.gateway, lab.server
        interfaces = (BRIDGE if bridged else LAN_IFNAME, WAN_IFNAME)
        if bridged:
            _bridge(lab)
        lab.table("mark", *interfaces)
        lab.load(replace(options(hide_hop=hide_hop), flow_cache=True), *interfaces)
        self.gateway.sysctls({"net/netfilter/nf_conntrack_tcp_be_liberal": 1})
        entries = constants.pop("entries", 1024)
        interval_ms = min(interval_ms * SLOWNESS, LONG)  # several datagrams have to fit in
        times = {"interval_ms": interval_ms, "longest_ms": interval_ms}
        self.cache = FlowCache(self.gateway, mechanism, conntrack=conntrack, entries=entries, **times, **constants)
        self.cache.attach(*interfaces)

    def talk(self, address: str = SERVER, **where: str | int) -> Conversation:
        return Conversation(self.client, self.server, address, **where)  # type: ignore[arg-type]

    def learned(self, conversation: Conversation, size: int = 64) -> None:
        """Talk until both directions take the fast path."""

        def both() -> bool:
            before = self.cache.hits()
            conversation.go_on(size=size)
            return self.cache.hits() == before + 2

        until(both, "both directions are cached", seconds=30)

    def offload(self, on: bool, *, checksums: bool | None = None) -> None:
        """Checksums and segments of the hosts: left to be made by the interface, or made at once."""
        for netns in (self.client, self.server):
            netns.call(_set_offload, on, on if checksums is None else checksums)

    def public(self, address: str) -> str:
        return WAN6 if ":" in address else WAN

    def ifindex(self, ifname: str) -> int:
        return self.lab.port(ifname).ifindex


def _bridge(lab: Bench) -> None:
    """The gateway's inside interface becomes a port of a bridge, which takes its place."""
    lab.gateway.ip(
        f"link add {BRIDGE} type bridge",
        f"address flush dev {LAN_IFNAME}",
        f"link set {LAN_IFNAME} master {BRIDGE}",
        f"link set {BRIDGE} up",
        f"address add {LAN}/24 dev {BRIDGE}",
        f"address add {LAN6}/64 dev {BRIDGE} nodad",
    )
    lab.gateway.sysctls({f"net/ipv4/conf/{BRIDGE}/accept_local": 1})
    lab.steer_from(BRIDGE)


def _set_offload(segments: bool, checksums: bool) -> None:
    """struct ethtool_value; ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO: include/uapi/linux/ethtool.h"""
    for command, on in ((0x17, checksums), (0x1F, segments), (0x24, segments)):
        value = array("I", [command, int(on)])
        request = struct.pack("16sP16x", b"eth0", value.buffer_info()[0])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, 0x8946, request)  # SIOCETHTOOL


@contextmanager
def cached_bench(
    mechanism: Mechanism | None = None,
    *,
    conntrack: bool = False,
    hide_hop: bool = False,
    bridged: bool = False,
    interval_ms: int = LONG,
    **constants: int,
) -> Iterator[CachedBench]:
    """Without `conntrack`, which calls UDP assured after 2 s only, flows are learned at once. Entries last long."""
    with ExitStack() as stack:
        lab = stack.enter_context(bench("bpf"))
        made = CachedBench(
            lab,
            mechanism or preferred(),
            conntrack=conntrack,
            hide_hop=hide_hop,
            bridged=bridged,
            interval_ms=interval_ms,
            **constants,
        )
        stack.callback(made.cache.close)
        yield made
