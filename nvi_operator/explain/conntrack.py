"""What conntrack makes of a packet: the flow that it opens or belongs to, and the translation of a known flow.

Source: net/netfilter/nf_conntrack_core.c, nf_conntrack_proto_{tcp,icmp,icmpv6}.c, nf_nat_core.c, Linux 6.18.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nvi_operator.dataclass import replace
from nvi_operator.explain.flow import ConntrackEntry, ConntrackTuple
from nvi_operator.explain.packet import ICMP_OF, TCP, WITH_PORTS
from nvi_operator.explain.passing import Direction, Passing, State, Terms, Track
from nvi_operator.explain.space import Point, Term
from nvi_operator.explain.spans import Spans
from nvi_operator.explain.step import Hook
from nvi_operator.language.model.values import Family

# Types of ICMP that open a flow: echo, timestamp, information and address mask requests; node information queries.
_OPENS: Mapping[Family, Spans] = {
    4: Spans.of((t, t) for t in (8, 13, 15, 17)),
    6: Spans.of((t, t) for t in (128, 139)),
}
# Neighbour discovery and MLD (nf_conntrack_icmpv6_error()).
_STATES = {"syn", "ack", "rst", "fin"}
_UNTRACKED = Spans.of(((130, 132), (133, 137), (143, 143)))


def track(passing: Passing, entries: tuple[ConntrackEntry, ...], hook: Hook) -> Iterator[Passing]:
    """The packet with its flow."""
    if passing.state == "untracked" or passing.track is not None:
        yield passing
        return
    known = _of_entry(passing, entries, hook)
    if known is not None:
        yield known
        return
    icmp, others = passing.of_protocols(ICMP_OF[passing.family])
    if icmp is not None:
        yield from _icmp(icmp, hook)
    if others is not None:
        # nf_conntrack_tcp_loose: a connection may be picked up by an acknowledgement.
        if others.flags & _STATES in ({"syn"}, {"ack"}):
            yield _opened(others, hook)
            return
        tcp, rest = others.of_protocols(TCP)
        if tcp is not None:
            yield _invalid(tcp, hook)
        if rest is not None:
            yield _opened(rest, hook)


def answered(passing: Passing, hook: Hook) -> Passing:
    """An answer to an earlier walk, or an error about it: its flow is known."""
    assert passing.expected is not None
    state: State = "related" if passing.is_error else "established"
    made = replace(passing, track=passing.expected, state=state, expected=None)
    return made.noted(hook, "tracked", note=f"{state}, {passing.expected.direction} direction")


def _icmp(passing: Passing, hook: Hook) -> Iterator[Passing]:
    term = passing.now["icmp_type"]
    opens, rest = passing.split(term, _OPENS[passing.family])
    if opens is not None:
        yield _opened(opens, hook)
    if rest is not None and passing.family == 6:
        untracked, rest = rest.split(term, _UNTRACKED)
        if untracked is not None:
            yield replace(untracked, state="untracked")
    if rest is not None:
        yield _invalid(rest, hook)


def _opened(passing: Passing, hook: Hook) -> Passing:
    track = Track(passing.now, passing.now, zone=passing.zone, answered="ack" in passing.flags)
    made = replace(passing, state="new", track=track)
    return made.noted(hook, "tracked", note="new" if not passing.zone else f"new, in zone {passing.zone}")


def _invalid(passing: Passing, hook: Hook) -> Passing:
    return replace(passing, state="invalid").noted(
        hook, "tracked", note="invalid: it belongs to no flow, and opens none"
    )


def _of_entry(passing: Passing, entries: tuple[ConntrackEntry, ...], hook: Hook) -> Passing | None:
    """The flow that one packet belongs to. A region is one of packets that open flows."""
    if not entries or not passing.is_point(*passing.now.values()):
        return None
    packet = tuple_at(passing.now, {v: passing.value(Term(v)) or 0 for v in _variables(passing.now)}, passing.family)
    protocol = passing.value(passing.now["protocol"])
    # A request of ICMP is no answer, whatever its identifier: types are parts of the tuple.
    asks = answers = True
    if protocol == ICMP_OF[passing.family]:
        asks = (passing.value(passing.now["icmp_type"]) or 0) in _OPENS[passing.family]
        answers = not asks
    for entry in entries:
        if entry.family != passing.family or entry.protocol != protocol:
            continue
        if asks and entry.original == packet and entry.zone == passing.zone:
            if protocol == TCP and not entry.answered and passing.flags & _STATES not in ({"syn"}, {"rst"}):
                return _invalid(passing, hook)
            return _known(passing, entry, "original", hook)
        if answers and entry.reply == packet:  # zones are of the original direction: answers are in none
            return _known(passing, entry, "reply", hook)
    return None


def _known(passing: Passing, entry: ConntrackEntry, direction: Direction, hook: Hook) -> Passing:
    def terms(name: str, values: Mapping[str, int]) -> Mapping[str, Term]:
        nonlocal passing
        found = dict(passing.now)
        for field, value in values.items():
            passing, found[field] = passing.fresh(f"{name} {field}", Spans.one(value))
        return found

    original = terms("original", _fields(entry.original))
    translated = terms("translated", _fields(_inverse(entry.reply)))
    made = Track(original, translated, direction, entry.zone, entry.mark, entry.status | {"confirmed"}, entry)
    known = replace(passing, track=made, state="established")
    return known.noted(hook, "tracked", note=f"established, {direction} direction")


def _fields(one: ConntrackTuple) -> dict[str, int]:
    return {
        "source": one.source,
        "destination": one.destination,
        "source_port": one.source_port,
        "destination_port": one.destination_port,
    }


def _inverse(one: ConntrackTuple) -> ConntrackTuple:
    return ConntrackTuple(one.destination, one.source, one.destination_port, one.source_port)


def _variables(terms: Terms) -> set[str]:
    return {term.variable for term in terms.values()}


# ---------------------------------------------------------------------- the translation of a known flow


def translated(passing: Passing, hook: Hook) -> Passing:
    """At prerouting and output the destination, at postrouting and input the source: a further packet as the first
    one was, an answer the other way round.
    """
    known = passing.track
    if known is None or passing.state == "new":
        return passing
    side, other = ("destination", "source") if hook in ("prerouting", "output") else ("source", "destination")
    if known.direction == "original" and _NAT[side] in known.status:
        return _rewritten(passing, hook, side, known.translated, side)
    if known.direction == "reply" and _NAT[other] in known.status:
        return _rewritten(passing, hook, side, known.original, other)
    return passing


_NAT = {"source": "snat", "destination": "dnat"}


def _rewritten(passing: Passing, hook: Hook, side: str, terms: Terms, of: str) -> Passing:
    before = passing.shown(side)  # type: ignore[arg-type]
    icmp = passing.protocols <= {ICMP_OF[passing.family]}
    given = {side: terms[of]}
    if passing.state == "related":
        pass  # the packet within is rewritten as a whole, and of the error itself the addresses
    elif icmp:
        given["source_port"] = terms["source_port"]  # the identifier (icmp_manip_pkt())
    else:
        given[f"{side}_port"] = terms[f"{of}_port"]
    made = passing.with_now(**given)
    return made.noted(hook, "translated", changes=((side, before, made.shown(side)),))  # type: ignore[arg-type]


def clashes(passing: Passing, entries: tuple[ConntrackEntry, ...]) -> bool:
    """Would the answers be those of an earlier flow? The packet is dropped then (nf_ct_resolve_clash())."""
    if not entries or passing.track is None or not passing.is_point(*passing.track.translated.values()):
        return False
    terms = passing.track.translated
    point = {variable: passing.value(Term(variable)) or 0 for variable in _variables(terms)}
    answer = _inverse(tuple_at(terms, point, passing.family))
    protocol = passing.value(passing.now["protocol"])
    return any((entry.family, entry.protocol, entry.reply) == (passing.family, protocol, answer) for entry in entries)


# ---------------------------------------------------------------------- entries


def tuple_at(terms: Terms, point: Point, family: Family) -> ConntrackTuple:
    """The tuple as conntrack has it: an ICMP echo has its identifier as both ports, others without ports have 0."""
    value = {name: term.at(point) for name, term in terms.items()}
    source_port = destination_port = 0
    if value["protocol"] in WITH_PORTS:
        source_port, destination_port = value["source_port"], value["destination_port"]
    elif value["protocol"] == ICMP_OF[family]:
        source_port = destination_port = value["source_port"]
    return ConntrackTuple(value["source"], value["destination"], source_port, destination_port)


def entry_at(track: Track, point: Point, family: Family) -> ConntrackEntry:
    if track.known is not None:
        return replace(track.known, answered=track.known.answered or track.direction == "reply")
    protocol = track.original["protocol"].at(point)
    original = tuple_at(track.original, point, family)
    reply = _inverse(tuple_at(track.translated, point, family))
    status, answered = track.status - {"confirmed"}, track.answered or track.direction == "reply"
    return ConntrackEntry(family, protocol, original, reply, track.zone, track.mark, status, answered)
