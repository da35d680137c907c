"""The events of an outcome, in the words of the log, and what `systemctl status` says of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nvi_operator import errors
from nvi_operator.daemon.fights import Pause
from nvi_operator.daemon.report import SHOWN, error_event, events_of, pause_event, status_line
from nvi_operator.errors import KernelError, NftCrashedError, NviError, Position, SpecError, SpecProblem
from nvi_operator.kinds.sysctl import Sysctl
from nvi_operator.plan.change import NO_PLAN, Action, Change, Plan
from nvi_operator.reconcile.outcome import Outcome
from nvi_operator.sources.revision import CheckedOutCommit
from nvi_operator.state.host import Ref
from tests.unit.topology.gateways import AUTO, LAN, link, topology

BEFORE = Outcome("edge", requested=False)
AT = CheckedOutCommit("a1b2c3d", "main", dirty=False)
WRONG = SpecError([SpecProblem(Position("gateway.yaml", 3, 5), "spec.uplinks", "no such uplink")])


def settings(count: int) -> Plan:
    steps = []
    for number in range(count):
        setting = Sysctl(f"net/ipv4/conf/lan{number}/rp_filter", "0")
        steps.append(Change(Ref("sysctl", setting.path), Action.CREATE, None, setting))
    return replace(NO_PLAN, steps=tuple(steps))


def entries(outcome: Outcome, last: Outcome = BEFORE, *, kernel: bool = False) -> list[str]:
    return [event.text for event in events_of(outcome, last, kernel=kernel)]


def test_the_first_reconcile_that_changes_nothing_says_so_and_later_ones_are_silent() -> None:
    assert entries(Outcome("edge", AT), Outcome()) == ["edge at a1b2c3d (main): nothing to change: in sync"]
    assert entries(Outcome("edge", AT, requested=False)) == []


def test_a_change_is_told_with_its_lines_and_its_time() -> None:
    (entry,) = entries(Outcome("edge", plan=settings(1), seconds=0.0123))
    head, *_, end = entry.splitlines()
    assert head == "edge: changes"
    assert "+ the gateway itself: 1 setting" in entry.splitlines()
    assert "lan0" not in entry
    assert "lan0" in entries(Outcome("edge", plan=settings(1)), kernel=True)[0]
    assert end == "edge: applied and verified in 12 ms: 1 created: in sync"


def test_a_long_change_is_summed_up_and_the_kernels_lines_are_cut() -> None:
    plan = settings(SHOWN * 2)
    (entry,) = entries(Outcome("edge", plan=plan))
    assert entry.splitlines()[1:-1] == [f"+ the gateway itself: {SHOWN * 2} settings"]
    (entry,) = entries(Outcome("edge", plan=plan), kernel=True)
    assert f"the first {SHOWN} lines" in entry
    assert len(entry.splitlines()) == SHOWN + 4


def test_drift_names_who_changed_it() -> None:
    outcome = Outcome("edge", plan=settings(1), requested=False, changed_by=("ip (pid 7)",), seconds=0.002)
    drift, healed = entries(outcome)
    assert outcome.healed == {"sysctl net/ipv4/conf/lan0/rp_filter"}
    assert drift.startswith("edge: drift by ip (pid 7)\n")
    assert healed == "edge: healed in 2 ms: in sync"


def test_drift_beside_a_table_that_cannot_be_listed_is_told() -> None:
    error = NftCrashedError("libnftables died")
    drift, healed = entries(Outcome("edge", plan=settings(1), requested=False, errors=(error,), failed=True))
    assert drift.startswith("edge: drift beside the nft table\n")
    assert healed == "healed"


def test_a_wrong_spec_is_told_once_and_so_is_its_end() -> None:
    wrong = Outcome("edge", requested=False, errors=(WRONG,))
    assert error_event(WRONG, wrong, None).text.splitlines() == [
        "edge: the new spec is wrong; the last good one stays in force",
        "gateway.yaml:3:5: spec.uplinks: no such uplink",
        "  next attempt: at the next change",
    ]
    assert entries(BEFORE, wrong) == ["edge: the spec is right again"]
    none_in_force = Outcome(errors=(WRONG,), failed=True)
    assert error_event(WRONG, none_in_force, None).text.startswith("gateway.yaml:3:5: ")


def test_a_note_is_told_once() -> None:
    noted = Outcome("edge", requested=False, notes=("dataplane bpf: no module",))
    assert entries(noted) == ["edge: note: dataplane bpf: no module"]
    assert entries(noted, noted) == []


def test_the_status_is_the_first_error_or_that_all_is_well_and_what_is_paused() -> None:
    assert status_line(Outcome("edge", AT), ()) == "edge at a1b2c3d (main): in sync"
    assert status_line(Outcome("edge"), {"b", "a"}) == "paused: a, b; edge: in sync"
    assert status_line(Outcome("edge", errors=(KernelError("rule: no"),)), ()) == "rule: no"


def test_an_error_tells_the_next_attempt_and_what_was_reverted() -> None:
    error = KernelError("rule x: create: no")
    assert error_event(error, BEFORE, 0.05).text == "rule x: create: no\n  next attempt: in 0.05 s"
    error.reverted = True
    event = error_event(error, BEFORE, None)
    assert event.kind == "reverted"
    assert event.text.splitlines()[1:] == [
        "  reverted: everything is as it was before",
        "  next attempt: at the next change",
    ]


def test_a_pause_names_the_processes_or_says_that_they_are_not_known() -> None:
    pause = Pause("rule x", 10, 60.0, ("evil (pid 7)", "once (pid 3)"), 120.0)
    assert pause_event(pause, BEFORE).text == (
        "rule x: changed by evil (pid 7) and once (pid 3), and healed 10 times within 60 s: paused for 120 s"
    )
    assert "a process that the kernel does not name" in pause_event(replace(pause, changed_by=()), BEFORE).text


def on(*addresses: str, carrier: bool = True, hops: tuple[str, ...] = ("203.0.113.1",)) -> Outcome:
    """In sync, on a host with this uplink."""
    wan = replace(link("wan0", *addresses, hops=hops), carrier=carrier)
    return replace(BEFORE, plan=replace(NO_PLAN, topology=topology(LAN + AUTO, link("lan0"), wan)))


def test_an_uplink_that_goes_down_or_comes_back_is_an_event_of_its_own() -> None:
    up, down = on("203.0.113.2/24"), on("203.0.113.2/24", carrier=False)
    assert entries(up) == []
    assert entries(down) == ["edge: uplink isp-a: down: wan0 is without carrier"], "down when it began"
    assert entries(down, up) == ["edge: uplink isp-a: down: wan0 is without carrier"]
    assert entries(down, down) == []
    assert entries(up, down) == ["edge: uplink isp-a: up"]
    stopped = Outcome("edge", errors=(KernelError("no"),), failed=True).remembered(down)
    assert entries(up, stopped) == ["edge: uplink isp-a: up"], "a reconcile that was stopped says nothing of it"


def test_a_new_lease_tells_the_address_before_and_after() -> None:
    before, after = on("203.0.113.2/24"), on("203.0.113.9/24")
    assert entries(after, before) == ["edge: uplink isp-a: address 203.0.113.9, was 203.0.113.2"]
    assert entries(on("203.0.113.2/24"), before) == []
    assert entries(on(hops=()), before) == ["edge: uplink isp-a: down: no address"], "no lease is no new lease"


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (SpecError([]), False),
        (errors.ConflictError("x"), False),
        (errors.CapabilityError("x"), False),
        (errors.BusyError("x"), True),
        (KernelError("x"), True),
        (errors.VerifyError("x"), True),
        (errors.RevertError("x"), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_outcome_says_whether_waiting_can_help(error: NviError, retryable: bool) -> None:
    assert Outcome(errors=(error,)).retryable is retryable
