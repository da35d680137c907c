"""Programs at an interface, by tcx where there is one and by clsact: attached, replaced, ordered, found, detached."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from nvi_operator.errors import KernelError
from nvi_operator.kernel.bpf import objects, syscall, tcx
from nvi_operator.kernel.bpf.attach import Attached, Attachments, Mechanism, preferred
from nvi_operator.kernel.bpf.tcx import Hook, Order
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.store.saved_settings import SavedSettings
from tests.dataplane.cached import MECHANISMS
from tests.dataplane.netns import Netns, wire

pytestmark = pytest.mark.netns

HOOKS: tuple[Hook, ...] = ("ingress", "egress")
NAME = "nvi_ingress"
STAGE = 1 << 31
SPOOFED, OWN = "10.0.0.66", "10.0.0.1"


@dataclass
class Gateway:
    """A host with one interface, and a neighbour that sends."""

    netns: Netns
    neighbour: Netns
    attachments: Attachments
    ifindex: int

    def at(self, hook: Hook = "ingress") -> list[Attached]:
        return self.netns.call(lambda: list(self.attachments.at(hook, [self.ifindex])))

    def attach(
        self, *refused: str, hook: Hook = "ingress", order: Order = "first", replaces: Attached | None = None
    ) -> None:
        """A guard that drops packets with these sources."""

        def run() -> None:
            with objects.load("ingress_guard", constants={"stage_mask": STAGE}) as guard:
                for address in refused:
                    key = bytes(10) + b"\xff\xff" + socket.inet_aton(address)
                    syscall.update(guard.maps["nvi_addresses"], key, bytes(4))
                fd = guard.programs[NAME]
                self.attachments.attach(self.ifindex, hook, fd, NAME, order, replaces=replaces)

        self.netns.call(run)

    def detach(self, place: Attached) -> None:
        self.netns.call(self.attachments.detach, place)

    def hears(self) -> bool:
        return self.neighbour.pings("10.0.0.1", seconds=0.3)

    def qdiscs(self) -> str:
        return self.netns.run("tc qdisc show dev in0 clsact")


@contextmanager
def made(mechanism: Mechanism | None, directory: Path) -> Iterator[Gateway]:
    netns, neighbour = Netns("g"), Netns("n")
    try:
        wire(netns, "in0", neighbour, "eth0")
        netns.ip(f"address add {OWN}/24 dev in0")
        neighbour.ip(f"address add {SPOOFED}/24 dev eth0")

        def handles() -> tuple[Attachments, int]:
            saved = SavedSettings(1, directory)
            attachments = Attachments(
                IPRoute(ext_ack=True), Rtnetlink(), saved, lambda name: name == NAME, mechanism=mechanism
            )
            return attachments, socket.if_nametoindex("in0")

        yield Gateway(netns, neighbour, *netns.call(handles))
    finally:
        netns.close()
        neighbour.close()


@pytest.fixture(params=MECHANISMS)
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gateway]:
    with made(request.param, tmp_path) as host:
        yield host


@pytest.mark.parametrize("hook", HOOKS)
def test_a_program_is_found_where_it_was_attached(gateway: Gateway, hook: Hook) -> None:
    assert gateway.at(hook) == []
    gateway.attach(hook=hook)
    (place,) = gateway.at(hook)
    assert (place.ifindex, place.hook, place.name) == (gateway.ifindex, hook, NAME)
    assert place.mechanism == gateway.attachments.mechanism
    assert [each for other in HOOKS if other != hook for each in gateway.at(other)] == []
    gateway.detach(place)
    assert gateway.at(hook) == []


def test_packets_meet_it_and_then_its_replacement(gateway: Gateway) -> None:
    gateway.attach(SPOOFED)
    (first,) = gateway.at()
    assert not gateway.hears()
    gateway.attach("10.0.0.77", replaces=first)
    (second,) = gateway.at()
    assert second.program != first.program
    assert gateway.hears()


def test_first_runs_before_last(gateway: Gateway) -> None:
    gateway.attach(order="last")
    (last,) = gateway.at()
    gateway.attach(order="first")
    first, second = gateway.at()
    assert second.program == last.program
    gateway.attach(order="first")
    newest = next(each for each in gateway.at() if each.program not in {first.program, last.program})
    # By tcx the newest of several is the first; a filter takes the first place that is free.
    order = {"tcx": [newest, first, last], "clsact": [first, newest, last]}[gateway.attachments.mechanism]
    assert [each.program for each in gateway.at()] == [each.program for each in order]


def test_a_replacement_keeps_its_place(gateway: Gateway) -> None:
    for _ in range(3):
        gateway.attach()
    first, middle, last = gateway.at()
    gateway.attach(replaces=middle)
    places = gateway.at()
    assert (places[0].program, places[2].program) == (first.program, last.program)
    assert places[1].program not in {first.program, middle.program, last.program}


def test_foreign_programs_are_neither_listed_nor_touched(gateway: Gateway) -> None:
    foreign = syscall._SHORTEST

    def attach_foreign() -> None:
        fd = syscall.load_program(foreign, "foreign")
        if gateway.attachments.mechanism == "tcx":
            tcx.attach(gateway.ifindex, "egress", fd, "last", 0)
        else:
            gateway.attachments._clsact.attach(gateway.ifindex, "egress", fd, "foreign", "first")

    gateway.netns.call(attach_foreign)
    gateway.attach(hook="egress")
    (place,) = gateway.at("egress")
    gateway.detach(place)
    assert gateway.at("egress") == []
    if gateway.attachments.mechanism == "tcx":
        assert len(gateway.netns.call(tcx.programs, gateway.ifindex, "egress").programs) == 1
    else:
        assert "foreign" in gateway.netns.run("tc filter show dev in0 egress")


def test_a_program_that_has_gone_is_a_transient_error(gateway: Gateway) -> None:
    gateway.attach()
    gateway.attach()
    place, _ = gateway.at()
    gateway.detach(place)
    with pytest.raises(KernelError) as caught:
        gateway.detach(place)
    assert caught.value.transient


def test_the_programs_outlive_whoever_attached_them(gateway: Gateway) -> None:
    gateway.attach(SPOOFED)
    gateway.attachments = None  # type: ignore[assignment]
    assert not gateway.hears()


def test_clsact_that_was_made_for_a_program_goes_with_it(tmp_path: Path) -> None:
    with made("clsact", tmp_path) as gateway:
        gateway.attach()
        assert "clsact" in gateway.qdiscs()
        gateway.detach(gateway.at()[0])
        assert gateway.qdiscs() == ""


def test_clsact_that_was_there_stays(tmp_path: Path) -> None:
    with made("clsact", tmp_path) as gateway:
        gateway.netns.run("tc qdisc add dev in0 clsact")
        gateway.attach()
        gateway.detach(gateway.at()[0])
        assert "clsact" in gateway.qdiscs()


def test_clsact_that_was_made_goes_with_the_last_program_of_any_driver(tmp_path: Path) -> None:
    with made("clsact", tmp_path) as gateway:
        gateway.attach()

        def attach_another(name: str) -> None:
            with objects.load("flow_cache", programs=[name], sizes={"fc_flows4": 64, "fc_flows6": 64}) as cache:
                gateway.attachments._clsact.attach(gateway.ifindex, "egress", cache.programs[name], name, "last")

        gateway.netns.call(attach_another, "fc_out")
        gateway.detach(gateway.at()[0])
        assert "clsact" in gateway.qdiscs()
        (another,) = gateway.netns.call(lambda: list(gateway.attachments._clsact.filters("egress")))
        gateway.netns.call(gateway.attachments._clsact.detach, another)
        assert gateway.qdiscs() == ""


def test_this_kernel_has_a_preference(tmp_path: Path) -> None:
    with made(None, tmp_path) as gateway:
        assert gateway.attachments.mechanism == preferred()
        assert tcx.available() == (preferred() == "tcx")
