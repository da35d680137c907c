"""Rounds: in each everybody does the same work once, in another order; ratios are within a round only."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from bench.control.namespace import namespace
from bench.control.steps import MILLION, NO_SIZE, Step
from bench.control.trial import Outcome
from bench.stats import Summary, rotated, summary

_WRITE = "files:write"
_LONGEST = 900.0  # seconds that what is not measured may take

Say = Callable[[str], None]


class FailedError(Exception):
    """A contestant did not do its work."""


@dataclass(frozen=True)
class Result:
    """One contestant in one step at one size. `rounds` is empty if it took longer than the bound, or failed."""

    step: str
    who: str
    size: int
    bound: float
    rounds: tuple[tuple[float, ...], ...]  # seconds: of each round, of each time
    cpu: tuple[float, ...]  # seconds on a CPU, of each round, all its times together
    kib: int
    ratio: Summary | None = None  # of times, to the reference's in the same round: above 1 is slower
    cpu_ratio: Summary | None = None  # the same of CPU times: less of it is the machine's noise
    failed: str = ""

    @property
    def seconds(self) -> Summary:
        """The value of every repetition, in all rounds. ValueError if it took longer than the bound."""
        return summary(self.samples)

    @property
    def p95(self) -> float:
        """What 95 of 100 times stay below."""
        return quantiles(self.samples, n=20, method="inclusive")[-1] if len(self.samples) > 1 else self.samples[0]

    @property
    def samples(self) -> list[float]:
        return [seconds for times in self.rounds for seconds in times]


@dataclass(frozen=True)
class Bench:
    """How it is done: rounds at most, seconds a measurement may take, and where files go."""

    rounds: int
    bound: float
    scratch: Path
    say: Say

    def measure(self, name: str, step: Step, sizes: Collection[int]) -> Iterator[Result]:
        """A contestant that exceeds the bound, or fails, is not tried again, nor at a larger size."""
        given_up: dict[str, str] = {}
        for size in step.all_sizes():
            if size in sizes or step.sizes == NO_SIZE:
                yield from self._at(name, step, size, given_up)

    def _at(self, name: str, step: Step, size: int, given_up: dict[str, str]) -> list[Result]:
        rounds: dict[str, list[tuple[float, ...]]] = {who: [] for who in step.at(size)}
        cpu: dict[str, list[tuple[float, ...]]] = {who: [] for who in rounds}
        kib = dict.fromkeys(rounds, 0)
        count = rounds_at(size, self.rounds)
        for number in range(count):
            for who in rotated(list(rounds), number):
                if who in given_up:
                    continue
                try:
                    outcome = self._trial(step, who, size, first=number == 0)
                except FailedError as error:
                    self.say(f"{name}, {size:,}, {who}: {error}")
                    given_up[who] = str(error)
                    continue
                kib[who] = max(kib[who], outcome.kib)
                rounds[who].append(outcome.seconds)
                cpu[who].append((outcome.cpu,))
                if not outcome.seconds:
                    given_up[who] = ""
            self.say(f"{name}, {size:,}: round {number + 1} of {count}")
        for who in given_up.keys() & rounds.keys():
            rounds[who].clear()
            cpu[who].clear()
        base, base_cpu = rounds.get(step.reference or "", []), cpu.get(step.reference or "", [])
        return [
            Result(
                name,
                who,
                size,
                self.bound,
                tuple(done),
                tuple(spent for (spent,) in cpu[who]),
                kib[who],
                _ratio(done, base),
                _ratio(cpu[who], base_cpu),
                given_up.get(who, ""),
            )
            for who, done in rounds.items()
        ]

    def _trial(self, step: Step, who: str, size: int, *, first: bool) -> Outcome:
        files = self._files(size)
        with namespace() as netns:
            if step.before:
                self._prepare(netns, step.before, size, files)
            outcome = self._run(netns, step.who[who], size, files, step.times, self.bound)
            verify = (step.verify or {}).get(who)
            if verify and first and outcome.seconds and size < MILLION:
                self._prepare(netns, verify, size, files)
        return outcome

    def _prepare(self, netns: str, job: str, size: int, files: Path) -> None:
        if not self._run(netns, job, size, files, 1, _LONGEST).seconds:
            raise FailedError(f"{job}: no end after {_LONGEST:g} s")

    @staticmethod
    def _run(netns: str, job: str, size: int, files: Path, times: int, bound: float) -> Outcome:
        argv = ["ip", "netns", "exec", netns, sys.executable, "-m", "bench.control.trial", job]
        argv += [str(size), str(files), str(times), str(bound)]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=2 * _LONGEST, check=False)
        except subprocess.TimeoutExpired as error:
            raise FailedError(f"{job}: no end after {2 * _LONGEST:g} s") from error
        if done.returncode:
            raise FailedError(f"{job} ended with {done.returncode}: {done.stderr.strip()}")
        found = json.loads(done.stdout.splitlines()[-1])
        return Outcome(tuple(found["seconds"]), found["cpu"], found["kib"])

    def _files(self, size: int) -> Path:
        """The input of this size; written once."""
        files = self.scratch / str(size)
        if not files.is_dir():
            files.mkdir()
            try:
                with namespace() as netns:
                    self._prepare(netns, _WRITE, size, files)
            except FailedError:
                shutil.rmtree(files)
                raise
        return files


def rounds_at(size: int, rounds: int) -> int:
    """Large sizes take long, and vary little."""
    return 1 if size >= MILLION else max(1, rounds * 2 // 3) if size >= 100_000 else rounds


def _ratio(mine: Sequence[tuple[float, ...]], base: Sequence[tuple[float, ...]]) -> Summary | None:
    if not mine or not base:
        return None
    return summary([median(a) / median(b) for a, b in zip(mine, base, strict=True)])
