"""What a kind of kernel object is, and the order of an apply, as data.

A kind is one file in `kinds/`, with the type of its objects and one `Kind`, and one driver in `kernel/drivers/`.
Plans, drift, `render` and the fake kernel read nothing else: docs/how-to/add-a-kind.md.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Generic, TypeVar

from nvi_operator.dataclass import dataclass
from nvi_operator.state.lines import Line
from nvi_operator.topology.incremental import TopologyDelta
from nvi_operator.topology.model import Topology

S = TypeVar("S")


def command(*words: object) -> str:
    """A command as a line for a shell: nothing in a word is interpreted."""
    return shlex.join(map(str, words))


class Phase(IntEnum):
    """Objects are created and changed upwards through the phases, and deleted downwards, last of all (but see
    `Kind.bypasses`).

    This order failed closed after every single step of a first apply, with packets: first what refuses
    untranslated packets, last what lets packets through at all.
    """

    UNREACHABLE = 1  # unreachable routes: a lookup that finds no route ends here
    BACKSTOP = 2  # FIB rules that steer into stage 1, and refuse what it did not see
    MODULE = 3
    LINK = 4
    PROGRAM = 5
    NFT = 6
    ROUTES = 7  # routes into the device and through the uplinks, and the rules that lead there
    SYSCTL = 8
    FORWARDING = 9
    FLOW_CACHE = 10  # lets packets past all of the above


def _unchanged(obj: S, topology: TopologyDelta) -> S:
    return obj


def _no_script(obj: S, topology: Topology) -> Iterable[str]:
    return ()


def _no_lines(before: S | None, after: S | None, full: bool) -> Iterable[Line]:
    return ()


@dataclass(frozen=True)
class Kind(Generic[S]):
    """What the program has to know of one kind of object, apart from its driver.

    The first six fields are all that most kinds need. `title` heads the kind in `render`, and `describe` is an object
    in one line, in the words of the tool that would make it by hand.
    """

    name: str
    type: type[S]
    title: str
    desired: Callable[[Topology], Iterable[S]]
    phase: Callable[[S], Phase]
    describe: Callable[[S], str]
    # What one such object is called where a plan counts them; None: the name of the kind.
    noun: str | None = None
    # Does it let packets past the other objects? Then it is removed before anything else changes.
    bypasses: bool = False
    # Where in its phase an object belongs.
    within: Callable[[S], int] = lambda obj: 0
    # Does a change need a new object instead of an update?
    replaces: Callable[[S, S], bool] = lambda before, after: False
    # The link that the object is, if it is one; the link that an object disappears with.
    is_link: Callable[[S], str | None] = lambda obj: None
    lives_on: Callable[[S], str | None] = lambda obj: None
    # Of a setting of the host: can this key have had this value before the gateway? Nothing else is recorded, and
    # nothing else is ever written back.
    restores: Callable[[str, str], bool] = lambda key, value: False
    # What an edit of forwards makes of an object; None: only `desired` can say.
    edited: Callable[[S, TopologyDelta], S | None] = _unchanged
    # Lines for a shell that make an object; none where no command can: `render` then has a comment.
    script: Callable[[S, Topology], Iterable[str]] = _no_script
    # For objects of many lines: the whole text, and the lines that differ, all of them if `full`.
    text: Callable[[S], Iterable[str]] | None = None
    difference: Callable[[S | None, S | None, bool], Iterable[Line]] = _no_lines
