"""An outcome in words: what `nvictl run` prints, and its line in `systemctl status`. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice

from nvi_operator.plan.trace import trace
from nvi_operator.reconcile.outcome import Outcome
from nvi_operator.view.drift import drift_lines
from nvi_operator.view.entries import entry_lines
from nvi_operator.view.plan import done, plan_lines

SHOWN = 40  # lines of the kernel's objects that are logged


def log_entries(outcome: Outcome, last: Outcome, *, kernel: bool = False) -> Iterator[str]:
    """What is new since the last outcome, but for the errors themselves. With `kernel` also the kernel's lines."""
    name = _name(outcome)
    wrong = outcome.spec_error
    if wrong and wrong is not last.spec_error and outcome.gateway:
        yield f"{name}: the new spec is wrong; the last good one stays in force"
    if last.spec_error and not wrong:
        yield f"{name}: the spec is right again"
    yield from (f"{outcome.gateway}: note: {note}" for note in outcome.notes if note not in last.notes)
    if outcome.plan:
        yield "\n".join([f"{name}: {_head(outcome)}", *_lines(outcome, last, kernel), _end(outcome)])
    elif outcome.requested and not outcome.failed:
        yield f"{name}: nothing to change: in sync"


def next_attempt(wait: float | None) -> str:
    """What follows an error. `wait`: seconds; None: it takes a change."""
    return "  next attempt: " + ("at the next change" if wait is None else f"in {wait:.2g} s")


def status_line(outcome: Outcome, paused: Collection[str]) -> str:
    """For sd_notify(3)."""
    status = outcome.errors[0].message if outcome.errors else f"{_name(outcome)}: in sync"
    return f"paused: {', '.join(sorted(paused))}; {status}" if paused else status


def _name(outcome: Outcome) -> str:
    return f"{outcome.gateway} at {outcome.revision}" if outcome.revision else outcome.gateway


def _head(outcome: Outcome) -> str:
    if outcome.failed:
        return "drift beside the nft table"
    by = f" by {', '.join(outcome.changed_by)}" if outcome.changed_by else ""
    return f"drift{by}" if outcome.drifted else "changes"


def _lines(outcome: Outcome, last: Outcome, kernel: bool) -> list[str]:
    """The entries, by the names that they had before, where they are no longer in the spec."""
    plan, drift = outcome.plan, outcome.drifted or outcome.failed
    lines = list(entry_lines(trace(plan, last.plan.topology), drift=drift))
    if kernel:
        objects = list(islice(drift_lines(plan) if drift else plan_lines(plan), SHOWN + 1))
        more = [(" ", f"... (the first {SHOWN} lines; nvictl plan --kernel shows all)")] if objects[SHOWN:] else []
        lines += [*objects[:SHOWN], *more]
    return [f"{sign} {line}".rstrip() for sign, line in lines]


def _end(outcome: Outcome) -> str:
    if outcome.failed:
        return "healed"
    took = f"in {outcome.seconds * 1000:.0f} ms"
    if outcome.drifted:
        return f"{outcome.gateway}: healed {took}: in sync"
    return f"{outcome.gateway}: applied and verified {took}: {done(outcome.plan)}: in sync"
