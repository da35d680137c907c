"""Run tests of the module and of the operator on real kernels, or any command.

python -m tests.vm all                                     every kernel, every suite
python -m tests.vm debian12-6.1 --suite quick              one of each
python -m tests.vm debian-sid -- ip -d link add nvi0 type nvi
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.vm.kernels import Kernel, kernels
from tests.vm.machine import Outcome, run
from tests.vm.module import build_by_operator
from tests.vm.report import Record, slowest
from tests.vm.root import root_of
from tests.vm.suites import SUITES, Suite

WHOLE = ("module", "races", "systemd", "reboot", "sig_enforce", "lockdown", "scenarios")
SLOWEST = 5  # tests named at the end of a guest's run, so that a suite does not grow unnoticed


def main() -> int:
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    options = _parser().parse_args(words[:split])
    command = tuple(words[split + 1 :])
    chosen = kernels() if "all" in options.kernel else {name: kernels()[name] for name in options.kernel}
    suites = (
        {" ".join(command): Suite(command, options.timeout, options.debug, output=True, icount=options.icount)}
        if command
        else SUITES
    )
    names = suites if command else options.suite or WHOLE
    roots = {root_of(kernel) for kernel in chosen.values()}  # one after the other: kernels of one suite share a root
    whole = not command and not options.suite
    built = [build_by_operator(root) for root in sorted(roots)] if whole else []
    with ThreadPoolExecutor(options.jobs) as pool:
        jobs = [(kernel, name) for kernel in chosen.values() for name in names]
        good = list(pool.map(lambda job: _one(*job, suites[job[1]], options.console), jobs))
    return 0 if all([*built, *good]) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.vm", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = ["all", *kernels()]
    parser.add_argument("kernel", nargs="+", choices=known, metavar="KERNEL", help=", ".join(known))
    parser.add_argument("--suite", action="append", choices=list(SUITES), help=f"by default: {', '.join(WHOLE)}")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="guests at a time, of two CPUs each")
    parser.add_argument("--console", type=Path, metavar="DIRECTORY", help="keep the guests' consoles there")
    parser.add_argument("--timeout", type=float, default=600, metavar="S", help="seconds for a command (%(default)g)")
    parser.add_argument("--icount", action="store_true", help="a command, with a clock that counts instructions")
    parser.add_argument("--debug", action="store_true", help="a command with the kernel's checks of memory")
    return parser


def _one(kernel: Kernel, name: str, suite: Suite, consoles: Path | None) -> bool:
    title = f"{kernel.name}: {name}"

    def show(record: Record) -> None:
        text = _line(record)
        if text:
            print(f"{title}: {text}", flush=True)

    started = time.monotonic()
    outcome = run(kernel, suite, on_record=show)
    seconds = time.monotonic() - started
    if consoles:
        consoles.mkdir(parents=True, exist_ok=True)
        (consoles / f"{kernel.name}-{name.split()[0]}.txt").write_text(outcome.console, encoding="utf-8")
    _conclude(title, outcome, seconds)
    return not outcome.problems


def _line(record: Record) -> str | None:
    if record["kind"] == "start":
        return f"booted {record['release']}"
    if record.get("outcome") == "failed":
        return f"failed {record['test']}"
    return record.get("line")


def _conclude(title: str, outcome: Outcome, seconds: float) -> None:
    passed = sum(1 for r in outcome.records if r.get("when") == "call" and r["outcome"] == "passed")
    lines = [f"{title}: {problem}" for problem in outcome.problems]
    if outcome.problems:
        lines += ["--- the end of its console", *outcome.console.splitlines()[-40:], "---"]
    lines += [f"{title}: slowest: {took:.0f} s {test}" for test, took in slowest(outcome.records, SLOWEST)]
    verdict = "FAILED" if outcome.problems else "ok"
    print("\n".join([*lines, f"{title}: {verdict}, {passed} tests passed, {seconds:.0f} s"]), flush=True)


if __name__ == "__main__":
    sys.exit(main())
