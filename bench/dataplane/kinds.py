"""The kinds of traffic: each says what one unit of it costs a gateway, and refuses one that does not translate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyroute2.netlink.nfnetlink.nfctsocket import NFCTSocket

from bench.dataplane.bed import FAMILIES, PORT, Bed, seen
from bench.dataplane.generator import Cost, Flows, Generator, Varying
from bench.dataplane.tcp import bulk
from tests.lab import Host

FLOWS = 64
MOST_NEW_FLOWS = 32768  # of a measurement: one source port each
MOST_SERVERS = 32768
SOURCE_PORT = 20000  # SNAT keeps it
ASSURED = 2.2  # seconds from its first packet until UDP in both directions is a stream (udp.c of conntrack)
LEARNED = 20  # packets after which a flow cache has learned a direction, although doors are shared
LEARNED_MANY = 30  # the same, where three flows share one
_UDP_TIMEOUTS = ("udp_timeout", "udp_timeout_stream")  # of flows that wait until a million others had their turn
LOST = 0.01  # the part of the packets that may be lost before a measurement is refused


class NotMeasurableError(RuntimeError):
    """A gateway that does not do what is measured."""


@dataclass(frozen=True)
class Setting:
    family: int
    cpu: int
    batch: int
    seconds: float  # of CPU, for one measurement


Measure = Callable[[int], Cost]  # of that many units


@dataclass(frozen=True)
class Kind:
    name: str
    unit: str  # what a cost in nanoseconds is of
    ready: Callable[[Bed, Setting], contextmanager[Measure]]  # type: ignore[type-arg]
    units: Callable[[], int] | None = None  # of one measurement; None: as many as fill the time


def _flows(bed: Bed, family: int, number: int) -> tuple[Flows, Flows]:
    """There, and back."""
    n = FAMILIES[family]
    hosts = min(number, MOST_SERVERS)
    # Past that number a flow differs from those before it by its port.
    clients = Varying(SOURCE_PORT, number) if number == hosts else Varying(SOURCE_PORT, number // hosts, hosts)
    servers = Varying(PORT)
    out = Flows(n.clients, n.servers, bed.clients, hosts, clients, servers)
    translated = bed.translated[family]
    if translated is None:
        return out, Flows(n.servers, n.clients, hosts, bed.clients, servers, clients)
    first, addresses = str(translated.network_address), translated.num_addresses
    return out, Flows(n.servers, first, hosts, addresses, servers, clients)


@contextmanager
def _generators(bed: Bed, setting: Setting, number: int) -> Iterator[tuple[Generator, Generator]]:
    out, back = _flows(bed, setting.family, number)
    bed.sinks(setting.family)
    with ExitStack() as stack:
        stack.callback(bed.disarm)
        yield (
            stack.enter_context(Generator(bed.inner, "lan0", out, setting.cpu)),
            stack.enter_context(Generator(bed.outer, "wan0", back, setting.cpu)),
        )


def counted(bed: Bed, sink: Host, send: Callable[[], Cost], packets: int) -> Cost:
    """Send, and see to it that what was sent arrived as it should."""
    before = seen(sink)
    cost = send()
    arrived = seen(sink) - before
    if arrived.wrong:
        raise NotMeasurableError(f"{bed.name}: {arrived.wrong} of {packets} packets arrived with a wrong address")
    if arrived.right < packets * (1 - LOST):
        raise NotMeasurableError(f"{bed.name}: of {packets} packets only {arrived.right} arrived")
    return cost


@contextmanager
def _established(
    bed: Bed, setting: Setting, *, replies: bool, flows: int = FLOWS, learned: int = LEARNED
) -> Iterator[Measure]:
    """Every flow has seen packets in both directions, and conntrack calls it assured."""
    with _generators(bed, setting, flows) as (out, back):

        def send(generator: Generator, sink: Host, packets: int) -> Cost:
            return counted(bed, sink, lambda: generator.send(packets, batch=setting.batch), packets)

        assured = time.monotonic() + ASSURED
        while time.monotonic() < assured:
            send(out, bed.server, flows)
            send(back, bed.client, flows)
            time.sleep(0.1)
        for _ in range(learned):
            send(out, bed.server, flows)
            send(back, bed.client, flows)
        yield lambda packets: send(*((back, bed.client) if replies else (out, bed.server)), packets)


@contextmanager
def _out(bed: Bed, setting: Setting) -> Iterator[Measure]:
    with _established(bed, setting, replies=False) as measure:
        yield measure


@contextmanager
def _back(bed: Bed, setting: Setting) -> Iterator[Measure]:
    with _established(bed, setting, replies=True) as measure:
        yield measure


def new_flows() -> int:
    """A power of two, and no more than half of what conntrack holds."""
    limit = int(Path("/proc/sys/net/netfilter/nf_conntrack_max").read_text(encoding="ascii"))
    return min(MOST_NEW_FLOWS, 1 << (limit // 2).bit_length() - 1)


@contextmanager
def _new(bed: Bed, setting: Setting) -> Iterator[Measure]:
    """Each packet is a flow of its own. What the round before has left is removed first."""
    with _generators(bed, setting, new_flows()) as (out, _):

        def measure(packets: int) -> Cost:
            forget_flows(bed)
            return counted(bed, bed.server, lambda: out.send(packets, batch=setting.batch), packets)

        yield measure
    forget_flows(bed)


@contextmanager
def _first_answer(bed: Bed, setting: Setting) -> Iterator[Measure]:
    """The first answer of each flow."""
    with _generators(bed, setting, new_flows()) as (out, back):

        def measure(packets: int) -> Cost:
            forget_flows(bed)
            counted(bed, bed.server, lambda: out.send(packets, batch=setting.batch), packets)
            return counted(bed, bed.client, lambda: back.send(packets, batch=setting.batch), packets)

        yield measure
    forget_flows(bed)


def _many(flows: int) -> Callable[[Bed, Setting], contextmanager[Measure]]:  # type: ignore[type-arg]
    """Established flows, visited in turn, so that nothing about a packet's flow is in a CPU's cache."""

    @contextmanager
    def ready(bed: Bed, setting: Setting) -> Iterator[Measure]:
        for host in {bed.inner, bed.outer}:
            host.run("sysctl", "-q", "-w", *(f"net.netfilter.nf_conntrack_{name}=3600" for name in _UDP_TIMEOUTS))
        established = _established(bed, setting, replies=False, flows=flows, learned=LEARNED_MANY)
        with conntrack_holds(flows), established as measure:
            yield measure
        forget_flows(bed)

    return ready


@contextmanager
def conntrack_holds(flows: int) -> Iterator[None]:
    """Meanwhile, with a bucket for each entry's both directions; both settings are one for all namespaces."""
    directory = Path("/proc/sys/net/netfilter")
    with ExitStack() as stack:
        for name, wanted in {"nf_conntrack_buckets": 4 * flows, "nf_conntrack_max": 2 * flows}.items():
            setting = directory / name
            before = setting.read_text(encoding="ascii")
            stack.callback(setting.write_text, before, encoding="ascii")
            setting.write_text(f"{max(int(before), wanted)}", encoding="ascii")
        yield


