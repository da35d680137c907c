"""`python -m bench.control`: what the control plane costs, by step and by number of entries. See bench/README.md."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.control import page
from bench.control.namespace import sweep
from bench.control.report import report
from bench.control.rounds import Bench, Result
from bench.control.steps import MILLION, SIZES, STEPS, missing
from bench.report import machine

QUICK = (100, 1_000)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    if os.geteuid() != 0:
        parser().error("network namespaces need root: run it with sudo")
    sweep()
    sizes = arguments.sizes or (QUICK if arguments.quick else (*SIZES, MILLION))
    rounds = 1 if arguments.quick else arguments.rounds
    results: list[Result] = []
    with TemporaryDirectory(prefix="nvibench-") as scratch:
        bench = Bench(rounds, arguments.bound, Path(scratch), _say)
        for name in arguments.only:
            results += bench.measure(name, STEPS[name], sizes)
    about = f"{machine()}, {rounds} rounds"
    print(report(results, about, missing()))
    if arguments.write:
        page.write(arguments.write, results, about, missing(), _say)
    if arguments.json:
        data = {"about": about, "results": [asdict(result) for result in results]}
        arguments.json.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    return 1 if any(result.failed for result in results) else 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m bench.control", description=__doc__.partition(":")[2].strip())
    made.add_argument("--only", type=_steps, default=list(STEPS), metavar="STEPS", help=f"of {', '.join(STEPS)}; all")
    made.add_argument("--sizes", type=_numbers, help="numbers of entries; all that a step has")
    made.add_argument("--rounds", type=int, default=3, help="each does everything once; fewer of large sizes (3)")
    made.add_argument("--bound", type=float, default=120.0, help="seconds that a measurement may take (120)")
    made.add_argument("--quick", action="store_true", help="one round of 100 and 1,000")
    made.add_argument("--write", type=Path, metavar="FILE", help="also put it between the marks of a Markdown file")
    made.add_argument("--json", type=Path, metavar="FILE", help="write every number there")
    return made


def _steps(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in STEPS:
            raise argparse.ArgumentTypeError(f"{name}: there are {', '.join(STEPS)}")
    return names


def _numbers(text: str) -> list[int]:
    return [int(number.replace("_", "")) for number in text.split(",")]


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
