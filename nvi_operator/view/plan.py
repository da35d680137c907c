"""A plan for people, in the words of the spec and as a diff of kernel objects; and as JSON for programs.

Reads the same Plan that an apply executes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from textwrap import wrap
from typing import Any

from nvi_operator.kinds import KINDS
from nvi_operator.language.wording import counted
from nvi_operator.plan.change import Action, Change, Plan
from nvi_operator.plan.trace import trace
from nvi_operator.state.lines import Line
from nvi_operator.topology.flows import StrandedCount
from nvi_operator.topology.model import Topology
from nvi_operator.view.entries import entry_json, entry_lines
from nvi_operator.view.plain import plain_object
from nvi_operator.view.segment import Piece, Segment

HINT = "(--kernel shows the objects in the kernel)"

_PIECE = 500
_STYLES = {"+": "green", "-": "red", "~": "yellow", "!": "red", " ": "bold"}
_SIGNS = {Action.CREATE: "+", Action.DELETE: "-", Action.UPDATE: "~", Action.REPLACE: "~"}
_TO_DO = {
    Action.CREATE: "to create",
    Action.UPDATE: "to update",
    Action.REPLACE: "to replace",
    Action.DELETE: "to delete",
}
_DONE = {
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.REPLACE: "replaced",
    Action.DELETE: "deleted",
}


def plan_lines(plan: Plan, *, full: bool = False) -> Iterator[Line]:
    """Signed lines, grouped by kind and sorted as people look things up; an apply has an order of its own.

    Of what changed by the thousand the first few are shown, unless `full`.
    """
    by_kind = sorted(plan.steps, key=lambda change: (change.ref, change.after is not None))
    for kind, changes in groupby(by_kind, key=lambda change: change.ref.kind):
        yield " ", kind
        for change in changes:
            yield from ((sign, f"  {text}") for sign, text in change_lines(change, full=full))


def change_lines(change: Change, *, full: bool = False) -> Iterator[Line]:
    """One step: what it was, what it becomes."""
    kind, before, after = KINDS[change.ref.kind], change.before, change.after
    if kind.text is not None:
        yield _SIGNS[change.action], kind.describe(change.present)
        if after is not None:
            yield from ((sign, f"  {text}") for sign, text in kind.difference(before, after, full))
        return
    if before is not None:
        yield "-", kind.describe(before)
    if after is not None:
        yield "+", kind.describe(after)


def summary(plan: Plan) -> str:
    """`3 to create, 1 to update.`, or that there is nothing to do."""
    return f"{_counted(plan.steps, _TO_DO)}." if plan else "No changes. The gateway is as the spec says."


def applied(plan: Plan) -> str:
    """The words for what was done."""
    return f"Applied and verified: {done(plan)}." if plan else summary(plan)


def removed(plan: Plan) -> str:
    """The words for what was removed: everything, which no spec says."""
    return f"Removed and verified: {done(plan)}." if plan else "No changes. There is no gateway here."


def done(plan: Plan) -> str:
    """`3 created, 1 updated`"""
    return _counted(plan.steps, _DONE)


def _counted(steps: Iterable[Change], words: Mapping[Action, str]) -> str:
    counts = Counter(change.action for change in steps)
    return ", ".join(f"{counts[action]} {words[action]}" for action in Action if counts[action])


def plan_pieces(
    plan: Plan,
    *,
    kernel: bool = False,
    full: bool = False,
    width: int | None = None,
    last: Callable[[Plan], str] = summary,
    before: Topology | None = None,
) -> Iterator[Piece]:
    """The entries that change, with `kernel` the kernel's lines, and the summary as the `last` line.

    In colour where the terminal has any, not wider than `width`, and in pieces. `full` shows every entry and every
    line. `before` is what the gateway was, where that is known: it names entries that are no more.
    """
    yield from styled(wrapped(entry_lines(trace(plan, before), full=full), width))
    if plan and (kernel or full):
        yield [Segment("\n")]
        yield from styled(plan_lines(plan, full=full))
    elif plan:
        yield [Segment(f"{HINT}\n")]
    yield [Segment(f"{line}\n") for line in stranded_lines(plan.stranded)]
    yield [Segment(last(plan), "bold")]


def stranded_lines(found: Iterable[StrandedCount]) -> Iterator[str]:
    """`3 flows stranded: uplink isp-a: down: no answer`, and what became of them."""
    for each in found:
        what = "" if each.ended is None else f": {each.ended} ended" if each.ended else ": kept"
        yield f"{counted(each.flows, 'flow')} stranded: {each.why}{what}"


def wrapped(lines: Iterable[Line], width: int | None) -> Iterator[Line]:
    """Lines that fit a terminal; what is left of one hangs behind its sign."""
    for sign, line in lines:
        if width is None:
            yield sign, line
            continue
        first, *rest = wrap(line, max(width - 2, 20), subsequent_indent="    ", break_on_hyphens=False) or [""]
        yield sign, first
        yield from (("", part) for part in rest)


def styled(lines: Iterable[Line]) -> Iterator[Piece]:
    """Lines as text, some hundreds at a time. A line without a sign belongs to the one before."""
    piece: list[Segment] = []
    style = ""
    for number, (sign, line) in enumerate(lines, start=1):
        style = _STYLES[sign] if sign else style
        piece.append(Segment(f"{line}\n" if sign in ("", " ") else f"{sign} {line}\n", style))
        if number % _PIECE == 0:
            yield piece
            piece = []
    yield piece


def plan_json(name: str, seen: Plan, *, drift: bool = False, before: Topology | None = None) -> dict[str, Any]:
    """Stable for programs: entries of the spec (view/entries.py), and steps in the order of the apply."""
    return {
        "gateway": name or None,
        "notes": list(seen.topology.notes) if seen.topology else [],
        "changes": len(seen.steps),
        "stranded": [{"why": each.why, "flows": each.flows, "ended": each.ended} for each in seen.stranded],
        "entries": [entry_json(effect, drift=drift) for effect in trace(seen, before)],
        "steps": [
            {
                "kind": change.ref.kind,
                "key": change.ref.key,
                "action": change.action.value,
                "before": plain_object(change.ref.kind, change.before),
                "after": plain_object(change.ref.kind, change.after),
            }
            for change in seen.steps
        ],
    }
