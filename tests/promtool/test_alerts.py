"""Prometheus takes the alerts and the metrics as they are meant."""

from __future__ import annotations

import os
import re
import subprocess

from nvi_operator.events.event import Applied, Healed
from tests.unit.daemon.test_metrics import PACKAGING, measured, on_trial

RULES = PACKAGING / "prometheus/nvi-operator.rules.yml"
CASES = PACKAGING / "prometheus/nvi-operator.test.yml"


def promtool(*arguments: str, text: str = "") -> str:
    """What it prints, of which nothing is a complaint."""
    command = [os.environ["NVI_PROMTOOL"], *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_rules_are_valid() -> None:
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text(encoding="utf-8"))
    assert f"SUCCESS: {len(alerts)} rules found" in promtool("check", "rules", "--lint-fatal", str(RULES))


def test_each_alert_fires_when_it_should_and_not_before() -> None:
    assert "SUCCESS" in promtool("test", "rules", str(CASES))


def test_the_metrics_are_named_by_the_conventions() -> None:
    events = (Applied(entries=(), done="1 created", steps=1, seconds=0.25), Healed(steps=1, seconds=0.002))
    assert promtool("check", "metrics", text=measured(on_trial(), *events)[0]) == ""
