"""What a step removes from the nft table and adds to it, piece by piece: elements, rules, counters. Pure.

A piece that says something of its entry in the spec has a Fact: a public port and its server, a source and what it
leaves as, an uplink's next hop. The others are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set
from ipaddress import ip_address
from typing import Any, Literal, NamedTuple

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.packet_fields import Mark, dscp_name
from nvi_operator.language.wording import first_to_last, in_order
from nvi_operator.nft.ast import (
    Assign,
    Chain,
    Element,
    Field,
    Interval,
    Lookup,
    Masked,
    Match,
    NamedSet,
    Nat,
    Redirect,
    Rule,
    SetRef,
    Table,
    Verdict,
)
from nvi_operator.nft.ast import Count as CountIn
from nvi_operator.nft.shards import by_whole
from nvi_operator.nft.wire.packed_elements import PackedElements

# How maps are called that hold them (ruleset/dstnat.py, ruleset/netmap.py).
FORWARDS = ("dnat_port_", "dnat_range_", "dnat_protocol_", "dnat_all_")
STATICS = ("dnat_static_", "dnat_prefix_", "snat_static_", "snat_prefix_")
TRANSLATIONS = ("dstnat", "srcnat")  # chains with rules of entries
_FEW = 3  # addresses that are named one by one
MANY = 2000  # elements of one map; more are counted, and not unpacked: that takes 50 us each


@dataclass(frozen=True)
class Fact:
    """`what` (at `place`) has the `value`. Two facts of one `key` are the same fact, before and after."""

    key: Hashable
    what: str
    value: str
    place: str = ""


class Many(NamedTuple):
    """How many keys of a map are new, have another value, or are removed."""

    new: int
    changed: int
    removed: int


@dataclass(frozen=True)
class TablePiece:
    """One element, rule or counter that differs, or very many elements. `where` is the set, chain or counter."""

    added: bool
    where: str
    noun: str
    element: Element | None = None
    rule: Rule | None = None
    many: Many | None = None


def table_pieces(before: Table | None, after: Table | None) -> Iterator[TablePiece]:
    """What differs between two tables. A chain whose rules only changed their order is one piece."""
    old, new = before or Table(""), after or Table("")
    for added, counters in ((False, old.counters - new.counters), (True, new.counters - old.counters)):
        yield from (TablePiece(added, counter, "nft counter") for counter in counters)
    for added, items in (
        (False, {*old.flags - new.flags, *old.foreign - new.foreign}),
        (True, {*new.flags - old.flags, *new.foreign - old.foreign}),
    ):
        yield from (TablePiece(added, str(item), "nft flag or foreign object") for item in items)
    yield from _set_pieces(old, new)
    chains_before, chains_after = ({chain.name: chain for chain in table.chains} for table in (old, new))
    for name in sorted(chains_before.keys() | chains_after.keys()):
        yield from _chain_pieces(name, chains_before.get(name), chains_after.get(name))


def _set_pieces(old: Table, new: Table) -> Iterator[TablePiece]:
    """By the map as a whole: where the number of its parts changed, elements only moved from one part to another."""
    changed = old.sets ^ new.sets if old.sets and new.sets else old.sets | new.sets
    names = {named.name for named in changed}
    sets_before, sets_after = (by_whole(s for s in table.sets if s.name in names) for table in (old, new))
    for whole in sorted(sets_before.keys() | sets_after.keys()):
        one, other = sets_before.get(whole, []), sets_after.get(whole, [])
        removed, added = _elements(one, other), _elements(other, one)
        if [s.name for s in one] != [s.name for s in other] and one and other:
            removed, added = removed - added, added - removed
        if len(removed) + len(added) > MANY and (many := _many(removed, added)):
            yield TablePiece(bool(added), whole, "nft element", many=many)
            continue
        yield from (TablePiece(False, whole, "nft element", element=element) for element in removed)
        yield from (TablePiece(True, whole, "nft element", element=element) for element in added)
        if not removed and not added:
            yield TablePiece(bool(other), whole, "nft set")


def _elements(of: Iterable[NamedSet], without: Iterable[NamedSet]) -> Set[Element]:
    same = {named.name: named for named in without}
    parts = [named.elements - same[named.name].elements if named.name in same else named.elements for named in of]
    if len(parts) == 1:
        return parts[0]
    packed = [part for part in parts if isinstance(part, PackedElements)]
    if packed and len(packed) == len(parts):
        return PackedElements(packed[0].codec, frozenset().union(*(part.raw for part in packed)))
    return frozenset(element for part in parts for element in part)


def _many(removed: Set[Element], added: Set[Element]) -> Many | None:
    """By the bytes of the keys. None where elements have another form."""
    keys = []
    for elements in (removed, added):
        if isinstance(elements, PackedElements):
            keys.append({raw[: elements.codec.key_end] for raw in elements.raw})
        elif elements:
            return None
        else:
            keys.append(set())
    before, after = keys
    return Many(len(after - before), len(after & before), len(before - after))


def _chain_pieces(name: str, before: Chain | None, after: Chain | None) -> Iterator[TablePiece]:
    if before == after:
        return
    old, new = Counter(before.rules if before else ()), Counter(after.rules if after else ())
    removed, added = old - new, new - old
    yield from (TablePiece(False, name, "nft rule", rule=rule) for rule in removed.elements())
    yield from (TablePiece(True, name, "nft rule", rule=rule) for rule in added.elements())
    if not removed and not added:
        yield TablePiece(after is not None, name, "nft chain")


# --------------------------------------------------------------------------- what elements and rules say


def counter_of(rule: Rule) -> str | None:
    """The counter of the spec's entry that a rule belongs to."""
    counters = (s.counter for s in rule if isinstance(s, CountIn))
    return next((c for c in counters if c.startswith(("snat_", "dnat_", "redirect_"))), None)


