"""`python -m bench.dataplane`: what a gateway costs, by variant and by kind of traffic. bench/README.md says how."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.dataplane.kinds import KINDS, MANY, NotMeasurableError, Setting
from bench.dataplane.rounds import Result, measure
from bench.dataplane.variants import BASE, VARIANTS, available
from bench.report import machine, markdown
from tests.lab import Lab

KNOWN = KINDS | MANY


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    if os.geteuid() != 0:
        parser().error("network namespaces need root: run it with sudo")
    variants = arguments.variants or available()
    if BASE not in variants:
        variants = [BASE, *variants]
    setting = Setting(arguments.family, arguments.cpu, arguments.batch, arguments.seconds)
    results: list[Result] = []
    try:
        with Lab() as lab:
            beds = {}
            for name in variants:
                _say(f"setting up {name}")
                beds[name] = VARIANTS[name](lab, name)
            for kind in arguments.kinds:
                results += measure(KNOWN[kind], beds, BASE, setting, arguments.rounds, _say)
    except NotMeasurableError as error:
        print(f"{error}: nothing is measured", file=sys.stderr)
        return 1
    text = report(results, setting, arguments.rounds)
    print(text)
    if arguments.write:
        arguments.write.write_text(text + "\n", encoding="utf-8")
    if arguments.json:
        data = {"machine": machine(), "setting": asdict(setting), "results": [asdict(r) for r in results]}
        arguments.json.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m bench.dataplane", description=__doc__.partition(":")[2].strip())
    made.add_argument("--variants", type=_listed(VARIANTS), help=f"of {', '.join(VARIANTS)}; all that can run here")
    made.add_argument(
        "--kinds", type=_listed(KNOWN), default=list(KINDS), help=f"of {', '.join(KNOWN)}; {', '.join(KINDS)}"
    )
    made.add_argument("--rounds", type=int, default=10, help="each measures every variant once (10)")
    made.add_argument("--seconds", type=float, default=0.25, help="of CPU, for one measurement (0.25)")
    made.add_argument("--family", type=int, choices=(4, 6), default=4, help="of IP (4)")
    made.add_argument("--batch", type=int, default=8, help="packets received at once (8)")
    made.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)), help="where all is done (the last)")
    made.add_argument("--write", type=Path, metavar="FILE", help="also write the tables there")
    made.add_argument("--json", type=Path, metavar="FILE", help="write every number there")
    return made


def _listed(known: dict[str, object]):  # type: ignore[no-untyped-def,type-arg]
    def split(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name}: there are {', '.join(known)}")
        return names

    return split


def report(results: Sequence[Result], setting: Setting, rounds: int) -> str:
    """A table of ratios over all kinds, and one of costs."""
    kinds = list(dict.fromkeys(result.kind for result in results))
    variants = list(dict.fromkeys(result.variant for result in results))
    by = {(result.variant, result.kind): result for result in results}
    ratios = [[v, *(_ratio(by[v, k]) for k in kinds)] for v in variants]
    costs = [[v, *(f"{by[v, k].cost.median:,.0f}" for k in kinds)] for v in variants]
    units = [f"{kind}, ns per {KNOWN[kind].unit}" for kind in kinds]
    return "\n\n".join(
        (
            f"{machine()}; IPv{setting.family}, {rounds} rounds, batches of {setting.batch}",
            f"Rate, as a ratio to `{BASE}` of the same round: median (quartiles)",
            markdown(["variant", *kinds], ratios),
            "CPU time, median",
            markdown(["variant", *units], costs),
        )
    )


def _ratio(result: Result) -> str:
    if result.variant == BASE:
        return "1"
    return f"{result.ratio.median:.3f} ({result.ratio.low:.3f}-{result.ratio.high:.3f})"


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
