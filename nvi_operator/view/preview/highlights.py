"""What of a gateway's picture a change points at."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.plan.change import Action
from nvi_operator.plan.trace import trace
from nvi_operator.preview.model import GatewayChange
from nvi_operator.view.graph.model import ChangeKind, Highlight

_CHANGES = {
    Action.CREATE: ChangeKind.NEW,
    Action.UPDATE: ChangeKind.CHANGED,
    Action.REPLACE: ChangeKind.CHANGED,
    Action.DELETE: ChangeKind.GONE,
}
MOST = 60  # boxes of their own: more would hide what is around them


def highlights(change: GatewayChange) -> list[Highlight]:
    """The ways that flows take now, and those that they took, then entries that no flow shows.

    Of a gateway that is new or removed nothing: all of it is.
    """
    return [*_of_ways(change), *_of_entries(change)][:MOST] if change.word == "changed" else []


def _of_ways(change: GatewayChange) -> Iterator[Highlight]:
    effects = trace(change.plan, change.before)
    removed = {(e.entry.section, e.entry.name) for e in effects if e.action is Action.DELETE}
    for each in change.ways:
        way = each.way
        if way.entry in removed:  # it is not drawn, and a line past it would be none of the gateway's
            continue
        became = ChangeKind.GONE if each.is_gone else ChangeKind.NEW if each.is_new else ChangeKind.CHANGED
        yield Highlight(became, way.inside, way.entry, way.uplink)


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
