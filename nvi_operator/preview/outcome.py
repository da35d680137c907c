"""What becomes of a class of packets, in the terms that a change is told in."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from functools import lru_cache

from nvi_operator.dataclass import dataclass
from nvi_operator.explain.limits import Limit
from nvi_operator.explain.space import Term
from nvi_operator.explain.spans import NOTHING, Spans
from nvi_operator.explain.verdict import Delivered, Dropped, Forwarded, NotModelled, Refused
from nvi_operator.explain.walk import Walk
from nvi_operator.language.model.values import Family, Network
from nvi_operator.topology.model import Topology


class End(Enum):
    """Where packets are in the end."""

    UPLINK = "uplink"
    INSIDE = "inside"
    GATEWAY = "gateway"
    NOWHERE = "nowhere"
    ABSENT = "absent"  # the interface that they would come in by is not there
    UNKNOWN = "unknown"


ARRIVED = frozenset({End.UPLINK, End.INSIDE, End.GATEWAY})


@dataclass(frozen=True)
class FlowOutcome:
    """`by` is the uplink or interface, or what drops, refuses or is not modelled.

    source, destination, port: what they are translated to; None: they stay. `answer` is what becomes of answers where
    they do not go back as they should: the uplink that they leave by, or why they do not.
    """

    end: End
    by: str = ""
    source: Spans | None = None
    source_port: Spans | None = None
    destination: Spans | None = None
    port: Spans | None = None
    answer: str | None = None


def outcome_of(walk: Walk, answers: Iterable[Walk], topology: Topology) -> FlowOutcome:
    """What becomes of the packets of a walk, and of what answers them."""
    end, by = end_of(walk, topology)
    translated = {
        name: _translated(walk, name) for name in ("source", "source_port", "destination", "destination_port")
    }
    if end not in ARRIVED:
        return FlowOutcome(end, by)
    return FlowOutcome(
        end,
        by,
        translated["source"],
        translated["source_port"],
        translated["destination"],
        translated["destination_port"],
        next((wrong for answer in answers if (wrong := wrong_with(walk, answer, topology)) is not None), None),
    )


def end_of(walk: Walk, topology: Topology) -> tuple[End, str]:
    """The end of a walk with its uplink or interface, or why there is none."""
    match walk.verdict:
        case Forwarded(interface=ifname):
            if ifname in topology.uplink_ifnames:
                return End.UPLINK, uplink_of(topology, ifname, walk.region.family, walk.leaving("source"))
            return End.INSIDE, ifname
        case Delivered():
            return End.GATEWAY, ""
        case Dropped(where=where, counter=counter):
            return End.NOWHERE, _dropped(counter or where)
        case Refused(error=error):
            return End.NOWHERE, f"refused ({error})"
        case NotModelled(what=Limit.LINK_DOWN):
            return End.ABSENT, ""
        case NotModelled(what=what):
            return End.UNKNOWN, what.value
    raise AssertionError(walk.verdict)


def _dropped(by: str) -> str:
    return f"dropped ({by})"


def name_of(topology: Topology, ifname: str, family: Family, sources: Spans = NOTHING) -> str:
    """The uplink on an interface; the interface itself if it is none."""
    return uplink_of(topology, ifname, family, sources) if ifname in topology.uplink_ifnames else ifname


def uplink_of(topology: Topology, ifname: str, family: Family, sources: Spans) -> str:
    """The uplink on an interface: where there are several, the one that has the source."""
    there = [uplink for uplink in topology.uplinks if uplink.interface.ifname == ifname]
    having = (uplink for uplink in there if sources & _spans(uplink.sources(family)))
    return (there[0] if len(there) == 1 else next(having, there[0])).name


@lru_cache(maxsize=1024)
def _spans(networks: tuple[Network, ...]) -> Spans:
    """Each answer that is judged asks for those of the uplinks."""
    return Spans.networks(networks)


def _translated(walk: Walk, name: str) -> Spans | None:
    return None if walk.terms[name] == Term(name) else walk.leaving(name)


def reaches_no_host(found: FlowOutcome) -> bool:
    """Would an answer have a source that no host beyond the uplink has, such as an address of the gateway itself?"""
    return found.end is End.UPLINK and found.answer == _dropped("spoofed")


def wrong_with(walk: Walk, answer: Walk, topology: Topology) -> str | None:
    """What is wrong with the way of an answer; None: it goes back to who asked, by where the question came from or by
    the uplink whose address was asked.
    """
    end, by = end_of(answer, topology)
    if end is End.GATEWAY:
        return None if None in walk.region.in_interfaces else "to the gateway itself"
    if end not in (End.UPLINK, End.INSIDE):
        return by
    asked = answer.region.values("destination")
    if answer.leaving("destination") != answer.region.values("source") or answer.leaving("source") != asked:
        return f"by {by} with other addresses"
    came_by = {name_of(topology, ifname, walk.region.family) for ifname in walk.region.in_interfaces if ifname}
    if by in came_by:
        return None
    owned = (u.name for u in topology.uplinks if asked & _spans(u.sources(walk.region.family)))
    return None if by == next(owned, None) else f"by {by}"
