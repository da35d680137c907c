"""A census of all routes of a host, for `nvictl doctor`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import field

from nvi_operator.dataclass import dataclass
from nvi_operator.kernel.netlink.route_messages import (
    DST,
    GET,
    HEADER,
    LENGTH_AT,
    MORE_THAN_A_BYTE,
    OIF,
    PROTOCOL_AT,
    TABLE,
    TABLE_AT,
    TYPE_AT,
    UNICAST,
    NextHopObjects,
    next_hops,
)
from nvi_operator.kernel.netlink.rtnetlink import AF, Rtnetlink, number, shown_number, shown_prefix
from nvi_operator.language.model.values import Family
from nvi_operator.nft.wire.attributes import attributes
from nvi_operator.topology.numbers import MAIN


@dataclass
class Census:
    """All routes of one family: the protocols in each table, and where the unicast ones of `main` lead.

    Of each interface at most so many networks are kept, but all of a length up to `wide`. Of a million routes hardly
    any is parsed: of an interface with enough of them the attribute is looked for as bytes.
    """

    family: Family
    wide: int
    most: int
    objects: NextHopObjects
    uses: set[tuple[int, int]] = field(default_factory=set)  # table and protocol
    networks: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))  # by ifindex
    multipath: set[tuple[str, tuple[int, ...]]] = field(default_factory=set)  # network and ifindexes
    _enough: set[bytes] = field(default_factory=set)

    def take(self, rtnetlink: Rtnetlink) -> None:
        """Raises OSError. A listing that was interrupted is repeated, hence sets."""
        rtnetlink.dump(GET, HEADER.pack(AF[self.family], *bytes(7), 0), self._look)

    def _look(self, body: bytes) -> bool:
        length, table = body[LENGTH_AT], body[TABLE_AT]
        if table == MORE_THAN_A_BYTE:
            table = shown_number(dict(attributes(body[HEADER.size :])).get(TABLE)) or 0
        self.uses.add((table, body[PROTOCOL_AT]))
        if table == MAIN and length and body[TYPE_AT] == UNICAST:
            wide = length <= self.wide
            if wide or not any(oif in body for oif in self._enough):
                self._keep(dict(attributes(body[HEADER.size :])), length, wide)
        return False

    def _keep(self, attrs: dict[int, bytes], length: int, wide: bool) -> None:
        network = shown_prefix(attrs.get(DST), length)
        oifs = [oif or 0 for oif, _ in next_hops(attrs, self.objects)]
        if len(oifs) > 1 and network and len(self.multipath) < self.most:
            self.multipath.add((network, tuple(oifs)))
        for oif in filter(None, oifs):
            networks = self.networks[oif]
            if network and (wide or len(networks) < self.most):
                networks.add(network)
            elif network:
                self._enough.add(number(OIF, oif))
