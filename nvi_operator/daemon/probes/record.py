"""What was down when a daemon ended, so that the next one, and a command where none runs, begin there.

A restart during an outage would move flows back to the dead uplink until its probes have failed again, and would
forget the hold-down; so would an apply by hand between the two. A file in /run for each network namespace: a reboot
and `nvictl down` clear it, and its times are of CLOCK_MONOTONIC, which goes on across a restart. Only what was down
by the same probes counts; what cannot be read counts as nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nvi_operator.daemon.health_state import HealthState, TargetState
from nvi_operator.dataclass import dataclass
from nvi_operator.errors import ConflictError, NviError
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.health import Health
from nvi_operator.store.directory import RUN, file_errors, read_file, write_file
from nvi_operator.topology.health import ProbedState, Server, declared

_MOST_BYTES = 1 << 20

Name = str | Server


@dataclass(frozen=True)
class Down:
    """An uplink or a server: since when (CLOCK_MONOTONIC), why, and by which probes."""

    since: float
    reason: str
    health: Health

    def state(self) -> HealthState:
        """It works again when its targets have answered as often as `up` says."""
        failed = TargetState(works=False, reason="no answer since the restart")
        return HealthState((failed,) * len(self.health.probes), "down", self.since, self.reason)

    def probed(self) -> ProbedState:
        """The same, by the time of day."""
        return self.state().probed(time.monotonic(), time.time())


class HealthRecord:
    """`say` gets what cannot be written; once. `cookie`: of the network namespace."""

    def __init__(self, cookie: int, say: Callable[[str], None] = lambda _: None, directory: Path = RUN) -> None:
        self._path = directory / f"health-{cookie}.json"
        self._say = say
        self._told = False
        self._written: dict[Name, Down] | None = None

    def read(self, spec: GatewaySpec) -> dict[Name, Down]:
        """What was down by the probes that this spec declares."""
        try:
            entries = [_Entry.parsed(each) for each in json.loads(read_file(self._path, _MOST_BYTES))]
        except (OSError, ConflictError, ValueError, TypeError, KeyError, RecursionError):
            return {}
        return {
            entry.name: Down(entry.since, entry.reason, health)
            for entry in entries
            if (health := declared(spec, entry.name)) and entry.probes == repr(health)
        }

    def remove(self) -> None:
        with file_errors(f"{self._path}: removing"):
            self._path.unlink(missing_ok=True)

    def write(self, states: Mapping[Name, tuple[HealthState, Health]]) -> None:
        """Those that are down. Nothing is written while they are the same."""
        downs = {
            name: Down(state.since, state.reason, health)
            for name, (state, health) in states.items()
            if state.state == "down"
        }
        if downs == self._written or not (downs or self._path.exists()):
            return
        try:
            with file_errors(f"{self._path}: recording which probes fail"):
                text = json.dumps([_plain(name, down) for name, down in downs.items()])
                write_file(self._path, text.encode(), lasting=False)
            self._written = downs
        except NviError as error:
            if not self._told:
                self._say(str(error))
            self._told = True


def _plain(name: Name, down: Down) -> dict[str, Any]:
    return {"name": name, "since": down.since, "reason": down.reason, "probes": repr(down.health)}


class _Entry(NamedTuple):
    """A `Down` as the file has it, with its probes in words."""

    name: Name
    since: float
    reason: str
    probes: str

    @staticmethod
    def parsed(entry: Any) -> _Entry:
        name = entry["name"]
        return _Entry(
            Server(*map(str, name)) if isinstance(name, list) else str(name),
            float(entry["since"]),
            str(entry["reason"]),
            str(entry["probes"]),
        )
