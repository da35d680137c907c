"""Drift: what others did to what is ours. The same plan that would heal it, read the other way round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from nvi_operator.state.change import Action, Change, Plan
from nvi_operator.view.nft_diff import Line
from nvi_operator.view.plan import change_lines, coloured, plan_json

_CLASSES = {
    Action.CREATE: "owned-missing",
    Action.UPDATE: "owned-modified",
    Action.REPLACE: "owned-modified",
    Action.DELETE: "owned-unexpected",  # it bears our mark, and the spec knows nothing of it
}
_OPPOSITE = {"+": "-", "-": "+", "~": "~", " ": " "}


def drift_class(change: Change) -> str:
    return _CLASSES[change.action]


def drift_lines(plan: Plan, *, full: bool = False) -> Iterator[Line]:
    """Signed lines; the headings have a blank sign."""
    for change in plan.steps:
        yield " ", f"{drift_class(change)} {change.ref.kind}"
        yield from ((_OPPOSITE[sign], f"  {line}") for sign, line in change_lines(change, full=full))


def drift_pieces(plan: Plan, *, full: bool = False) -> Iterator[Text]:
    """'+' is what was put in, '-' what was taken away, since the gateway was as the spec says. In pieces."""
    if not plan:
        yield Text("No drift. Everything of ours is as the spec says.", style="bold")
        return
    yield from coloured(drift_lines(plan, full=full))
    count = len(plan.steps)
    yield Text(f"{count} object{'s' if count > 1 else ''} drifted. `nvictl apply` puts it right.", style="bold")


def drift_json(plan: Plan) -> dict[str, Any]:
    data = plan_json(plan)
    for step, change in zip(data["steps"], plan.steps, strict=True):
        step["class"] = drift_class(change)
    return data