def set_label(where: str) -> str:
    """`sources_isp_a` of `sources_isp_a_4_hosts`: what a set is called but for its family and form."""
    return where.removesuffix("_hosts").removesuffix("_4").removesuffix("_6")


def servers_of(table: Table) -> Mapping[str, str]:
    """Chains that choose a server, and the counter of a forward that jumps there (ruleset/dstnat.py)."""
    rules = (rule for chain in table.chains if chain.name in TRANSLATIONS for rule in chain.rules)
    return {
        jump.target: counter
        for rule in rules
        if isinstance(jump := rule[-1], Verdict) and jump.target and (counter := counter_of(rule))
    }


def following_rules(pieces: Sequence[TablePiece]) -> frozenset[int]:
    """The numbers of rules that changed only in which interfaces they leave out: uplinks came or went."""
    found: dict[tuple[str, Rule], tuple[list[int], list[int]]] = {}
    for number, piece in enumerate(pieces):
        if piece.rule is not None:
            kept = tuple(s for s in piece.rule if not (isinstance(s, Match) and s.op == "!="))
            found.setdefault((piece.where, kept), ([], []))[piece.added].append(number)
    pairs = (pair for removed, added in found.values() for pair in zip(removed, added, strict=False))
    return frozenset(number for pair in pairs for number in pair)


@dataclass(frozen=True)
class RuleTranslation:
    """1:1 or twice NAT, as a rule of its own. `source` and `asked` are what it matches, "" if it does not."""

    kind: Literal["snat", "dnat"]
    source: str
    asked: str
    becomes: str
    is_twice: bool
    from_inside: bool  # of packets that do not come in by an uplink

    @property
    def pair(self) -> tuple[str, str]:
        """The real address and what it is known as."""
        return (self.source, self.becomes) if self.kind == "snat" else (self.becomes, self.asked)

    @property
    def static_fact(self) -> Fact:
        real, mapped = self.pair
        return Fact(("static", real), real, mapped)

    @property
    def twice_fact(self) -> Fact | None:
        if not self.from_inside or not self.becomes:
            return None
        end = "source" if self.kind == "snat" else "destination"
        return Fact((self.source, self.asked, end), f"{self.source} to {self.asked}", f"{end} {self.becomes}")


