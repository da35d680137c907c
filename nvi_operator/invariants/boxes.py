"""Which packets the conditions of an entry are about: boxes, and what is left of them when others took theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from nvi_operator.dataclass import dataclass
from nvi_operator.explain.spans import ADDRESSES, BYTE, PORTS, Spans
from nvi_operator.language.model.packet_fields import Mark
from nvi_operator.language.model.services import Service, protocol_number
from nvi_operator.language.model.values import Family
from nvi_operator.topology.rules import Conditions

OTHER = "*"  # an interface that the spec does not name
_DSCPS = Spans(((0, 63),))


@dataclass(frozen=True)
class PacketBox:
    """All packets of one family with each field in a set. `mark` None: any."""

    family: Family
    ifnames: frozenset[str | None]  # None: the gateway itself
    sources: Spans
    destinations: Spans
    protocols: Spans = BYTE
    source_ports: Spans = PORTS
    destination_ports: Spans = PORTS
    dscps: Spans = _DSCPS
    mark: Mark | None = None

    def less(self, other: PacketBox) -> tuple[PacketBox, ...]:
        """The packets that are not in the other; itself where the two have none in common.

        Of marks only what is certain is taken away: where the other asks for one, that the packets have it.
        """
        if self.family != other.family or not self._has_the_mark_of(other) or not self.ifnames & other.ifnames:
            return (self,)
        common = {name: getattr(self, name) & getattr(other, name) for name in _SPANS}
        if not all(common.values()):
            return (self,)
        left: list[PacketBox] = []
        rest = self
        if alone := self.ifnames - other.ifnames:
            left.append(replace(rest, ifnames=alone))
            rest = replace(rest, ifnames=self.ifnames & other.ifnames)
        for name in _SPANS:
            mine: Spans = getattr(rest, name)
            if common[name] != mine:
                left.append(replace(rest, **{name: mine - common[name]}))
                rest = replace(rest, **{name: common[name]})
        return tuple(left)

    def _has_the_mark_of(self, other: PacketBox) -> bool:
        if other.mark is None:
            return True
        mine, theirs = self.mark, other.mark
        return mine is not None and mine.mask & theirs.mask == theirs.mask and not mine.excludes(theirs)


_SPANS = ("sources", "destinations", "protocols", "source_ports", "destination_ports", "dscps")


def boxes_of(conditions: Conditions, ifnames: Iterable[str | None]) -> Iterator[PacketBox]:
    """The packets that match. `ifnames`: the interfaces that conditions without any are about."""
    family = conditions.family
    whole = PacketBox(
        family,
        frozenset(conditions.ifnames or ifnames),
        Spans.networks(conditions.sources) if conditions.sources else ADDRESSES[family],
        Spans.networks(conditions.destinations) if conditions.destinations else ADDRESSES[family],
        dscps=Spans.of((dscp, dscp) for dscp in conditions.dscps) if conditions.dscps else _DSCPS,
        mark=conditions.mark,
    )
    found = [_narrowed(whole, conditions, protocol) for protocol in _protocols(conditions)]
    for hole in conditions.excepted:
        out = replace(whole, protocols=Spans.one(protocol_number(hole.protocol)), destination_ports=_ports([hole]))
        found = [piece for box in found for piece in box.less(out)]
    yield from found


def _protocols(conditions: Conditions) -> Sequence[str | None]:
    named = (service.protocol for service in (*conditions.services, *conditions.source_services))
    return [*dict.fromkeys(named)] or [*conditions.protocols] or [None]


def _narrowed(whole: PacketBox, conditions: Conditions, protocol: str | None) -> PacketBox:
    if protocol is None:
        return whole
    to, sent_from = (
        [service for service in services if service.protocol == protocol]
        for services in (conditions.services, conditions.source_services)
    )
    return replace(
        whole,
        protocols=Spans.one(protocol_number(protocol)),
        destination_ports=_ports(to) if to else PORTS,
        source_ports=_ports(sent_from) if sent_from else PORTS,
    )


def _ports(services: Iterable[Service]) -> Spans:
    return Spans.of((service.ports.first, service.ports.last) for service in services)
