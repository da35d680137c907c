"""What a kind is, and the order of an apply, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, TypeVar

from nvi_operator.topology.model import Topology

S = TypeVar("S")


class Phase(IntEnum):
    """Creating goes upwards, deleting downwards, deleting last of all.

    This order failed closed after every single step of a first apply, with packets: first what refuses
    untranslated packets, last what lets packets through at all.
    """

    UNREACHABLE = 1  # unreachable routes: a lookup that finds no way out ends here
    BACKSTOP = 2  # FIB rules that steer into stage 1, and refuse what it did not see
    MODULE = 3
    LINK = 4
    PROGRAM = 5
    NFT = 6
    ROUTES = 7  # routes into the device and through the uplinks, and the rules that lead there
    SYSCTL = 8
    FORWARDING = 9


@dataclass(frozen=True)
class Kind(Generic[S]):
    """`phase` says where in an apply an object belongs, and `within` where in its phase.

    `replaces` says that a change needs a new object instead of an update; `lives_on` names the link that an
    object goes with, when that link is deleted or replaced.
    """

    name: str
    desired: Callable[[Topology], Iterable[S]]
    phase: Callable[[S], Phase]
    within: Callable[[S], int] = lambda obj: 0
    replaces: Callable[[S, S], bool] = lambda before, after: False
    lives_on: Callable[[S], str | None] = lambda obj: None
