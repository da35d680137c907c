"""What happened, made of outcomes: the events of one, and the line in `systemctl status`. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any

from nvi_operator.daemon.fights import Pause
from nvi_operator.errors import NviError, SpecError
from nvi_operator.events import event as events
from nvi_operator.events.event import GatewayEvent
from nvi_operator.language.model.values import FAMILIES
from nvi_operator.language.wording import counted
from nvi_operator.plan.change import Plan
from nvi_operator.plan.trace import trace
from nvi_operator.reconcile.outcome import Outcome
from nvi_operator.topology.faults import uplink_state
from nvi_operator.topology.interfaces import Uplink
from nvi_operator.topology.model import Topology
from nvi_operator.view.drift import drift_lines
from nvi_operator.view.entries import entry_lines
from nvi_operator.view.plan import done, plan_lines

SHOWN = 40  # lines of the kernel's objects that are logged


def events_of(outcome: Outcome, last: Outcome, *, kernel: bool = False) -> Iterator[GatewayEvent]:
    """What is new since the last outcome, but for the errors themselves. With `kernel` also the kernel's lines."""
    common = _common(outcome)
    if last.spec_error and last.spec_error.problems and not outcome.spec_error:
        yield events.SourceGood(**common)
    yield from (events.Note(note=note, **common) for note in outcome.notes if note not in last.notes)
    yield from _uplink_events(outcome.plan.topology, last.plan.topology, common)
    yield from _server_events(outcome.plan.topology, last.plan.topology, common)
    if outcome.left.names - last.left.names:
        lines = _lines(outcome.left, last, kernel, drift=True)
        yield events.Drift(entries=tuple(lines), changed_by=outcome.changed_by, left=True, **common)
    if outcome.plan:
        yield from _changes(outcome, last, kernel, common)
        for found in outcome.plan.stranded:
            yield events.Stranded(why=found.why, flows=found.flows, ended=found.ended or 0, **common)
    elif outcome.requested and not outcome.failed:
        yield events.InSync(**common)


def error_event(error: NviError, outcome: Outcome, wait: float | None) -> GatewayEvent:
    """`wait`: seconds until the next attempt."""
    common = _common(outcome)
    if isinstance(error, SpecError):
        return events.SourceFailed(error=str(error), retry=wait, in_force=bool(outcome.gateway), **common)
    made = events.Reverted if error.reverted else events.Failed
    return made(error=str(error), retry=wait, **common)


def pause_event(pause: Pause, outcome: Outcome) -> GatewayEvent:
    return events.Paused(
        object=pause.name,
        heals=pause.heals,
        window=pause.window,
        wait=pause.wait,
        changed_by=pause.changed_by,
        **_common(outcome),
    )


def status_line(outcome: Outcome, paused: Collection[str]) -> str:
    """The status as one line for sd_notify(3)."""
    name = GatewayEvent(**_common(outcome)).name
    state = f"drift of {counted(len(outcome.left.steps), 'object')} reported" if outcome.left else "in sync"
    status = outcome.errors[0].message if outcome.errors else f"{name}: {state}"
    return f"paused: {', '.join(sorted(paused))}; {status}" if paused else status


def _common(outcome: Outcome) -> dict[str, Any]:
    return {"gateway": outcome.gateway, "revision": str(outcome.revision or "")}


def _changes(outcome: Outcome, last: Outcome, kernel: bool, common: dict[str, Any]) -> Iterator[GatewayEvent]:
    drift = outcome.drifted or outcome.failed
    entries = tuple(_lines(outcome.plan, last, kernel, drift=drift))
    steps = len(outcome.plan.steps)
    if outcome.failed:
        yield events.Drift(entries=entries, beside_table=True, **common)
        yield events.Healed(steps=steps, seconds=outcome.seconds, in_sync=False, **common)
    elif outcome.drifted:
        yield events.Drift(entries=entries, changed_by=outcome.changed_by, **common)
        yield events.Healed(steps=steps, seconds=outcome.seconds, **common)
    else:
        text = done(outcome.plan)
        yield events.Applied(entries=entries, done=text, steps=steps, seconds=outcome.seconds, **common)


def _lines(plan: Plan, last: Outcome, kernel: bool, *, drift: bool) -> list[str]:
    """The entries, by the names that they had before, where they are no longer in the spec."""
    lines = list(entry_lines(trace(plan, last.plan.topology), drift=drift))
    if kernel:
        objects = list(islice(drift_lines(plan) if drift else plan_lines(plan), SHOWN + 1))
        more = [(" ", f"... (the first {SHOWN} lines; nvictl plan --kernel shows all)")] if objects[SHOWN:] else []
        lines += [*objects[:SHOWN], *more]
    return [f"{sign} {line}".rstrip() for sign, line in lines]


def _uplink_events(now: Topology | None, last: Topology | None, common: dict[str, Any]) -> Iterator[GatewayEvent]:
    """Uplinks that went down or came back, and new leases. At the start: those that are down."""
    before = {uplink.name: uplink for uplink in last.uplinks} if last else {}
    for uplink in now.uplinks if now is not None and now is not last else ():
        old = before.get(uplink.name)
        state, was = uplink_state(uplink), uplink_state(old) if old else "up"
        if state != was:
            yield (
                events.UplinkUp(uplink=uplink.name, **common)
                if state == "up"
                else events.UplinkDown(uplink=uplink.name, reason=state, **common)
            )
        if old and _leased(old) != _leased(uplink) and _leased(uplink) and uplink.dynamic:
            yield events.Lease(uplink=uplink.name, before=_leased(old), after=_leased(uplink), **common)


def _server_events(now: Topology | None, last: Topology | None, common: dict[str, Any]) -> Iterator[GatewayEvent]:
    """Servers that went down or came back, or stay no longer because another one works."""
    before = {server.name: server for server in last.servers} if last else {}
    for server in now.servers if now is not None and now is not last else ():
        old = before.get(server.name)
        was_down = old is not None and old.health.state == "down"
        name = {"forward": server.forward, "server": str(server.target), **common}
        if server.health.state != "down":
            if was_down:
                yield events.ServerUp(**name)
        elif not was_down or (old and old.takes_flows != server.takes_flows):
            yield events.ServerDown(reason=server.health.reason, stays=server.takes_flows, **name)


def _leased(uplink: Uplink) -> tuple[str, ...]:
    """What flows are translated to."""
    return tuple(str(address) for family in FAMILIES if (address := uplink.primary(family)))
