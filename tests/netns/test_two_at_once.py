"""Two that change a gateway at the same time: one waits for the other, nothing leaks, and one of them is the outcome.

The last test draws pairs of commands, times and kills at random. NVI_SEED repeats a run, NVI_ROUNDS sets how many
pairs there are: `make soak` runs 500.
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nvi_operator.kernel.kernel import Kernel
from nvi_operator.kernel.netns import entered
from nvi_operator.language.load.loader import load_texts
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.plan.change import Change
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import dry_run, reconcile
from tests.lab import GatewayHost, Site
from tests.lab.command import Command
from tests.lab.net import until
from tests.lab.probe import Prober
from tests.netns.scenarios import spec

pytestmark = pytest.mark.netns

ROUNDS = int(os.environ.get("NVI_ROUNDS", "5"))
SEED = int(os.environ.get("NVI_SEED", str(random.randrange(1 << 32))))

SPECS = {
    "A": spec(),
    "B": spec("{ type: bpf, inInterface: skb_iif }").replace("as: isp-a", "as: isp-b"),
}
LONGEST = 1.5  # seconds: about what an apply takes


class Race:
    """Commands on one gateway, each a process of its own."""

    def __init__(self, site: Site, scratch: Path) -> None:
        self.host = GatewayHost(site.gateway)
        self.netns = site.gateway.netns
        self._scratch = scratch
        self._count = 0
        for name, text in SPECS.items():
            (scratch / name).mkdir()
            (scratch / name / "gateway.yaml").write_text(text)

    def start(self, *words: str) -> Command:
        """`apply A`, `run B`, `down`."""
        verb, *names = words
        self._count += 1
        specs = [str(self._scratch / name) for name in names]
        return Command([verb, *specs, "--netns", self.netns], self._scratch / f"log{self._count}")

    def pass_(self, name: str | None, on_step: Callable[[Change], None] = lambda change: None) -> None:
        """A reconcile in this process."""
        with entered(self.netns), Kernel(self._spec(name).numbers) as kernel:
            reconcile(kernel, self._gateway(name), on_step=on_step)

    def holds(self) -> str | None:
        """Which spec the kernel holds exactly: A, B, `down`; None for anything else."""
        if not self.host.owned() and self.host.host.read("net/ipv4/ip_forward") == "0":
            return "down"
        for name in SPECS:
            with entered(self.netns), Kernel(self._spec(name).numbers) as kernel:
                if not dry_run(kernel, self._gateway(name)):
                    return name
        return None

    def _spec(self, name: str | None) -> GatewaySpec:
        return load_texts({"gateway.yaml": SPECS[name or "A"].encode()}).spec

    def _gateway(self, name: str | None) -> Compiler:
        return Compiler("edge", self._spec(name) if name else None)


@pytest.fixture
def race(site: Site, tmp_path: Path) -> Race:
    return Race(site, tmp_path)


def forwarding(change: Change) -> bool:
    return change.ref.key == "net/ipv4/ip_forward"


def test_down_waits_for_an_apply_that_is_under_way_and_says_for_whom(site: Site, race: Race, prober: Prober) -> None:
    """Held just before it switches forwarding on: had `down` ended by then, it would forward without NAT."""
    waiting: list[Command] = []

    def hold(change: Change) -> None:
        prober.send()
        if forwarding(change):
            refused = race.host.nvictl("down", "--wait", "0", check=False)
            assert refused.returncode == 1
            assert f"(pid {os.getpid()}), which is changing it" in refused.stderr
            assert "Nothing was changed" in refused.stderr
            waiting.append(race.start("down"))
            until(lambda: f"(pid {os.getpid()}), at most 30 s" in waiting[0].text, "it waits", seconds=20)
            prober.send()

    race.pass_("A", hold)
    (down,) = waiting
    while down.code is None:
        prober.send()
    assert down.code == 0, down.text
    prober.send()
    assert race.holds() == "down"
    assert site.leaks() == 0


def test_an_apply_that_is_killed_beside_a_down_leaves_a_closed_gateway(
    site: Site, race: Race, prober: Prober
) -> None:
    for _ in range(3):
        killed = race.start("apply", "A")
        until(race.host.owned, "it has begun", seconds=20)
        down = race.start("down")
        killed.send(signal.SIGKILL)
        while down.code is None:
            prober.send()
        assert down.code == 0, down.text
        prober.send()
        assert race.holds() == "down"
        assert site.leaks() == 0


def test_an_apply_that_is_stopped_at_any_moment_lets_nothing_leak_and_ends_when_it_goes_on(
    site: Site, race: Race, prober: Prober
) -> None:
    rng = random.Random(SEED)
    for name in ("A", "B") * 2:
        stopped = race.start("apply", name)
        moment = time.monotonic() + rng.uniform(0, LONGEST / 3)
        while time.monotonic() < moment:
            prober.send()
        stopped.send(signal.SIGSTOP)
        for _ in range(100):
            prober.send()
        stopped.send(signal.SIGCONT)
        while stopped.code is None:
            prober.send()
        assert (stopped.code, race.holds()) == (0, name), f"NVI_SEED={SEED}: {stopped.text}"
        assert site.leaks() == 0, f"NVI_SEED={SEED}"


def test_any_two_at_random_end_in_one_of_them_and_nothing_leaks(site: Site, race: Race, prober: Prober) -> None:
    rng = random.Random(SEED)
    print(f"NVI_SEED={SEED} NVI_ROUNDS={ROUNDS}")
    for number in range(ROUNDS):
        Round(rng, race, f"NVI_SEED={SEED}, round {number}").run(site, prober)


class Round:
    """Two commands that start at random times; in a third of the rounds one of them is killed at a random time."""

    def __init__(self, rng: random.Random, race: Race, where: str) -> None:
        self._rng, self._race = rng, race
        self._before = race.holds()
        self._pair = [rng.choice([("apply", "A"), ("apply", "B"), ("down",), ("run", "A")]) for _ in range(2)]
        self._times = [0.0, rng.uniform(0, rng.choice([0.1, LONGEST]))]
        self._kill = rng.choice([None, None, (rng.randrange(2), rng.uniform(0, 2 * LONGEST))])
        self._begun: list[Command] = []
        self._killed = False
        self._where = where

    def __repr__(self) -> str:
        logs = "\n".join(command.text for command in self._begun)
        return f"{self._where}: {self._before}, {self._pair} at {self._times}, kill {self._kill}\n{logs}"

    def run(self, site: Site, prober: Prober) -> None:
        began = time.monotonic()
        while not self._over(time.monotonic() - began):
            prober.send()
            time.sleep(0.002)  # the rate of the probes
        if daemons := [command for command in self._daemons() if command.code is None]:
            # It heals what the other did for as long as it lives, and may be at work still.
            until(lambda: self._race.holds() == "A", f"the daemon has healed: {self}", seconds=20)
            for daemon in daemons:
                daemon.send(signal.SIGTERM)
                assert daemon.wait() == 0, self
        outcomes = {words[-1] for words in self._pair}
        for command in self._begun:
            refused = command.code == 1 and re.search(r"nvictl: gateway: .* is (already )?running", command.text)
            assert refused or command.code in (0, -signal.SIGKILL), self
        prober.send()
        if self._killed:
            assert site.leaks() == 0, self
            outcomes.add(self._before or "")
            if self._race.holds() is None:  # some prefix of the steps: the next reconcile completes it
                self._race.pass_("A")
                outcomes = {"A"}
                prober.send()
        assert self._race.holds() in outcomes, self
        assert site.leaks() == 0, self

    def _over(self, now: float) -> bool:
        """A command ends by itself; a daemon is over when it is in sync, and nothing else goes on."""
        begun = self._begun
        if len(begun) < 2 and now >= self._times[len(begun)]:
            begun.append(self._race.start(*self._pair[len(begun)]))
        if self._kill and not self._killed and len(begun) > self._kill[0] and now >= self._kill[1]:
            begun[self._kill[0]].send(signal.SIGKILL)
            begun[self._kill[0]].wait()
            self._killed = True
        assert now < 90, self
        pending = self._kill is not None and not self._killed
        in_sync = all(daemon.code is not None or "in sync" in daemon.text for daemon in self._daemons())
        daemons = self._daemons()
        return (
            len(begun) == 2
            and not pending
            and in_sync
            and all(command.code is not None for command in begun if command not in daemons)
        )

    def _daemons(self) -> list[Command]:
        begun = zip(self._pair[: len(self._begun)], self._begun, strict=True)
        return [command for words, command in begun if words[0] == "run"]
