"""What the daemon answers on its control socket, between two reconciles."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from nvi_operator import __version__
from nvi_operator.daemon.control.protocol import PROTOCOL, Request
from nvi_operator.daemon.control.server import Answer, Later
from nvi_operator.daemon.loop import Loop
from nvi_operator.daemon.sync import Sync
from nvi_operator.dataclass import dataclass
from nvi_operator.errors import NviError
from nvi_operator.events.event import UplinkDown, UplinkUp
from nvi_operator.events.moment import iso
from nvi_operator.events.record import EventLog, Record
from nvi_operator.history.decisions import Decisions
from nvi_operator.kernel.inspect.conntrack import conntrack_faults
from nvi_operator.plan.change import Plan
from nvi_operator.reconcile.outcome import Reason
from nvi_operator.rollout.waiter import now
from nvi_operator.view.status import DaemonStatus, StatusData, given_up, status_data, suspended, unconfirmed

Health = Callable[[], Mapping[str, Any]]  # what `health` answers

SHOWN = 5  # events, where a request names no number


@dataclass(frozen=True)
class GatewaySnapshot:
    """A gateway as it is at one moment."""

    gateway: str
    plan: Plan  # what a reconcile would do
    counters: Mapping[str, Mapping[str, int]]
    faults: tuple[str, ...]


class Answers:
    """Answers the requests to one daemon. `spec` is the directory that it follows; `look` raises NviError."""

    def __init__(
        self,
        loop: Loop,
        event_log: EventLog,
        spec: str,
        look: Callable[[], GatewaySnapshot],
        health: Health,
        sync: Sync | None,
        decided: Callable[[], Decisions],
    ) -> None:
        self._loop = loop
        self._event_log = event_log
        self._spec = spec
        self._look = look
        self._health = health
        self._sync = sync
        self._decided = decided
        self._began = time.time()
        self._since: dict[str, float] = {}  # the last time that an uplink went down or came back
        event_log.listeners.append(self._notice)

    @property
    def reading(self) -> dict[str, Answer]:
        """Requests that everyone who may connect may make."""
        return {"hello": self._hello, "paused": self._paused, "health": self._probed, "status": self._status}

    @property
    def changing(self) -> dict[str, Answer]:
        return {"reconcile": self._reconcile, "sync": self._fetch}

    def status(self, events: int = SHOWN) -> StatusData:
        """Raises NviError where the kernel cannot be read."""
        seen, last = self._look(), self._loop.last
        daemon: DaemonStatus = {
            "pid": os.getpid(),
            "spec": self._spec,
            "since": iso(self._began),
            "revision": str(last.revision) if last.revision else None,
            "errors": [str(error) for error in last.errors] + self._source_errors(),
            "paused": self._paused_now(),
            "source": self._sync.status() if self._sync else None,
        }
        uplinks = seen.plan.topology.uplinks if seen.plan.topology else ()
        return status_data(
            seen.gateway,
            seen.plan,
            seen.counters,
            (*seen.faults, *conntrack_faults()),
            since={uplink.name: self._since.get(uplink.name, self._began) for uplink in uplinks},
            daemon=daemon,
            events=[record.json() for record in self._event_log.last(events)],
            suspended=suspended(decisions := self._decided(), now(), time.time()),
            unconfirmed=unconfirmed(decisions, now()),
            given_up=given_up(decisions),
        )

    def _source_errors(self) -> list[str]:
        error = self._sync.status()["error"] if self._sync else None
        return [error] if error else []

    def _status(self, request: Request) -> StatusData:
        return self.status(request.integer("events", SHOWN))

    def _hello(self, request: Request) -> dict[str, Any]:
        last = self._loop.last
        return {
            "protocol": PROTOCOL,
            "version": __version__,
            "pid": os.getpid(),
            "spec": self._spec,
            "gateway": last.gateway or None,
            "revision": str(last.revision) if last.revision else None,
        }

    def _paused(self, request: Request) -> dict[str, Any]:
        return {"paused": self._paused_now()}

    def _paused_now(self) -> dict[str, float]:
        return {name: round(left, 1) for name, left in self._loop.paused.items()}

    def _probed(self, request: Request) -> dict[str, Any]:
        return dict(self._health())

    def _reconcile(self, request: Request) -> dict[str, Any]:
        """Reconcile, as SIGHUP does."""
        self._loop.trigger(Reason.SIGNAL)
        return {}

    def _fetch(self, request: Request) -> Later:
        if self._sync is None:
            raise NviError(
                f"nvictl run: it follows a directory, {self._spec}: there is nothing to fetch",
                hint="a changed file is applied by itself; systemctl reload nvi-operator looks at once",
            )
        return self._sync.ask()

    def _notice(self, record: Record) -> None:
        if isinstance(record.event, (UplinkDown, UplinkUp)):
            self._since[record.event.uplink] = record.time
