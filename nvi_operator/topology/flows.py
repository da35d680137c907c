"""Translated flows as conntrack has them, and what is asked about them."""

from __future__ import annotations

from dataclasses import field

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.values import Address, Family, Network


@dataclass(frozen=True, slots=True)
class TrackedFlow:
    """One entry of conntrack: what its first packet was (`source` to `destination`), and what answers it gets.

    Answers go from `answers_from`, the destination after translation, to `answers_to`, the translated source. Ports
    are 0 where the protocol has none. `identity` is what the kernel knows the entry by.
    """

    family: Family
    protocol: int
    source: Address
    destination: Address
    answers_from: Address
    answers_to: Address
    source_port: int
    destination_port: int
    source_translated: bool
    destination_translated: bool
    answers_port: int = 0  # of `answers_from`
    answered: bool = True
    identity: bytes = field(repr=False, compare=False, default=b"")


@dataclass(frozen=True, slots=True)
class FlowQuestion:
    """Which flows: with this translated source, to this published address, led to this server, or neither translated
    nor answered. `why` says why they may be stranded.
    """

    family: Family
    why: str
    translated: Network | None = None
    published: Address | None = None
    server: Address | None = None
    unanswered: bool = False
    lost: bool = False  # is `translated` no uplink's any more?


@dataclass(frozen=True)
class StrandedCount:
    """Flows that were found stranded, in numbers. `ended` of them were deleted; None: nothing was tried. `live`: were
    they answered?
    """

    why: str
    flows: int
    ended: int | None = None
    live: bool = True
