"""A FIB rule (`ip rule`). A rule has no identity but its content, so the key is the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nvi_operator.topology.numbers import table_name


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
    # What no rule of the operator has, but one that another process made with the same protocol number may: it is
    # shown, so that a narrower rule is never taken for an owned one.
    inverted: bool = False
    other: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"-{self.family} {self}"

    def __str__(self) -> str:
        """The arguments of `ip rule add`, so that the text can be pasted."""
        words = [f"pref {self.priority}", *(["not"] if self.inverted else [])]
        if self.source:
            words.append(f"from {self.source}")
        if self.destination:
            words.append(f"to {self.destination}")
        if self.iif:
            words.append(f"iif {self.iif}")
        if self.mark is not None:
            words.append(f"fwmark {self.mark:#x}/{self.mask:#x}")
        words += self.other
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
