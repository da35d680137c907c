"""A reconcile that another process interferes with plans the remaining steps again, and overwrites nothing unseen."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest

from nvi_operator.errors import ConcurrentChangeError, ConflictError, KernelError, VerifyError
from nvi_operator.history.revision import Content
from nvi_operator.kinds.sysctl import Sysctl
from nvi_operator.language.load.loader import load_texts
from nvi_operator.language.model.nat_entries import Forward
from nvi_operator.language.model.services import Target
from nvi_operator.nft.ast import Table
from nvi_operator.plan.change import Action, Change
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import REPLANS, dry_run, reconcile
from nvi_operator.rollout.saved_plan import SavedPlan
from nvi_operator.state.host import HostState, Ref
from nvi_operator.testing import FakeKernel
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts

SPEC = load_texts(
    {
        "edge.yaml": b"""
apiVersion: nvi-operator/v1
kind: Gateway
metadata: { name: edge }
spec:
  interfaces: { lan0: { networks: 192.168.1.0/24 } }
  uplinks: { isp-a: { interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, default: true } }
  sourceNat: [ { name: everyone, as: isp-a } ]
"""
    }
).spec
GATEWAY = Compiler("edge", SPEC)
TABLE = Ref("nft-table", "inet nvi")


class Shared(FakeKernel):
    """Another process changes the table, so many times, right before a step would."""

    intrusions = 1

    def apply(self, change: Change) -> None:
        if change.ref == TABLE and self.intrusions:
            self.intrusions -= 1
            self.objects[TABLE] = Table("nvi", frozenset({f"theirs_{self.intrusions}"}))
        if change.ref == TABLE and self.objects.get(TABLE) != change.before:
            raise ConcurrentChangeError("nft table: another process changed it meanwhile")
        super().apply(change)


def shared(intrusions: int) -> Shared:
    kernel = Shared.for_spec(SPEC)
    assert isinstance(kernel, Shared)
    kernel.intrusions = intrusions
    return kernel


def test_what_another_process_changed_meanwhile_is_planned_again_and_each_step_is_done_once() -> None:
    kernel = shared(1)
    reconcile(kernel, GATEWAY)
    assert not dry_run(kernel, GATEWAY)
    refs = [change.ref for change in kernel.applied]
    assert len(set(refs)) == len(refs)


def test_a_reconcile_gives_up_when_another_process_never_stops_and_reverts_everything_else() -> None:
    kernel = shared(REPLANS + 1)
    with pytest.raises(ConcurrentChangeError):
        reconcile(kernel, GATEWAY)
    assert kernel.intrusions == 0
    assert not [obj for _, obj in kernel.state if isinstance(obj, Sysctl)]


def test_a_spec_is_compiled_once_for_equal_facts() -> None:
    gateway, facts = Compiler("edge", SPEC), assume_missing(SPEC, Facts("fake"))
    found = gateway.meaning(facts)
    assert gateway.meaning(assume_missing(SPEC, Facts("fake")))[1] is found[1]
    assert gateway.meaning(replace(facts, hostname="other"))[1] is found[1]
    other = gateway.meaning(replace(facts, netns_cookie=77))
    assert other[1] != found[1]


def at(facts: Facts, address: str) -> Facts:
    """The same host with another address on its uplink."""
    wan0 = replace(facts.links["wan0"], addresses=(ip_interface(address),))
    return replace(facts, links={**facts.links, "wan0": wan0})


def test_forwards_are_compiled_again_only_when_an_uplink_or_an_inside_is_another() -> None:
    dynamic = SPEC.uplinks["isp-a"].model_copy(update={"addresses": "auto"})
    web = {"web": Forward(to=(Target(ip_address("192.168.1.80"), None),))}
    spec = SPEC.model_copy(update={"uplinks": {"isp-a": dynamic}, "forwards": web})
    facts = at(assume_missing(spec, Facts("fake")), "203.0.113.2/24")
    gateway = Compiler("edge", spec)
    first = gateway.meaning(facts)[0]
    other = gateway.meaning(replace(facts, netns_cookie=77))[0]
    assert first is not None
    assert other is not None
    assert other.forwards is first.forwards
    assert [str(entry.public) for entry in first.forwards] == ["203.0.113.2"]
    facts = at(facts, "203.0.113.3/24")
    now = gateway.meaning(facts)[0]
    assert now is not None
    assert now == Compiler("edge", spec).meaning(facts)[0]
    assert [str(entry.public) for entry in now.forwards] == ["203.0.113.3"]


class Restless(FakeKernel):
    """Gets another lease while it is being changed, so many times."""

    leases = 1

    def apply(self, change: Change) -> None:
        super().apply(change)
        if self.leases and change.ref == TABLE:
            self.leases -= 1
            self.facts_ = at(self.facts_, f"203.0.113.{10 + self.leases}/24")


@pytest.mark.parametrize("leases", [1, REPLANS])
def test_a_lease_that_comes_during_a_reconcile_is_no_error_but_more_to_do(leases: int) -> None:
    dynamic = SPEC.uplinks["isp-a"].model_copy(update={"addresses": "auto"})
    gateway = Compiler("edge", SPEC.model_copy(update={"uplinks": {"isp-a": dynamic}}))
    kernel = Restless(at(assume_missing(SPEC, Facts("fake")), "203.0.113.2/24"))
    kernel.leases = leases
    done = reconcile(kernel, gateway).plan
    assert kernel.leases == 0
    assert done.topology is not None
    assert str(done.topology.uplinks[0].addresses[0]) == "203.0.113.10"
    assert done.after == kernel.state
    assert not dry_run(kernel, gateway)


def test_a_saved_plan_that_a_lease_overtakes_is_reverted_and_the_lease_not_followed_unread() -> None:
    dynamic = SPEC.uplinks["isp-a"].model_copy(update={"addresses": "auto"})
    gateway = Compiler("edge", SPEC.model_copy(update={"uplinks": {"isp-a": dynamic}}))
    kernel = Restless(at(assume_missing(SPEC, Facts("fake")), "203.0.113.2/24"))
    saved = SavedPlan.of(Path("/etc/nvi"), Content("edge", {}), dry_run(kernel, gateway))
    with pytest.raises(ConflictError, match="the kernel is no longer what the plan was made of") as refused:
        reconcile(kernel, gateway, accept=saved.refuse_other_plan)
    assert (kernel.leases, len(kernel.state), refused.value.reverted) == (0, 0, True)
    assert "203.0.113.10" in refused.value.message
    assert "203.0.113.10" not in repr([change.after for change in kernel.applied])


def test_a_saved_plan_goes_on_where_others_only_undo_what_it_made() -> None:
    kernel = shared(1)
    saved = SavedPlan.of(Path("/etc/nvi"), Content("edge", {}), dry_run(kernel, GATEWAY))
    reconcile(kernel, GATEWAY, accept=saved.refuse_other_plan)
    assert not dry_run(kernel, GATEWAY)


def test_a_host_that_never_rests_is_an_error_in_the_end() -> None:
    dynamic = SPEC.uplinks["isp-a"].model_copy(update={"addresses": "auto"})
    gateway = Compiler("edge", SPEC.model_copy(update={"uplinks": {"isp-a": dynamic}}))
    kernel = Restless(at(assume_missing(SPEC, Facts("fake")), "203.0.113.2/24"))
    kernel.leases = 99
    with pytest.raises(VerifyError):
        reconcile(kernel, gateway)


class Stormy(FakeKernel):
    """Another process undoes something between each apply and its verify, so many times."""

    storms = 1

    def apply(self, change: Change) -> None:
        super().apply(change)
        if self.storms and change.ref.key == "net/ipv4/ip_forward":
            self.storms -= 1
            del self.objects[TABLE]


@pytest.mark.parametrize("storms", [1, REPLANS])
def test_what_others_undo_before_the_verify_is_done_again_and_not_reverted(storms: int) -> None:
    kernel = Stormy.for_spec(SPEC)
    assert isinstance(kernel, Stormy)
    kernel.storms = storms
    reconcile(kernel, GATEWAY)
    assert not dry_run(kernel, GATEWAY)
    assert Action.DELETE not in {change.action for change in kernel.applied}


class Vanishing(FakeKernel):
    """An interface disappears while a step is applied to it, once."""

    gone = False

    def apply(self, change: Change) -> None:
        if change.ref.kind == "link-group" and not self.gone:
            self.gone = True
            raise KernelError("wan0: setting its link group: No such device", transient=True)
        super().apply(change)


def test_a_step_that_another_process_made_fail_is_planned_again() -> None:
    kernel = Vanishing.for_spec(SPEC)
    reconcile(kernel, GATEWAY)
    assert not dry_run(kernel, GATEWAY)
    refs = [change.ref for change in kernel.applied]
    assert len(set(refs)) == len(refs)


class Fragile(Shared):
    """Refuses a step; then another process changes the table, once."""

    def apply(self, change: Change) -> None:
        refused = len(self.applied) + 1 == self.fail_at
        super().apply(change) if not refused else self._refuse(change)

    def _refuse(self, change: Change) -> None:
        self.intrusions = 1
        FakeKernel.apply(self, change)


def test_a_revert_is_planned_again_when_another_process_interferes() -> None:
    kernel = Fragile.for_spec(SPEC)
    assert isinstance(kernel, Fragile)
    kernel.intrusions, kernel.fail_at = 0, len(dry_run(kernel, GATEWAY).steps)
    with pytest.raises(KernelError, match="refused by the test") as raised:
        reconcile(kernel, GATEWAY)
    assert raised.value.reverted
    assert kernel.intrusions == 0
    assert kernel.state == HostState()


def test_a_paused_object_is_left_alone_by_a_revert_as_well() -> None:
    kernel = FakeKernel.for_spec(SPEC)
    first = next(change for change in dry_run(kernel, GATEWAY).steps if isinstance(change.after, Sysctl))
    theirs = Sysctl(first.ref.key, "7")
    kernel.objects[first.ref] = theirs
    kernel.fail_at = len(dry_run(kernel, GATEWAY).steps) - 1
    before = kernel.state
    with pytest.raises(KernelError, match="refused by the test"):
        reconcile(kernel, GATEWAY, paused={str(first.ref)})
    assert kernel.state == before
    assert first.ref not in {change.ref for change in kernel.applied}


def test_the_next_reconcile_continues_from_there() -> None:
    kernel = shared(REPLANS + 1)
    with pytest.raises(ConcurrentChangeError):
        reconcile(kernel, GATEWAY)
    reconcile(kernel, GATEWAY)
    assert not dry_run(kernel, GATEWAY)
