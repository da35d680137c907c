"""What another process changes is healed, reported or ignored, as the spec says; what keeps packets in is healed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nvi_operator.daemon.report import events_of, status_line
from nvi_operator.errors import SpecError
from nvi_operator.kinds import KINDS
from nvi_operator.kinds.route import Route
from nvi_operator.kinds.sysctl import Sysctl
from nvi_operator.language.load.loader import load_texts
from nvi_operator.language.model.drift import ALWAYS_HEALED, LEAVABLE
from nvi_operator.plan.left_alone import without_ignored
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import dry_run, reconcile
from nvi_operator.reconcile.outcome import Outcome
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.state.host import HostState, Ref
from nvi_operator.testing import FakeKernel
from nvi_operator.view.drift import drift_json

TEXT = """
apiVersion: nvi-operator/v1
kind: Gateway
metadata: {{ name: edge }}
spec:
  interfaces: {{ lan0: {{ networks: 192.168.1.0/24 }} }}
  uplinks: {{ isp-a: {{ interface: wan0, nextHop: {hop}, addresses: 203.0.113.2, default: true }} }}
  sourceNat: [ {{ name: everyone, as: isp-a }} ]
  drift: {policy}
"""
SETTING = Ref("sysctl", "net/ipv4/conf/lan0/rp_filter")
OTHER = Ref("sysctl", "net/ipv4/conf/lan0/accept_local")


def compiler(policy: str, hop: str = "203.0.113.1") -> Compiler:
    return Compiler("edge", load_texts({"edge.yaml": TEXT.format(policy=policy, hop=hop)}).spec)


def applied(of: Compiler) -> tuple[FakeKernel, Outcome]:
    assert of.spec is not None
    kernel = FakeKernel.for_spec(of.spec)
    return kernel, reconcile(kernel, of)


@pytest.mark.parametrize(
    ("policy", "left", "shown"),
    [
        ("heal", [], []),
        ("report", [SETTING, OTHER], [SETTING, OTHER]),
        ("ignore", [SETTING, OTHER], []),
        ("{ kinds: { sysctl: ignore } }", [SETTING, OTHER], []),
        ("{ policy: ignore, kinds: { sysctl: heal } }", [], []),
        ('{ objects: { "sysctl net/ipv4/conf/*/rp_filter": ignore } }', [SETTING], []),
        ('{ policy: report, objects: { "sysctl *rp_filter": heal, "sysctl *": ignore } }', [OTHER], []),
    ],
)
def test_drift_is_healed_reported_or_ignored(policy: str, left: list[Ref], shown: list[Ref]) -> None:
    of = compiler(policy)
    kernel, first = applied(of)
    for ref in (SETTING, OTHER):
        kernel.objects[ref] = Sysctl(ref.key, "7")
    found = reconcile(kernel, of, reached=first.plan.after)
    assert {ref for ref in (SETTING, OTHER) if kernel.objects[ref] == Sysctl(ref.key, "7")} == set(left)
    assert found.left.names == {str(ref) for ref in shown}
    seen = without_ignored(dry_run(kernel, of), of.spec and of.spec.drift)
    assert seen.names == {str(ref) for ref in shown}
    assert set(drift_json("edge", seen)["ignored"]) == {str(ref) for ref in left} - seen.names


def test_what_is_reported_is_told_once_and_ends_with_a_change_of_the_spec_that_is_about_it() -> None:
    of = compiler("report")
    kernel, first = applied(of)
    route = next(obj for obj in kernel.objects.values() if isinstance(obj, Route) and obj.via == "203.0.113.1")
    ref = Ref("route", route.key)
    kernel.objects[ref] = replace(route, via="203.0.113.5")
    second = reconcile(kernel, of, reached=first.plan.after)
    (event,) = events_of(second, first.remembered(Outcome()))
    assert event.summary == "edge: drift, left as it is"
    assert status_line(second, ()) == "edge: drift of 1 object reported"
    third = reconcile(kernel, of, reached=second.plan.after)
    assert not list(events_of(third, second.remembered(first)))
    other = compiler("report", hop="203.0.113.3")
    fourth = reconcile(kernel, other, reached=third.plan.after)
    assert not fourth.left
    assert kernel.objects[ref] == replace(route, via="203.0.113.3"), "another router: the route is made again"


def test_without_a_last_state_all_is_made_as_the_spec_says() -> None:
    of = compiler("ignore")
    kernel, _ = applied(of)
    kernel.objects[SETTING] = Sysctl(SETTING.key, "7")
    reconcile(kernel, of, reached=None)
    assert not dry_run(kernel, of)


def test_what_refuses_untranslated_packets_and_what_is_missing_is_healed_whatever_the_policy_is() -> None:
    of = compiler("ignore")
    kernel, first = applied(of)
    missing = [ref for ref in kernel.objects if ref.kind != "sysctl"]
    kernel.drop(missing)
    assert reconcile(kernel, of, reached=first.plan.after).plan.names >= {str(ref) for ref in missing}
    assert HostState(kernel.objects) == first.plan.after
    for ref, obj in list(kernel.objects.items()):
        match obj:
            case Route(type="unreachable"):
                kernel.objects[ref] = replace(obj, type="unicast", dev="wan0")
            case Route(dev="nvi0"):
                kernel.objects[ref] = replace(obj, dev="wan0")
            case FibRule():
                kernel.objects[ref] = replace(obj, mark=None if obj.mark else 7)
    assert HostState(kernel.objects) != first.plan.after
    reconcile(kernel, of, reached=first.plan.after)
    assert HostState(kernel.objects) == first.plan.after


def test_each_kind_either_may_be_left_or_is_always_healed() -> None:
    assert sorted((*LEAVABLE, *ALWAYS_HEALED)) == sorted(KINDS)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("{ kinds: { nft-table: ignore } }", "nft-table: its drift is always healed: without it packets could leave"),
        ('{ objects: { "fib-rule *": report } }', "fib-rule: its drift is always healed"),
        ('{ objects: { "* net/ipv4": report } }', "'*' is not a kind of object"),
        ("{ objects: { sysctl: report } }", "'sysctl' names no object"),
        ("{ kinds: { sysctls: report } }", "did you mean 'sysctl'?"),
        ("repair", "'repair' is none of 'heal', 'report' or 'ignore'"),
    ],
)
def test_what_would_open_the_gateway_cannot_be_ignored(policy: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        compiler(policy)
    assert len(caught.value.problems) == 1
    assert message in str(caught.value)