def translation_of(rule: Rule) -> RuleTranslation | None:
    """None of other rules, such as those of hairpins, or that of a map."""
    matches = [(s.left.name, s) for s in rule if isinstance(s, Match) and isinstance(s.left, Field)]
    if any(name == "ct status" for name, _ in matches):  # of flows whose destination another rule translated
        return None
    # Of one field some rules also ask for what it is not.
    equal = {name: text(match.right) for name, match in matches if match.op == "=="}
    source = next((equal[name] for name in ("ip saddr", "ip6 saddr") if name in equal), "")
    original = next((equal[name] for name in equal if name.startswith("ct original ")), "")
    asked = original or next((equal[name] for name in ("ip daddr", "ip6 daddr") if name in equal), "")
    incoming = next((match for name, match in matches if name == "iifname"), None)
    from_inside = incoming is None or incoming.op == "!="
    is_twice = bool(original or (incoming and source and asked))
    match rule[-1]:
        case Nat(kind=kind, address=Lookup(map=frozenset(pairs))) if len(pairs) == 1:
            ((_, data),) = pairs
            becomes = text(data[0]) if isinstance(data, tuple) else ""
        case Nat(kind=kind, address=str(becomes)):
            pass
        case Verdict("drop") if CountIn("not_opened") in rule:
            kind, becomes = "dnat", ""
        case _:
            return None
    return RuleTranslation(kind, source, asked, becomes, is_twice, from_inside)


def forward_fact(element: Element, places: Mapping[str, str]) -> Fact:
    """`443/tcp` on `isp-a` goes to `192.168.1.80:8443`; `places` names the uplinks' addresses."""
    key, data = element
    public, *service = key
    to = data if isinstance(data, tuple) else ()
    target, port = str(to[0]) if to else "", to[1] if len(to) > 1 else None
    what = f"{text(service[1])}/{service[0]}" if len(service) > 1 else _protocol(*service)
    moved = port is not None and port != (service[1] if len(service) > 1 else None)
    return Fact(key, what, host_port(target, port) if moved else target, places.get(str(public), str(public)))


def _protocol(value: object = None) -> str:
    """The protocol as people say it, where no ports are named."""
    return "everything" if value is None else f"protocol {value}" if isinstance(value, int) else text(value)


def static_fact(where: str, element: Element) -> Fact:
    """The real address and what it is known as, whichever way the map translates."""
    (given,), data = element[0], element[1]
    becomes = data[0] if isinstance(data, tuple) else ""
    real, mapped = (given, becomes) if where.startswith("snat") else (becomes, given)
    return Fact(("static", text(real)), text(real), text(mapped))


def segment_fact(rule: Rule) -> Fact | None:
    """The largest TCP segment that both ends of a connection are told (ruleset/mss.py)."""
    match rule:
        case (Match(right=str(family)), Assign(Field("tcp option maxseg size"), int(size))):
            what = f"{family.replace('ipv', 'IPv')} MSS"
            return Fact(what, what, str(size))
    return None


