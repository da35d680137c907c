"""The names of forwards, 1:1 and twice NAT by what their elements and rules hold. Pure.

All entries are gone through once for what is asked, or none where a delta knows which forwards it is about: there may
be 100,000.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nvi_operator.nft.ast import Parts
from nvi_operator.nft.values import ends, network_value, ports_value, protocol_value
from nvi_operator.plan.owners import SpecEntry
from nvi_operator.plan.pieces import FORWARDS, TablePiece
from nvi_operator.topology.incremental import TopologyDelta
from nvi_operator.topology.model import Topology
from nvi_operator.topology.rules import ForwardEntry

_Pair = tuple[str, str]


class Names:
    """Of what is added first by the topology, of what is removed first by the one before, where it is known."""

    def __init__(
        self,
        pieces: Iterable[TablePiece],
        delta: TopologyDelta | None,
        topology: Topology | None,
        was: Topology | None,
    ) -> None:
        asked: dict[bool, set[Parts]] = {False: set(), True: set()}
        for piece in pieces:
            if piece.element is not None and piece.where.startswith((*FORWARDS, "tenant_of_")):
                asked[piece.added].add(piece.element[0])
        self._topologies = {added: self._order(added, topology, was) for added in (False, True)}
        edited = {True: [delta.added], False: [delta.removed]} if delta else {True: [], False: []}
        scanned: dict[int, dict[Parts, str]] = {}
        self._forwards: dict[bool, dict[Parts, str]] = {}
        for added, keys in asked.items():
            found = self._forwards[added] = {}
            for known in (*edited[added], *self._topologies[added]):
                if not keys <= found.keys():
                    if id(known) not in scanned:
                        scanned[id(known)] = _forwards(asked[False] | asked[True], known)
                    found.update({key: name for key, name in scanned[id(known)].items() if key not in found})
        self._statics: dict[bool, Mapping[_Pair, SpecEntry]] = {}

    @staticmethod
    def _order(added: bool, topology: Topology | None, was: Topology | None) -> list[Topology]:
        return [t for t in ((topology, was) if added else (was, topology)) if t]

    def forward(self, key: Parts, added: bool) -> str | None:
        """The forward by public address, or address and protocol, or address, protocol and port or ports."""
        return self._forwards[added].get(key)

    def static(self, pair: _Pair, added: bool) -> SpecEntry:
        """The entry, of 1:1 or prefix NAT, by the real address or prefix and what it is known as."""
        if added not in self._statics:
            self._statics[added] = {
                (network_value(entry.real), network_value(entry.mapped)): SpecEntry(entry.section, entry.name)
                for topology in reversed(self._topologies[added])
                for entry in topology.statics
            }
        return self._statics[added].get(pair, SpecEntry("static"))

    def twice(self, pair: _Pair, added: bool) -> str | None:
        """The entry by the source and destination of the packets of either side."""
        for topology in self._topologies[added]:
            for entry in topology.twice:
                if pair in (
                    (network_value(entry.real), network_value(entry.alias)),
                    (network_value(entry.far), network_value(entry.mapped)),
                ):
                    return entry.name
        return None


def _forwards(keys: set[Parts], topology: Topology) -> dict[Parts, str]:
    firsts = {None if len(key) < 3 else ends(key[2])[0] for key in keys}  # most forwards are told apart by a port
    return {
        key: entry.name
        for entry in topology.forwards
        if (entry.ports.first if entry.ports else None) in firsts and (key := _key(entry)) in keys
    }


def _key(entry: ForwardEntry) -> Parts:
    if entry.protocol is None:
        return (str(entry.public),)
    if entry.ports is None:
        return (str(entry.public), protocol_value(entry.protocol))
    return (str(entry.public), entry.protocol, ports_value(entry.ports))
