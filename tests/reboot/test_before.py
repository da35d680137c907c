"""The first boot: it ends as if the power were lost."""

from __future__ import annotations

import os

from tests.systemd.test_unit import FORWARD, ON_TRIAL, SPEC, UNIT, dataplane, has_timer, run, until, up


def test_a_change_is_on_trial_for_an_hour() -> None:
    until(up, "the unit in sync")
    SPEC.with_name("operator.yaml").write_text(ON_TRIAL.replace("60s", "1h"))
    run("systemctl", "restart", UNIT)
    with SPEC.open("a") as file:
        file.write(FORWARD)
        file.flush()
        os.fsync(file.fileno())  # what the operator writes from then on it has to sync itself
    until(lambda: "192.168.1.80" in dataplane()[1] and has_timer(), "the forward, on trial")
