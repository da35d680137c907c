"""A packet of a box, for those who read what is wrong with an entry."""

from __future__ import annotations

from nvi_operator.explain.packet import ECHO_REQUEST, Packet, address
from nvi_operator.explain.region import Region
from nvi_operator.explain.space import Space
from nvi_operator.explain.spans import Spans
from nvi_operator.invariants.boxes import OTHER, PacketBox


def example(box: PacketBox) -> Packet | None:
    """A likely packet of it; None where it is empty."""
    family = box.family
    known = frozenset(name for name in box.ifnames if name != OTHER) or box.ifnames
    none = address(family, 0)
    like = Packet(None, 0, none, none, dscp=box.dscps.first, mark=box.mark.value if box.mark else 0)
    domains = {
        "protocol": box.protocols,
        "source": box.sources,
        "destination": box.destinations,
        "source_port": box.source_ports,
        "destination_port": box.destination_ports,
        "icmp_type": Spans.one(ECHO_REQUEST[family]),
    }
    return Region(family, known, Space(domains), like).example()
