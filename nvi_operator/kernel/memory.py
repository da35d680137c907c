"""What a daemon keeps of the kernel from pass to pass, so that a pass reads only what may have changed.

Both halves work alike: a number that goes up with each change is read before a look, and what was seen counts for
as long as the number is the same. For the nft table that is the generation of the ruleset (`drivers/nft_table.py`,
which also follows what is reported of elements), for all else it counts the reports of rtnetlink
(`KernelEvents.generation`). So a report that comes during a look or after it ends what was seen.

The kernel reports a link that goes down before the routes that go with it, and those not at all. It holds its lock
(RTNL) meanwhile, and so does a listing of links; which is why a look begins with that.

Settings are reported in part only: they are read at each pass, and each second in between (`unreported_change`).
Not reported, and so not noticed before everything is forgotten at the timer: the entries of the program's map,
modules on disk, and routes of our protocol that somebody puts into the tables `main` and `local`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, replace

from nvi_operator.kernel.drivers.nft_table import NftTableDriver
from nvi_operator.kernel.drivers.sysctl import OpenSettings
from nvi_operator.kernel.netlink.events import KernelEvents
from nvi_operator.kernel.nft.client import Nft
from nvi_operator.language.model.settings import Numbers
from nvi_operator.nft.ast import Table
from nvi_operator.ruleset.table import TABLE
from nvi_operator.state.host import HostState, Object, Ref
from nvi_operator.store.lock import GatewayLock
from nvi_operator.topology.facts import Facts


@dataclass(frozen=True)
class _Objects:
    """Everything of ours but the table, where `numbers` and `desired` said to look."""

    generation: int
    numbers: Numbers
    desired: HostState
    found: HostState
    settings: OpenSettings

    def hold(self, generation: int, numbers: Numbers, desired: HostState) -> bool:
        return (
            self.generation == generation
            and (self.numbers is numbers or self.numbers == numbers)
            and (self.desired is desired or _without_table(self.desired) == _without_table(desired))
            and self.settings.unchanged()
        )


class Memory:
    """Of the network namespace of `events`. Close it, or use it in `with`. `lock` is that of its passes."""

    def __init__(self, events: KernelEvents, lock: GatewayLock | None = None) -> None:
        self.lock = lock
        self.rights_tried = False
        self.table = NftTableDriver(
            TABLE,
            remember=True,
            nft=Nft(shares=lock.shared if lock else lambda: ()),
            muted=events.without_nft,
            reported=events.elements,
        )
        self._events = events
        self._facts: tuple[int, frozenset[str], Facts] | None = None
        self._crowded: frozenset[str] = frozenset()  # interfaces with more routes than are followed
        self._objects: _Objects | None = None
        self._all: tuple[Table | None, HostState] | None = None  # the others, with the table

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.forget_objects()
        self.table.close()

    def rest(self) -> None:
        """End the process of libnftables until it is asked again: few passes need it, and it takes 17 MiB.

        Reports of elements that led to what was seen have served.
        """
        self.table.rest()
        self._events.forget_elements(self.table.generation)

    def forget(self) -> None:
        """Read everything anew: now and then, when reports were lost, and when something went wrong."""
        self.table.forget()
        self.forget_objects()
        self._crowded = frozenset()

    def forget_objects(self) -> None:
        """Read everything anew but the table: it is changed by ourselves, and not all of that is reported."""
        self._facts = None
        self._forget_objects()

    def unreported_change(self) -> bool:
        """Did anything change of which the kernel reports nothing, since the last look? Takes microseconds."""
        return self._objects is not None and not self._objects.settings.unchanged()

    def facts(self, look: Callable[[], Facts], wires: frozenset[str] = frozenset()) -> Facts:
        """The same object as last time, if nothing was reported."""
        self._events.follow(_numbers_of(wires - self._crowded))  # before the look, whose changes meanwhile count
        generation = self._events.generation()
        known = self._facts
        if known is None or known[:2] != (generation, wires) or known[2].hostname != socket.gethostname():
            known = self._facts = generation, wires, look()
            self._crowded = frozenset(ifname for ifname in wires if _is_crowded(known[2], ifname))
        return known[2]

    def observe(self, numbers: Numbers, desired: HostState, look: Callable[[HostState], HostState]) -> HostState:
        """Everything of ours; `look` sees all but the table. The same object as last time, if nothing changed."""
        generation = self._events.generation()
        others = self._objects
        if others is None or not others.hold(generation, numbers, desired):
            self._forget_objects()
            found = look(desired)
            others = _Objects(generation, numbers, desired, found, OpenSettings(found))
        elif others.desired is not desired:  # another table is wanted; next time this is found out at once
            others = replace(others, desired=desired)
        self._objects = others
        table = next(iter(self.table.observe(desired)), None)
        if self._all is None or self._all[0] is not table:
            pairs = [] if table is None else [(self.table.kind, table)]
            self._all = table, others.found.plus(pairs)
        return self._all[1]

    def _forget_objects(self) -> None:
        if self._objects is not None:
            self._objects.settings.close()
            self._objects = None
            self._all = None


def _numbers_of(ifnames: frozenset[str]) -> frozenset[int]:
    """Of those that are there."""
    there = {name: number for number, name in socket.if_nameindex()} if ifnames else {}
    return frozenset(there[ifname] for ifname in ifnames if ifname in there)


def _is_crowded(facts: Facts, ifname: str) -> bool:
    link = facts.links.get(ifname)
    return link is not None and link.crowded


def _without_table(state: HostState) -> dict[Ref, Object]:
    return {ref: obj for ref, obj in state.objects.items() if ref.kind != NftTableDriver.kind}