def rule_fact(rule: Rule, places: Mapping[str, str]) -> Fact | None:
    """What a rule with a translation says, without where it must not come in by."""
    conditions: dict[str, str] = {}
    becomes = None
    for statement in rule:
        match statement:
            case Match(left=Field("ip dscp" | "ip6 dscp"), op="==", right=right):
                several = right if isinstance(right, frozenset) else [right]
                conditions["dscp"] = ", ".join(dscp_name(int(str(number))) for number in sorted(several, key=str))
            case Match(left=Masked(Field("meta mark"), int(mask)), op="==", right=int(value)):
                conditions["meta mark"] = str(Mark(value, mask))
            case Match(left=Field("meta mark"), op="==", right=int(value)):
                conditions["meta mark"] = str(Mark(value))
            case Match(left=Field(field), op="!=", right=right) if field.endswith((" dport", " l4proto")):
                conditions[f"not {field}"] = _right(right)
            case Match(left=left, op="==", right=right) if name := getattr(left, "name", None):
                conditions[name] = _right(right)
            case Nat(kind="snat", address=Field("ip saddr" | "ip6 saddr")):
                becomes = "unchanged"
            case Nat(kind=kind, address=address, ports=to_ports):
                becomes = _address(address, places)
                if kind == "dnat":
                    becomes = host_port(becomes, to_ports)
                else:
                    becomes = f"as {becomes}" + (f", ports {text(to_ports)}" if to_ports is not None else "")
            case Redirect(port):
                becomes = "the gateway" + (f", port {port}" if port else "")
            case Verdict("drop"):
                becomes = "nowhere: its uplink has no address"
            case Verdict("jump", str()):
                becomes = becomes or "several servers"
    if becomes is None:
        return None
    key = tuple(sorted(conditions.items()))
    if (counter_of(rule) or "").startswith("dnat_"):
        public = next((conditions.pop(name) for name in ("ip daddr", "ip6 daddr") if name in conditions), "")
        return Fact(key, _flow(conditions), becomes, places.get(public, public))
    return Fact(key, _flow(conditions), becomes)


def _flow(conditions: Mapping[str, str]) -> str:
    """`443/tcp from 10.0.0.0/8 to 192.0.2.1`, of what the rule names."""
    sent = [
        f"{value}/{name.split()[0]}"
        for name, value in conditions.items()
        if name.endswith(" dport") and not name.startswith(("th ", "not "))
    ]
    sent += [
        f"all but {value}{'' if 'l4proto' in name else '/' + name.split()[1]}"
        for name, value in conditions.items()
        if name.startswith("not ")
    ]
    protocol = conditions.get("meta l4proto")
    words = [*sent, *([f"protocol {protocol}" if protocol.isdecimal() else protocol] if protocol else [])]
    source = next((v for n, v in conditions.items() if n.endswith(" saddr") and not n.startswith("ct ")), None)
    target = next((v for n, v in conditions.items() if n.endswith(" daddr") and not n.startswith("ct ")), None)
    words += [f"from {source}" if words else source] if source else []
    words += [f"to {target}"] if target else []
    words += [f"in by {conditions['iifname']}"] if "iifname" in conditions else []
    words += [f"of DSCP {conditions['dscp']}"] if "dscp" in conditions else []
    words += [f"with mark {conditions['meta mark']}"] if "meta mark" in conditions else []
    return " ".join(words) or "everything"


def _right(right: object) -> str:
    if isinstance(right, SetRef):
        return f"@{right.name}"
    if isinstance(right, frozenset):
        several = sorted(map(text, right))
        return ", ".join(several[:2]) + (f" and {len(several) - 2} more" if len(several) > 2 else "")
    return text(right)


def _address(address: object, places: Mapping[str, str]) -> str:
    if isinstance(address, Lookup):
        if not isinstance(address.map, frozenset):
            return "an address by map"
        several = {text(data[0]) for _, data in address.map if isinstance(data, tuple)}
        named = in_order({places.get(value, value) for value in several})
        if len(named) > _FEW:
            noun = ("uplink", "s") if several <= places.keys() else ("address", "es")
            return f"one of {first_to_last(named, *noun)}"
        return ("one of " if len(named) > 1 else "") + ", ".join(named)
    value = text(address)
    return f"{places[value]} ({value})" if value in places else value


def text(value: Any) -> str:
    if isinstance(value, Interval):
        return f"{value.first}-{value.last}"
    return str(getattr(value, "name", value))


def host_port(host: str, port: object) -> str:
    """A host and a port as a spec has them."""
    if port is None:
        return host
    try:
        in_brackets = ip_address(host).version == 6
    except ValueError:
        in_brackets = False
    return f"[{host}]:{text(port)}" if in_brackets else f"{host}:{text(port)}"
