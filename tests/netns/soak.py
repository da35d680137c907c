"""The daemon's reconciles, thousands of them in one process, and what they leave in its memory.

    python -m tests.netns.soak DIRECTORY EDITS HEALS FLAPS

Runs in the network namespace of its caller, which has the interfaces of the spec. It edits gateway.yaml in DIRECTORY,
and prints the resident set size in KiB and the number of objects that the collector knows: after the `first` edits,
after all; the same of heals, and of failovers, each with all that its probes do until they notice.
"""

from __future__ import annotations

import gc
import itertools
import json
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from nvi_operator.daemon.probes.prober import Prober
from nvi_operator.daemon.trigger import Trigger
from nvi_operator.reconcile.outcome import Reason
from tests.lab.in_process import in_process

REST = 60  # reconciles between two of the timer

Taken = tuple[int, int]  # KiB, objects

DRIFTS = (
    "nft flush chain inet nvi guard",
    "nft delete table inet nvi",
    "ip rule flush protocol 78",
    "ip link set nvi0 down",
    "ip link set nvi0 group 0",
    "tc filter del dev nvi0 egress",
)


def main() -> int:
    gc.disable()  # as a command does
    directory, (edits, heals, flaps) = Path(sys.argv[1]), map(int, sys.argv[2:])
    with TemporaryDirectory() as state, in_process(directory, Path(state)) as (daemon, _, events, prober):

        def one(*reasons: Reason) -> None:
            result = daemon.reconcile(Trigger(frozenset(reasons), tuple(events.drain())))
            assert not result.errors, result.errors

        one(Reason.START)
        found = {
            "edits": grown(edits, editing(directory), one, rest=REST),
            "heals": grown(heals, drifting(), one, rest=heals),
        }
        probe(directory)
        one(Reason.DIRECTORY)
        print(json.dumps({**found, "flaps": grown(flaps, flapping(prober), one, rest=REST)}))
    return 0


def grown(count: int, act: Callable[[], Reason], one: Callable[..., None], *, rest: int) -> tuple[Taken, Taken]:
    """What is taken after the first of them, and after all; with a reconcile by the timer now and then."""
    early: Taken | None = None
    for number in range(count):
        one(act(), *([Reason.TIMER] if number % rest == 0 else []))
        if number == first(count) - 1:
            early = taken()
    last = taken()
    return early or last, last


def first(count: int) -> int:
    """How many until everything that is remembered is there."""
    return min(100, count // 2)


def editing(directory: Path) -> Callable[[], Reason]:
    """Lines of source NAT, forwards, and comments: a whole reload, an edit, and an empty one."""
    file = directory / "gateway.yaml"
    text = file.read_text()
    versions = itertools.cycle(
        [
            text.replace("      as: isp-a\n", "      as: isp-b\n"),
            text.replace("443/tcp", "8443/tcp"),
            text.replace("443/tcp", "9443/tcp"),
            f"# again\n{text}",
        ]
    )

    def edit() -> Reason:
        scratch = file.with_suffix(".new")
        scratch.write_text(next(versions))
        scratch.rename(file)
        return Reason.DIRECTORY

    return edit


def drifting() -> Callable[[], Reason]:
    drifts = itertools.cycle(DRIFTS)

    def drift() -> Reason:
        subprocess.run(next(drifts).split(), check=True, capture_output=True)
        return Reason.KERNEL

    return drift


def probe(directory: Path) -> None:
    """Probe isp-a as often as can be, and prefer it."""
    file = directory / "gateway.yaml"
    probes = "probes: [192.0.2.80, { tcp: '192.0.2.80:443' }], quorum: 2"
    health = f"health: {{ {probes}, interval: 0.1, down: 1, up: 1, holdDown: 0 }}"
    text = file.read_text().replace("      interface: wan0\n", f"      interface: wan0\n      {health}\n")
    file.write_text(text.replace("everyone\n      as: isp-a\n", "everyone\n      as: { first: [isp-a, isp-b] }\n"))


def flapping(prober: Prober) -> Callable[[], Reason]:
    """The line of isp-a is cut, and mended."""
    changes = itertools.cycle([("add rule inet cut c oifname wan0 drop", "down"), ("flush chain inet cut c", "up")])
    nft("add table inet cut; add chain inet cut c { type filter hook output priority 0; }")

    def flap() -> Reason:
        change, expected = next(changes)
        nft(change)
        while prober.health.uplinks["isp-a"].state != expected:
            select.select([prober], [], [], max(0.0, prober.next_due() - time.monotonic()))
            prober.step()
        return Reason.HEALTH

    return flap


def nft(text: str) -> None:
    subprocess.run(["nft", text], check=True, capture_output=True)


def taken() -> Taken:
    kib = resident()  # before all objects are listed
    gc.unfreeze()
    gc.collect()
    objects = len(gc.get_objects())
    gc.freeze()
    return kib, objects


def resident() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


if __name__ == "__main__":
    sys.exit(main())
