"""`apply --confirm`, killed at any moment: the gateway ends in what its record says, and nothing leaves untranslated.

NVI_SEED repeats a run, NVI_ROUNDS sets how many rounds there are: `make soak` runs 200.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from nvi_operator.history.decisions import DecisionsFile
from nvi_operator.rollout.place import state_directory
from tests.lab import GatewayHost, Site
from tests.lab.command import Command
from tests.lab.net import until
from tests.lab.probe import Prober
from tests.netns.scenarios import spec
from tests.netns.test_confirm import overdue, waiting
from tests.netns.test_history import WITHOUT_WEB

pytestmark = pytest.mark.netns

ROUNDS = int(os.environ.get("NVI_ROUNDS", "2"))
SEED = int(os.environ.get("NVI_SEED", str(random.randrange(1 << 32))))
LONGEST = 2.0  # seconds: about what an apply takes on a busy machine


@pytest.fixture
def decisions(gateway: GatewayHost) -> Iterator[DecisionsFile]:
    yield DecisionsFile(gateway.host.call(state_directory))
    end_waiters(gateway)


def end_waiters(gateway: GatewayHost) -> None:
    for pid in waiting(gateway):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_killed_apply_ends_in_the_confirmed_revision_or_in_its_own(
    site: Site, gateway: GatewayHost, decisions: DecisionsFile, tmp_path: Path
) -> None:
    texts = {"one": spec().replace("443/tcp", "8443/tcp"), "two": WITHOUT_WEB}
    for name, text in texts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "gateway.yaml").write_text(text)
    rng, prober = random.Random(SEED), Prober(site)
    holds, other = "one", "two"
    gateway.apply(texts[holds])
    for number in range(ROUNDS):
        where = f"NVI_SEED={SEED}, round {number}"
        arguments = ["apply", "--confirm", "1h", str(tmp_path / other), "--netns", gateway.host.netns]
        apply = Command(arguments, tmp_path / f"log{number}")
        end = time.monotonic() + rng.uniform(0, LONGEST)
        while apply.code is None and time.monotonic() < end:
            prober.send()
        apply.send(signal.SIGKILL)
        apply.wait()
        if rng.random() < 0.5:
            end_waiters(gateway)
        prober.send()
        kept = False
        if decisions.read().pending is not None:
            kept = decide(gateway, decisions, rng)
            assert decisions.read().pending is None, where
        if kept:
            holds, other = other, holds
        assert not gateway.differences(texts[holds]), where
        prober.send()
        assert site.leaks() == 0, where
    prober.close()


def decide(gateway: GatewayHost, decisions: DecisionsFile, rng: random.Random) -> bool:
    """As time, or a user, may have it. Is the pending revision kept?"""
    what = rng.choice(["late", "abort", "confirm"])
    if what == "confirm":
        done = gateway.nvictl("confirm", check=False)
        if done.returncode == 0:
            return True
        assert "its apply did not end: it cannot be confirmed" in done.stderr
    if what == "late":
        overdue(decisions)
        if waiting(gateway):
            until(lambda: decisions.read().pending is None, "the waiter gives it up", seconds=60)
        else:
            gateway.nvictl("abort", "--when-due")
    else:
        gateway.nvictl("abort")
    return False
