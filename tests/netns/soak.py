"""The daemon's reconciles, thousands of them in one process, and what they leave in its memory.

    python -m tests.netns.soak DIRECTORY EDITS HEALS

Runs in the network namespace of its caller, which has the interfaces of the spec. It edits gateway.yaml in DIRECTORY,
and prints the resident set size in KiB and the number of objects that the collector knows: after the `first` edits,
after all, after as many heals, and after all.
"""

from __future__ import annotations

import gc
import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

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
    directory, edits, heals = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    with TemporaryDirectory() as state, in_process(directory, Path(state)) as (daemon, _, events):

        def one(*reasons: Reason) -> None:
            result = daemon.reconcile(Trigger(frozenset(reasons), tuple(events.drain())))
            assert not result.errors, result.errors

        one(Reason.START)
        print(
            json.dumps(
                {
                    "edits": grown(edits, editing(directory), one, rest=REST),
                    "heals": grown(heals, drifting(), one, rest=heals),
                }
            )
        )
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
