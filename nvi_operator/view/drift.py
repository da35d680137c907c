"""Drift: where the gateway's objects differ from the spec. The same plan that would heal it, read backwards.

The two states do not tell whether another process changed an object, or the spec was edited and not applied. The
daemon knows: its log names the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from nvi_operator.plan.change import Action, Change, Plan
from nvi_operator.plan.trace import trace
from nvi_operator.state.lines import Line
from nvi_operator.view.entries import entry_lines
from nvi_operator.view.plan import HINT, change_lines, plan_json, styled, wrapped
from nvi_operator.view.segment import Piece, Segment

_CLASSES = {
    Action.CREATE: "owned-missing",
    Action.UPDATE: "owned-modified",
    Action.REPLACE: "owned-modified",
    Action.DELETE: "owned-unexpected",  # it has the gateway's mark, and the spec does not know it
}
_OPPOSITE = {"+": "-", "-": "+", "~": "~", " ": " "}


def drift_class(change: Change) -> str:
    return _CLASSES[change.action]


def drift_lines(plan: Plan, *, full: bool = False) -> Iterator[Line]:
    """Signed lines; the headings have a blank sign."""
    for change in plan.steps:
        yield " ", f"{drift_class(change)} {change.ref.kind}"
        yield from ((_OPPOSITE[sign], f"  {line}") for sign, line in change_lines(change, full=full))


def drift_pieces(plan: Plan, *, kernel: bool, full: bool = False, width: int | None = None) -> Iterator[Piece]:
    """The entries that do not work as the spec says; with `kernel` what differs in the kernel. In pieces.

    '+' is what the spec does not know, '-' what it says and is not there.
    """
    ignored = f"{len(plan.ignored)} ignored by the spec's drift policy: {', '.join(plan.ignored[:3])}"
    if plan.ignored:
        yield [Segment(ignored + (", ...\n" if len(plan.ignored) > 3 else "\n"))]
    if not plan:
        yield [Segment("No drift. The gateway is as the spec says.", "bold")]
        return
    yield from styled(wrapped(entry_lines(trace(plan), full=full, drift=True), width))
    if kernel or full:
        yield [Segment("\n")]
        yield from styled(drift_lines(plan, full=full))
    else:
        yield [Segment(f"{HINT}\n")]
    count = len(plan.steps)
    differ = "objects differ" if count > 1 else "object differs"
    text = (
        f"{count} {differ} from the spec: changed by another process, or the spec was edited and not applied. "
        "`nvictl apply` restores the spec."
    )
    yield [Segment("\n".join(wrap(text, width or len(text))), "bold")]


def drift_json(name: str, seen: Plan) -> dict[str, Any]:
    data = plan_json(name, seen, drift=True)
    data["ignored"] = list(seen.ignored)
    for step, change in zip(data["steps"], seen.steps, strict=True):
        step["class"] = drift_class(change)
    return data
