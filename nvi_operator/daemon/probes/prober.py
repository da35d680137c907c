"""Asks the targets of uplinks and servers, and keeps their states. A `Station` of the daemon's loop: it never waits.

All questions of a round are sent at once, and rounds of equal intervals are in step: 50 uplinks with three targets
wake the loop twice a second at most. A round is judged when its time-out has passed, so that a lost probe counts at
that moment. `health_state.py` judges, `targets.py` asks.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import asdict
from functools import cache
from typing import Any

from nvi_operator.daemon.health_state import HealthState
from nvi_operator.daemon.probes.record import HealthRecord
from nvi_operator.daemon.probes.targets import ProbeTarget, Stream, target
from nvi_operator.daemon.probes.way import ProbePath
from nvi_operator.dataclass import dataclass
from nvi_operator.kernel.inspect.conntrack import conntrack_is_full
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.health import Health
from nvi_operator.language.model.values import FAMILIES, Family
from nvi_operator.topology.health import NO_HEALTH, HealthFacts, ProbedState, Server, declared
from nvi_operator.topology.interfaces import Interface, Uplink
from nvi_operator.topology.model import Topology

_NEVER = float("inf")
_CALM = 60.0  # seconds without a probe lost to a full connection tracking table, before the next is told
_LATE = 0.05  # seconds; rounds that begin within it stay in step, and later ones are not made up for


@dataclass(frozen=True)
class Probed:
    """An uplink or a server to be probed. `ways`: how it is reached, by family, where it can be now."""

    health: Health
    ways: Mapping[int, ProbePath]


def probed(spec: GatewaySpec, topology: Topology | None) -> Mapping[str | Server, Probed]:
    """What has probes, and how it is reached now: uplinks by their names, and servers of forwards."""
    ways: dict[str | Server, Mapping[int, ProbePath]] = {
        uplink.name: {family: way for family in FAMILIES if (way := way_of(uplink, family))}
        for uplink in (topology.uplinks if topology else ())
    }
    for server in topology.servers if topology else ():
        way = _way_inside(server.interface)
        ways[server.name] = {server.target.address.version: way} if way else {}
    return {name: Probed(health, found) for name, found in ways.items() if (health := declared(spec, name))}


def way_of(uplink: Uplink, family: Family) -> ProbePath | None:
    interface, source = uplink.interface, uplink.on_wire(family)
    if interface.ifindex is None or (source is None and family not in uplink.families):
        return None
    return ProbePath(interface.ifname, interface.ifindex, str(source) if source else None)


def _way_inside(interface: Interface | None) -> ProbePath | None:
    """None while the interface is absent. A server that is behind none is reached as `main` says."""
    if interface is None:
        return ProbePath(None, 0, None)
    return ProbePath(interface.ifname, interface.ifindex, None) if interface.ifindex is not None else None


class Prober:
    """`follow` says what is probed; `health` is what is known. `on_change` is called within
    `follow` and `step` when an uplink or a server has another state.

    While conntrack `is_full`, which drops questions as it drops other new flows, no lost probe counts, and `say` is
    told so: once, although a table at its limit is now full and now not. `now` is the clock that `next_due` is by,
    `day` the time of day. Close it.
    """

    def __init__(
        self,
        on_change: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.monotonic,
        day: Callable[[], float] = time.time,
        record: HealthRecord | None = None,
        is_full: Callable[[], bool] = conntrack_is_full,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.on_change = on_change
        self._now = now
        self._day = day
        self._epoll = select.epoll()
        self._rounds: dict[str | Server, _Rounds] = {}
        self._record = record
        self._is_full = is_full
        self._say = say
        self._calm = 0.0  # when it is worth telling that the table is full
        self._before: Mapping[str | Server, HealthState] | None = None  # states of the daemon before, that still hold
        self.health = NO_HEALTH

    def close(self) -> None:
        for rounds in self._rounds.values():
            rounds.close()
        self._epoll.close()

    def restore(self, spec: GatewaySpec) -> None:
        """Before the first reconcile: what was down by the same probes when the daemon before ended is down still."""
        if self._before is not None or self._record is None:
            return
        self._before = {name: down.state() for name, down in self._record.read(spec).items()}
        self._publish(self._before)

    def follow(self, probed: Mapping[str | Server, Probed]) -> None:
        """Probe these from now on. States stay, whatever the ways are, as far as the same is asked (`edited`)."""
        now = self._now()
        edited = decided = False
        for name in self._rounds.keys() - probed.keys():
            gone = self._rounds.pop(name)
            gone.close()
            decided = decided or gone.state.state == "down"
        for name, wanted in probed.items():
            known = self._rounds.get(name)
            if known is None:
                state = (self._before or {}).get(name) or HealthState.initial(wanted.health, now)
                self._rounds[name] = self._begun(wanted, state, now)
            elif known.probed.health != wanted.health:
                known.close()
                state = known.state.edited(known.probed.health, wanted.health, now)
                self._rounds[name] = self._begun(wanted, state, now)
                edited, decided = True, decided or state.state != known.state.state
            elif known.probed != wanted:
                known.move(wanted)
        self._before = {}
        if edited or {*self.health.uplinks, *self.health.servers} != self._rounds.keys():
            self._tell()
        if decided:
            self.on_change()

    def _begun(self, probed: Probed, state: HealthState, now: float) -> _Rounds:
        return _Rounds(probed, self._epoll, self._in_step(probed.health, now), state)

    def _in_step(self, health: Health, now: float) -> float:
        """When the first round is due: together with others of the same interval, else at once."""
        others = (rounds for rounds in self._rounds.values() if rounds.probed.health.interval == health.interval)
        return next((other.due for other in others), now)

    def told(self) -> dict[str, Any]:
        """The states for the control socket, with what each target says."""
        return {
            "uplinks": {name: self._told(name, state) for name, state in self.health.uplinks.items()},
            "servers": [{**name._asdict(), **self._told(name, state)} for name, state in self.health.servers.items()],
        }

    def _told(self, name: str | Server, state: ProbedState) -> dict[str, Any]:
        return {**asdict(state), "targets": self._rounds[name].told()}

    # ---------------------------------------------------------------- in the loop

    def fileno(self) -> int:
        return self._epoll.fileno()

    def next_due(self) -> float:
        return min((rounds.next for rounds in self._rounds.values()), default=_NEVER)

    def step(self) -> None:
        """Read what connections have, judge the rounds that are over, begin those that are due."""
        if not self._rounds:
            return
        if ready := {fileno for fileno, _ in self._epoll.poll(0)}:
            for rounds in self._rounds.values():
                rounds.progress(ready)
        now = self._now()
        due = [rounds for rounds in self._rounds.values() if rounds.next <= now]
        before = [rounds.state.state for rounds in due]
        full = cache(self._is_full)
        for rounds in due:
            rounds.step(now, full)
        if full.cache_info().currsize and full():  # asked where a probe was lost
            if self._calm <= now:
                self._say("the connection tracking table is full and drops probes: those that are lost do not count")
            self._calm = now + _CALM
        if before != [rounds.state.state for rounds in due]:
            self._tell()
            self.on_change()

    def _tell(self) -> None:
        self._publish({name: rounds.state for name, rounds in self._rounds.items()})
        if self._record is not None:
            self._record.write({name: (rounds.state, rounds.probed.health) for name, rounds in self._rounds.items()})

    def _publish(self, found: Mapping[str | Server, HealthState]) -> None:
        now, day = self._now(), self._day()
        states: dict[str | Server, ProbedState] = {}
        for name, state in found.items():
            known = self._known(name)
            if known is None or known.state != state.state:
                known = state.probed(now, day)
            states[name] = known
        self.health = HealthFacts.of(states)

    def _known(self, name: str | Server) -> ProbedState | None:
        return self.health.servers.get(name) if isinstance(name, Server) else self.health.uplinks.get(name)


class _Rounds:
    """The rounds of one uplink or server: a question to each target every `interval`, judged `wait` seconds later."""

    def __init__(self, probed: Probed, epoll: select.epoll, due: float, state: HealthState) -> None:
        self.probed = probed
        self.state = state
        self.due = due  # the next question
        self._deadline = _NEVER  # of the answers to the last one
        self._epoll = epoll
        self._targets: list[ProbeTarget | None] = self._made()

    @property
    def next(self) -> float:
        return min(self.due, self._deadline)  # which is never later: `wait` is at most `interval`

    def _made(self) -> list[ProbeTarget | None]:
        ways = self.probed.ways
        return [
            target(probe, ways[probe.address.version], self._epoll) if probe.address.version in ways else None
            for probe in self.probed.health.probes
        ]

    def move(self, probed: Probed) -> None:
        """It is reached by another interface or address: what was asked before gets no answer."""
        self.close()
        self.probed = probed
        self._targets = self._made()
        self._deadline = _NEVER

    def told(self) -> list[dict[str, Any]]:
        pairs = zip(self.probed.health.probes, self.state.targets, strict=True)
        return [
            {
                "target": str(probe),
                "works": state.works,
                "loss": round(state.loss, 1),
                "latency": None if state.latency is None else round(state.latency, 1),
                "reason": state.reason,
            }
            for probe, state in pairs
        ]

    def close(self) -> None:
        for each in self._targets:
            if each:
                each.close()

    def progress(self, ready: Set[int]) -> None:
        """Some of these file descriptors may be those of its connections."""
        for each in self._targets:
            if isinstance(each, Stream) and each.fileno() in ready:
                each.progress()

    def step(self, now: float, is_full: Callable[[], bool]) -> None:
        if self._deadline <= now:
            self._judge(now, is_full)
        if self.due <= now:
            for each in self._targets:
                if each:
                    each.ask()
            sent = self.due if now - self.due < _LATE else now
            self._deadline, self.due = sent + self.probed.health.wait, sent + self.probed.health.interval

    def _judge(self, now: float, is_full: Callable[[], bool]) -> None:
        self._deadline = _NEVER
        health = self.probed.health
        for number, each in enumerate(self._targets):
            latency = each.answer() if each else None
            if latency is not None and latency > health.wait:
                latency = None
            if latency is None and each and is_full():
                continue
            why = "" if latency is not None else (each.why or "no answer") if each else "no address or interface"
            self.state = self.state.after(number, latency, now, health, why)
