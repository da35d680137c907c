"""A translated flow that begins or ends, as conntrack reports it."""

from __future__ import annotations

from typing import NamedTuple


class NatEvent(NamedTuple):
    """A flow that begins or ends, by its first packet and by the answers that it gets; addresses are packed.

    `packets` and `bytes` of both directions: None unless conntrack counts (nf_conntrack_acct). `seconds` that it
    lived: None unless it notes when flows begin (nf_conntrack_timestamp).
    """

    ended: bool
    number: int  # the same at the beginning and at the end
    protocol: int
    source: bytes
    source_port: int
    destination: bytes
    destination_port: int
    new_source: bytes
    new_source_port: int
    new_destination: bytes
    new_destination_port: int
    zone: int = 0
    packets: int | None = None
    bytes: int | None = None
    seconds: float | None = None
