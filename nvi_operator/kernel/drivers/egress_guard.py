"""The programs at the egress of uplinks and inside interfaces."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence

from nvi_operator.kernel.bpf import tcx
from nvi_operator.kernel.bpf.attach import Attached, Mechanism, preferred
from nvi_operator.kernel.bpf.egress import EGRESS
from nvi_operator.kernel.drivers.guard import Guard, GuardDriver
from nvi_operator.kernel.drivers.tcx_watch import TcxWatch
from nvi_operator.kinds.egress_guard import EGRESS_GUARD, EgressGuard
from nvi_operator.state.host import HostState


class EgressGuardDriver(GuardDriver):
    kind = EGRESS_GUARD.name
    program = EGRESS
    type = EGRESS_GUARD.type
    place = "egress of the uplinks"

    def watch(self, found: HostState) -> TcxWatch | None:
        return TcxWatch.of({each.ifname for each in _guards(found) if each.tcx}, (EGRESS.hook,))

    def _places(self, ifindex: int = 0) -> Iterator[Attached]:
        ifindexes = [ifindex] if ifindex else [number for number, _ in socket.if_nameindex()]
        return self._attachments.at(EGRESS.hook, ifindexes)

    def _mechanism(self, guard: Guard) -> Mechanism:
        return preferred() if isinstance(guard, EgressGuard) and guard.tcx else "clsact"

    def _guard(self, ifname: str, places: Sequence[Attached], desired: HostState) -> EgressGuard:
        if len(places) > 1:  # one was to take the place of the other
            return EgressGuard(ifname, None, frozenset())
        (place,) = places
        if tcx.available():
            by_tcx = place.mechanism == "tcx"
        else:  # a filter is all that can be had
            by_tcx = any(each.tcx for each in _guards(desired) if each.ifname == ifname)
        return EgressGuard(ifname, *self._contents(place.program), by_tcx)


def _guards(state: HostState) -> Iterator[EgressGuard]:
    return (each for each in state.of_kind(EGRESS_GUARD.name) if isinstance(each, EgressGuard))
