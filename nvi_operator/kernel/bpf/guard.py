"""What the programs that guard an interface have in common: names, options and counters. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from nvi_operator.dataclass import dataclass
from nvi_operator.kernel.bpf.maps import PERCPU_ARRAY, MapInfo
from nvi_operator.kernel.bpf.program import one_bit
from nvi_operator.kernel.bpf.tcx import Hook
from nvi_operator.pattern import pattern

COUNTERS = "nvi_refused"


@dataclass(frozen=True)
class GuardProgram:
    """One sort of guard. `entries` gives the map for so many."""

    hook: Hook
    reasons: tuple[str, ...]
    entries: Callable[[int], MapInfo]
    as_element: Callable[[Any], tuple[bytes, bytes]]
    parse_element: Callable[[bytes, bytes], Any]
    known: Callable[[Collection[Any]], dict[str, int]] = lambda entries: {}  # constants that spare looking entries up

    @property
    def object(self) -> str:
        return f"{self.hook}_guard"

    @property
    def program(self) -> str:
        return f"nvi_{self.hook}"

    @property
    def counters(self) -> MapInfo:
        return MapInfo(COUNTERS, PERCPU_ARRAY, 4, 8, len(self.reasons))

    def constants(self, stage_mask: int, entries: Collection[Any] = ()) -> dict[str, int]:
        """ValueError for a mask that is not one bit."""
        return {"stage_mask": one_bit(stage_mask), **self.known(entries)}

    def name(self, stage_mask: int) -> str:
        """The filter's name, by which every version of the operator finds it (at most 15 characters)."""
        return f"nvi_{self.hook}_{stage_mask.bit_length() - 1:02x}"

    def is_own(self, name: str) -> bool:
        match = _NAME.fullmatch(name)
        return match is not None and match[1] == self.hook

    def is_attached(self, name: str) -> bool:
        """Is a filter or a tcx program of this name the guard? At tcx a program has no other name than its own."""
        return name == self.program or self.is_own(name)


_NAME = pattern(r"nvi_(ingress|egress)_[01][0-9a-f]")


def is_guard(name: str) -> bool:
    """Is it the name of a guard's filter, at either hook?"""
    return _NAME.fullmatch(name) is not None
