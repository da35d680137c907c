"""A plan as people read it and as programs do, and the same plan told as drift."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

import pytest
from rich.console import Console
from rich.text import Text

from nvi_operator.kinds import KINDS
from nvi_operator.kinds.link import Link
from nvi_operator.kinds.link_group import LinkGroup
from nvi_operator.kinds.module import Module
from nvi_operator.kinds.route import Route
from nvi_operator.kinds.sysctl import Sysctl
from nvi_operator.kinds.tc_program import InInterface, ProgramOptions, TcProgram
from nvi_operator.nft.ast import Chain, Element, Hook, Match, NamedSet, Opaque, Table, Verdict
from nvi_operator.nft.ast import Field as NftField
from nvi_operator.nft.diff import MANY, SHOWN, table_lines
from nvi_operator.plan.change import Action, Change, Plan
from nvi_operator.plan.diff import plan
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.state.host import HostState, Object, Ref
from nvi_operator.view.drift import drift_class, drift_json, drift_pieces
from nvi_operator.view.plan import HINT, applied, plan_json, plan_pieces, removed, summary, wrapped
from nvi_operator.view.segment import Piece, unstyled

ROUTE = Route(4, 7801, "0.0.0.0/0", dev="wan0", via="203.0.113.1", onlink=True)
SETTING = Sysctl("net/ipv4/ip_forward", "1")
RULE = FibRule(4, 1900, "unreachable", source="192.168.1.0/24")
DEVICE = Link("nvi0", "ifb", 79, 65535)


def state(*objects: tuple[str, Object]) -> HostState:
    return HostState.of(objects)


def table(*elements: str, rules: tuple[str, ...] = ("10.0.0.1",), priority: int = 0) -> Table:
    members: frozenset[Element] = frozenset(((element,), None) for element in elements)
    matches = tuple((Match(NftField("ip saddr"), "==", value), Verdict("drop")) for value in rules)
    return Table(
        "nvi",
        frozenset({"n"}),
        frozenset({NamedSet("inside_4", ("ipv4_addr",), members, interval=True)}),
        frozenset({Chain("guard", Hook("filter", "postrouting", priority), matches)}),
    )


def nft(before: Table, after: Table) -> list[str]:
    return [f"{sign} {line}" for sign, line in table_lines(before, after)]


# --------------------------------------------------------------------------- one object, one line


DESCRIPTIONS: dict[str, tuple[object, str]] = {
    "module": (Module("nvi"), "nvi"),
    "link": (DEVICE, "nvi0 type ifb mtu 65535 group 79 up"),
    "link-with-attributes": (
        Link("nvi0", "nvi", 79, 65536, up=False, attributes=(("stage_mask", 0x80000000),)),
        "nvi0 type nvi stage_mask 0x80000000 mtu 65536 group 79 down",
    ),
    "group": (LinkGroup("wan0", 78), "wan0 group 78"),
    "setting": (SETTING, "net/ipv4/ip_forward = 1"),
    "route": (ROUTE, "-4 0.0.0.0/0 via 203.0.113.1 dev wan0 table 7801 metric 1024 onlink"),
    "backstop": (
        Route(6, 7801, "::/0", "unreachable", metric=4294967295),
        "-6 unreachable ::/0 table 7801 metric 4294967295",
    ),
    "rule": (RULE, "-4 pref 1900 from 192.168.1.0/24 unreachable"),
    "table": (table("10.0.0.0/8"), "inet nvi: 1 chain, 1 rule, 1 element"),
    "program": (
        TcProgram(
            "nvi0",
            ProgramOptions("mark", 1 << 31, 5, hide_hop=True),
            frozenset({InInterface(7, "02:00:00:00:00:07"), InInterface(3, None)}),
        ),
        "nvi0 egress: in-interface by mark, hop hidden; interfaces 3, 7 (02:00:00:00:00:07)",
    ),
    "foreign-program": (TcProgram("nvi0", None, frozenset()), "nvi0 egress: a foreign program"),
}


@pytest.mark.parametrize(("obj", "text"), DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_an_object_is_one_line_in_the_words_of_its_tool(obj: object, text: str) -> None:
    (kind,) = (kind for kind in KINDS.values() if isinstance(obj, kind.type))
    assert kind.describe(obj) == text


# --------------------------------------------------------------------------- a plan


def drawn(pieces: Iterable[Piece]) -> Text:
    return Text.assemble(*((part.text, part.style) for piece in pieces for part in piece))


def planned(steps: Plan) -> Text:
    return drawn(plan_pieces(steps, kernel=True))


def drifted(steps: Plan) -> Text:
    return drawn(drift_pieces(steps, kernel=True))


CHANGED = plan(
    state(("route", ROUTE), ("sysctl", replace(SETTING, value="0"))),
    state(("sysctl", SETTING), ("fib-rule", RULE)),
)


def test_a_plan_is_a_diff_by_kind_with_a_summary() -> None:
    assert planned(CHANGED).plain.splitlines() == [
        "~ the gateway itself: 1 ip rule, 1 route, 1 setting changed",
        "",
        "fib-rule",
        "+   -4 pref 1900 from 192.168.1.0/24 unreachable",
        "route",
        "-   -4 0.0.0.0/0 via 203.0.113.1 dev wan0 table 7801 metric 1024 onlink",
        "sysctl",
        "-   net/ipv4/ip_forward = 0",
        "+   net/ipv4/ip_forward = 1",
        "1 to create, 1 to update, 1 to delete.",
    ]


def test_a_plan_without_steps_says_so() -> None:
    assert planned(plan(state(), state())).plain == "No changes. The gateway is as the spec says."


def test_what_was_done_is_told_as_done() -> None:
    nothing = plan(state(), state())
    counted = "1 created, 1 updated, 1 deleted."
    assert (applied(CHANGED), removed(CHANGED)) == (
        f"Applied and verified: {counted}",
        f"Removed and verified: {counted}",
    )
    assert (applied(nothing), removed(nothing)) == (
        "No changes. The gateway is as the spec says.",
        "No changes. There is no gateway here.",
    )
    assert drawn(plan_pieces(CHANGED, last=applied)).plain.endswith(f"Applied and verified: {counted}")


def test_the_kernels_lines_are_shown_where_they_are_asked_for() -> None:
    assert drawn(plan_pieces(CHANGED, last=applied)).plain.splitlines() == [
        "~ the gateway itself: 1 ip rule, 1 route, 1 setting changed",
        HINT,
        "Applied and verified: 1 created, 1 updated, 1 deleted.",
    ]


def test_a_first_apply_of_hundreds_of_objects_is_a_line_of_the_gateway_itself() -> None:
    rules = [("fib-rule", replace(RULE, priority=n)) for n in range(1000, 1042)]
    routes = [("route", replace(ROUTE, table=n)) for n in (7801, 7802)]
    first = plan(state(), state(*rules, *routes, ("nft-table", table("10.0.0.0/8")), ("link", DEVICE)))
    assert drawn(plan_pieces(first, last=applied)).plain.splitlines() == [
        "+ the gateway itself: device nvi0, 42 ip rules, 2 routes, 3 nft objects",
        HINT,
        "Applied and verified: 46 created.",
    ]


def test_lines_that_a_terminal_would_break_are_wrapped_between_words() -> None:
    line = ("~", "forward web: 443/tcp on isp-a now goes to 192.168.1.80:8443, no longer to 192.168.1.80")
    assert list(wrapped([line], 60)) == [
        ("~", "forward web: 443/tcp on isp-a now goes to"),
        ("", "    192.168.1.80:8443, no longer to 192.168.1.80"),
    ]
    assert list(wrapped([line], None)) == [line], "a pipe has no width"


def test_a_replacement_is_counted_as_one() -> None:
    other = Link("nvi0", "nvi", 79, 65536)
    assert summary(plan(state(("link", DEVICE)), state(("link", other)))) == "1 to replace."


def test_the_json_of_a_plan_has_every_step_in_the_order_of_the_apply() -> None:
    data = json.loads(json.dumps(plan_json("edge", CHANGED)))
    assert data["changes"] == 3
    assert [(step["kind"], step["action"]) for step in data["steps"]] == [
        (change.ref.kind, change.action.value) for change in CHANGED.steps
    ]
    by_kind = {step["kind"]: step for step in data["steps"]}
    assert by_kind["sysctl"]["before"] == {"path": "net/ipv4/ip_forward", "value": "0"}
    assert by_kind["fib-rule"]["before"] is None
    assert by_kind["fib-rule"]["after"]["source"] == "192.168.1.0/24"
    assert by_kind["route"]["after"] is None


def test_a_table_in_json_is_its_text() -> None:
    data = plan_json("", plan(state(), state(("nft-table", table("10.0.0.0/8")))))
    assert data["steps"][0]["after"][0] == "table inet nvi {"


def test_equal_plans_are_equal_json() -> None:
    one, other = (plan(state(), state(("nft-table", table(*e)))) for e in (("1.0.0.0/8", "9.0.0.0/8"),) * 2)
    assert json.dumps(plan_json("", one)) == json.dumps(plan_json("", other))


def test_what_is_shown_does_not_depend_on_colours() -> None:
    console = Console(force_terminal=True, color_system="standard", width=200)
    with console.capture() as captured:
        console.print(planned(CHANGED))
    assert "\x1b[32m+   -4 pref 1900" in captured.get()
    assert "\x1b[31m-   -4 0.0.0.0/0" in captured.get()


# --------------------------------------------------------------------------- tables


def test_only_the_differences_of_a_table_are_shown() -> None:
    assert nft(table("10.0.0.0/8"), table("10.0.0.0/8", "192.168.1.0/24")) == [
        "~ set inside_4",
        "+     192.168.1.0/24",
    ]
    assert nft(table(), table()) == []


def test_a_rule_put_between_two_is_one_line() -> None:
    assert nft(table(rules=("10.0.0.1", "10.0.0.3")), table(rules=("10.0.0.1", "10.0.0.2", "10.0.0.3"))) == [
        "~ chain guard",
        "+     ip saddr 10.0.0.2 drop",
    ]


def test_a_chain_that_hangs_elsewhere_shows_both_hooks() -> None:
    assert nft(table(), table(priority=5)) == [
        "~ chain guard",
        "-     type filter hook postrouting priority 0; policy accept;",
        "+     type filter hook postrouting priority 5; policy accept;",
    ]


def test_a_chain_that_drops_by_policy_shows_its_policy() -> None:
    expected = table()
    (guard,) = expected.chains
    assert guard.hook is not None
    strict = replace(expected, chains=frozenset({replace(guard, hook=replace(guard.hook, policy="drop"))}))
    shown = nft(strict, expected)
    assert any(line.startswith("-") and line.endswith("policy drop;") for line in shown)


def test_what_is_new_and_what_goes_has_its_sign() -> None:
    empty = Table("nvi")
    assert [line for line in nft(empty, table()) if line[2] != " "] == [
        "+ counter n",
        "+ set inside_4",
        "+ chain guard",
    ]
    assert [line for line in nft(table(), empty) if line[2] != " "] == [
        "- counter n",
        "- set inside_4",
        "- chain guard",
    ]


SHOWS_ALL = "(nvictl plan --full or -o json shows all)"


def test_what_fits_a_screen_is_shown() -> None:
    assert len(nft(table(), table(*(f"10.0.{n}.0/24" for n in range(MANY))))) == 1 + MANY


def test_many_elements_are_a_few_and_a_number() -> None:
    shown = nft(table(), table(*(f"10.{n >> 8}.{n & 255}.0/24" for n in range(50_000))))
    assert len(shown) == 1 + SHOWN + 1
    assert shown[-1] == f"+     ... and 49,990 more {SHOWS_ALL}"


def test_in_full_every_element_is_a_line_and_the_text_comes_in_pieces() -> None:
    after = table(*(f"10.{n >> 8}.{n & 255}.0/24" for n in range(5000)))
    assert len(list(table_lines(table(), after, full=True))) == 5001
    changed = plan(state(("nft-table", table())), state(("nft-table", after)))
    pieces = [unstyled(piece).count("\n") for piece in plan_pieces(changed, full=True)]
    assert max(pieces) == 500
    assert sum(pieces) == 5005


def test_thousands_of_rules_are_a_few_and_a_number() -> None:
    before = table(rules=tuple(f"10.{n >> 8}.{n & 255}.1" for n in range(9000)))
    after = table(rules=tuple(f"10.{n >> 8}.{n & 255}.{n % 3}" for n in range(9000)))
    shown = nft(before, after)
    assert len(shown) == 1 + 2 * (SHOWN + 1)
    assert shown[-1] == f"+     ... and {6000 - SHOWN:,} more {SHOWS_ALL}"


def test_a_foreign_statement_is_shown_as_it_was_listed() -> None:
    (guard,) = table().chains
    foreign = replace(guard, rules=((Opaque('{"log": null}'),), *guard.rules))
    assert nft(replace(table(), chains=frozenset({foreign})), table()) == [
        "~ chain guard",
        '-     # {"log": null}',
    ]


# --------------------------------------------------------------------------- drift


DRIFTS = {
    Action.CREATE: "owned-missing",
    Action.UPDATE: "owned-modified",
    Action.REPLACE: "owned-modified",
    Action.DELETE: "owned-unexpected",
}


@pytest.mark.parametrize(("action", "name"), DRIFTS.items(), ids=lambda value: str(value))
def test_each_way_to_heal_is_a_class_of_drift(action: Action, name: str) -> None:
    assert drift_class(Change(Ref("sysctl", SETTING.key), action, SETTING, SETTING)) == name


def test_every_action_has_a_class() -> None:
    assert DRIFTS.keys() == set(Action)


def test_drift_is_the_plan_read_backwards() -> None:
    shown = drifted(CHANGED).plain.splitlines()
    assert {"owned-missing fib-rule", "owned-unexpected route", "owned-modified sysctl"} <= set(shown)
    assert "-   -4 pref 1900 from 192.168.1.0/24 unreachable" in shown
    assert "+   -4 0.0.0.0/0 via 203.0.113.1 dev wan0 table 7801 metric 1024 onlink" in shown
    assert shown.index("+   net/ipv4/ip_forward = 0") - shown.index("-   net/ipv4/ip_forward = 1") in (1, -1)
    assert shown[-1] == f"3 objects differ from the spec: {WHY}"


WHY = "changed by another process, or the spec was edited and not applied. `nvictl apply` restores the spec."


def test_one_drifted_object_is_not_called_objects() -> None:
    one = Plan(CHANGED.steps[:1], CHANGED.before, CHANGED.after)
    assert drifted(one).plain.endswith(f"1 object differs from the spec: {WHY}")


def test_no_drift_says_so() -> None:
    assert drifted(plan(state(), state())).plain == "No drift. The gateway is as the spec says."


def test_the_json_of_drift_has_a_class_for_every_step() -> None:
    data = json.loads(json.dumps(drift_json("edge", CHANGED)))
    assert {step["kind"]: step["class"] for step in data["steps"]} == {
        "fib-rule": "owned-missing",
        "route": "owned-unexpected",
        "sysctl": "owned-modified",
    }