def forget_flows(bed: Bed) -> None:
    def flush() -> None:
        with NFCTSocket() as conntrack:
            conntrack.flush()

    for host in {bed.inner, bed.outer}:
        host.call(flush)


@contextmanager
def _bulk(bed: Bed, setting: Setting) -> Iterator[Measure]:
    n = FAMILIES[setting.family]

    def measure(megabytes: int) -> Cost:
        cost, peer = bulk(bed.client, bed.server, n.server, megabytes, setting.cpu)
        expected = n.uplinks[0][0] if bed.translated[setting.family] else n.client
        if peer != expected:
            raise NotMeasurableError(f"{bed.name}: the server saw {peer}, not {expected}")
        return cost

    yield measure


KINDS = {
    kind.name: kind
    for kind in (
        Kind("udp", "packet", _out),
        Kind("udp-reply", "packet", _back),
        Kind("new-flows", "flow", _new, new_flows),
        Kind("first-answer", "flow", _first_answer, new_flows),
        Kind("tcp", "megabyte", _bulk),
    )
}
# Each takes minutes, and memory; by name only.
MANY = {
    kind.name: kind
    for kind in (
        Kind("udp-1k", "packet", _many(1 << 10), lambda: 1 << 17),
        # For as long as an entry of the flow cache lasts, so that renewals have their share.
        Kind("udp-128k", "packet", _many(1 << 17), lambda: 1 << 22),
        Kind("udp-1m", "packet", _many(1 << 20), lambda: 1 << 23),
    )
}
