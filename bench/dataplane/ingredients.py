"""`python -m bench.dataplane.ingredients`: the cost of each part of the rules, by leaving it out.

Each part is taken out of what `nvictl apply` made, on a gateway of its own; what is left still translates. Parts
do not add up exactly: a chain without rules is still called. Changes of a per cent are noise.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from pyroute2 import IPRoute

from bench.dataplane.bed import Bed
from bench.dataplane.kinds import KINDS, Setting
from bench.dataplane.rounds import Result, measure
from bench.dataplane.variants import BASE, VARIANTS
from bench.report import machine, markdown
from nvi_operator.kernel.bpf.attach import Attachments
from nvi_operator.kernel.bpf.egress import EGRESS
from nvi_operator.kernel.bpf.guard import GuardProgram
from nvi_operator.kernel.bpf.ingress import INGRESS
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.store.saved_settings import SavedSettings
from tests.lab import Host, Lab

Change = Callable[[Host], None]


def nft(chain: str, pattern: str, replacement: str = "") -> Change:
    """Substitute in the rules of a chain; a rule of which nothing is left is deleted."""

    def change(gateway: Host) -> None:
        found = 0
        for line in gateway.run("nft", "-a", "list", "chain", "inet", "nvi", chain).stdout.splitlines():
            rule, _, handle = line.strip().partition(" # handle ")
            if not handle or "{ # handle" in line or not re.search(pattern, rule):
                continue
            found += 1
            left = re.sub(pattern, replacement, rule).strip()
            place = f"rule inet nvi {chain} handle {handle}"
            gateway.nft(f"replace {place} {left}\n" if left else f"delete {place}\n")
        if not found:
            raise RuntimeError(f"no rule of chain {chain} is like {pattern}")

    return change


def no_chain(name: str) -> Change:
    return lambda gateway: gateway.nft(f"flush chain inet nvi {name}\ndelete chain inet nvi {name}\n")


def no_rules(*priorities: str) -> Change:
    """FIB rules: all of these priorities, in both families."""

    def change(gateway: Host) -> None:
        for family in ("-4", "-6"):
            for priority in priorities:
                gateway.run("ip", family, "rule", "flush", "pref", priority)

    return change


def also(*changes: Change) -> Change:
    def change(gateway: Host) -> None:
        for each in changes:
            each(gateway)

    return change


def no_guard(guard: GuardProgram, *ifnames: str) -> Change:
    def remove() -> None:
        with IPRoute() as ipr, Rtnetlink() as rtnetlink, TemporaryDirectory() as scratch:
            places = Attachments(ipr, rtnetlink, SavedSettings(0, Path(scratch)), guard.is_attached)
            for place in list(places.at(guard.hook, [ipr.link_lookup(ifname=ifname)[0] for ifname in ifnames])):
                places.detach(place)

    return lambda gateway: gateway.call(remove)


OURS = tuple(name for name in VARIANTS if name.startswith(("bpf", "kmod")) and "cache" not in name)
PARTS: dict[str, Change] = {
    "nothing": lambda gateway: None,
    "guard: the rules": lambda gateway: gateway.nft("flush chain inet nvi guard\n"),
    "guard: the chain": no_chain("guard"),
    "raw: local sources (fib)": nft("raw_prerouting", "^.*fib saddr.*"),
    "raw: inside sources from uplinks": nft("raw_prerouting", r"^ip6? saddr .*spoofed.*"),
    "raw: counter stage_2": nft("raw_prerouting", 'counter name "stage_2" '),
    "mark hook: untracked, confirmed": nft("mark_hook", r"^ct state.*"),
    "mark hook: counter stage_1": nft("mark_hook", '^counter name "stage_1".*'),
    "FIB: own errors, local": no_rules("1000", "1001"),
    "egress guard: the program": no_guard(EGRESS, "wan0", "wan1"),
    "ingress guard: the program, twice": no_guard(INGRESS, "lan0", "wan0", "wan1"),
    "FIB: backstop": no_rules("1800", "1900", "1999"),
}
PARTS["all of these"] = also(*(change for name, change in PARTS.items() if name != "guard: the rules"))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.dataplane.ingredients", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--variant", choices=OURS, default="bpf")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0.15, help="of CPU, for one measurement (0.15)")
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)))
    arguments = parser.parse_args(argv)
    kinds = ("udp", "udp-reply", "new-flows")
    setting = Setting(4, arguments.cpu, 8, arguments.seconds)
    with Lab() as lab:
        beds = {BASE: VARIANTS[BASE](lab, BASE)}
        for number, (part, change) in enumerate(PARTS.items()):
            beds[part] = bed = VARIANTS[arguments.variant](lab, f"part{number}")
            change(bed.outer)
        by_kind = {kind: _by_name(kind, beds, setting, arguments.rounds) for kind in kinds}
    print(machine(), f"{arguments.variant}, saved per packet or flow in ns, and in % of {BASE}'s cost\n", sep="\n")
    rows = [[part, *(_saved(by_kind[kind], part) for kind in kinds)] for part in PARTS if part != "nothing"]
    print(markdown(["without", *kinds], rows))
    return 0


def _by_name(kind: str, beds: dict[str, Bed], setting: Setting, rounds: int) -> dict[str, Result]:
    def say(text: str) -> None:
        print(text, file=sys.stderr)

    return {result.variant: result for result in measure(KINDS[kind], beds, BASE, setting, rounds, say)}


def _saved(results: dict[str, Result], part: str) -> str:
    """By rounds: the median of differences, not the difference of medians."""
    saved = [a - b for a, b in zip(results["nothing"].costs, results[part].costs, strict=True)]
    share = [d / c for d, c in zip(saved, results[BASE].costs, strict=True)]
    return f"{median(saved):.0f} ({median(share):.1%})"


if __name__ == "__main__":
    sys.exit(main())
