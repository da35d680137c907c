"""One thing that happens to a packet, and what decided it."""

from __future__ import annotations

from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.values import Address, Network
from nvi_operator.nft.ast import Element, Rule
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.state.host import Object
from nvi_operator.topology.numbers import MAIN


@dataclass(frozen=True)
class EntryOrigin:
    """The entry of the spec that asked for something, and where it stands: `gateway.yaml:12`."""

    section: str
    name: str | None
    place: str | None = None


@dataclass(frozen=True)
class RuleAt:
    """A rule of the table: `number` counts from 0 in its chain."""

    chain: str
    number: int
    rule: Rule


@dataclass(frozen=True)
class ElementOf:
    """An element of a named set or map of the table, that a rule asked."""

    set: str
    element: Element
    asked_by: RuleAt | None = None


Refusing = Literal["unreachable", "prohibit", "blackhole", "throw"]


@dataclass(frozen=True)
class HostRoute:
    """A route that is not owned, mostly of `main`. `dev` None: one that refuses, or passes on (`throw`).

    `shared`: one of several next hops of a route.
    """

    destination: Network
    dev: str | None = None
    via: Address | None = None
    metric: int = 0
    table: int = MAIN
    source: Address | None = None
    refuses: Refusing = "unreachable"
    shared: bool = False


# What decided in a step; `object` of an owned kind: the device, a program, a guard.
Subject = RuleAt | ElementOf | FibRule | HostRoute | Object

Hook = Literal[
    "ingress", "prerouting", "routing", "input", "forward", "output", "postrouting", "device", "egress", "cache"
]
Did = Literal[
    "chosen",
    "counted",
    "tracked",
    "translated",
    "marked",
    "routed",
    "passed",
    "dropped",
    "refused",
    "returned",
]


@dataclass(frozen=True)
class FieldChange:
    """A field of the packet, of its mark or its conntrack entry, before and after; None: it had none."""

    field: str
    before: object
    after: object


@dataclass(frozen=True)
class Step:
    """One thing that happened. `stage` is 1 or 2, and 0 before the first pass of the gateway's own packets.

    `subject` is what decided, None where the kernel does it by itself (conntrack); `note` says what no field does.
    """

    stage: Literal[0, 1, 2]
    hook: Hook
    did: Did
    subject: object | None = None
    changes: tuple[FieldChange, ...] = ()
    note: str = ""
    origin: EntryOrigin | None = None
