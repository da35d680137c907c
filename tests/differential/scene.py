"""A case on the gateway: what is sent, and what is seen of it, packet by packet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address

from nvi_operator.explain.step import HostRoute
from nvi_operator.state.host import HostState
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.model import Topology
from tests.differential.case import SELF, Case, Sent, Talk
from tests.differential.datagram import ECHO, ICMP, ICMP6, TCP, Address, Datagram
from tests.differential.operator import Operator, load
from tests.differential.tracked import Entry, Tracked
from tests.differential.world import Seen, World

_EXCEEDED = {4: (11, 0), 6: (3, 0)}


@dataclass(frozen=True)
class Step:
    """A packet of a talk: `what` is `send`, or the word of `then`."""

    what: str
    sent: Sent
    seen: tuple[Seen, ...]
    made: frozenset[Entry] = frozenset()  # entries of conntrack that it opened
    known: frozenset[Entry] = frozenset()  # those that were there before
    about: Datagram | None = None  # of an ICMP error: the packet as its sender knows it
    refused: str = ""  # what the kernel said to a socket of the gateway


@dataclass(frozen=True)
class Gateway:
    """What was applied, and what the host knows besides."""

    case: Case
    facts: Facts
    topology: Topology
    state: HostState
    routes: tuple[HostRoute, ...]  # that are not owned


class Stage:
    """A world and the operator on it, for any number of cases; close it."""

    def __init__(self) -> None:
        self.world = World()
        self._tracked = Tracked(self.world.gateway)
        self._operator = Operator(self.world.gateway.netns)

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._operator.close()
        self._tracked.close()
        self.world.close()

    def apply(self, case: Case) -> Gateway:
        """Raises SpecError where the spec is not valid, another NviError where this host refuses it."""
        loaded = load(case)
        self.world.settle(case.host)
        return Gateway(case, *self._operator.apply(case, loaded))

    def play(self, talk: Talk) -> Iterator[Step]:
        """Each packet of a talk. It ends where nothing is there to follow on."""
        self._tracked.flush()
        first = self._step("send", talk.send)
        yield first
        out = main(first)
        for what in talk.then:
            if out is None:
                return
            if what in ("again", "clash") and talk.send.interface == SELF:
                return  # a socket sends the rest by itself
            if what == "again":
                step = self._step(what, replace(talk.send, packet=_later(talk.send.packet)))
            elif what == "clash":
                step = self._step(what, replace(talk.send, packet=_neighbour(talk.send.packet)))
            elif out.place == SELF:
                return
            elif what == "reply":
                step = self._step(what, Sent(out.place, answer(out.packet)))
            else:
                step = self._step(what, Sent(out.place, _error(out.packet, what)), talk.send.packet)
            yield step

    def _step(self, what: str, sent: Sent, about: Datagram | None = None) -> Step:
        before = self._tracked.entries()
        refused = ""
        try:
            seen = self.world.send(sent)
        except OSError as error:
            seen, refused = [], error.strerror or str(error)
        return Step(what, sent, tuple(seen), self._tracked.entries() - before, before, about, refused)

    def rest(self) -> None:
        """After the last packet of a talk."""
        self._tracked.flush()
        self.world.forget()


def main(step: Step) -> Seen | None:
    """The packet that came out of the one that was sent, if one did."""
    return next((seen for seen in step.seen if is_of(step.sent.packet, seen.packet)), None)


def reaction(step: Step) -> Step | None:
    """What the gateway itself sent because of the packet: an answer, or an error about it. None: nothing."""
    sent, out = step.sent.packet, main(step)
    for seen in step.seen:
        packet = seen.packet
        backwards = (
            {_ends(_back(each)) for each in (sent, out.packet)} if out is not None and out.place == SELF else ()
        )
        is_answer = _ends(packet) in backwards  # as who was asked, also where another one took it
        is_echo = packet.icmp is not None and packet.icmp[0] == ECHO[packet.version][1]
        if seen is not out and (packet.is_error or (is_answer and (is_echo or packet.protocol == TCP))):
            about = sent if packet.is_error else None
            return Step("reaction", Sent(SELF, replace(packet, ttl=255)), (seen,), about=about)
    return None


def _ends(packet: Datagram) -> tuple[object, ...]:
    ports = () if packet.icmp else (packet.source_port, packet.destination_port)
    return packet.protocol, packet.source, packet.destination, *ports


def is_of(sent: Datagram, seen: Datagram) -> bool:
    """Is it the packet that was sent, as far as translation leaves it recognisable?"""
    return (sent.protocol, sent.icmp, sent.flags) == (seen.protocol, seen.icmp, seen.flags) and seen.ttl <= sent.ttl


def answer(packet: Datagram) -> Datagram:
    """What the far host sends back."""
    flags = packet.flags
    if packet.protocol == TCP:
        flags = frozenset({"syn", "ack"}) if flags == {"syn"} else frozenset({"ack"})
    icmp = packet.icmp
    if icmp is not None and icmp[0] in ECHO[packet.version]:
        icmp = (ECHO[packet.version][icmp[0] == ECHO[packet.version][0]], 0)
        return replace(_back(packet), icmp=icmp, source_port=packet.source_port, destination_port=None)
    return replace(_back(packet), flags=flags)


def _back(packet: Datagram) -> Datagram:
    return replace(
        packet,
        source=packet.destination,
        destination=packet.source,
        source_port=packet.destination_port,
        destination_port=packet.source_port,
        ttl=64,
        size=0,
        sequence=packet.acknowledged,
        acknowledged=packet.sequence + 1,
    )


def _neighbour(packet: Datagram) -> Datagram:
    """The same from the host with the next address: translated to one address, both would have one tuple."""
    number = int(packet.source) ^ 1
    return replace(packet, source=IPv4Address(number) if packet.version == 4 else IPv6Address(number))


def _later(packet: Datagram) -> Datagram:
    return replace(packet, flags=frozenset({"ack"})) if packet.flags == {"syn"} else packet


ERRORS = {"error": ("192.0.2.254", "2001:db8:f::fe"), "inner-error": ("10.1.0.254", "fd00:1:1::fe")}


def router(version: int, what: str) -> Address:
    """One far away, at which TTLs end; an `inner-error` is one from an address as inside hosts have them."""
    return ip_address(ERRORS[what][version == 6])


def _error(packet: Datagram, what: str) -> Datagram:
    protocol = ICMP if packet.version == 4 else ICMP6
    return Datagram(
        router(packet.version, what),
        packet.source,
        protocol,
        icmp=_EXCEEDED[packet.version],
        inner=replace(packet, ttl=1),
    )
