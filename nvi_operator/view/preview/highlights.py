"""What of a gateway's picture a change points at."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.plan.change import Action
from nvi_operator.plan.trace import trace
from nvi_operator.preview.model import GatewayChange
from nvi_operator.view.graph.model import Change, Highlight

_CHANGES = {
    Action.CREATE: Change.NEW,
    Action.UPDATE: Change.CHANGED,
    Action.REPLACE: Change.CHANGED,
    Action.DELETE: Change.GONE,
}
MOST = 60  # boxes of their own: more would hide what is around them


def highlights(change: GatewayChange) -> list[Highlight]:
    """Of a gateway that is new or removed nothing: all of it is."""
    return list(_of_entries(change))[:MOST] if change.word == "changed" else []


def _of_entries(change: GatewayChange) -> Iterator[Highlight]:
    for effect in trace(change.plan, change.before):
        section, name = effect.entry.section, effect.entry.name
        became = _CHANGES[effect.action]
        match section:
            case "uplinks" if name:
                yield Highlight(became, uplink=name)
            case "interfaces" if name:
                yield Highlight(became, inside=name)
            case str() if section and name:
                yield Highlight(became, entry=(section, name))
