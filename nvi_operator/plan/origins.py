"""Where in the spec something comes from that decides about a packet: the entry, with file and line. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from nvi_operator.explain.step import ElementOf, EntryOrigin, HostRoute, RuleAt, Subject
from nvi_operator.language.load.merge import Positions
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.gateway import GatewaySpec, RouteSpec
from nvi_operator.language.model.source_nat import SourceNat
from nvi_operator.nft.ast import Table
from nvi_operator.plan.names import Names
from nvi_operator.plan.owners import Owners, SpecEntry, owners_in, owners_of
from nvi_operator.plan.pieces import TablePiece, servers_of
from nvi_operator.plan.table_owners import entry_of_element, entry_of_rule
from nvi_operator.state.host import HostState
from nvi_operator.topology.model import Topology


class Origins:
    """The spec entries behind the objects of `state`. `places` are those of the spec, with which it was loaded.

    A call takes a millisecond, and of a forward among 100,000 some 50: it is for the steps of a few packets.
    """

    def __init__(
        self, topology: Topology, spec: GatewaySpec, state: HostState, places: Positions | None = None
    ) -> None:
        self._topology = topology
        self._spec = spec
        self._state = state
        self._places = places
        self._known: dict[int, tuple[Subject, EntryOrigin | None]] = {}

    def __call__(self, subject: Subject) -> EntryOrigin | None:
        """None: the gateway itself, or another program, asks for it."""
        known = self._known.get(id(subject))
        if known is None:
            known = self._known[id(subject)] = subject, self._origin(self._entry(subject))
        return known[1]

    def path(self, subject: Subject) -> Path | None:
        """Where the entry stands in the spec; None likewise."""
        entry = self._entry(subject)
        return self._path(entry.section, entry.name) if entry.section else None

    @cached_property
    def _owners(self) -> Owners:
        return owners_in(self._state, owners_of(self._topology))

    @cached_property
    def _servers(self) -> Mapping[str, str]:
        tables = [table for table in self._state.of_kind("nft-table") if isinstance(table, Table)]
        return {chain: counter for table in tables for chain, counter in servers_of(table).items()}

    def _entry(self, subject: Subject) -> SpecEntry:
        match subject:
            case RuleAt(chain, _, rule):
                names = Names((), None, self._topology, None)
                return entry_of_rule(chain, rule, self._owners, {}, names, self._servers, True)[0]
            case ElementOf(name, element):
                piece = TablePiece(True, name, "nft element", element)
                names = Names((piece,), None, self._topology, None)
                return entry_of_element(name, element, self._owners, {}, names, True)[0]
            case HostRoute():
                return SpecEntry()
        return self._owners.of_object(subject, self._topology.priorities)

    def _origin(self, entry: SpecEntry) -> EntryOrigin | None:
        if not entry.section:
            return None
        path = self._path(entry.section, entry.name)
        place = self._places.find(path, key=True) if self._places and path else None
        return EntryOrigin(entry.section, entry.name, f"{place.file}:{place.line}" if place else None)

    def _path(self, section: str, name: str | None) -> Path | None:
        if name is None:
            return None
        if section == "tenants":  # which interfaces have, and no section declares
            ifname = next((n for n, each in self._spec.interfaces.items() if each.tenant == name), None)
            return ("spec", "interfaces", ifname) if ifname else None
        if section not in ("sourceNat", "routes"):
            return ("spec", section, name)
        listed: Sequence[SourceNat | RouteSpec] = (
            self._spec.source_nat if section == "sourceNat" else self._spec.routes
        )
        number = next((number for number, each in enumerate(listed) if each.name == name), None)
        return None if number is None else ("spec", section, number)
