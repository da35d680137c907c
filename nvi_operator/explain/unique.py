"""Which address and port of a range a flow gets: as it was where that is free, and otherwise by the kernel's rules.

Source: get_unique_tuple() and what it calls, net/netfilter/nf_nat_core.c, Linux 6.18.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nvi_operator.dataclass import dataclass, replace
from nvi_operator.explain.flow import ConntrackEntry
from nvi_operator.explain.jhash import jhash2, scaled
from nvi_operator.explain.packet import ICMP_OF, WITH_PORTS, address
from nvi_operator.explain.passing import BY_HASH, Passing
from nvi_operator.explain.space import Term
from nvi_operator.explain.spans import PORTS, Span, Spans
from nvi_operator.language.model.values import Family

_CLASSES = (Spans(((1, 511),)), Spans(((512, 1023),)), Spans(((1024, 65535),)))
_CHOSEN_FROM = (Spans(((1, 511),)), Spans(((600, 1023),)), Spans(((1024, 65535),)))


@dataclass(frozen=True)
class NatRange:
    """What a rule gives: an address or several, a port or several (None: as it was), or the port of a map."""

    address: Term
    ports: Span | None = None
    flags: frozenset[str] = frozenset()
    port: Term | None = None
    is_choice: bool = False  # of addresses, of which the kernel takes one


def unique(piece: Passing, kind: str, given: NatRange, entries: Sequence[object]) -> Iterator[Passing]:
    """The classes that get the same kind of choice, translated."""
    side = "source" if kind == "snat" else "destination"
    name = f"{side}_port"
    known = [entry for entry in entries if isinstance(entry, ConntrackEntry) and _is_of(entry, piece)]
    if kind == "snat" and known and (again := _as_before(piece, given, known)) is not None:
        yield again
        return
    piece = _address(piece, side, given)
    if given.port is not None:
        piece = piece.with_now(**{name: given.port})
    with_ports, others = piece.of_protocols(*WITH_PORTS, ICMP_OF[piece.family])
    if others is not None:
        yield others
    if with_ports is None:
        return
    if kind == "dnat":
        yield from _destination_port(with_ports, given)
        return
    for part in _source_port(with_ports, given):
        yield _free(part, given, known)


def _address(piece: Passing, side: str, given: NatRange) -> Passing:
    """One of the range: by a hash of the addresses, which is the same on every machine."""
    values = piece.space.values(given.address)
    if given.address.variable not in piece.space.domains or values.is_point or not given.is_choice:
        return piece.with_now(**{side: given.address})
    asked = [piece.value(piece.now[name]) for name in ("source", "destination")]
    source, destination = asked
    if len(values.parts) == 1 and source is not None and destination is not None:
        persistent = "persistent" in given.flags
        zone = piece.zone
        ends = values.first, values.last
        number = best_address(piece.family, ends, source, destination, zone, persistent=persistent)
        space = piece.space.narrowed(given.address.variable, Spans.one(number))
        return replace(piece, space=space).with_now(**{side: given.address})
    first, last = address(piece.family, values.first), address(piece.family, values.last)
    chosen = (*piece.chosen, f"an address of {first}-{last}, {BY_HASH}")
    return replace(piece, chosen=chosen).with_now(**{side: given.address})


def best_address(family: Family, range_: Span, source: int, destination: int, zone: int, *, persistent: bool) -> int:
    """find_best_ips_proto()."""
    count = 1 if family == 4 else 4
    words = [_words(number, family) for number in (source, destination, *range_)]
    (asker, asked, low, high) = words
    j = jhash2([*asker, *[0] * (4 - count)], 0 if persistent else asked[-1] ^ zone)
    found: list[int] = []
    whole = False
    for at in range(count):
        first, last = (_swapped(low[at]), _swapped(high[at])) if not whole else (0, 0xFFFFFFFE)
        distance = last - first + 1 if not whole else 0xFFFFFFFF
        word = _swapped((first + scaled(j, distance)) & 0xFFFFFFFF)
        found.append(word)
        whole = whole or word != high[at]
        if not persistent:
            j ^= asked[at]
    return int.from_bytes(b"".join(word.to_bytes(4, "little") for word in found), "big")


def _words(number: int, family: Family) -> list[int]:
    """The words of an address as the machine reads them."""
    raw = number.to_bytes(4 if family == 4 else 16, "big")
    return [int.from_bytes(raw[at : at + 4], "little") for at in range(0, len(raw), 4)]


def _swapped(word: int) -> int:
    return int.from_bytes(word.to_bytes(4, "little"), "big")


def _destination_port(piece: Passing, given: NatRange) -> Iterator[Passing]:
    """Translate to the port of the rule; ICMP has none."""
    ports, icmp = piece.of_protocols(*WITH_PORTS)
    if icmp is not None:
        yield icmp.with_now(destination_port=piece.now["destination_port"]) if given.port is None else icmp
    if ports is None:
        return
    if given.ports is None:
        yield ports
        return
    made, term = ports.fresh("destination_port", Spans((given.ports,)))
    if given.ports[0] != given.ports[1]:
        made = replace(made, chosen=(*made.chosen, f"port {given.ports[0]}-{given.ports[1]}"))
    yield made.with_now(destination_port=term)


def _source_port(piece: Passing, given: NatRange) -> Iterator[Passing]:
    term = piece.now["source_port"]
    if "fully-random" in given.flags:
        yield from _any_port(piece, given)
        return
    if given.ports is None:
        yield piece
        return
    kept, others = piece.split(term, Spans((given.ports,)))
    if kept is not None:
        yield kept
    if others is not None:
        yield _one_of(others, Spans((given.ports,)))


def _any_port(piece: Passing, given: NatRange) -> Iterator[Passing]:
    """A port of the class that the flow's own is in; an identifier of ICMP has no classes."""
    if given.ports is not None:
        yield _one_of(piece, Spans((given.ports,)))
        return
    ports, icmp = piece.of_protocols(*WITH_PORTS)
    if icmp is not None:
        yield _one_of(icmp, PORTS)
    for own, chosen in zip(_CLASSES, _CHOSEN_FROM, strict=True):
        if ports is not None:
            inside, ports = ports.split(ports.now["source_port"], own)
            if inside is not None:
                yield _one_of(inside, chosen)
    if ports is not None:  # port 0
        yield _one_of(ports, _CHOSEN_FROM[0])


