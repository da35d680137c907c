"""A plan as a diff for people, and as JSON for programs. Reads the same Plan that an apply executes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, groupby, islice
from typing import Any

from rich.text import Text

from nvi_operator.kinds import KINDS
from nvi_operator.language.wording import counted
from nvi_operator.plan.change import Action, Change, Plan
from nvi_operator.state.lines import Line
from nvi_operator.view.plain import plain_object

_PIECE = 500
_SCREEN = 16  # lines: beside notes and the prompt
_FEW = 2  # objects of a kind that are shown where others are counted
_OF_A_TABLE = 6
_WIDTH = 77  # of a line, behind its sign
_ALL_LINES = "(--full prints every line)"
_STYLES = {"+": "green", "-": "red", "~": "yellow"}
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


def brief_lines(plan: Plan) -> Iterator[Line]:
    """What an apply did, on a screen: a small plan as it is, of a large one how many of each kind."""
    lines = list(islice(plan_lines(plan), _SCREEN + 1))
    if len(lines) <= _SCREEN:
        yield from lines
        return
    by_kind = sorted(plan.steps, key=lambda change: (change.ref, change.after is not None))
    for kind, changes in groupby(by_kind, key=lambda change: change.ref.kind):
        steps = tuple(changes)
        yield " ", f"{kind}: {_counted(steps, _DONE)}"
        if len(steps) <= _FEW:
            for sign, line in chain.from_iterable(map(_first_lines, steps)):
                yield sign, line if len(line) <= _WIDTH else f"{line[: _WIDTH - 3]}..."
    yield " ", _ALL_LINES


def _first_lines(change: Change) -> Iterator[Line]:
    """A new table is a line, because what is in it is in the spec; one that changed is told by what changed in it."""
    lines = [(sign, f"  {text}") for sign, text in change_lines(change)]
    most = 1 if change.action is Action.CREATE else _OF_A_TABLE
    yield from lines[:most]
    if len(lines) > most > 1:
        yield "~", f"    ... and {counted(len(lines) - most, 'more line')}"


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
    """The same, of what was done."""
    return f"Applied and verified: {done(plan)}." if plan else summary(plan)


def removed(plan: Plan) -> str:
    """The same, where everything was to go: that is what no spec says."""
    return f"Removed and verified: {done(plan)}." if plan else "No changes. There is no gateway here."


def done(plan: Plan) -> str:
    """`3 created, 1 updated`"""
    return _counted(plan.steps, _DONE)


def _counted(steps: Iterable[Change], words: Mapping[Action, str]) -> str:
    counts = Counter(change.action for change in steps)
    return ", ".join(f"{counts[action]} {words[action]}" for action in Action if counts[action])


def plan_pieces(plan: Plan, *, full: bool = False, last: Callable[[Plan], str] = summary) -> Iterator[Text]:
    """The diff with its summary as the `last` line, in colour where the terminal has any.

    In pieces of a few hundred lines: all of it at once would take a terminal's library seconds.
    """
    yield from coloured(plan_lines(plan, full=full))
    yield Text(last(plan), style="bold")


def brief_pieces(plan: Plan, *, last: Callable[[Plan], str]) -> Iterator[Text]:
    """The same, of what was done and no longer than a screen."""
    yield from coloured(brief_lines(plan))
    yield Text(last(plan), style="bold")


def coloured(lines: Iterable[Line]) -> Iterator[Text]:
    """Lines as text, some hundreds at a time."""
    text = Text()
    for number, (sign, line) in enumerate(lines, start=1):
        if sign == " ":
            text.append(f"{line}\n", style="bold")
        else:
            text.append(f"{sign} {line}\n", style=_STYLES[sign])
        if number % _PIECE == 0:
            yield text
            text = Text()
    yield text


def plan_json(name: str, seen: Plan) -> dict[str, Any]:
    """Stable for programs: steps in the order of the apply."""
    return {
        "gateway": name or None,
        "notes": list(seen.topology.notes) if seen.topology else [],
        "changes": len(seen.steps),
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
