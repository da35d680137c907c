"""The driver of the guards: what it applies it observes, and it takes over what another version left."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyroute2 import IPRoute

from bench.dataplane import asm
from nvi_operator.kernel.bpf import syscall, tcx
from nvi_operator.kernel.bpf.attach import Attached, Attachments
from nvi_operator.kernel.bpf.guard import COUNTERS
from nvi_operator.kernel.bpf.live import opened_maps
from nvi_operator.kernel.drivers.egress_guard import EgressGuardDriver
from nvi_operator.kernel.drivers.guard import Guard, GuardDriver
from nvi_operator.kernel.drivers.ingress_guard import IngressGuardDriver
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.kinds.egress_guard import EgressGuard, GuardEntry, PrefixRole
from nvi_operator.kinds.ingress_guard import IngressGuard
from nvi_operator.plan.change import Action, Change
from nvi_operator.state.host import HostState, Ref
from nvi_operator.store.saved_settings import SavedSettings
from tests.dataplane.netns import Netns

pytestmark = pytest.mark.netns

STAGE = 1 << 31
LINK = "up0"
ADDRESSES = frozenset({"203.0.113.2", "2001:db8::2"})
PREFIXES = frozenset(
    {GuardEntry("source", "203.0.113.2/32", PrefixRole.OWN), GuardEntry("destination", "::/0", rules=1)}
)


@dataclass
class Uplink:
    """An interface, and the driver of one of its guards."""

    netns: Netns
    driver: GuardDriver
    filters_only: Attachments
    ipr: Any
    guard: Guard

    def observe(self) -> list[Guard]:
        return self.netns.call(lambda: list(self.driver.observe(HostState())))

    def apply(self, guard: Guard | None) -> None:
        action = Action.DELETE if guard is None else Action.UPDATE
        change = Change(Ref(self.driver.kind, self.guard.key), action, self.guard, guard)
        self.netns.call(self.driver.apply, change)

    def counters(self) -> dict[str, int]:
        found = self.netns.call(self.driver.counters, HostState())
        return found.get(self.driver.place, {})

    def places(self) -> list[Attached]:
        return self.netns.call(lambda: list(self.driver._places()))

    def filters(self) -> str:
        return self.netns.run(f"tc filter show dev {LINK} {self.driver.program.hook}")

    def left_by_another_version(self, count: int) -> None:
        """A filter under the guard's name, with a program of another code and counters of the same form."""

        def attach() -> None:
            own = self.driver.program
            counters = syscall.create_map(own.counters)
            for index in range(len(own.reasons)):
                values = struct.pack("=Q", count) * syscall.possible_cpus()
                syscall.update(counters, struct.pack("=I", index), values)
            lines = [asm.load_map(asm.R1, "counters"), asm.mov_imm(asm.R0, 2), asm.leave()]
            program = syscall.load_program(asm.encode(lines, {"counters": counters}), own.name(STAGE))
            (index,) = self.ipr.link_lookup(ifname=LINK)
            self.filters_only.attach(index, own.hook, program, own.name(STAGE), "first")
            os.close(program)
            os.close(counters)

        self.netns.call(attach)


_TCX = ["egress-tcx", "ingress-tcx"] if tcx.available() else []


@pytest.fixture(params=["egress", "ingress", *_TCX])
def uplink(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Uplink]:
    netns = Netns("u")
    try:
        netns.ip(f"link add {LINK} type veth peer name other", f"link set {LINK} up")

        def made() -> Uplink:
            ipr = IPRoute(ext_ack=True)
            hook, _, by_tcx = request.param.partition("-")
            kind = IngressGuardDriver if hook == "ingress" else EgressGuardDriver
            context = (ipr, Rtnetlink(), SavedSettings(1, tmp_path), kind.program.is_attached)
            filters = Attachments(*context, mechanism="clsact")
            places = Attachments(*context) if by_tcx else filters
            guard = IngressGuard(LINK, STAGE, ADDRESSES) if hook == "ingress" else EgressGuard(LINK, STAGE, PREFIXES)
            return Uplink(netns, kind(places), filters, ipr, guard)

        yield netns.call(made)
    finally:
        netns.close()


def test_what_was_applied_is_observed(uplink: Uplink) -> None:
    assert uplink.observe() == []
    uplink.apply(uplink.guard)
    assert uplink.observe() == [uplink.guard]
    assert set(uplink.counters().values()) == {0}
    uplink.apply(None)
    assert uplink.observe() == []
    assert uplink.counters() == {}
    assert uplink.netns.run(f"tc qdisc show dev {LINK} clsact") == ""


def test_the_program_of_another_version_is_replaced_and_its_counters_go_on(uplink: Uplink) -> None:
    uplink.left_by_another_version(5)
    (found,) = uplink.observe()
    assert (found.ifname, found.stage_mask) == (LINK, None)
    uplink.apply(uplink.guard)
    assert uplink.observe() == [uplink.guard]
    assert set(uplink.counters().values()) == {5 * syscall.possible_cpus()}
    assert len(uplink.places()) == 1


def test_of_two_guards_at_one_interface_one_stays(uplink: Uplink) -> None:
    """A reconcile was killed when it had attached the one that was to take the place of the other."""
    uplink.apply(uplink.guard)
    uplink.left_by_another_version(0)
    (found,) = uplink.observe()
    assert found.stage_mask is None
    uplink.apply(uplink.guard)
    assert uplink.observe() == [uplink.guard]
    assert len(uplink.places()) == 1


def test_the_program_of_another_version_is_removed(uplink: Uplink) -> None:
    uplink.left_by_another_version(5)
    uplink.apply(None)
    assert uplink.filters() == ""


def test_the_maps_belong_to_the_object(uplink: Uplink) -> None:
    """What this code says of the maps is what the source declares, and a live program has no others."""
    uplink.apply(uplink.guard)
    (place,) = uplink.places()
    own = uplink.driver.program
    with opened_maps(place.program) as maps:
        assert maps.keys() == {own.entries(0).name, COUNTERS, ".rodata"}
        assert syscall.map_info(maps[COUNTERS]) == own.counters
        assert syscall.map_info(maps[own.entries(0).name]) == own.entries(2)