def _one_of(piece: Passing, ports: Spans) -> Passing:
    made, term = piece.fresh("source_port", ports)
    if not ports.is_point:
        made = replace(made, chosen=(*made.chosen, f"source port {ports.first}-{ports.last}"))
    return made.with_now(source_port=term)


# ---------------------------------------------------------------------- beside earlier flows


def _is_of(entry: ConntrackEntry, piece: Passing) -> bool:
    return entry.family == piece.family and entry.protocol == piece.value(piece.now["protocol"])


def _as_before(piece: Passing, given: NatRange, known: Sequence[ConntrackEntry]) -> Passing | None:
    """A socket keeps its translated address and port towards every peer (find_appropriate_src())."""
    if "fully-random" in given.flags or not piece.is_point(*piece.now.values()):
        return None
    source, port = piece.value(piece.now["source"]), piece.value(piece.now["source_port"])
    addresses = piece.space.values(given.address)
    low, high = given.ports or (0, 65535)
    if source is None or port is None:
        return None
    if source in addresses and low <= port <= high and not _taken(piece, known, source, port):
        return None  # it stays as it is
    for entry in known:
        new, new_port = entry.reply.destination, entry.reply.destination_port
        same = (entry.original.source, entry.original.source_port, entry.zone) == (source, port, piece.zone)
        if same and new in addresses and low <= new_port <= high and not _taken(piece, known, new, new_port):
            made, term = piece.fresh("source", Spans.one(new))
            made, port_term = made.fresh("source_port", Spans.one(new_port))
            return made.with_now(source=term, source_port=port_term)
    return None


def _free(piece: Passing, given: NatRange, known: Sequence[ConntrackEntry]) -> Passing:
    """Another port where an earlier flow has the answer's tuple."""
    values = [piece.value(piece.now[name]) for name in ("source", "source_port")]
    source, port = values
    if source is None or port is None or not _taken(piece, known, source, port):
        return piece
    if given.ports is not None and given.ports[0] == given.ports[1]:
        return piece
    ports = Spans((given.ports,)) if given.ports else _class(piece, port)
    taken = Spans.of((p, p) for p in _taken_ports(piece, known, source))
    return _one_of(piece, ports - taken)


def _class(piece: Passing, port: int) -> Spans:
    if piece.value(piece.now["protocol"]) == ICMP_OF[piece.family]:
        return PORTS
    return next((chosen for own, chosen in zip(_CLASSES, _CHOSEN_FROM, strict=True) if port in own), _CHOSEN_FROM[0])


def _taken(piece: Passing, known: Sequence[ConntrackEntry], source: int, port: int) -> bool:
    return port in _taken_ports(piece, known, source)


def _taken_ports(piece: Passing, known: Sequence[ConntrackEntry], source: int) -> Iterator[int]:
    destination, port = (piece.value(piece.now[name]) for name in ("destination", "destination_port"))
    is_icmp = piece.value(piece.now["protocol"]) == ICMP_OF[piece.family]
    for entry in known:
        answer = entry.reply
        if answer.source == destination and answer.destination == source and (is_icmp or answer.source_port == port):
            yield answer.destination_port
