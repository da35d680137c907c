"""The order of a first apply: what refuses packets is made first, what lets them through last."""

from __future__ import annotations

from pathlib import Path

import pytest

from nvi_operator.kind import Phase
from nvi_operator.kinds import KINDS
from nvi_operator.kinds.link import LINK, Link
from nvi_operator.kinds.route import Route
from nvi_operator.kinds.sysctl import Sysctl
from nvi_operator.language.load.loader import load_directory
from nvi_operator.plan.change import Change
from nvi_operator.plan.compile import desired_state
from nvi_operator.plan.diff import plan
from nvi_operator.state.host import HostState
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.resolve import resolve

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "dual-wan"


@pytest.fixture
def state() -> HostState:
    loaded = load_directory(EXAMPLE)
    return desired_state(resolve(loaded.name, loaded.spec, assume_missing(loaded.spec, Facts("host"))))


def place(steps: tuple[Change, ...], kind: str, part: str = "") -> int:
    return next(n for n, change in enumerate(steps) if change.ref.kind == kind and part in change.ref.key)


ORDER = [
    (("route", "4294967295"), ("fib-rule", "unreachable")),
    (("fib-rule", "unreachable"), ("link", "")),
    (("link", ""), ("tc-program", "")),
    (("tc-program", ""), ("nft-table", "")),
    (("nft-table", ""), ("route", "table 7800 metric 1024")),
    (("nft-table", ""), ("link-group", "")),
    (("route", "table 7800 metric 1024"), ("sysctl", "rp_filter")),
    (("sysctl", "rp_filter"), ("sysctl", "ip_forward")),
]


@pytest.mark.parametrize(("first", "then"), ORDER, ids=[f"{a[0]}-{b[0]}" for a, b in ORDER])
def test_an_apply_makes_one_before_the_other_and_a_down_the_other_first(
    state: HostState, first: tuple[str, str], then: tuple[str, str]
) -> None:
    up, down = plan(HostState(), state).steps, plan(state, HostState()).steps
    assert place(up, *first) < place(up, *then)
    assert place(down, *then) < place(down, *first)


def test_a_down_is_an_apply_backwards(state: HostState) -> None:
    up, down = plan(HostState(), state).steps, plan(state, HostState()).steps
    assert [change.ref for change in down] == [change.ref for change in reversed(up)]


@pytest.mark.parametrize(
    ("kind", "obj", "phase"),
    [
        ("route", Route(4, 7801, "0.0.0.0/0", "unreachable", metric=4294967295), Phase.UNREACHABLE),
        ("route", Route(4, 7801, "0.0.0.0/0", dev="wan0"), Phase.ROUTES),
        ("sysctl", Sysctl("net/ipv4/ip_forward", "1"), Phase.FORWARDING),
        ("sysctl", Sysctl("net/ipv6/conf/all/forwarding", "1"), Phase.FORWARDING),
        ("sysctl", Sysctl("net/ipv4/conf/all/rp_filter", "0"), Phase.SYSCTL),
    ],
    ids=["backstop-route", "route", "ip-forward", "ipv6-forwarding", "setting"],
)
def test_an_object_belongs_to_its_phase(kind: str, obj: object, phase: Phase) -> None:
    assert KINDS[kind].phase(obj) == phase


def test_only_another_kind_of_device_needs_a_new_device() -> None:
    device = Link("nvi0", "ifb", 79, 65535)
    assert LINK.replaces(device, Link("nvi0", "nvi", 79, 65536))
    assert not LINK.replaces(device, Link("nvi0", "ifb", 79, 1400, up=False))
