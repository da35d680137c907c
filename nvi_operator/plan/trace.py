"""Which entries of the spec a plan is about: every step, traced to who asks for what it changes. Pure.

Objects do not say why they are there. What a step removes and adds is compared with what each entry of the topology
owns; what belongs to no entry, or only follows from another, is the gateway's own. Nothing is left out: the steps of
all effects are the steps of the plan.

Of 100,000 forwards only those that changed are looked at. Their names are asked of the delta first, where the plan
has one, and otherwise found by going through all of them once.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Set
from dataclasses import field
from functools import cached_property
from ipaddress import ip_network
from operator import attrgetter

from nvi_operator.dataclass import dataclass
from nvi_operator.kinds import KINDS
from nvi_operator.kinds.egress_guard import EgressGuard
from nvi_operator.kinds.ingress_guard import IngressGuard
from nvi_operator.kinds.route import Route
from nvi_operator.language.model.values import FAMILIES
from nvi_operator.nft.ast import Table
from nvi_operator.nft.shards import by_whole
from nvi_operator.nft.values import network_value
from nvi_operator.plan.change import Action, Change, Plan
from nvi_operator.plan.names import Names
from nvi_operator.plan.owners import GATEWAY, Owners, SpecEntry, of_label, owners_in, owners_of
from nvi_operator.plan.pieces import (
    FORWARDS,
    STATICS,
    Fact,
    Many,
    TablePiece,
    following_rules,
    servers_of,
    set_label,
    table_pieces,
)
from nvi_operator.plan.rule_words import address_words, service_words
from nvi_operator.plan.table_owners import entry_of_element, entry_of_rule
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.state.host import Object
from nvi_operator.topology.model import Topology
from nvi_operator.topology.prefixes import ANY

# In the order in which they are told.
SECTIONS = (
    "uplinks",
    "interfaces",
    "tenants",
    "forwards",
    "redirects",
    "static",
    "prefixNat",
    "twiceNat",
    "sourceNat",
    "routes",
    "",
)


@dataclass(frozen=True)
class Effect:
    """What a plan does for one entry. `counts` has what says nothing by itself: (added, removed), by noun."""

    entry: SpecEntry
    action: Action
    removed: tuple[Fact, ...]
    added: tuple[Fact, ...]
    counts: Mapping[str, tuple[int, int]]
    steps: frozenset[int]  # numbers in Plan.steps
    many: Many | None = None  # of entries without a name: so many that they were only counted
    objects: tuple[str, ...] = ()  # what says nothing by itself: keys of objects, names of chains and sets


@dataclass
class _Gathered:
    removed: list[Fact] = field(default_factory=list)
    added: list[Fact] = field(default_factory=list)
    nouns: Counter[tuple[str, bool]] = field(default_factory=Counter)
    steps: set[int] = field(default_factory=set)
    objects: set[str] = field(default_factory=set)
    many: Many | None = None

    def add(self, other: _Gathered) -> None:
        self.nouns.update(other.nouns)
        self.steps |= other.steps
        self.objects |= other.objects

    def put(self, piece: _Piece) -> None:
        self.steps.add(piece.step)
        self.nouns[piece.noun, piece.added] += 1
        if piece.many is not None:
            sums = (sum(pair) for pair in zip(self.many or (0, 0, 0), piece.many, strict=True))
            self.many = Many(*sums)
        if piece.fact is not None:
            (self.added if piece.added else self.removed).append(piece.fact)
        elif piece.name:
            self.objects.add(piece.name)


@dataclass(frozen=True)
class _Piece:
    step: int
    added: bool
    entry: SpecEntry
    noun: str
    name: str = ""
    fact: Fact | None = None
    many: Many | None = None

    @property
    def apart(self) -> Hashable:
        """Entries without a name are told apart by what they did."""
        return (self.fact.what, self.fact.value) if self.entry.section and not self.entry.name and self.fact else None


def trace(plan: Plan, was: Topology | None = None) -> tuple[Effect, ...]:
    """The effects of a plan, by section and name. `was` names what is no longer in the spec, where it is known."""
    return _Trace(plan, was).effects()


class _Trace:
    def __init__(self, plan: Plan, was: Topology | None) -> None:
        self._plan = plan
        self._was = was if was is not plan.topology else None
        self._servers_of: dict[int, Mapping[str, str]] = {}
        self._topologies = tuple(topology for topology in (plan.topology, self._was) if topology)
        self._places = {
            str(address): uplink.name
            for topology in reversed(self._topologies)
            for uplink in topology.uplinks
            for family in FAMILIES
            if (address := uplink.primary(family)) is not None
        }

    @cached_property
    def _after(self) -> Owners:
        return owners_of(self._plan.topology) if self._plan.topology else Owners()

    @cached_property
    def _before(self) -> Owners:
        return owners_in(self._plan.before, owners_of(self._was) if self._was else self._after)

    def effects(self) -> tuple[Effect, ...]:
        gathered: dict[tuple[SpecEntry, Hashable], _Gathered] = defaultdict(_Gathered)
        for number, change in enumerate(self._plan.steps):
            pieces = self._of_table if change.ref.kind == "nft-table" else self._of_object
            for piece in pieces(number, change):
                gathered[piece.entry, piece.apart].put(piece)
        for place in [place for place, found in gathered.items() if self._is_consequence(place[0], found)]:
            gathered[GATEWAY, None].add(gathered.pop(place))
        return tuple(sorted((self._effect(entry, found) for (entry, _), found in gathered.items()), key=_order))

    def _is_consequence(self, entry: SpecEntry, found: _Gathered) -> bool:
        """Do only rules of the table differ, which name what others have? The entry is what it was."""
        if entry.section not in ("uplinks", "interfaces", "tenants") or found.removed or found.added:
            return False
        return all(noun.startswith("nft ") for noun, _ in found.nouns) and entry in self._standing

    def _owners(self, added: bool) -> Owners:
        return self._after if added else self._before

    def _servers(self, table: Table) -> Mapping[str, str]:
        if id(table) not in self._servers_of:
            self._servers_of[id(table)] = servers_of(table)
        return self._servers_of[id(table)]

    # ----------------------------------------------------------------- objects

    def _of_object(self, number: int, change: Change) -> Iterator[_Piece]:
        noun = KINDS[change.ref.kind].noun or change.ref.kind
        if change.ref.kind == "link":
            noun = f"{noun} {change.ref.key}"  # there is one
        for obj, owners, added in ((change.before, self._before, False), (change.after, self._after, True)):
            if obj is not None:
                entry = GATEWAY if _follows(change) else self._owner(obj, owners)
                yield _Piece(number, added, entry, noun, change.ref.key, self._fact(obj, entry))

    def _owner(self, obj: Object, owners: Owners) -> SpecEntry:
        return owners.of_object(obj, self._topologies[0].priorities if self._topologies else None)

    def _fact(self, obj: Object, entry: SpecEntry) -> Fact | None:
        match obj:
            case Route(family=family, destination=destination, type="unicast", dev=str(dev), via=via):
                if entry.section == "uplinks" and destination == ANY[family]:
                    key = ("way out", family)
                    return Fact(key, "next hop", via, dev) if via else Fact(key, "interface", dev)
            case FibRule(mark=None, source=str(source)) if entry.section == "uplinks":
                return Fact(("address", source), "address", network_value(ip_network(source)))
            case FibRule(mark=0, source=str(source), destination=None) if entry.section == "interfaces":
                return Fact(("network", source), "network", source)
            case FibRule(iif="lo") if entry.section in ("routes", "sourceNat"):
                led = any(route.name == entry.name for t in self._topologies for route in t.routes)
                if obj.action == "goto" or (led and entry.section == "routes"):
                    return None  # an exception; or the same as of inside hosts
                what = " ".join(["own packets", *address_words(obj), *service_words(obj)])
                by = "by " if entry.section == "sourceNat" else ""
                return Fact((obj.family, what), what, by + self._way(obj))
            case FibRule(action="lookup", suppress_prefix_length=None) if entry.section == "routes":
                words = [*address_words(obj), *([f"in by {obj.iif}"] if obj.iif else [])]
                what = " ".join(words) or "everything"
                return Fact((obj.family, what), what, self._way(obj))
        return None

    def _way(self, rule: FibRule) -> str:
        """Where a FIB rule leads."""
        if rule.action != "lookup":
            return "nothing"
        for owners in (self._after, self._before):
            way = owners.tables.get(rule.table or 0)
            if name := owners.own_tables.get(rule.table or 0) or (way.name if way else None):
                return name
        return f"table {rule.table}"

    # ----------------------------------------------------------------- the nft table

    def _of_table(self, number: int, change: Change) -> Iterator[_Piece]:
        before, after = (table if isinstance(table, Table) else None for table in (change.before, change.after))
        pieces = list(table_pieces(before, after))
        names = Names(pieces, self._plan.delta, self._plan.topology, self._was)
        if not pieces:  # they differ in what is described nowhere
            yield _Piece(number, after is not None, GATEWAY, "nft table")
        following, moved = following_rules(pieces), _made_or_left(before, after)
        for at, piece in enumerate(pieces):
            if at in following:
                yield _Piece(number, piece.added, GATEWAY, piece.noun, piece.where)
            elif piece.many:
                section = "forwards" if piece.where.startswith(FORWARDS) else "static"
                entry = SpecEntry(section) if piece.where.startswith((*FORWARDS, *STATICS)) else GATEWAY
                many = None if piece.where.startswith("snat_") else piece.many  # the same ones, the other way round
                yield _Piece(number, piece.added, entry, piece.noun, many=many)
            else:
                entry, fact = self._of_table_piece(piece, after if piece.added else before, names)
                # One address stands in rules, and several in a set: their FIB rules tell which they are.
                if piece.where in moved and entry.section == "uplinks":
                    fact = None
                yield _Piece(number, piece.added, entry, piece.noun, piece.where, fact)

    def _of_table_piece(self, piece: TablePiece, table: Table | None, names: Names) -> tuple[SpecEntry, Fact | None]:
        where, owners = piece.where, self._owners(piece.added)
        if piece.element is not None:
            return entry_of_element(where, piece.element, owners, self._places, names, piece.added)
        if piece.noun == "nft set":
            return owners.labels.get(set_label(where), GATEWAY), None
        assert table is not None
        servers = self._servers(table)
        if piece.rule is not None:
            return entry_of_rule(where, piece.rule, owners, self._places, names, servers, piece.added)
        return owners.labels.get(where) or of_label(servers.get(where, where)), None

    # ----------------------------------------------------------------- an effect as a whole

    def _effect(self, entry: SpecEntry, found: _Gathered) -> Effect:
        nouns = sorted({noun for noun, _ in found.nouns}, key=lambda noun: (noun.startswith("nft "), noun))
        counts = {noun: (found.nouns[noun, True], found.nouns[noun, False]) for noun in nouns}
        removed, added = (tuple(sorted(set(facts), key=_in_order)) for facts in (found.removed, found.added))
        objects = tuple(sorted(found.objects))
        action, steps = self._action(entry, found), frozenset(found.steps)
        return Effect(entry, action, removed, added, counts, steps, found.many, objects)

    def _action(self, entry: SpecEntry, found: _Gathered) -> Action:
        removes = any(count for (_, added), count in found.nouns.items() if not added)
        adds = any(count for (_, added), count in found.nouns.items() if added)
        if found.many:
            new, changed, removed = found.many
            return Action.UPDATE if changed or (new and removed) else Action.CREATE if new else Action.DELETE
        if entry == GATEWAY:
            return Action.UPDATE if adds and removes else Action.CREATE if adds else Action.DELETE
        if not self._is_desired(entry):
            return Action.DELETE
        if entry.section == "forwards" and not any(noun == "nft rule" for noun, _ in found.nouns):
            return Action.UPDATE if removes or self._is_part(entry, found) else Action.CREATE
        if removes or entry in self._standing or self._is_part(entry, found):
            return Action.UPDATE
        return Action.CREATE

    def _is_desired(self, entry: SpecEntry) -> bool:
        """Is the entry in the spec now?"""
        topology, name = self._plan.topology, entry.name
        if topology is None or (entry != GATEWAY and name is None):
            return False
        if any((own.section, own.name) == (entry.section, name) for own in topology.own):
            return True
        match entry.section:
            case "uplinks":
                return any(uplink.name == name for uplink in topology.uplinks)
            case "interfaces":
                return any(inside.interface.ifname == name for inside in topology.inside_interfaces)
            case "tenants":
                return any(tenant.name == name for tenant in topology.tenants)
            case "forwards":
                return bool(_forwards(topology, name)) or any(rule.name == name for rule in topology.forward_rules)
            case "redirects":
                return any(redirect.name == name for redirect in topology.redirects)
            case "static" | "prefixNat" as section:
                return any((static.section, static.name) == (section, name) for static in topology.statics)
            case "twiceNat":
                return any(twice.name == name for twice in topology.twice)
            case "sourceNat":
                return any(rule.name == name for rule in topology.source_rules)
            case "routes":
                return any(route.name == name for route in topology.routes)
        return True

    @cached_property
    def _standing(self) -> frozenset[SpecEntry]:
        """The entries that own something which stays as it is."""
        changed = {change.ref for change in self._plan.steps}
        objects = (obj for ref, obj in self._plan.after.objects.items() if ref not in changed)
        owned = ((self._owner(obj, self._before), self._owner(obj, self._after)) for obj in objects)
        owners = {after for before, after in owned if before == after}
        for change in self._plan.steps:
            if isinstance(change.before, Table) and isinstance(change.after, Table):
                counters = change.before.counters & change.after.counters
                owners |= {self._after.labels.get(counter) or of_label(counter) for counter in counters}
        return frozenset(owners)

    def _is_part(self, entry: SpecEntry, found: _Gathered) -> bool:
        """Does more of the entry stand than these pieces? Of what is found by its names, not by its owner."""
        if self._plan.topology is None or entry.section not in ("forwards", "static", "prefixNat"):
            return False
        pieces = sum(count for (noun, _), count in found.nouns.items() if noun in ("nft element", "nft rule"))
        if entry.section == "forwards":
            return len(found.added) < _forwards(self._plan.topology, entry.name)
        return pieces < sum(
            1 + static.outgoing
            for static in self._plan.topology.statics
            if (static.section, static.name) == (entry.section, entry.name)
        )


def _made_or_left(before: Table | None, after: Table | None) -> Set[str]:
    """The sets and maps that one table has, and the other has not; none where one is no table."""
    if before is None or after is None:
        return frozenset()
    one, other = (by_whole(table.sets).keys() for table in (before, after))
    return one ^ other


def _order(effect: Effect) -> tuple[int, str, str]:
    facts = effect.removed or effect.added
    return SECTIONS.index(effect.entry.section), effect.entry.name or "~", facts[0].what if facts else ""


def _in_order(fact: Fact) -> tuple[str, ...]:
    """Numbers as numbers: port 80 before 443."""
    texts = (fact.place, fact.what, fact.value)
    return tuple(re.sub(r"\d+", lambda digits: digits[0].zfill(10), text) for text in texts)


def _forwards(topology: Topology, name: str | None) -> int:
    """How many entries of maps a forward is; they are in the order of their names."""
    by_name = attrgetter("name")
    entries = topology.forwards
    return bisect_right(entries, name, key=by_name) - bisect_left(entries, name, key=by_name)


def _follows(change: Change) -> bool:
    """Is it a guard that now knows other addresses, because of an entry that has them?"""
    match change.before, change.after:
        case (EgressGuard() as before, EgressGuard() as after) | (IngressGuard() as before, IngressGuard() as after):
            return before.stage_mask == after.stage_mask
    return False
