"""UDP flows through a gateway with a flow cache, both ends in hand."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from nvi_operator.kernel.kmod.flow_cache import ModuleFlowCache
from tests.dataplane.bench import DEVICE, SERVER, Bench
from tests.dataplane.netns import until
from tests.dataplane.talk import family


class Talk:
    """The client asks `as_address`, which the gateway translates to `address` where they differ."""

    def __init__(
        self, lab: Bench, address: str = SERVER, port: int = 0, *, as_address: str = "", as_port: int = 0
    ) -> None:
        self.server = lab.server.socket(family(address), socket.SOCK_DGRAM)
        self.server.bind((address, port))
        self.client = lab.client.socket(family(address), socket.SOCK_DGRAM)
        self.client.connect((as_address or address, as_port or self.server.getsockname()[1]))

    def ask(self, data: bytes = b"question") -> tuple[str, int]:
        """A datagram and its answer. Returns the client as the server sees it."""
        self.client.send(data)
        heard, peer = self.server.recvfrom(65536)
        assert heard == data
        self.server.sendto(data[::-1], peer)
        assert self.client.recv(65536) == data[::-1]
        return str(peer[0]), int(peer[1])

    def close(self) -> None:
        self.client.close()
        self.server.close()


@contextmanager
def talk(lab: Bench, address: str = SERVER, port: int = 0) -> Iterator[Talk]:
    made = Talk(lab, address, port)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def flow_cache(lab: Bench) -> Iterator[ModuleFlowCache]:
    """The netlink family, in the gateway's namespace."""
    made = lab.gateway.call(ModuleFlowCache, lab.port(DEVICE).ifindex)
    try:
        yield made
    finally:
        made.close()


# An entry's interval may be over in the middle of a test: one packet of each direction then confirms it.
_CONFIRMING = {"flow_expired", "flow_suspended"}
_BESIDE = {"flow_learned", "flow_renewed", "flow_entries", "reinjected"}


def took(lab: Bench, before: dict[str, int]) -> dict[str, int]:
    """How many packets took which path since: "cached", or why not."""
    grown = {name: number - before[name] for name, number in lab.counters().items()}
    fast = grown.pop("flow_hit") + sum(grown.pop(name) for name in _CONFIRMING)
    slow = {name: number for name, number in grown.items() if number and name not in _BESIDE}
    return {"cached": fast, **slow} if fast else slow


def cached(lab: Bench, flow: Talk) -> None:
    """Talk until packets of both directions take the fast path."""
    seen = set()

    def both_ways() -> bool:
        before = lab.counters()["flow_hit"]
        seen.add(flow.ask())
        return lab.counters()["flow_hit"] - before == 2

    until(both_ways, f"both directions are cached: {lab.nonzero()}", seconds=10)
    assert len(seen) == 1, "its translation does not change"
