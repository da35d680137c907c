"""Compare what the engine says with what the kernel does; needs root. See the package's docstring."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from tests.differential.case import Case, from_yaml, to_yaml
from tests.differential.generate import draw_case
from tests.differential.run import PER_CASE, Disagreement, Tally, disagreement, run, shows
from tests.differential.scene import Stage
from tests.differential.shrink import shrink


def main() -> int:
    options = _options()
    with Stage() as stage:
        if options.file:
            return _one(stage, options.file)
        print(f"seed {options.seed}", flush=True)
        options.out.mkdir(parents=True, exist_ok=True)
        return _many(stage, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="one case, instead of random ones")
    parser.add_argument("--packets", type=int, default=20000, help="how many to send")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the cases; printed")
    parser.add_argument("--first", type=int, default=0, help="the number of the first case of the seed")
    parser.add_argument("--talks", type=int, default=PER_CASE, help="of each case")
    parser.add_argument("--most", type=int, default=5, help="stop after so many disagreements")
    parser.add_argument("--out", type=Path, default=Path("."), help="where cases that were shrunk are written")
    parser.add_argument("--as-found", action="store_true", help="do not shrink")
    return parser.parse_args()


def _one(stage: Stage, file: Path) -> int:
    text = disagreement(stage, from_yaml(file.read_text(encoding="utf-8")))
    print(text or "agreed")
    return 1 if text else 0


def _many(stage: Stage, options: argparse.Namespace) -> int:
    tally, found = Tally(), [0]
    started = time.monotonic()
    number = [options.first]

    def cases() -> Iterator[Case]:
        for number[0] in count(options.first):
            yield draw_case(options.seed, number[0], options.talks)

    def disagreed(one: Disagreement) -> bool:
        found[0] += 1
        print(f"\ncase {number[0]}\n{one.text}", flush=True)
        file = options.out / f"disagreement-{options.seed}-{number[0]}-{found[0]}.yaml"
        file.write_text(to_yaml(one.case, f"seed {options.seed}, case {number[0]}\n{one.text}"))
        print(f"python -m tests.differential {file}", flush=True)
        return bool(found[0] < options.most)

    run(stage, cases(), options.packets, tally, disagreed)
    if not options.as_found:
        for file in sorted(options.out.glob(f"disagreement-{options.seed}-*.yaml")):
            _shrink(stage, file)
    seconds = time.monotonic() - started
    print(f"\n{tally}\n{found[0]} disagreements; seed {options.seed}; {seconds:.0f} s")
    return 1 if found[0] else 0


def _shrink(stage: Stage, file: Path) -> None:
    """In its file. A case that agrees when it is run alone stays as it is: the earlier gateway mattered."""
    case = from_yaml(file.read_text(encoding="utf-8"))
    what = shows(stage, case)
    if what is None:
        print(f"{file}: agrees alone")
        return
    small = shrink(case, lambda candidate: shows(stage, candidate) == what)
    file.write_text(to_yaml(small, disagreement(stage, small) or ""), encoding="utf-8")
    print(f"{file}: shrunk")


if __name__ == "__main__":
    sys.exit(main())
