"""The measurements, as data: steps, their contestants, and sizes."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass

from bench.control.peers import ferm

SIZES = (100, 1_000, 10_000, 100_000)
MILLION = 1_000_000
NO_SIZE = (1,)  # of what does not depend on the number of entries


@dataclass(frozen=True)
class Step:
    """One piece of work. `who` names each contestant's job (see `trial.py`); ratios are to `reference`'s."""

    title: str
    who: Mapping[str, str]
    reference: str | None = None
    before: str | None = None  # the job that puts the namespace in the state that this begins with
    sizes: tuple[int, ...] = SIZES
    million: tuple[str, ...] = ()  # contestants that also do a million
    times: int = 1  # that the work is done in one trial
    delays: bool = False  # does a person or a packet wait for it, so that the worst counts?
    verify: Mapping[str, str] | None = None  # by whom: the job that looks whether the kernel holds the desired state

    def all_sizes(self) -> tuple[int, ...]:
        return (*self.sizes, MILLION) if self.million else self.sizes

    def at(self, size: int) -> list[str]:
        """The contestants."""
        absent = missing()
        return [who for who in (self.million if size == MILLION else self.who) if who not in absent]


OURS, TOPOLOGY, YAML, CSV = "ours", "ours, from the topology", "ours, from YAML", "ours, from CSV"
NFT, BINDING, FERM, IP, PYROUTE2 = "nft", "python3-nftables", "ferm", "ip", "pyroute2"
ELEMENT, RULE, ROUTE = "ours, an element", "ours, a FIB rule", "ours, a route"
TABLE_ALONE, RECONCILE = "ours, the table alone", "ours, a daemon's reconcile"
WITH_CACHE, ALL_PROGRAMS = "ours, with the flow cache", "ours, with the cache that asks conntrack"
EMPTY = "python -c pass"
HELP, VALIDATE, APPLY = "nvictl --help", "nvictl validate", "nvictl apply"
EXPLAIN, COMPLETION = "nvictl explain", "nvictl completion"
PLAN, STATUS, APPLY_AGAIN = "nvictl plan", "nvictl status", "nvictl apply, nothing to do"
STATUS_OF_DAEMON, HISTORY = "nvictl status, by the daemon", "nvictl history"

_LOADED, _APPLIED, _TABLE_IS_RIGHT = "commands:load_nft", "commands:nvictl_apply", "ours:verify"

STEPS: Mapping[str, Step] = {
    "load": Step(
        "Load: port forwards into an empty kernel",
        {
            NFT: "commands:load_nft",
            BINDING: "binding:load",
            FERM: "commands:load_ferm",
            TOPOLOGY: "ours:load_topology",
            CSV: "ours:load_csv",
            YAML: "ours:load_yaml",
            APPLY: "commands:nvictl_apply",
        },
        reference=NFT,
        million=(NFT, TOPOLOGY),
        verify={
            NFT: _TABLE_IS_RIGHT,
            BINDING: _TABLE_IS_RIGHT,
            FERM: "commands:verify_ferm",
            TOPOLOGY: _TABLE_IS_RIGHT,
            CSV: _TABLE_IS_RIGHT,
            YAML: _TABLE_IS_RIGHT,
        },
    ),
    "read": Step(
        "Read: the table back, compared with the desired state",
        {NFT: "commands:read_nft", BINDING: "binding:read", OURS: "ours:read"},
        reference=NFT,
        before=_LOADED,
        million=(NFT, OURS),
    ),
    "change": Step(
        "Change: one entry, in the kernel",
        {NFT: "commands:change_nft", BINDING: "binding:change", OURS: "ours:change"},
        reference=NFT,
        before=_LOADED,
        times=5,
    ),
    "verify": Step(
        "Verify: everything of a gateway that is in order",
        {NFT: "commands:read_nft", RECONCILE: "daemon:verify"},
        reference=NFT,
        before=_APPLIED,
        times=2,
    ),
    "idle": Step(
        "Nothing to do: the ruleset is of the generation that was seen last",
        {TABLE_ALONE: "daemon:idle_table", RECONCILE: "daemon:idle"},
        before=_APPLIED,
        times=20,
    ),
    "edit": Step(
        "Edit: one entry in the file, from its rename to the kernel, by `nvictl run`",
        {YAML: "daemon:edit_yaml", CSV: "daemon:edit_csv"},
        times=4,
        delays=True,
    ),
    "heal": Step(
        "Heal: what another process deletes, until it is back, by `nvictl run`",
        {ELEMENT: "daemon:heal", RULE: "daemon:heal_rule", ROUTE: "daemon:heal_route"},
        times=8,  # after ten the daemon would take it for a fight
        delays=True,
    ),
    "rules": Step(
        "FIB rules, added",
        {IP: "commands:rules_ip", PYROUTE2: "rtnetlink:add_rules", OURS: "rtnetlink:our_rules"},
        reference=IP,
        sizes=SIZES[:3],
    ),
    "rules-read": Step(
        "FIB rules, read",
        {IP: "commands:read_rules_ip", PYROUTE2: "rtnetlink:read_rules", OURS: "rtnetlink:observe"},
        reference=IP,
        before="commands:rules_ip",
        sizes=SIZES[:3],
    ),
    "routes": Step(
        "Routes, added",
        {IP: "commands:routes_ip", PYROUTE2: "rtnetlink:add_routes", OURS: "rtnetlink:our_routes"},
        reference=IP,
        sizes=SIZES[:3],
    ),
    "routes-read": Step(
        "Routes, read",
        {IP: "commands:read_routes_ip", PYROUTE2: "rtnetlink:read_routes", OURS: "rtnetlink:observe"},
        reference=IP,
        before="commands:routes_ip",
        sizes=SIZES[:3],
    ),
    "programs": Step(
        "eBPF programs, loaded",
        {OURS: "programs:load", WITH_CACHE: "programs:load_with_cache", ALL_PROGRAMS: "programs:load_all"},
        sizes=NO_SIZE,
        times=10,
    ),
    "start": Step(
        "Commands, from start to end",
        {
            EMPTY: "commands:python",
            NFT: "commands:load_nft_each_time",
            HELP: "commands:nvictl_help",
            COMPLETION: "commands:nvictl_completion",
            VALIDATE: "commands:nvictl_validate",
            EXPLAIN: "commands:nvictl_explain",
            APPLY: "commands:nvictl_apply_each_time",
        },
        sizes=NO_SIZE,
        times=5,
    ),
    "start-applied": Step(
        "Commands about a gateway that is there",
        {
            EMPTY: "commands:python",
            NFT: "commands:read_nft",
            PLAN: "commands:nvictl_plan",
            STATUS: "commands:nvictl_status",
            STATUS_OF_DAEMON: "daemon:status",
            APPLY_AGAIN: "commands:nvictl_apply",
        },
        before=_APPLIED,
        sizes=NO_SIZE,
        times=5,
    ),
    "start-history": Step(
        "Commands about 1,000 revisions",
        {EMPTY: "commands:python", HISTORY: "commands:nvictl_history"},
        before="files:revisions",
        sizes=NO_SIZE,
        times=5,
    ),
}


def missing() -> Mapping[str, str]:
    """Contestants that cannot take part here, and why."""
    found = {}
    if ferm() is None:
        found[FERM] = "ferm and iptables are not there; `make bench` gets them"
    if importlib.util.find_spec("nftables") is None:
        found[BINDING] = "there is no python3-nftables for this Python"
    return found
