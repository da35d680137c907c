"""An edit of a few among very many forwards: the gateway with those that have a part in it, and no others.

Forwards are independent of each other, unless they have a public address in common. What is planned and walked for
the others is the same on both sides, and takes a second for 100,000.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from ipaddress import ip_address

from nvi_operator.language.load.loader import LoadedSpec
from nvi_operator.language.model.gateway import GatewaySpec
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
    places = _places(spec)
    asked = frozenset().union(*map(places, edited))
    forwards = {name: forward for name, forward in spec.forwards.items() if not asked.isdisjoint(places(forward.at))}
    return replace(loaded, spec=spec.model_copy(update={"forwards": forwards}))


def _places(spec: GatewaySpec) -> Callable[[tuple[str, ...] | None], frozenset[str]]:
    """For what a forward has as `at`: every uplink and address that may be meant by it."""
    of_uplink: dict[str, frozenset[str]] = {}
    for name, uplink in spec.uplinks.items():
        addresses = () if uplink.addresses == "auto" else (*uplink.addresses, *(uplink.translate_to or ()))
        of_uplink[name] = frozenset({name, *map(str, addresses)})

    @cache  # 100,000 forwards have a few hundred of them
    def places(at: tuple[str, ...] | None) -> frozenset[str]:
        named = at or tuple(spec.uplinks)
        return frozenset().union(*(of_uplink.get(item) or frozenset({str(ip_address(item))}) for item in named))

    return places
