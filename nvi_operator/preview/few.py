"""An edit of a few among very many forwards: the gateway with those that have a part in it, and no others.

Forwards are independent of each other, unless they have a public address in common. What is planned and walked for
the others is the same on both sides, and takes a second for 100,000.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from nvi_operator.language.load.loader import LoadedSpec
from nvi_operator.language.model.interfaces import UplinkSpec
from nvi_operator.preview.gateways import Pair

MANY = 2000  # forwards; of fewer all are taken


def with_few_forwards(pair: Pair) -> Pair:
    """The pair without forwards that the edit does not touch; the same pair, if it is no edit of a few."""
    delta, before, after = pair.delta, pair.before, pair.after
    if delta is None or before is None or after is None or delta.section != "forwards":
        return pair
    if len(before.spec.forwards) < MANY:
        return pair
    edited = [forward.at for forward in (*delta.removed.values(), *delta.added.values())]
    return replace(pair, before=_few(before, edited), after=_few(after, edited))


def _few(loaded: LoadedSpec, edited: Iterable[tuple[str, ...] | None]) -> LoadedSpec:
    spec = loaded.spec
    of_uplink = {name: frozenset({name, *_addresses(uplink)}) for name, uplink in spec.uplinks.items()}
    everywhere = tuple(spec.uplinks)
    asked = frozenset().union(*(of_uplink.get(item, {item}) for at in edited for item in at or everywhere))
    meeting = asked | {name for name, places in of_uplink.items() if not asked.isdisjoint(places)}
    forwards = {
        name: forward for name, forward in spec.forwards.items() if not meeting.isdisjoint(forward.at or everywhere)
    }
    return replace(loaded, spec=spec.model_copy(update={"forwards": forwards}))


def _addresses(uplink: UplinkSpec) -> Iterable[str]:
    """What a forward at the uplink may be published on, as the spec's language writes it."""
    addresses = () if uplink.addresses == "auto" else uplink.addresses
    return map(str, (*addresses, *(uplink.translate_to or ())))
