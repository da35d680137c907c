"""A FIB rule (`ip rule`). A rule has no identity but its content, so the key is the whole."""

from __future__ import annotations

from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.topology.numbers import table_name

# Protocol Numbers of IANA, by their names in `ip rule`.
RULE_PROTOCOLS = {
    "icmp": 1,
    "tcp": 6,
    "udp": 17,
    "dccp": 33,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "ipv6-icmp": 58,
    "sctp": 132,
    "udplite": 136,
}


@dataclass(frozen=True)
class FibRule:
    family: Literal[4, 6]
    priority: int
    action: Literal["lookup", "goto", "unreachable", "nop"]
    table: int | None = None
    goto: int | None = None
    iif: str | None = None
    source: str | None = None
    destination: str | None = None
    mark: int | None = None
    mask: int | None = None
    suppress_prefix_length: int | None = None
    suppress_group: int | None = None
    # Only the gateway's own packets have these before they are routed.
    oif: str | None = None  # of a socket that is bound to an interface
    protocol: str | None = None  # of RULE_PROTOCOLS, or a number
    source_ports: tuple[int, int] | None = None  # the first and the last
    destination_ports: tuple[int, int] | None = None
    # What no rule of the operator has, but one that another process made with the same protocol number may: it is
    # shown, so that a narrower rule is never taken for an owned one.
    inverted: bool = False
    other: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"-{self.family} {self}"

    @property
    def command(self) -> str:
        return "ip -6 rule" if self.family == 6 else "ip rule"

    def __str__(self) -> str:
        """The arguments of `ip rule add`, so that the text can be pasted."""
        words = [f"pref {self.priority}", *(["not"] if self.inverted else [])]
        if self.source:
            words.append(f"from {self.source}")
        if self.destination:
            words.append(f"to {self.destination}")
        if self.iif:
            words.append(f"iif {self.iif}")
        if self.oif:
            words.append(f"oif {self.oif}")
        if self.mark is not None:
            words.append(f"fwmark {self.mark:#x}/{self.mask:#x}")
        words += self.narrowed
        if self.action == "lookup":
            words.append(f"lookup {self.table if self.table is None else table_name(self.table)}")
        elif self.action == "goto":
            words.append(f"goto {self.goto}")
        else:
            words.append(self.action)
        if self.suppress_prefix_length is not None:
            words.append(f"suppress_prefixlength {self.suppress_prefix_length}")
        if self.suppress_group is not None:
            words.append(f"suppress_ifgroup {self.suppress_group}")
        return " ".join(words)

    @property
    def selects(self) -> bool:
        """Does it select only some packets? A negated mark selects nearly all."""
        narrow = self.iif or self.oif or self.source or self.destination or self.narrowed
        return bool(narrow) or (self.mark is not None and not self.inverted)

    @property
    def narrowed(self) -> tuple[str, ...]:
        """What it matches beside addresses, interfaces and marks, as `ip rule` writes it."""
        words = [f"ipproto {self.protocol}"] if self.protocol else []
        for side, ports in (("sport", self.source_ports), ("dport", self.destination_ports)):
            if ports:
                words.append(f"{side} {ports[0]}" if ports[0] == ports[1] else f"{side} {ports[0]}-{ports[1]}")
        return (*words, *self.other)
