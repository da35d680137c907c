"""A daemon reads only what may have changed, and yet sees every foreign change in its next reconcile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from nvi_operator.doctor.footprint import footprint
from nvi_operator.errors import ConflictError
from nvi_operator.kernel.bpf import tcx
from nvi_operator.kernel.cached import CachedKernel
from nvi_operator.kernel.drivers.registry import DRIVERS
from nvi_operator.kernel.drivers.sysctl import OpenSettings
from nvi_operator.kernel.handles import Handles
from nvi_operator.kernel.kernel import Kernel
from nvi_operator.kernel.netlink.events import KernelEvents
from nvi_operator.kinds.egress_guard import EGRESS_GUARD
from nvi_operator.kinds.fib_rule import FIB_RULE
from nvi_operator.kinds.ingress_guard import INGRESS_GUARD
from nvi_operator.kinds.nft_table import NFT_TABLE
from nvi_operator.kinds.route import ROUTE
from nvi_operator.language.model.settings import Numbers
from nvi_operator.store.saved_settings import SavedSettings
from nvi_operator.topology.facts import Facts
from nvi_operator.view.drift import drift_class
from tests.contract.drifts import DEVICE_DRIFTS, ROUTING_DRIFTS
from tests.contract.machines import AnyKernel, Drift, RealMachine, applied, seen
from tests.contract.nft_drifts import NFT_DRIFTS
from tests.contract.test_drift import SPEC
from tests.lab import Lab
from tests.lab.net import until

pytestmark = pytest.mark.netns

T = TypeVar("T")
GUARDS = {EGRESS_GUARD.name, INGRESS_GUARD.name}
UNREPORTED = "an interface is taken out of the program's list"
OF_GUARDS = [drift for drift in DEVICE_DRIFTS if {kind for _, kind in drift.shows} <= GUARDS]
DRIFTS = [
    NFT_DRIFTS[0],
    *ROUTING_DRIFTS,
    *(drift for drift in DEVICE_DRIFTS if drift.name != UNREPORTED and drift not in OF_GUARDS),
]


class CachingMachine(RealMachine):
    """With what a daemon has: one kernel for all reconciles."""

    def __init__(self, lab: Lab, **options: int) -> None:
        super().__init__(lab)
        self.events = self.host.call(lambda: KernelEvents(["nvi"], **options))
        self.kernel: CachedKernel = self.host.call(lambda: CachedKernel(self.events))

    def close(self) -> None:
        self.kernel.close()
        self.events.close()

    def run(self, work: Callable[[AnyKernel], T]) -> T:
        def there() -> T:
            with self.kernel.using(Numbers()) as kernel:
                return work(kernel)

        return self.host.call(there)

    def facts(self) -> Facts:
        return self.run(lambda kernel: kernel.facts(SPEC.wires))

    def settled(self) -> None:
        """Wait until the kernel's reports of a reconcile have arrived and were read."""
        until(lambda: seen(self, SPEC).before is seen(self, SPEC).before, "the kernel to be quiet")


@pytest.fixture
def daemon(lab: Lab) -> Iterator[CachingMachine]:
    made = CachingMachine(lab)
    applied(made, SPEC)
    made.settled()
    yield made
    made.close()


