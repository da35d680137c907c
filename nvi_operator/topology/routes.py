"""Routes of the spec, resolved: by family, and by the uplink that works now. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.values import FAMILIES, SELF
from nvi_operator.topology.exceptions import networks_without
from nvi_operator.topology.interfaces import Uplink
from nvi_operator.topology.rules import Conditions, RouteEntry
from nvi_operator.topology.ways import first_working


def resolve_routes(spec: GatewaySpec, uplinks: Sequence[Uplink]) -> Iterator[RouteEntry]:
    by_name = {uplink.name: uplink for uplink in uplinks}
    for route in spec.routes:
        ifnames = tuple(name for name in route.in_ or () if name != SELF)
        for family in FAMILIES if ifnames or not route.in_ else ():
            sources = tuple(n for n in route.from_ or () if n.version == family)
            destinations = tuple(n for n in route.to or () if n.version == family)
            if (route.from_ and not sources) or (route.to and not destinations):
                continue
            if route.except_ is not None:
                asked, led = sources, destinations
                sources = networks_without(asked, route.except_.from_ or (), family)
                destinations = networks_without(led, route.except_.to or (), family)
                if (asked and not sources) or (led and not destinations):
                    continue
            way = first_working(route.via.first, by_name, family)
            via = way.name if way else route.via.first[0]
            yield RouteEntry(route.name, Conditions(family, sources, destinations, ifnames, mark=route.mark), via)
