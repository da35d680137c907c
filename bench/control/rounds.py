"""Rounds: in each everybody does the same work once, in another order; ratios are within a round only."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.control.namespace import namespace
from bench.control.steps import Step
from bench.stats import Summary, rotated, summary

_WRITE, _VERIFY = "files:write", "ours:verify"
_PREPARING = 600.0  # seconds that what is not measured may take

Say = Callable[[str], None]


class FailedError(Exception):
    """A contestant did not do its work."""


@dataclass(frozen=True)
class Result:
    """Of one contestant in one step at one size. `rounds` is empty if it took longer than the bound."""

    step: str
    who: str
    size: int
    bound: float
    rounds: tuple[tuple[float, ...], ...]  # seconds: of each round, of each time
    kib: int
    ratio: Summary | None = None  # of times, to the reference's in the same round: above 1 is slower

    @property
    def seconds(self) -> Summary:
        return summary([median(times) for times in self.rounds])


@dataclass(frozen=True)
class Bench:
    """How it is done: rounds at most, seconds a measurement may take, and where files go."""

    rounds: int
    bound: float
    scratch: Path
    say: Say

    def measure(self, name: str, step: Step, sizes: Iterable[int]) -> Iterator[Result]:
        given_up: set[str] = set()
        for size in (size for size in step.sizes if size in sizes):
            yield from self._at(name, step, size, given_up)

    def _at(self, name: str, step: Step, size: int, given_up: set[str]) -> list[Result]:
        """Who exceeded the bound is not tried again, nor at a larger size."""
        rounds: dict[str, list[tuple[float, ...]]] = {who: [] for who in step.who}
        kib = dict.fromkeys(step.who, 0)
        for number in range(rounds_at(size, self.rounds)):
            for who in rotated(list(step.who), number):
                if who in given_up:
                    continue
                outcome = self._trial(step, who, size, verify=step.verify and number == 0)
                if outcome is None:
                    given_up.add(who)
                    rounds[who].clear()
                    continue
                rounds[who].append(outcome[0])
                kib[who] = max(kib[who], outcome[1])
            self.say(f"{name}, {size:,}: round {number + 1}")
        base = rounds.get(step.reference or "", [])
        return [
            Result(name, who, size, self.bound, tuple(done), kib[who], _ratio(done, base))
            for who, done in rounds.items()
        ]

    def _trial(self, step: Step, who: str, size: int, *, verify: bool) -> tuple[tuple[float, ...], int] | None:
        files = self._files(size)
        with namespace() as netns:
            if step.before:
                _run(netns, step.before, size, files, 1, _PREPARING)
            try:
                found = _run(netns, step.who[who], size, files, step.times, self.bound * step.times)
            except subprocess.TimeoutExpired:
                return None
            if verify:
                _run(netns, _VERIFY, size, files, 1, _PREPARING)
        return tuple(found["seconds"]), found["kib"]

    def _files(self, size: int) -> Path:
        """Of this size; written once."""
        files = self.scratch / str(size)
        if not files.is_dir():
            files.mkdir()
            with namespace() as netns:
                _run(netns, _WRITE, size, files, 1, _PREPARING)
        return files


def rounds_at(size: int, rounds: int) -> int:
    """Large sizes take long, and vary little."""
    return max(1, rounds * 2 // 3) if size >= 100_000 else 1 if size > 100_000 else rounds


def _run(netns: str, job: str, size: int, files: Path, times: int, bound: float) -> dict:  # type: ignore[type-arg]
    argv = ("ip", "netns", "exec", netns, sys.executable, "-m", "bench.control.trial")
    done = subprocess.run(
        [*argv, job, str(size), str(files), str(times)], capture_output=True, text=True, timeout=bound, check=False
    )
    if done.returncode:
        raise FailedError(f"{job}, {size:,}: {done.stderr.strip()}")
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def _ratio(mine: Sequence[tuple[float, ...]], base: Sequence[tuple[float, ...]]) -> Summary | None:
    if not mine or not base:
        return None
    return summary([median(a) / median(b) for a, b in zip(mine, base, strict=True)])