@pytest.fixture
def blind(daemon: CachingMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading anything but the table fails from now on."""

    def refuse(of: object) -> Any:
        raise AssertionError("it read from the kernel")

    for handle in ("ipr", "rtnetlink", "saved"):
        monkeypatch.setattr(Handles, handle, property(refuse))
    monkeypatch.setattr(OpenSettings, "unchanged", refuse)


# --------------------------------------------------------------------------- what is looked at


@pytest.mark.parametrize("drift", DRIFTS, ids=str)
def test_drift_is_seen_and_healed(daemon: CachingMachine, drift: Drift) -> None:
    daemon.disturb(drift)
    _is_seen_and_healed(daemon, drift)


@pytest.mark.parametrize("drift", OF_GUARDS, ids=str)
def test_drift_of_a_guard_is_seen_when_it_is_asked_for(daemon: CachingMachine, drift: Drift) -> None:
    """As the daemon does each second: the kernel reports filters, and no programs at tcx."""
    daemon.disturb(drift)
    assert daemon.host.call(daemon.kernel.unreported_change) == tcx.available()
    _is_seen_and_healed(daemon, drift)


def _is_seen_and_healed(daemon: CachingMachine, drift: Drift) -> None:
    drifted = seen(daemon, SPEC)
    assert {(drift_class(change), change.ref.kind) for change in drifted.steps} == drift.shows
    applied(daemon, SPEC)
    assert not seen(daemon, SPEC)
    daemon.kernel.invalidate()
    assert not seen(daemon, SPEC), "what it remembers is what is there"


def test_a_setting_of_which_the_kernel_reports_nothing_is_seen_when_it_is_asked_for(daemon: CachingMachine) -> None:
    """As the daemon does each second."""
    assert not daemon.host.call(daemon.kernel.unreported_change)
    daemon.host.write("net/ipv4/conf/wan0/accept_local", "0")
    assert daemon.host.call(daemon.kernel.unreported_change)
    assert [str(change.ref) for change in seen(daemon, SPEC).steps] == ["sysctl net/ipv4/conf/wan0/accept_local"]


def test_an_unreported_change_is_seen_when_the_cache_is_invalidated(daemon: CachingMachine) -> None:
    (drift,) = (drift for drift in DEVICE_DRIFTS if drift.name == UNREPORTED)
    daemon.disturb(drift)
    daemon.kernel.invalidate()
    assert [change.ref.kind for change in seen(daemon, SPEC).steps] == ["tc-program"]


@pytest.mark.parametrize(
    "change",
    [
        "addr add 203.0.113.9/29 dev wan0",
        "addr add 2001:db8:a::9/64 dev wan0",
        "route replace default via 203.0.113.3",
        "-6 route add default via 2001:db8:a::3 metric 5",
        "route add 10.9.0.0/16 via 203.0.113.3",
        "link set lan0 address 02:00:00:00:12:34",
        "link add lan7 type veth peer name lan8",
        "link set lan0 down",
    ],
)
def test_a_change_of_the_host_is_seen(daemon: CachingMachine, change: str) -> None:
    before = daemon.facts()
    daemon.host.run("ip", *change.split())
    until(lambda: daemon.facts() != before, "the facts are others: IPv6 is reported a little later")
    remembered = daemon.facts()
    daemon.kernel.invalidate()
    until(lambda: daemon.facts() == remembered, "they are those that are remembered")


def test_a_change_during_a_read_is_seen(daemon: CachingMachine) -> None:
    """Whether the read found it or not."""
    before = daemon.facts()

    def read(kernel: Kernel, *_: object) -> Facts:
        daemon.host.ip("link set wan1 down")
        return before

    daemon.kernel.invalidate()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kernel, "facts", read)
        assert daemon.facts() is before
    assert not daemon.facts().links["wan1"].up


def test_a_change_is_seen_though_its_report_was_lost(lab: Lab) -> None:
    daemon = CachingMachine(lab, receive_buffer=1)
    applied(daemon, SPEC)
    daemon.settled()
    daemon.host.ip(*(f"rule add pref {number} lookup 1234" for number in range(20100, 20140)))
    daemon.host.ip("rule del pref 1900 from 192.168.1.0/24 type unreachable")
    assert [change.ref.kind for change in seen(daemon, SPEC).steps] == ["fib-rule"]
    assert "overflow" in {event.kind for event in daemon.events.drain()}, "and the loop hears of the loss"
    daemon.close()


def test_other_numbers_mean_another_look(daemon: CachingMachine) -> None:
    desired = seen(daemon, SPEC).after

    def look() -> None:
        with daemon.kernel.using(Numbers(protocol=79)) as kernel:
            kernel.observe(desired)

    with pytest.raises(ConflictError, match="belongs to a gateway with other numbers"):
        daemon.host.call(look)


# --------------------------------------------------------------------------- what is not


@pytest.mark.usefixtures("blind")
def test_routes_of_main_that_are_by_no_uplink_do_not_matter(daemon: CachingMachine) -> None:
    daemon.host.ip("route add 10.9.0.0/16 dev lan0", "route add 10.10.0.0/16 dev lo")
    assert not seen(daemon, SPEC)


@pytest.mark.usefixtures("blind")
def test_nothing_is_looked_at_when_nothing_was_reported(daemon: CachingMachine) -> None:
    assert not applied(daemon, SPEC)
    assert seen(daemon, SPEC).before is seen(daemon, SPEC).before


@pytest.mark.usefixtures("blind")
def test_a_change_of_the_table_is_made_and_verified_without_the_rest(daemon: CachingMachine) -> None:
    daemon.disturb(NFT_DRIFTS[0])
    assert [change.ref.kind for change in applied(daemon, SPEC).steps] == ["nft-table"]
    assert not seen(daemon, SPEC)


@pytest.mark.parametrize("drift", ["rule", "route"])
def test_a_rule_or_route_that_is_lost_is_put_back_without_a_look_at_the_rest(
    daemon: CachingMachine, drift: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in set(DRIVERS) - {FIB_RULE.name, ROUTE.name, NFT_TABLE.name}:
        monkeypatch.setattr(DRIVERS[kind], "observe", lambda *_: pytest.fail("it was read"))
    monkeypatch.setattr(Kernel, "facts", lambda *_: pytest.fail("facts were read"))
    monkeypatch.setattr(SavedSettings, "begin", lambda *_: pytest.fail("settings were recorded"))
    lost = "rule del pref 1010 iif lan0" if drift == "rule" else "route del default table 7801"
    daemon.host.ip(lost)
    assert len(applied(daemon, SPEC).steps) == 1
    assert not seen(daemon, SPEC)


def test_routes_of_an_owned_table_are_facts_where_a_foreign_rule_leads_there(daemon: CachingMachine) -> None:
    daemon.host.ip("rule add pref 20100 from 10.77.0.0/16 lookup 7801")
    before = daemon.facts()
    daemon.host.ip("route del default table 7801")
    assert daemon.facts().rules != before.rules


def test_the_loop_hears_later_of_reports_that_the_cache_read(daemon: CachingMachine) -> None:
    daemon.events.drain()
    daemon.host.ip("rule add pref 20100 lookup 1234")
    seen(daemon, SPEC)
    assert [event.kind for event in daemon.events.drain()] == ["rule"]


def test_a_blocker_that_a_question_finds_wakes_a_reconcile(daemon: CachingMachine) -> None:
    """A question for the status asks for facts as well."""
    need = footprint(SPEC)

    def ask() -> Facts:
        return daemon.run(lambda kernel: kernel.facts(SPEC.wires, need))

    before = ask().blockers
    daemon.host.nft("table inet fw { chain c { type filter hook forward priority 0; log; }; }\n")
    assert "log" in {blocker.reason for blocker in ask().blockers}
    assert daemon.host.call(daemon.kernel.unreported_change)
    daemon.host.run("nft", "delete", "table", "inet", "fw")
    assert ask().blockers == before
    assert daemon.host.call(daemon.kernel.unreported_change)
    assert not daemon.host.call(daemon.kernel.unreported_change)
