"""How the way of a packet ends."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.explain.limits import Limit
from nvi_operator.language.model.values import Address


@dataclass(frozen=True)
class Forwarded:
    """It leaves by `interface` to `next_hop`; None: the destination itself is on the wire. `mtu`: None: not known."""

    interface: str
    next_hop: Address | None = None
    mtu: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Delivered:
    """The gateway itself takes it."""


@dataclass(frozen=True)
class Dropped:
    """It ends in silence. `where`: a chain, `egress of wan0`, `device`, ...; `counter`: what counts it there."""

    where: str
    counter: str | None = None


@dataclass(frozen=True)
class Refused:
    """It ends, and the sender is told: by an ICMP error of the gateway.

    unreachable: no route, or one that refuses (ICMP network unreachable, ICMPv6 no route).
    time-exceeded: the TTL ended here. too-big: larger than the MTU of the way out, `mtu` bytes.
    """

    error: Literal["unreachable", "time-exceeded", "too-big"]
    where: str
    mtu: int | None = None


@dataclass(frozen=True)
class NotModelled:
    """The walker does not know. `detail` names the object that it does not understand."""

    what: Limit
    detail: str = ""


Verdict = Forwarded | Delivered | Dropped | Refused | NotModelled
