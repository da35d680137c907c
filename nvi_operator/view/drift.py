"""Drift: where what is ours differs from the spec. The same plan that would heal it, read the other way round.

Whether others changed what is ours, or the spec was edited and not applied, nobody can tell from the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from nvi_operator.plan.change import Action, Change, Plan
from nvi_operator.state.lines import Line
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
    """'+' is what the spec knows nothing of, '-' what it says and is not there. In pieces."""
    if not plan:
        yield Text("No drift. Everything of ours is as the spec says.", style="bold")
        return
    yield from coloured(drift_lines(plan, full=full))
    count = len(plan.steps)
    differ = "objects differ" if count > 1 else "object differs"
    text = f"{count} {differ} from the spec: others changed this, or the spec was edited and not applied."
    yield Text(f"{text} `nvictl apply` puts it right.", style="bold")


def drift_json(name: str, seen: Plan) -> dict[str, Any]:
    data = plan_json(name, seen)
    for step, change in zip(data["steps"], seen.steps, strict=True):
        step["class"] = drift_class(change)
    return data
