"""The way of an ICMP error about a packet: that of a host or router outside, or that of the gateway itself.

Source: icmp_send(), icmp6_send(), nf_conntrack_inet_error(), nf_nat_icmp_reply_translation(), Linux 6.18.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from nvi_operator.dataclass import replace
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.packet import ICMP_OF, Packet
from nvi_operator.explain.passing import Passing, Track, fresh_term
from nvi_operator.explain.region import FIELDS
from nvi_operator.explain.spans import Spans
from nvi_operator.explain.verdict import Forwarded, Refused
from nvi_operator.explain.walk import Walk, walked
from nvi_operator.language.model.values import Address, Family

Kind = Literal["unreachable", "time-exceeded", "too-big"]

# Type and code: host unreachable (IPv6: address), TTL exceeded, fragmentation needed (packet too big).
_TYPES: Mapping[Family, Mapping[Kind, tuple[int, int]]] = {
    4: {"unreachable": (3, 1), "time-exceeded": (11, 0), "too-big": (3, 4)},
    6: {"unreachable": (1, 3), "time-exceeded": (3, 0), "too-big": (2, 0)},
}


def kind_of(packet: Packet) -> Kind:
    """Of an error that `error` makes."""
    found = (packet.icmp_type, packet.icmp_code)
    return next(kind for kind, numbers in _TYPES[packet.family].items() if numbers == found)


def error(machine: Machine, walk: Walk, kind: Kind = "unreachable", by: Address | None = None) -> tuple[Walk, ...]:
    """The way of the error about the packets of a walk.

    Of one that was forwarded: an error of this kind by the host `by` behind the out-interface, a router for instance;
    None: by the host that the packet was sent to. Of one that the gateway refused: its own error. Nothing else has
    one, and the result is empty.
    """
    if isinstance(walk.verdict, Forwarded):
        return walked(machine, [_about(walk, walk.verdict.interface, kind, by)])
    if isinstance(walk.verdict, Refused):
        return walked(machine, [_about(walk, None, walk.verdict.error, None)])
    return ()


def _about(walk: Walk, ifname: str | None, kind: Kind, by: Address | None) -> Passing:
    """The error as it begins. The gateway's own has no source before it is routed."""
    family = walk.region.family
    type_, code = _TYPES[family][kind]
    space, terms = walk.space, dict(walk.terms)
    terms["source"], terms["destination"] = terms["destination"], terms["source"]
    given = {"protocol": ICMP_OF[family], "icmp_type": type_, "source_port": 0, "destination_port": 0}
    if ifname is None or by is not None:
        given["source"] = 0 if by is None else int(by)
    for name, value in given.items():
        terms[name] = fresh_term(name)
        space = space.narrowed(terms[name].variable, Spans.one(value))
    now = {name: terms[name] for name in FIELDS}
    flags = frozenset[str]()
    # icmp_send(): the precedence of network control; everything else sends errors without.
    dscp = 48 | walk.region.like.dscp & 7 if ifname is None and family == 4 else 0
    like = replace(walk.region.like, tcp_flags=flags, mark=0, ttl=64, length=None, icmp_code=code, dscp=dscp)
    like = replace(like, bound_interface=None)
    expected = _answering(walk.tracked) if walk.tracked is not None else None
    return Passing(
        replace(walk.region, like=like),
        space,
        now,
        ifname,
        ifname,
        now,
        stage=1 if ifname else 0,
        flags=flags,
        expected=expected,
        is_error=True,
    )


def _answering(track: Track) -> Track:
    """The flow, in the direction of its answers; also where its first packet went no further (nf_ct_attach())."""
    return replace(track, direction="reply" if track.direction == "original" else "original")
