"""Specs and what they mean, to the letter: a change of meaning is a diff in review.

A case is a directory. `spec.yaml` is the spec, or the example of the same name if there is none, as on the host
behind `@`; `facts.json` says what the host is like where that matters. `edit-*` has two specs and the way from one to
the other, and back. After a change that is meant: `pytest tests/golden --regen`, and read the diff.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_interface
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from nvi_operator.kernel.drivers.nft_table import NftTableDriver
from nvi_operator.kinds import KINDS
from nvi_operator.kinds.fib_rule import FIB_RULE
from nvi_operator.kmod.facts import ModuleFacts
from nvi_operator.language.load.loader import load_directory
from nvi_operator.nft.ast import Table
from nvi_operator.nft.table_text import table_text
from nvi_operator.nft.transaction import transaction
from nvi_operator.plan.change import Plan
from nvi_operator.plan.compile import desired_state
from nvi_operator.plan.diff import plan
from nvi_operator.state.host import HostState
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts, LinkFact
from nvi_operator.topology.model import Topology
from nvi_operator.topology.resolve import resolve
from nvi_operator.view.plan import plan_pieces
from nvi_operator.view.segment import unstyled
from tests.lab import Host, Lab

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
DIRECTORIES = sorted(path for path in HERE.iterdir() if path.is_dir() and not path.name.startswith("_"))
CASES = [path for path in DIRECTORIES if not path.name.startswith("edit-")]
EDITS = [path for path in DIRECTORIES if path.name.startswith("edit-")]

case = pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
edit = pytest.mark.parametrize("edit", EDITS, ids=lambda path: path.name)


# --------------------------------------------------------------------------- from a case to what it means


def topology_of(directory: Path) -> Topology:
    written = directory / "spec.yaml"
    example, _, host = directory.name.partition("@")
    loaded = load_directory(written if written.exists() else EXAMPLES / example, hostname=host or None)
    given = directory / "facts.json"
    if not given.exists():
        return resolve(loaded.name, loaded.spec, assume_missing(loaded.spec, Facts("golden")))
    data = json.loads(given.read_text(encoding="utf-8"))
    facts = Facts(
        "golden", MappingProxyType(links(data["links"])), module=ModuleFacts(loaded=data.get("module", False))
    )
    # Without "assume" an interface that is not in the file is not there.
    return resolve(loaded.name, loaded.spec, assume_missing(loaded.spec, facts) if data.get("assume") else facts)


def links(data: dict[str, Any]) -> dict[str, LinkFact]:
    return {
        ifname: LinkFact(
            ifname,
            link["ifindex"],
            link.get("mac"),
            up=link.get("up", True),
            mtu=link.get("mtu"),
            addresses=tuple(ip_interface(a) for a in link.get("addresses", ())),
            next_hops=tuple((6 if ":" in hop else 4, hop) for hop in link.get("nextHops", ())),
        )
        for ifname, link in data.items()
    }


def desired_of(directory: Path) -> HostState:
    return desired_state(topology_of(directory))


def table_of(state: HostState) -> Table:
    (table,) = state.of_kind("nft-table")
    assert isinstance(table, Table)
    return table


def lines(text: Iterator[str] | list[str]) -> str:
    return "".join(f"{line}\n" for line in text)


def described(state: HostState, *kinds: str) -> str:
    return lines([KINDS[kind].describe(obj) for kind in kinds for obj in state.of_kind(kind)])


def rules_in_order(state: HostState) -> str:
    """As the kernel walks them, unlike the order of keys."""
    rules = sorted(state.of_kind("fib-rule"), key=lambda rule: (rule.family, rule.priority, str(rule)))  # type: ignore[attr-defined]
    return lines([FIB_RULE.describe(rule) for rule in rules])


def shown(steps: Plan) -> str:
    return "".join(map(unstyled, plan_pieces(steps, kernel=True))) + "\n"


def compare(path: Path, found: str, *, regen: bool) -> None:
    if regen:
        path.write_text(found, encoding="utf-8")
    assert path.exists(), f"{path.name}: there is none: run with --regen, and read what it writes"
    assert found == path.read_text(encoding="utf-8")


# --------------------------------------------------------------------------- the tests


def test_every_example_is_a_case() -> None:
    specs = {path.name for path in EXAMPLES.iterdir() if (path / "gateway.yaml").exists()}
    on_hosts = {f"{path.parents[1].name}@{path.stem}" for path in EXAMPLES.glob("*/hosts/*.yaml")}
    assert specs | on_hosts <= {path.name for path in CASES}


@case
def test_a_spec_means_exactly_these_objects(case: Path, regen: bool) -> None:
    topology = topology_of(case)
    state = desired_state(topology)
    expected = {
        "notes.txt": lines(list(topology.notes)),
        "ruleset.nft": lines(table_text(table_of(state))),
        "rules.txt": rules_in_order(state),
        "routes.txt": described(state, "route"),
        "links.txt": described(
            state, "module", "link", "tc-program", "egress-guard", "ingress-guard", "flow-cache", "link-group"
        ),
        "sysctls.txt": described(state, "sysctl"),
    }
    for name, found in expected.items():
        compare(case / name, found, regen=regen)


@case
def test_a_first_apply_takes_exactly_these_steps(case: Path, regen: bool) -> None:
    topology = topology_of(case)
    steps = replace(plan(HostState(), desired_state(topology)), topology=topology)
    compare(case / "plan.txt", shown(steps), regen=regen)


@edit
def test_an_edit_takes_exactly_these_steps_and_so_does_its_inverse(edit: Path, regen: bool) -> None:
    before, after = topology_of(edit / "before"), topology_of(edit / "after")
    forward = replace(plan(desired_state(before), desired_state(after)), topology=after)
    back = replace(plan(forward.after, forward.before), topology=before)
    for name, steps in (("forward", forward), ("inverse", back)):
        compare(edit / f"{name}.txt", shown(steps), regen=regen)
        text = transaction(table_of(steps.before), table_of(steps.after))
        compare(edit / f"{name}.nft", text, regen=regen)


# --------------------------------------------------------------------------- the same, in a kernel


@pytest.fixture
def host(lab: Lab) -> Host:
    return lab.host("golden")


def listed(host: Host) -> Table | None:
    def look() -> Table | None:
        with NftTableDriver("nvi") as driver:
            return next(driver.observe(HostState()), None)

    return host.call(look)


@pytest.mark.netns
@case
def test_nft_takes_the_ruleset_and_lists_it_back_as_we_meant_it(case: Path, host: Host) -> None:
    host.run("nft", "-c", "-f", str(case / "ruleset.nft"))
    assert listed(host) is None, "a check changes nothing"
    host.run("nft", "-f", str(case / "ruleset.nft"))
    assert listed(host) == table_of(desired_of(case))


@pytest.mark.netns
@case
def test_a_transaction_from_nothing_means_the_same_as_the_ruleset(case: Path, host: Host) -> None:
    table = table_of(desired_of(case))
    host.nft(transaction(None, table))
    assert listed(host) == table


@pytest.mark.netns
@edit
def test_an_edit_and_its_inverse_lead_where_they_should_in_a_kernel(edit: Path, host: Host) -> None:
    before, after = table_of(desired_of(edit / "before")), table_of(desired_of(edit / "after"))
    host.nft(transaction(None, before))
    host.run("nft", "-f", str(edit / "forward.nft"))
    assert listed(host) == after
    host.run("nft", "-f", str(edit / "inverse.nft"))
    assert listed(host) == before
