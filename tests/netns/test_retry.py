"""A reconcile that another process stops is tried again at once: a storm of changes costs no second of outage."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from nvi_operator.daemon.backoff import TRANSIENT
from nvi_operator.daemon.loop import Loop
from nvi_operator.daemon.trigger import Trigger
from nvi_operator.kernel.netns import entered
from nvi_operator.reconcile.outcome import Outcome
from tests.lab import Site
from tests.lab.in_process import in_process

pytestmark = pytest.mark.netns

SECONDS = 60.0  # that the storm may take to stop a reconcile


class Attempt(NamedTuple):
    began: float
    ended: float
    outcome: Outcome


def test_a_reconcile_that_a_storm_of_changes_stops_is_tried_again_after_50_ms(
    site: Site, directory: Path, tmp_path: Path
) -> None:
    """The device is deleted as often as the kernel takes it, until a reconcile gives up."""
    (tmp_path / "storm").write_text("link del nvi0\n" * 1_000_000)
    attempts: list[Attempt] = []
    storms: list[subprocess.Popen[str]] = []
    deadline = time.monotonic() + SECONDS

    def reconcile(trigger: Trigger) -> Outcome:
        began = time.monotonic()
        outcome = daemon.reconcile(trigger)
        attempts.append(Attempt(began, time.monotonic(), outcome))
        if outcome.failed:
            storms[0].kill()
            storms[0].wait()
        elif not storms:
            batch = ("ip", "-force", "-batch", str(tmp_path / "storm"))
            storms.append(site.gateway.popen(*batch, stderr=subprocess.DEVNULL))
        elif any(attempt.outcome.failed for attempt in attempts) or time.monotonic() > deadline:
            loop.stop()
        return outcome

    with entered(site.gateway.netns), in_process(directory, tmp_path / "state") as (daemon, source, events, _):
        loop = Loop(reconcile, directory=source, events=events, emit=lambda _: None, rescan_seconds=5.0)
        try:
            loop.run()
        finally:
            for storm in storms:
                storm.kill()
                storm.wait()
    failed, healed = attempts[-2:]
    assert failed.outcome.transient, [attempt.outcome.errors for attempt in attempts]
    assert TRANSIENT <= healed.began - failed.ended < 0.5
    assert failed.outcome.seconds > 0
    assert healed.outcome.plan
