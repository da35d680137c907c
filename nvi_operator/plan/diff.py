"""The one comparator: the steps from a live state to a desired one, and the steps back.

Creating and changing goes upwards through the phases, deleting downwards afterwards: make before break. What lets
packets past the other objects is removed first of all.
"""

from __future__ import annotations

from nvi_operator.kinds import KINDS
from nvi_operator.plan.change import Action, Change, Plan
from nvi_operator.state.host import HostState, Ref


def plan(live: HostState, desired: HostState) -> Plan:
    """`plan(x, x)` is empty; applying `plan(x, y)` to a host that holds x makes it hold y."""
    first: list[Change] = []
    builds: list[Change] = []
    deletes: list[Change] = []
    lost = _lost(live, desired)
    for ref in live.objects.keys() | desired.objects.keys():
        before, after = None if ref in lost else live.objects.get(ref), desired.objects.get(ref)
        if before == after:
            continue
        kind = KINDS[ref.kind]
        if before is not None and after is not None and kind.bypasses and kind.replaces(before, after):
            first.append(Change(ref, Action.DELETE, before, None))
            before = None
        if after is None:
            (first if kind.bypasses else deletes).append(Change(ref, Action.DELETE, before, None))
        elif before is None:
            builds.append(Change(ref, Action.CREATE, None, after))
        else:
            replaces = kind.replaces(before, after)
            builds.append(Change(ref, Action.REPLACE if replaces else Action.UPDATE, before, after))
    first.sort(key=_order, reverse=True)
    builds.sort(key=_order)
    deletes.sort(key=_order, reverse=True)
    return Plan((*first, *builds, *deletes), live, desired)


def _lost(live: HostState, desired: HostState) -> frozenset[Ref]:
    """Objects that disappear with the link they live on, because the link is replaced; they are created again."""
    links = set()
    for ref, before in live.objects.items():
        after = desired.objects.get(ref)
        kind = KINDS[ref.kind]
        if after is not None and kind.is_link(before) and kind.replaces(before, after):
            links.add(kind.is_link(before))
    if not links:
        return frozenset()
    return frozenset(
        ref
        for ref, obj in live.objects.items()
        if not KINDS[ref.kind].is_link(obj) and KINDS[ref.kind].lives_on(obj) in links
    )


def _order(change: Change) -> tuple[int, int, Ref]:
    kind = KINDS[change.ref.kind]
    return kind.phase(change.present), kind.within(change.present), change.ref
